"""Invitations to teams: sent, listed, accepted, declined, withdrawn, forgotten."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Barrier, Thread
from urllib.parse import quote

import httpx
import pytest
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.core import mail
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import invitations
from accounts.actors import SYSTEM
from accounts.authentication import actor_of
from accounts.invitations import (
    InvitationOver,
    accept,
    decline,
    find_by_secret,
    forget_invitations,
    invite,
)
from accounts.memberships import add_member, remove_member
from accounts.models import Invitation, Organization, Team, User
from api.accounts.serializers import InvitationSerializer, OwnInvitationSerializer
from registry_site.environment import rates
from registry_site.settings import _RATES
from repositories.models import Event
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.registry_client import RegistryClient

Api = Callable[[str], ApiClient]
PASSWORD = "a long enough password"


@pytest.fixture
def guild(database: None, cast: Cast) -> Organization:
    return make.organization(owner=cast.alice, name="guild")


@pytest.fixture
def makers(guild: Organization) -> Team:
    return make.team(guild, name="makers")


@pytest.fixture
def outbox() -> Iterator[list[mail.EmailMessage]]:
    """What this process sends; the live server's mail goes to its log."""
    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend"
    ):
        mail.outbox = []
        yield mail.outbox


def path_of(guild: Organization) -> str:
    return f"/organizations/{guild.namespace.name}/invitations"


def members(team: Team) -> set[str]:
    rows = team.memberships.filter(user__isnull=False)
    return set(rows.values_list("user__username", flat=True))


def kinds(guild: Organization) -> list[str]:
    events = Event.objects.filter(namespace=guild.namespace).order_by("pk")
    found = events.filter(kind__startswith="invitation.")
    return list(found.values_list("kind", flat=True))


# --- over the API


def test_a_user_is_invited_by_name_and_joins(
    api_of: Api, cast: Cast, guild: Organization, makers: Team
) -> None:
    owner, dave = api_of("alice"), api_of("dave")
    body = {"team": makers.name, "username": cast.dave.username}
    made = owner.post(path_of(guild), body)
    assert made.status_code == 201
    assert made.json()["username"] == cast.dave.username
    assert owner.everything(path_of(guild)) == [made.json()]
    assert owner.post(path_of(guild), body).status_code == 409
    mine = {i["id"]: i for i in dave.everything("/user/invitations")}
    offer = mine[made.json()["id"]]
    assert offer["organization"] == guild.namespace.name
    assert offer["team"] == makers.name
    assert offer["invited_by"] == cast.alice.username
    answer = f"/user/invitations/{offer['id']}"
    assert api_of("bob").post(answer, {"answer": "accept"}).status_code == 404
    assert dave.post(answer, {"answer": "perhaps"}).status_code == 400
    assert dave.post(answer, {"answer": "accept"}).status_code == 204
    assert members(makers) == {cast.dave.username}
    assert dave.post(answer, {"answer": "accept"}).status_code == 404
    assert owner.everything(path_of(guild)) == []
    refused = owner.post(path_of(guild), body)
    assert refused.status_code == 409
    assert "is in team" in refused.json()["errors"][0]["message"]
    assert kinds(guild) == ["invitation.sent", "invitation.accepted"]


def test_an_invitation_is_declined_and_sent_again(
    api_of: Api, cast: Cast, guild: Organization, makers: Team
) -> None:
    owner, dave = api_of("alice"), api_of("dave")
    body = {"team": makers.name, "username": cast.dave.username}
    for _ in range(2):
        made = owner.post(path_of(guild), body).json()
        answer = f"/user/invitations/{made['id']}"
        assert dave.post(answer, {"answer": "decline"}).status_code == 204
    assert members(makers) == set()
    assert kinds(guild) == ["invitation.sent", "invitation.declined"] * 2


def test_an_invitation_is_withdrawn(
    api_of: Api, cast: Cast, guild: Organization, makers: Team
) -> None:
    owner = api_of("alice")
    body = {"team": makers.name, "username": cast.dave.username}
    made = owner.post(path_of(guild), body).json()
    one = f"{path_of(guild)}/{made['id']}"
    foreign = f"/organizations/{cast.acme.namespace.name}/invitations/{made['id']}"
    assert owner.delete(foreign).status_code == 404
    assert owner.delete(one).status_code == 204
    assert owner.delete(one).status_code == 404
    answer = f"/user/invitations/{made['id']}"
    assert api_of("dave").post(answer, {"answer": "accept"}).status_code == 404
    assert kinds(guild) == ["invitation.sent", "invitation.withdrawn"]


