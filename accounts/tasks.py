"""Periodic tasks for accounts, scheduled in registry_site/celery.py."""

from celery import shared_task

from accounts import invitations, mail, robots, signin_limits


@shared_task
def forget_attempts() -> None:
    """Delete counts of failed sign-ins that no longer matter."""
    signin_limits.forget_attempts()


@shared_task
def remind_of_expiry() -> None:
    """Notify people of robots that expire soon."""
    robots.remind_of_expiry()


@shared_task
def forget_invitations() -> None:
    """Delete invitations that no one answered in time."""
    invitations.forget_invitations()


@shared_task
def send_queued_mail() -> None:
    """Send the mail that is due."""
    mail.send_queued_mail()
