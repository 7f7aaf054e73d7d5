"""Tasks of notifications; running one twice does no harm."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from notifications import mail
from notifications.models import Notification

EXPIRED_AT_ONCE = 500
KEPT = timedelta(days=90)  # who did not look for three months does not miss them


@shared_task
def send_mails() -> None:
    """Mail people what waits for them."""
    mail.send_mails()


@shared_task
def expire_notifications() -> None:
    """Forget what no one reads any more."""
    expired = Notification.objects.older_than(timezone.now() - KEPT)
    # In small transactions: pushes write to the same database.
    while ids := list(
        expired.order_by("created_at").values_list("pk")[:EXPIRED_AT_ONCE]
    ):
        Notification.objects.filter(pk__in=[pk for (pk,) in ids]).delete()