def test_an_address_of_a_user_and_one_of_nobody_answer_alike(
    api_of: Api, guild: Organization, makers: Team
) -> None:
    """Also one of a member, who is in the team already."""
    known = make.user("erin", email=f"{make.unique('erin')}@example.com")
    member = make.user("mia", email=f"{make.unique('mia')}@example.com")
    makers.memberships.create(user=member)
    unknown = f"{make.unique('nobody')}@example.com"
    shapes = []
    for email in (known.email, member.email, unknown):
        body = {"team": makers.name, "email": email}
        made = api_of("alice").post(path_of(guild), body)
        again = api_of("alice").post(path_of(guild), {**body, "email": email.upper()})
        answer = {
            name: value
            for name, value in made.json().items()
            if name not in {"id", "email", "created_at", "expires_at"}
        }
        shapes.append((made.status_code, answer, again.status_code, again.json()))
    assert shapes[0] == shapes[1] == shapes[2]
    assert shapes[0][0] == 201
    assert shapes[0][1]["username"] is None


def test_an_invited_address_shows_up_for_the_user_who_has_it(
    api_of: Api, guild: Organization, makers: Team
) -> None:
    """Once it is confirmed: anybody can say that an address is theirs."""
    person = make.user("erin", email=f"{make.unique('erin')}@example.com")
    body = {"team": makers.name, "email": person.email.upper()}
    made = api_of("alice").post(path_of(guild), body).json()
    client = api_of(make.access_token(person))
    address = EmailAddress.objects.create(user=person, email=person.email)
    assert client.everything("/user/invitations") == []
    answer = f"/user/invitations/{made['id']}"
    assert client.post(answer, {"answer": "accept"}).status_code == 404
    EmailAddress.objects.filter(pk=address.pk).update(verified=True)
    assert [i["id"] for i in client.everything("/user/invitations")] == [made["id"]]
    assert made["id"] not in [
        i["id"] for i in api_of("dave").everything("/user/invitations")
    ]
    assert client.post(answer, {"answer": "accept"}).status_code == 204
    assert members(makers) == {person.username}


def test_an_address_is_no_pattern(
    api_of: Api, guild: Organization, makers: Team
) -> None:
    """In SQL, "_" stands for any letter and "%" for any letters."""
    name = make.unique("mo")
    person = make.user("moe", email=f"{name}xe@example.com")
    EmailAddress.objects.create(user=person, email=person.email, verified=True)
    for address in (f"{name}_e@example.com", f"{name}%e@example.com"):
        body = {"team": makers.name, "email": address}
        assert api_of("alice").post(path_of(guild), body).status_code == 201
    client = api_of(make.access_token(person))
    assert client.everything("/user/invitations") == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"team": "{team}", "username": "nobody-at-all"}, "username"),
        ({"team": "{team}", "username": "{off}"}, "username"),
        ({"team": "{team}"}, "username"),
        ({"team": "{team}", "username": "x", "email": "a@example.com"}, "username"),
        ({"team": "{team}", "email": "no address"}, "email"),
        ({"team": "{team}", "email": "a@example.com\r\nBcc: b@example.com"}, "email"),
        ({"team": "{team}", "email": "a@example.com, b@example.com"}, "email"),
        ({"team": "no-such-team", "email": "a@example.com"}, "team"),
    ],
)
def test_what_names_nobody_is_refused_by_field(
    api_of: Api,
    guild: Organization,
    makers: Team,
    body: dict[str, str],
    field: str,
) -> None:
    off = make.user("off", is_active=False)
    filled = {k: v.format(team=makers.name, off=off.username) for k, v in body.items()}
    refused = api_of("alice").post(path_of(guild), filled)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == field
    assert not Invitation.objects.filter(team=makers).exists()


