"""What is mailed to whom, in one mail for all that waits; nothing is lost."""

import threading
import unittest.mock
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail as outbox
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.authentication import actor_of
from accounts.models import QueuedMail, User
from notifications.mail import NOTIFICATIONS_MAX, send_mails
from notifications.models import Notification
from notifications.preferences import prefer_mail, read_through
from notifications.tasks import KEPT, expire_notifications
from repositories.events.outbox import relay_events
from repositories.lifecycle import change_visibility
from repositories.models import Event, Repository
from repositories.watches import watch
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient
from webhooks.disabling import disable_webhook

BACKEND = "django.core.mail.backends."


@pytest.fixture
def reader(database: None, settings: Any) -> Iterator[User]:
    """Somebody with a confirmed address, and nobody else to be mailed."""
    settings.EMAIL_BACKEND = f"{BACKEND}locmem.EmailBackend"
    outbox.outbox = []
    Notification.objects.update(mail=Notification.Mail.NONE)
    person = make.user("reader")
    person.email = f"{person.username}@example.com"
    person.save()
    EmailAddress.objects.create(user=person, email=person.email, verified=True)
    yield person
    outbox.outbox = []


@pytest.fixture
def watched(reader: User, public_api: Repository) -> Repository:
    watch(repository=public_api, user=reader)
    return public_api


def push(client: RegistryClient, repository: Repository, *tags: str) -> None:
    for tag in tags:
        client.push(f"{repository.full_name}:{tag}", image())
    events = Event.objects.filter(repository=repository, is_relayed=False)
    relay_events(event_ids=list(events.values_list("pk", flat=True)))


def states(user: User) -> list[str]:
    return list(Notification.objects.filter(user=user).values_list("mail", flat=True))


def test_all_that_waits_comes_in_one_mail(
    alice: RegistryClient, cast: Cast, reader: User, watched: Repository, settings: Any
) -> None:
    push(alice, watched, "v1", "v2")
    assert send_mails() == 1
    [message] = outbox.outbox
    assert message.to == [reader.email]
    name = watched.full_name
    who = cast.alice.username
    assert message.subject == f"[Berth] {who} pushed {name}:v1 and 1 more"
    for tag in ("v1", "v2"):
        assert f"{who} pushed {name}:{tag}" in message.body
        assert f"{settings.BERTH_URL}/{name}:{tag}" in message.body
    page = f"{settings.BERTH_URL}/settings/notifications"
    assert message.extra_headers["List-Unsubscribe"] == f"<{page}>"
    assert send_mails() == 0, "what was sent is not sent again"
    assert states(reader) == ["sent", "sent"]


def test_a_disabled_webhook_is_mailed_with_the_reason(
    reader: User, public_api: Repository
) -> None:
    make.grant(public_api, reader, "admin")
    webhook, _ = make.webhook("https://example.com/a-secret", repository=public_api)
    disable_webhook(webhook_id=webhook.pk, reason="the receiver answered 410 Gone")
    event = Event.objects.filter(kind="webhook.disabled").latest("pk")
    relay_events(event_ids=[event.pk])
    assert send_mails() == 1
    [message] = outbox.outbox
    place = public_api.full_name
    assert message.subject == f"[Berth] A webhook of {place} was disabled"
    assert "the receiver answered 410 Gone" in message.body
    assert f"/{place}/-/webhooks" in message.body
    assert "a-secret" not in message.body


@pytest.mark.parametrize(
    "reason", ["choice", "no address", "not confirmed", "read", "gone"]
)
def test_what_nobody_wants_is_not_mailed(
    alice: RegistryClient, reader: User, watched: Repository, reason: str
) -> None:
    push(alice, watched, "v1")
    if reason == "choice":
        prefer_mail(user=reader, wants_mail=False)
    elif reason == "no address":
        User.objects.filter(pk=reader.pk).update(email="")
    elif reason == "not confirmed":
        EmailAddress.objects.filter(user=reader).update(verified=False)
    elif reason == "gone":
        User.objects.filter(pk=reader.pk).update(is_active=False)
    else:
        last = Notification.objects.filter(user=reader).latest("pk").pk
        assert read_through(user=reader, last=last) == 1
    assert send_mails() == 0
    assert outbox.outbox == []
    assert states(reader) == ["none"]


