"""Send what is to be mailed: all that waits for a person in one mail.

A mail is claimed for LEASE before it is sent, outside of any transaction; whoever is
killed in between leaves the claim, and after its time somebody else sends it. So a mail
may come twice and is never lost, unless no mail server takes it for GIVE_UP_AFTER.
"""

import logging
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from accounts.authentication import actor_of
from accounts.models import User
from notifications.models import Notification
from notifications.preferences import who_get_mail
from notifications.wording import explanation_of, headline_of, path_of
from repositories.crash_points import reach

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
GIVE_UP_AFTER = timedelta(days=1)
PEOPLE_AT_A_TIME = 200
TOLD_MAX = 50  # of one mail; the rest is counted


def send_mails() -> int:
    """Mail everybody what waits for them; return how many mails were sent."""
    return sum(
        _mail(user) for user in User.objects.filter(pk__in=_who_waits()).order_by("pk")
    )


def _who_waits() -> list[int]:
    waiting = _unsent(timezone.now()).values_list("user", flat=True)
    return list(waiting.order_by("user").distinct()[:PEOPLE_AT_A_TIME])


def _unsent(now: datetime) -> QuerySet[Notification]:
    due = Q(mail=Notification.Mail.DUE)
    abandoned = Q(mail=Notification.Mail.SENDING, mail_at__lt=now - LEASE)
    return Notification.objects.filter(due | abandoned)


def _mail(user: User) -> bool:
    """Send one person one mail; False if there is nothing to say, or it failed."""
    now = timezone.now()
    with transaction.atomic():
        free = _unsent(now).filter(user=user).select_for_update(skip_locked=True)
        Notification.objects.filter(pk__in=free.values("pk")).update(
            mail=Notification.Mail.SENDING, mail_at=now
        )
    # However many there are: the time says which are ours.
    mine = Notification.objects.filter(
        user=user, mail=Notification.Mail.SENDING, mail_at=now
    )
    told, count = [], 0
    if who_get_mail(User.objects.filter(pk=user.pk)).exists():
        # What has become private, or was read on the site, is not mailed any more.
        readable = mine.readable_by(actor_of(user)).unread().with_event()
        told = list(readable.order_by("pk")[:TOLD_MAX])
        count = max(readable.count(), len(told))
    if not told:
        mine.update(mail=Notification.Mail.NONE)
        return False
    try:
        _message(user, told, count).send()
    except (OSError, SMTPException, ValueError) as error:
        # The claims stand, and so it is tried again when they are over.
        log.warning("a mail to user %d was not sent: %s", user.pk, type(error).__name__)
        hopeless = mine.filter(created_at__lt=now - GIVE_UP_AFTER)
        hopeless.update(mail=Notification.Mail.NONE)
        return False
    reach("C27")
    mine.update(mail=Notification.Mail.SENT)
    return True


def _message(user: User, told: list[Notification], count: int) -> EmailMessage:
    """Return the mail that tells of these; of the others there are, how many."""
    settings_url = settings.BERTH_URL + reverse("notifications:inbox")
    lines = [
        {
            "headline": headline_of(notification.event),
            "explanation": explanation_of(notification.event),
            "url": settings.BERTH_URL + path_of(notification.event),
        }
        for notification in told
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
            "more": count - len(told),
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