def test_nobody_can_have_too_much_mail_sent(
    guild: Organization, outbox: list[mail.EmailMessage]
) -> None:
    """An account sends 100 invitations an hour unless BERTH_RATES changes it (A7)."""
    owner = make.user("spammer")
    own = make.organization(owner=owner)
    path = f"/api/v1{path_of(own)}"
    client = Client(
        HTTP_HOST=settings.BERTH_SERVICE,
        HTTP_AUTHORIZATION=f"Bearer {make.access_token(owner)}",
    )
    body = {"team": "owners", "email": "last@example.com"}
    with override_settings(BERTH_RATES=rates("", _RATES)):
        for number in range(100):
            email = f"p{number}@example.com"
            invite(team=own.teams.get(), email=email, actor=actor_of(owner))
        refused = client.post(path, body, content_type="application/json")
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert len(outbox) == 100
        assert client.get(path).status_code == 200


def test_the_lists_ask_a_constant_number_of_times(
    api_of: Api, guild: Organization, makers: Team, database: None
) -> None:
    person = make.user("popular")
    counts = []
    for _ in range(2):
        for _ in range(10):
            owner = make.user("o")
            team = make.team(make.organization(owner=owner))
            invite(team=team, user=person, actor=actor_of(owner))
        with CaptureQueriesContext(connection) as queries:
            rows = Invitation.objects.to(person).with_team()
            assert OwnInvitationSerializer(rows, many=True).data
            assert InvitationSerializer(rows.all(), many=True).data
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- the secret and the mail


def test_the_mail_has_the_link_and_the_link_opens_the_invitation(
    guild: Organization,
    makers: Team,
    cast: Cast,
    outbox: list[mail.EmailMessage],
) -> None:
    invitation, secret = invite(
        team=makers, email="new@example.com", actor=actor_of(cast.alice)
    )
    [message] = outbox
    assert message.to == ["new@example.com"]
    assert message.subject == (
        f"{cast.alice.username} invites you to {guild.namespace.name}"
    )
    assert f"/invitations/{secret}\n" in message.body
    assert makers.name in message.body
    assert find_by_secret(secret) == invitation
    invitation.refresh_from_db()
    assert secret not in str(vars(invitation))
    for wrong in (secret[:-1], secret + "x", secret.replace("inv", "pat"), "", "\0"):
        assert find_by_secret(wrong) is None


def test_a_user_gets_the_mail_too_and_one_without_address_none(
    makers: Team, cast: Cast, outbox: list[mail.EmailMessage]
) -> None:
    person = make.user("erin", email=f"{make.unique('erin')}@example.com")
    invite(team=makers, user=person, actor=actor_of(cast.alice))
    assert outbox[0].to == [person.email]
    invite(team=makers, user=cast.dave, actor=actor_of(cast.alice))
    assert len(outbox) == 1


# --- time, ends and races


def test_an_invitation_ends_with_its_time_and_may_be_sent_again(
    makers: Team, cast: Cast
) -> None:
    invitation, secret = invite(team=makers, user=cast.dave, actor=actor_of(cast.alice))
    in_two_weeks = timezone.now() + invitations.INVITATION_LIFETIME
    assert abs(invitation.expires_at - in_two_weeks) < timedelta(minutes=1)
    Invitation.objects.filter(pk=invitation.pk).update(expires_at=timezone.now())
    invitation.refresh_from_db()
    assert find_by_secret(secret) is None
    assert invitation not in Invitation.objects.to(cast.dave)
    with pytest.raises(InvitationOver):
        accept(invitation=invitation, user=cast.dave)
    again, _ = invite(team=makers, user=cast.dave, actor=actor_of(cast.alice))
    assert again in Invitation.objects.to(cast.dave)
    Invitation.objects.filter(pk=again.pk).update(expires_at=timezone.now())
    forget_invitations()
    assert not Invitation.objects.filter(pk=again.pk).exists()


def test_a_removed_team_takes_its_invitations_along(makers: Team, cast: Cast) -> None:
    _, secret = invite(team=makers, user=cast.dave, actor=actor_of(cast.alice))
    makers.delete()
    assert find_by_secret(secret) is None


def test_only_the_one_who_is_meant_can_answer(makers: Team, cast: Cast) -> None:
    invitation, _ = invite(team=makers, user=cast.dave, actor=actor_of(cast.alice))
    off = make.user("off", is_active=False)
    for verb in (accept, decline):
        for person in (cast.bob, off):
            with pytest.raises(InvitationOver):
                verb(invitation=invitation, user=person)
    assert members(makers) == set()