def test_who_turned_mail_down_is_told_on_the_site_only(
    alice: RegistryClient, reader: User, watched: Repository
) -> None:
    prefer_mail(user=reader, wants_mail=False)
    push(alice, watched, "v1")
    assert states(reader) == ["none"]
    prefer_mail(user=reader, wants_mail=True)
    push(alice, watched, "v2")
    assert sorted(states(reader)) == ["due", "none"]


def test_an_address_that_was_not_confirmed_gets_no_mail(
    alice: RegistryClient, reader: User, watched: Repository
) -> None:
    """Whoever signs up may name anybody's; confirming another makes it no better."""
    EmailAddress.objects.filter(user=reader).update(verified=False)
    EmailAddress.objects.create(user=reader, email="mine@example.com", verified=True)
    push(alice, watched, "v1")
    assert states(reader) == ["none"]
    address = EmailAddress.objects.get(user=reader, email=reader.email)
    EmailAddress.objects.filter(pk=address.pk).update(verified=True)
    User.objects.filter(pk=reader.pk).update(email=reader.email.title())
    push(alice, watched, "v2")
    assert sorted(states(reader)) == ["due", "none"]


def test_workers_that_send_at_the_same_time_send_one_mail(
    alice: RegistryClient, reader: User, watched: Repository
) -> None:
    push(alice, watched, "v1", "v2")
    start = threading.Barrier(4)

    def send(number: int) -> int:
        start.wait(60)
        try:
            return send_mails()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as workers:
        assert sum(workers.map(send, range(4))) == 1
    assert len(outbox.outbox) == 1
    assert states(reader) == ["sent", "sent"]


def test_however_much_waits_little_of_it_is_read(
    alice: RegistryClient, reader: User, watched: Repository
) -> None:
    Repository.objects.filter(pk=watched.pk).update(readme="long")
    push(alice, watched, "v1", "v2", "v3")
    with CaptureQueriesContext(connection) as captured:
        assert send_mails() == 1
    asked = [query["sql"] for query in captured]
    assert any(f"LIMIT {NOTIFICATIONS_MAX}" in sql for sql in asked)
    assert not any("readme" in sql for sql in asked)


def test_what_became_private_meanwhile_is_not_mailed(
    alice: RegistryClient, cast: Cast, reader: User, watched: Repository
) -> None:
    push(alice, watched, "v1")
    change_visibility(
        repository=watched, visibility="private", actor=actor_of(cast.alice)
    )
    assert send_mails() == 0
    assert outbox.outbox == []


def test_a_mail_is_queued_with_the_mark_or_not_at_all(
    alice: RegistryClient, reader: User, watched: Repository, settings: Any
) -> None:
    """A failure between the two leaves the notifications to the next run (D2)."""
    push(alice, watched, "v1")
    settings.EMAIL_BACKEND = "accounts.mail.QueueBackend"
    with (
        pytest.raises(RuntimeError),
        unittest.mock.patch("notifications.mail.crash_point", side_effect=RuntimeError),
    ):
        send_mails()
    queued = QueuedMail.objects.filter(address=reader.email)
    assert states(reader) == ["due"]
    assert not queued.exists()
    assert send_mails() == 1
    assert queued.count() == 1
    assert states(reader) == ["sent"]
    queued.delete()


def test_old_notifications_are_forgotten(
    alice: RegistryClient, reader: User, watched: Repository
) -> None:
    push(alice, watched, "v1", "v2")
    rows = Notification.objects.filter(user=reader).order_by("pk")
    rows.filter(pk=rows[0].pk).update(
        created_at=timezone.now() - KEPT - timedelta(seconds=1)
    )
    expire_notifications()
    assert rows.count() == 1
