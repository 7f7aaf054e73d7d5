"""Choose whether notifications come by mail, and mark them as read."""

from django.db import transaction

from accounts.models import User
from notifications.models import Notification, Preference


def prefers_mail(user: User) -> bool:
    """Tell whether this user wants notifications mailed: yes, until told otherwise."""
    return not Preference.objects.filter(user=user, wants_mail=False).exists()


def prefer_mail(*, user: User, wants_mail: bool) -> None:
    """Keep the choice; what waits to be mailed is not mailed any more without it."""
    with transaction.atomic():
        Preference.objects.update_or_create(
            user=user, defaults={"wants_mail": wants_mail}
        )
        if not wants_mail:
            Notification.objects.filter(user=user, mail=Notification.Mail.DUE).update(
                mail=Notification.Mail.NONE
            )


def read_through(*, user: User, last: int) -> int:
    """Mark everything up to this notification as read; return how many that were.

    What came in after the page was made is not among it.
    """
    rows = Notification.objects.unread().filter(user=user, pk__lte=last)
    return rows.update(is_read=True)