def test_of_many_answers_at_once_one_counts(makers: Team, cast: Cast) -> None:
    people = [make.user("p") for _ in range(6)]
    invitation, secret = invite(
        team=makers, email="many@example.com", actor=actor_of(cast.alice)
    )
    outcomes: list[str] = []

    def answer(person: User) -> None:
        found = Invitation.objects.with_team().get(pk=invitation.pk)
        barrier.wait()
        try:
            accept(invitation=found, user=person)
            outcomes.append(person.username)
        except InvitationOver:
            outcomes.append("")
        finally:
            connection.close()

    barrier = Barrier(len(people))
    threads = [Thread(target=answer, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = [name for name in outcomes if name]
    assert len(outcomes) == len(people)
    assert members(makers) == {winner}
    assert find_by_secret(secret) is None


# --- the page behind the link


def sign_in(registry_url: str, person: User) -> httpx.Client:
    """Return a browser's session, made as Django's own login makes it."""
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.create()
    browser = httpx.Client(base_url=registry_url, timeout=60)
    browser.cookies.set(settings.SESSION_COOKIE_NAME, session.session_key or "")
    return browser


def press(browser: httpx.Client, path: str, answer: str) -> httpx.Response:
    page = browser.get(path)
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    return browser.post(
        path,
        data={
            "csrfmiddlewaretoken": found[1] if found else "",
            "answer": answer,
        },
    )


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_the_page_takes_the_answer_of_whoever_has_the_link(
    anonymous: RegistryClient, makers: Team, cast: Cast, answer: str
) -> None:
    _, secret = invite(
        team=makers, email=f"{make.unique('x')}@example.com", actor=actor_of(cast.alice)
    )
    path = f"/invitations/{secret}"
    stranger = httpx.get(anonymous.url + path, timeout=60)
    assert stranger.status_code == 200
    assert "Sign in" in stranger.text
    assert f"next={quote(path, safe='')}" in stranger.text
    assert "no-store" in stranger.headers["Cache-Control"]
    assert httpx.post(anonymous.url + path, timeout=60).status_code == 403
    with sign_in(anonymous.url, cast.dave) as browser:
        assert makers.name in browser.get(path).text
        assert press(browser, path, "perhaps").status_code == 400
        assert press(browser, path, answer).status_code == 302
        assert browser.get(path).status_code == 404
    assert members(makers) == ({cast.dave.username} if answer == "accept" else set())
    gone = httpx.get(f"{anonymous.url}/invitations/nothing", timeout=60)
    assert gone.status_code == 404


def test_the_page_lets_nobody_answer_for_another(
    anonymous: RegistryClient, makers: Team, cast: Cast
) -> None:
    _, secret = invite(team=makers, user=cast.dave, actor=actor_of(cast.alice))
    path = f"/invitations/{secret}"
    with sign_in(anonymous.url, cast.bob) as browser:
        page = browser.get(path)
        assert f"for {cast.dave.username}" in page.text
        assert 'name="answer"' not in page.text
        browser.get("/accounts/password/change/")  # gives the cookie of a CSRF token
        refused = browser.post(
            path,
            data={
                "csrfmiddlewaretoken": browser.cookies.get("csrftoken") or "",
                "answer": "accept",
            },
        )
        assert refused.status_code == 403
    assert members(makers) == set()
    assert find_by_secret(secret) is not None


def test_the_page_shows_no_buttons_that_do_nothing(
    anonymous: RegistryClient, guild: Organization, makers: Team, cast: Cast
) -> None:
    """A link that is older than the visitor's removal is not found (E8)."""
    other = make.team(guild)
    _, secret = invite(
        team=makers, email=f"{make.unique('x')}@example.com", actor=actor_of(cast.alice)
    )
    add_member(team=other, user=cast.dave, actor=SYSTEM)
    remove_member(team=other, user=cast.dave, actor=SYSTEM)
    for person, status in ((cast.dave, 404), (cast.bob, 200)):
        with sign_in(anonymous.url, person) as browser:
            assert browser.get(f"/invitations/{secret}").status_code == status
