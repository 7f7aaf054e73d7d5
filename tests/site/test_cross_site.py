"""What another site, or a link, can make a signed-in browser do: nothing.

Every page of the resolver is asked, so that a new one is in here by itself.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

from accounts.authentication import actor_of
from accounts.invitations import invite
from accounts.tokens import issue_access_token
from repositories.events.outbox import relay_events
from repositories.lifecycle import delete_repository
from repositories.models import Event, Repository
from repositories.rights.defaults import add_default
from repositories.watches import watch
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.pages import PageClient, session_cookie
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

# Which requests may change something is the code's decision, on every database.
pytestmark = pytest.mark.once

# The protocol knows no cookies, the API is in tests/api/test_routes.py, and Django's
# administration is Django's.
ELSEWHERE = ("v1/", "v2", "^v1", "^v2", "^v[12]", "-/admin/", "api/")
EVIL = "https://evil.example/"
# What a read may write: sessions, when somebody was last seen, and pulls of others.
MAY_CHANGE = {"sessions", "usersessions"}
REST_SECONDS = 2.5  # longer than distribution/pulls.py waits to count


def patterns(
    resolver: Any = None, prefix: str = "", names: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, URLPattern]]:
    """Yield every route below a resolver: its text, its whole name and its pattern."""
    for row in (resolver or get_resolver()).url_patterns:
        text = prefix + str(row.pattern)
        if text.startswith(ELSEWHERE):
            continue
        if isinstance(row, URLResolver):
            inner = (*names, row.namespace) if row.namespace else names
            yield from patterns(row, text, inner)
        else:
            yield text, ":".join((*names, row.name or "")), row


def variables_of(text: str) -> set[str]:
    """Return the names of a route's variables: <int:pk>, (?P<key>…)."""
    return set(re.findall(r"<(?:\w+:)?(\w+)>", text))


@pytest.fixture(scope="module")
def words(
    cast: Cast, registry: BerthServer, http: httpx.Client
) -> dict[str, dict[str, object]]:
    """What stands for the variables of a path: rows that are there, and alice's."""
    alice = actor_of(cast.alice)
    guild = make.organization(owner=cast.alice, name="guild")
    api = make.repository(guild.namespace, "api", actor=alice)
    deleted = make.repository(guild.namespace, "deleted", actor=alice)
    delete_repository(repository=deleted, actor=alice)
    team = make.team(guild, cast.bob, cast.alice)
    robot, _ = make.robot(guild.namespace)
    hook, _ = make.webhook("https://example.com/h", repository=api)
    of_guild, _ = make.webhook("https://example.com/h", namespace=guild.namespace)
    pushed = image()
    client = RegistryClient(
        http, registry.url, cast.alice.username, cast.secrets[cast.alice.username]
    )
    client.push(f"{api.full_name}:v1", pushed)
    watch(repository=api, user=cast.alice)
    ids = Event.objects.filter(repository=api).values_list("pk", flat=True)
    relay_events(event_ids=list(ids))
    invitation, secret = invite(team=team, actor=alice, user=cast.carol)
    token, _ = issue_access_token(
        user=cast.alice, name=make.unique("t"), actions="read", actor=alice
    )
    default = add_default(
        namespace=guild.namespace,
        creator=None,
        subject=team,
        role="read",
        actor=alice,
    )
    everywhere: dict[str, object] = {
        "namespace": guild.namespace.name,
        "name": api.name,
        "tag": "v1",
        "digest": pushed.digest,
        "grant": make.grant(api, cast.carol, "read").pk,
        "team": team.name,
        "robot": robot.name,
        "default": default.pk,
        "repository": deleted.pk,
        "invitation": invitation.pk,
        "invitation_id": invitation.pk,
        "secret": secret,
        "token_id": token.pk,
        "watch_id": cast.alice.watches.latest("pk").pk,
        "webhook_id": hook.pk,
        "delivery": hook.deliveries.latest("pk").uuid,
        "pk": 1,
        "key": "x",
        "uidb36": "1",
    }
    return {
        "": everywhere,
        "asset": {**everywhere, "name": "berth.css"},
        "webhooks:namespace-webhook": {**everywhere, "webhook_id": of_guild.pk},
    }


def addresses(words: dict[str, dict[str, object]]) -> Iterator[tuple[str, URLPattern]]:
    """Yield the address of every page, with the pattern that it comes from."""
    for text, name, pattern in patterns():
        variables = words.get(name, words[""])
        wanted = variables_of(text)
        if not wanted and not text.startswith("^"):
            yield f"/{text}", pattern
            continue
        missing = wanted - set(variables)
        assert not missing, f"{text} has a variable that the table lacks: {missing}"
        try:
            chosen = {key: variables[key] for key in wanted}
            yield reverse(name, kwargs=chosen), pattern
        except NoReverseMatch as error:
            raise AssertionError(f"no address for {text}") from error


