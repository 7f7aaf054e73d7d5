"""Choose whether notifications come by mail, and mark them as read."""

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Lower

from accounts.liveness import live_user
from accounts.models import User
from notifications.models import Notification, Preference


def prefers_mail(user: User) -> bool:
    """Return whether this user wants notifications mailed, which is the default."""
    return not Preference.objects.filter(user=user, wants_mail=False).exists()


def with_address(users: QuerySet[User]) -> QuerySet[User]:
    """Keep those who confirmed their address: a sign-up can name anybody's."""
    confirmed = EmailAddress.objects.alias(address=Lower("email")).filter(
        user=OuterRef("pk"), verified=True, address=Lower(OuterRef("email"))
    )
    return users.filter(Exists(confirmed))


def who_get_mail(users: QuerySet[User]) -> QuerySet[User]:
    """Keep those who can be mailed and did not turn it down."""
    return (
        with_address(users)
        .filter(live_user())
        .exclude(notification_preference__wants_mail=False)
    )


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
