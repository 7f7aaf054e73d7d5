"""Tasks of repositories, by the timetable in registry_site/celery.py."""

from celery import shared_task

from repositories import lifecycle
from repositories.events import recording
from repositories.pulls import counting


@shared_task
def recount_pulls() -> None:
    """Put right what does not add up."""
    counting.recount_pulls()


@shared_task
def thin_out_pulls() -> None:
    """Forget the detail of pulls of long ago."""
    counting.thin_out()


@shared_task
def expire_events() -> None:
    """Delete events that are older than they are to be kept."""
    recording.expire_events()


@shared_task
def purge_repositories() -> None:
    """Delete permanently what no one can restore any more."""
    lifecycle.purge_expired()