class Tables:
    """What stands in every table, as a hash of its rows."""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}

    def remember(self) -> None:
        """Wait until the tables are at rest, unless a test has just left them so.

        The server counts pulls a little later than it serves them.
        """
        for _ in range(10):
            if self._before == (now := hash_tables()):
                return
            self._before = now
            time.sleep(REST_SECONDS)
        raise AssertionError(f"the tables never come to rest: {self._before}")

    def assert_unchanged(self) -> None:
        time.sleep(REST_SECONDS)
        before, self._before = self._before, hash_tables()
        assert self._before == before


@pytest.fixture(scope="module")
def tables() -> Tables:
    return Tables()


def hash_tables() -> dict[str, str]:
    hashes = {}
    for model in apps.get_models():
        options = model._meta
        if options.app_label in MAY_CHANGE:
            continue
        quote = connection.ops.quote_name
        table, key = quote(options.db_table), quote(str(options.pk.column))
        digest = hashlib.sha256()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table} ORDER BY {key}")
            while rows := cursor.fetchmany(2000):
                digest.update(repr(rows).encode())
        hashes[options.label] = digest.hexdigest()
    return hashes


def test_no_form_is_taken_from_elsewhere(
    words: dict[str, dict[str, object]],
    cast: Cast,
    registry: BerthServer,
    tables: Tables,
) -> None:
    """A POST without the token of a page of ours is refused, whatever the address."""
    wrong = []
    count = 0
    tables.remember()
    with httpx.Client(base_url=registry.url, timeout=60) as client:
        client.cookies.set(settings.SESSION_COOKIE_NAME, session_cookie(cast.alice))
        for address, pattern in addresses(words):
            answer = client.post(address, data={"next": "/"}, headers={"Origin": EVIL})
            count += 1
            if answer.status_code != 403:
                wrong.append((address, answer.status_code, pattern.name))
    assert not wrong
    assert count > 100
    tables.assert_unchanged()


def test_no_link_changes_anything(
    words: dict[str, dict[str, object]],
    cast: Cast,
    registry: BerthServer,
    tables: Tables,
) -> None:
    """GET and HEAD of every page, by somebody who may do everything there."""
    tables.remember()
    seen = set()
    with PageClient(registry.url, cast.alice) as browser:
        for address, _pattern in addresses(words):
            for method in ("GET", "HEAD"):
                answer = browser.http.request(method, address)
                assert answer.status_code < 500, address
                seen.add(answer.status_code)
    assert {200, 302, 404, 405} <= seen
    tables.assert_unchanged()


AWAY = [
    EVIL,
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "///evil.example",
    "/\t/evil.example/",
    "http://localhost:1@evil.example/",
    "/x\r\nSet-Cookie: stolen=1",
]


@pytest.mark.parametrize("target", AWAY)
def test_nobody_is_led_away(
    target: str, cast: Cast, public_api: Repository, registry: BerthServer
) -> None:
    """Neither by a form's ``next`` nor by that of the sign-in, nor by odd headers."""
    with PageClient(registry.url, cast.alice) as browser:
        for button, field in (("star", "starred"), ("watch", "watched")):
            path = f"/{public_api.full_name}/-/{button}"
            page = browser.get(f"/{public_api.full_name}")
            answer = browser.post(path, {field: "yes", "next": target}, page)
            assert answer.status_code == 302
            assert _is_ours(answer, registry)
        for path in ("/accounts/login/", "/accounts/logout/", "/accounts/signup/"):
            answer = browser.http.get(path, params={"next": target})
            assert "stolen" not in answer.headers.get("Set-Cookie", "")
            assert answer.status_code != 302 or _is_ours(answer, registry)


@pytest.mark.parametrize("target", AWAY)
def test_a_sign_in_leads_nobody_away(target: str, registry: BerthServer) -> None:
    password = "a long enough password"
    person = make.user("zoe", password=password)
    with PageClient(registry.url) as browser:
        page = browser.get("/accounts/login/")
        form = {"login": person.username, "password": password, "next": target}
        answer = browser.post("/accounts/login/", form, page)
        assert answer.status_code == 302
        assert _is_ours(answer, registry)


def _is_ours(answer: httpx.Response, registry: BerthServer) -> bool:
    assert "stolen" not in answer.headers.get("Set-Cookie", "")
    goes_to = httpx.URL(registry.url).join(answer.headers["Location"])
    return str(goes_to).startswith(f"{registry.url}/")
