"""Queue mail in the database and send it from the worker.

QueueBackend is Django's EMAIL_BACKEND, so every mail takes this way: those of allauth,
invitations and notifications. A mail is queued in the caller's transaction. No request
connects to a mail server, and none fails because of it.

    attempt    1    2     3    4     5     6     7 …
    after      0   10 s  1 min 5 min 15 min 1 h  every hour, for 24 hours

An answer of 5yz to the recipient or to the message is final (RFC 5321, section 4.2.1):
the mail is dropped, and the address is stored as refused until it accepts a mail.
All other failures are tried again, because an administrator can repair their cause.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import Message
from smtplib import (
    SMTPDataError,
    SMTPException,
    SMTPNotSupportedError,
    SMTPRecipientsRefused,
    SMTPResponseException,
)
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import MIMEMixin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import QueuedMail, RefusedAddress, User
from accounts.sealing import SealBroken, seal, unseal

log = logging.getLogger(__name__)

PURPOSE = "berth mail 1"
PROBLEM_MAX_LENGTH = 300
CLAIM = timedelta(minutes=10)  # longer than a batch takes with a server that hangs
BATCH = 20
GIVE_UP_AFTER = timedelta(days=1)
DELAYS = (
    timedelta(seconds=10),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
)


class QueueBackend(BaseEmailBackend):
    """Queues messages in the transaction of the caller."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        now = timezone.now()
        rows = [
            QueuedMail(
                address=address,
                sender=message.from_email,
                sealed_message=sealed,
                due_at=now,
            )
            for message in email_messages
            for sealed in [seal(message.message().as_bytes(), purpose=PURPOSE)]
            for address in message.recipients()
        ]
        QueuedMail.objects.bulk_create(rows)
        return len(email_messages)


class StoredMessage(EmailMessage):
    """A message that was rendered when it was queued."""

    def __init__(self, row: QueuedMail) -> None:
        super().__init__(from_email=row.sender, to=[row.address])
        self.content = unseal(row.sealed_message, purpose=PURPOSE)

    def message(self, *, policy: Any = None) -> Any:
        return message_from_bytes(self.content, _class=RenderedMessage)


class RenderedMessage(MIMEMixin, Message):  # type: ignore[misc]  # as Django does
    """The part of a message that Django's backends use."""


def send_queued_mail() -> int:
    """Send the mail that is due, oldest first; return how many mails were sent.

    Safe to run in several workers. A worker that is killed after the server took a
    mail leaves a claim, so this mail may be sent twice and is never lost.
    """
    sent_count = 0
    while rows := _claim(timezone.now()):
        sent = _send(rows)
        sent_count += len(sent)
        if len(sent) < len(rows):
            break  # what failed has its own time; the next run continues
    return sent_count


def _claim(now: datetime) -> list[QueuedMail]:
    """Take a batch for this worker; until CLAIM is over no other worker takes it."""
    # A clock that was ahead has made due times beyond every delay.
    is_due = Q(due_at__lte=now) | Q(due_at__gt=now + max(*DELAYS, CLAIM))
    with transaction.atomic():
        due = QueuedMail.objects.select_for_update(skip_locked=True)
        rows = list(due.filter(is_due).order_by("due_at", "pk")[:BATCH])
        QueuedMail.objects.filter(pk__in=[row.pk for row in rows]).update(
            due_at=now + CLAIM
        )
    return rows


def _send(rows: list[QueuedMail]) -> list[QueuedMail]:
    """Send a batch over one connection; return the mails that were accepted."""
    sent: list[QueuedMail] = []
    server = get_connection(settings.BERTH_MAIL_BACKEND)
    try:
        for position, row in enumerate(rows):
            try:
                server.open()
            except (OSError, SMTPException) as error:
                # No mail server: whoever the mail is for, it has to wait.
                for waiting in rows[position:]:
                    _put_off(waiting, error)
                break
            if _send_one(server, row):
                sent.append(row)
    finally:
        _close(server)
    return sent


