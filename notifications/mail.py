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
from notifications.preferences import prefers_mail
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
        rows = _unsent(now).filter(user=user).select_for_update(skip_locked=True)
        claimed = list(rows.values_list("pk", flat=True))
        mine = Notification.objects.filter(pk__in=claimed)
        mine.update(mail=Notification.Mail.SENDING, mail_at=now)
    told = []
    if user.is_active and user.email and prefers_mail(user):
        # What has become private, or was read on the site, is not mailed any more.
        readable = mine.readable_by(actor_of(user)).unread().with_event()
        told = list(readable.order_by("pk"))
    if not told:
        mine.update(mail=Notification.Mail.NONE)
        return False
    try:
        _message(user, told).send()
    except (OSError, SMTPException, ValueError) as error:
        # The claims stand, and so it is tried again when they are over.
        log.warning("a mail to user %d was not sent: %s", user.pk, type(error).__name__)
        hopeless = mine.filter(created_at__lt=now - GIVE_UP_AFTER)
        hopeless.update(mail=Notification.Mail.NONE)
        return False
    reach("C27")
    mine.update(mail=Notification.Mail.SENT)
    return True


def _message(user: User, told: list[Notification]) -> EmailMessage:
    settings_url = settings.BERTH_URL + reverse("notifications:inbox")
    lines = [
        {
            "headline": headline_of(notification.event),
            "explanation": explanation_of(notification.event),
            "url": settings.BERTH_URL + path_of(notification.event),
        }
        for notification in told[:TOLD_MAX]
    ]
    subject = str(lines[0]["headline"])
    if len(told) > 1:
        more = len(told) - 1
        subject += " " + ngettext("and %d more", "and %d more", more) % more
    text = render_to_string(
        "mail/notifications.txt",
        {
            "name": user.get_full_name() or user.username,
            "lines": lines,
            "more": len(told) - len(lines),
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
