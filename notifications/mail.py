"""Queue notifications as mail: all that waits for a person in one mail.

The mail is queued (accounts/mail.py) in the transaction that marks its notifications as
sent, so each notification is mailed once.
"""

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Max
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from accounts.authentication import actor_of
from accounts.models import User
from database.crash_points import crash_point
from notifications.models import Notification
from notifications.preferences import who_get_mail
from notifications.wording import explanation_of, headline_of, path_of

PEOPLE_AT_A_TIME = 200
NOTIFICATIONS_MAX = 50  # of one mail; the rest is counted


def send_mails() -> int:
    """Queue a mail to everyone for whom something waits; return how many."""
    return sum(
        _mail(user) for user in User.objects.filter(pk__in=_who_waits()).order_by("pk")
    )


def _who_waits() -> list[int]:
    waiting = Notification.objects.unsent().values_list("user", flat=True)
    return list(waiting.order_by("user").distinct()[:PEOPLE_AT_A_TIME])


def _mail(user: User) -> bool:
    """Queue one person one mail; False if there is nothing to send."""
    with transaction.atomic():
        people = User.objects.select_for_update(skip_locked=True, no_key=True)
        if not people.filter(pk=user.pk).exists():
            return False  # another worker has this person in hand
        waiting = Notification.objects.unsent().filter(user=user)
        last = waiting.aggregate(last=Max("pk"))["last"]
        if last is None:
            return False
        mine = waiting.filter(pk__lte=last)  # what comes in now waits for the next run
        notifications, count = [], 0
        if who_get_mail(User.objects.filter(pk=user.pk)).exists():
            # What has become private, or was read on the site, is not mailed any more.
            readable = mine.readable_by(actor_of(user)).unread().with_event()
            notifications = list(readable.order_by("pk")[:NOTIFICATIONS_MAX])
            count = max(readable.count(), len(notifications))
        if notifications:
            _message(user, notifications, count).send()
        crash_point("C27")
        mine.update(
            mail=Notification.Mail.SENT if notifications else Notification.Mail.NONE,
            mail_at=timezone.now(),
        )
    return bool(notifications)


def _message(user: User, notifications: list[Notification], count: int) -> EmailMessage:
    """Return the mail for these notifications; of further ones, only the number."""
    settings_url = settings.BERTH_URL + reverse("notifications:inbox")
    lines = [
        {
            "headline": headline_of(notification.event),
            "explanation": explanation_of(notification.event),
            "url": settings.BERTH_URL + path_of(notification.event),
        }
        for notification in notifications
    ]
    subject = str(lines[0]["headline"])
    if count > 1:
        more = count - 1
        subject += " " + ngettext("and %d more", "and %d more", more) % more
    text = render_to_string(
        "mail/notifications.txt",
        {
            "name": user.get_full_name() or user.username,
            "lines": lines,
            "more": count - len(notifications),
            "settings_url": settings_url,
            "registry": settings.BERTH_SERVICE,
        },
    )
    return EmailMessage(
        subject=settings.ACCOUNT_EMAIL_SUBJECT_PREFIX + subject,
        body=text,
        to=[user.email],
        headers={
            "Auto-Submitted": "auto-generated",  # RFC 3834: no holiday notes, please
            "List-Unsubscribe": f"<{settings_url}>",
        },
    )