def _send_one(server: Any, row: QueuedMail) -> bool:
    try:
        server.send_messages([StoredMessage(row)])
    except SealBroken as error:
        log.error("queued mail %d is dropped: %s", row.pk, error)
        row.delete()
        return False
    except (OSError, SMTPException, ValueError) as error:
        _close(server)  # its state is unknown now; the next mail gets a new one
        if (reason := _refusal_in(error)) is not None:
            _refuse(row, reason)
        else:
            _put_off(row, error)
        return False
    with transaction.atomic():
        row.delete()
        RefusedAddress.objects.filter(address=row.address.lower()).delete()
    return True


def _close(server: Any) -> None:
    try:
        server.close()
    except (OSError, SMTPException) as error:
        log.info("the mail server did not say goodbye (%s)", type(error).__name__)


def _refusal_in(error: Exception) -> str | None:
    """Return the words of a final answer, None for what may pass."""
    code: int
    text: bytes | str
    match error:
        case SMTPRecipientsRefused():
            code, text = next(iter(error.recipients.values()))
        case SMTPDataError():
            code, text = error.smtp_code, error.smtp_error
        case SMTPNotSupportedError() | ValueError():
            return "the mail server cannot send to addresses of this form"
        case _:
            return None
    return _quote(code, text) if code >= 500 else None


def _quote(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    printable = "".join(c if c.isprintable() else " " for c in words)
    return f"{code} {printable}"[:PROBLEM_MAX_LENGTH]


def _refuse(row: QueuedMail, reason: str) -> None:
    """Drop a mail that will never arrive, and store that the address refuses mail."""
    log.warning("queued mail %d is dropped: its address was refused", row.pk)
    with transaction.atomic():
        row.delete()
        RefusedAddress.objects.update_or_create(
            address=row.address.lower(),
            defaults={"reason": reason, "refused_at": timezone.now()},
        )


def _put_off(row: QueuedMail, error: Exception) -> None:
    """Try a mail again later; drop it when it is too old."""
    now = timezone.now()
    if row.created_at < now - GIVE_UP_AFTER:
        log.error(
            "queued mail %d is dropped after 24 hours: %s", row.pk, type(error).__name__
        )
        row.delete()
        return
    delay = DELAYS[min(row.attempt_count, len(DELAYS) - 1)]
    row.attempt_count += 1
    row.due_at = now + delay
    row.problem = describe_failure(error)
    row.save(update_fields=["attempt_count", "due_at", "problem"])
    log.warning(
        "queued mail %d was not sent (%s); the next attempt is in %d s",
        row.pk,
        type(error).__name__,
        delay.total_seconds(),
    )


def describe_failure(error: Exception) -> str:
    """Return what an administrator has to read, without any password."""
    if isinstance(error, SMTPResponseException):
        return _quote(error.smtp_code, error.smtp_error)
    return f"{type(error).__name__}: {error}"[:PROBLEM_MAX_LENGTH]


def make_test_mail(address: str) -> EmailMessage:
    """Return a mail that shows whether mail arrives."""
    return EmailMessage(
        subject=f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}Test mail",
        body=(
            f"This is a test mail of the registry {settings.BERTH_URL}.\n"
            "If you read it, the setting EMAIL_URL works.\n"
        ),
        to=[address],
    )


def send_test_mail(address: str) -> str:
    """Send a test mail at once; return what is wrong, "" if the server took it.

    For the command line: a page queues it, since a page does not wait for a server.
    """
    message = make_test_mail(address)
    message.connection = get_connection(settings.BERTH_MAIL_BACKEND)
    try:
        message.send()
    except SMTPRecipientsRefused as error:
        return _quote(*next(iter(error.recipients.values())))
    except (OSError, SMTPException, ValueError) as error:
        return describe_failure(error)
    return ""


def refusals_of(user: User) -> QuerySet[RefusedAddress]:
    """Return which of the user's addresses refused mail."""
    others = EmailAddress.objects.filter(user=user).values(lower=Lower("email"))
    return RefusedAddress.objects.filter(
        Q(address__in=others) | Q(address=user.email.lower())
    )
