"""Who is told of what: watchers of pushes, administrators of webhooks."""

from collections.abc import Callable

import pytest
from django.urls import resolve

from accounts.actors import ANONYMOUS
from accounts.authentication import actor_of, actor_of_robot
from accounts.memberships import remove_member
from accounts.models import User
from notifications.models import Notification
from notifications.recipients import notify
from notifications.wording import path_of
from repositories.events.outbox import relay_events
from repositories.models import Event, Grant, Repository
from repositories.watches import unwatch, watch
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient
from webhooks.disabling import disable_webhook

Told = Callable[[Event], set[str]]


def last_event(repository: Repository, kind: str) -> Event:
    return Event.objects.filter(repository=repository, kind=kind).latest("pk")


def tell(event: Event) -> set[str]:
    """Relay the event and return who was told of it."""
    relay_events(event_ids=[event.pk])
    rows = Notification.objects.filter(event=event)
    return set(rows.values_list("user__username", flat=True))


def push(client: RegistryClient, repository: Repository) -> Event:
    client.push(f"{repository.full_name}:v1", image())
    return last_event(repository, "tag.pushed")


def test_watchers_who_may_pull_are_told_of_a_push(
    cast: Cast, alice: RegistryClient, private_api: Repository
) -> None:
    """Not who pushed, not who may not see it, not who stopped watching."""
    for person in (cast.alice, cast.bob, cast.carol, cast.dave):
        watch(repository=private_api, user=person)
    unwatch(repository=private_api, user=cast.bob)
    assert tell(push(alice, private_api)) == {cast.carol.username}


def test_everybody_who_watches_a_public_repository_is_told(
    cast: Cast, robby: RegistryClient, public_api: Repository
) -> None:
    gone = make.user("gone", is_active=False)
    for person in (cast.alice, cast.dave, gone):
        watch(repository=public_api, user=person)
    expected = {cast.alice.username, cast.dave.username}
    assert tell(push(robby, public_api)) == expected


def test_nobody_is_told_twice(
    cast: Cast, alice: RegistryClient, public_api: Repository
) -> None:
    watch(repository=public_api, user=cast.dave)
    watch(repository=public_api, user=cast.dave)
    event = push(alice, public_api)
    tell(event)
    notify(events=[Event.objects.select_related("repository").get(pk=event.pk)])
    assert Notification.objects.filter(event=event).count() == 1


def test_a_push_that_nobody_watches_is_told_to_nobody(
    alice: RegistryClient, public_api: Repository
) -> None:
    assert tell(push(alice, public_api)) == set()


def test_a_lost_right_takes_what_was_told_along(
    cast: Cast, alice: RegistryClient, private_api: Repository
) -> None:
    erin = make.user("erin")
    team = make.team(cast.acme, erin)
    make.grant(private_api, team, "read")
    watch(repository=private_api, user=erin)
    assert tell(push(alice, private_api)) == {erin.username}
    mine = Notification.objects.readable_by
    assert mine(actor_of(erin)).count() == 1
    remove_member(team=team, user=erin, actor=ANONYMOUS)
    assert mine(actor_of(erin)).count() == 0
    assert tell(push(alice, private_api)) == set()
    assert mine(ANONYMOUS).count() == mine(actor_of_robot(cast.robby)).count() == 0


@pytest.mark.parametrize("place", ["repository", "namespace", "own", "site"])
def test_who_may_change_a_webhook_is_told_that_it_is_off(
    cast: Cast, private_api: Repository, place: str
) -> None:
    """H6: with a notice to its owners."""
    root = make.user("root", is_superuser=True)
    dan = make.user("dan")
    make.grant(private_api, dan, "admin")
    expected: dict[str, tuple[dict[str, object], set[User]]] = {
        "repository": ({"repository": private_api}, {cast.alice, dan}),
        "namespace": ({"namespace": cast.acme.namespace}, {cast.alice}),
        "own": ({"namespace": cast.dave.namespace}, {cast.dave}),
        "site": ({}, {root}),
    }
    where, people = expected[place]
    webhook, _ = make.webhook("https://example.com/hook", **where)  # type: ignore[arg-type]
    assert disable_webhook(
        webhook_id=webhook.pk, reason="the receiver answered 410 Gone"
    )
    event = Event.objects.filter(kind="webhook.disabled").latest("pk")
    assert resolve(path_of(event)).app_name == "webhooks"
    told = tell(event)
    assert {person.username for person in people} <= told
    strangers = {cast.bob, cast.carol, cast.dave, dan, cast.alice} - people
    assert not {person.username for person in strangers} & told
    for person in people:
        readable = Notification.objects.readable_by(actor_of(person))
        assert readable.filter(event=event).exists(), person


def test_who_may_not_change_webhooks_any_more_hears_no_more_of_them(
    cast: Cast, alice: RegistryClient, public_api: Repository
) -> None:
    dan = make.user("dan")
    grant = make.grant(public_api, dan, "admin")
    watch(repository=public_api, user=dan)
    webhook, _ = make.webhook("https://example.com/hook", repository=public_api)
    disable_webhook(webhook_id=webhook.pk, reason="the receiver answered 410 Gone")
    off = last_event(public_api, "webhook.disabled")
    assert dan.username in tell(off) & tell(push(alice, public_api))
    mine = Notification.objects.readable_by
    assert mine(actor_of(dan)).count() == 2
    Grant.objects.filter(pk=grant.pk).update(role="write")
    assert mine(actor_of(dan)).get().event.kind == "tag.pushed"
    assert mine(actor_of(cast.alice)).filter(event=off).exists()
    Grant.objects.filter(pk=grant.pk).update(role="admin", tag_glob="v*")
    assert mine(actor_of(dan)).count() == 1
