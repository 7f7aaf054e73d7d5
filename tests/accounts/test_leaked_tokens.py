"""A token that leaked is told from a word, traced to its owner, and ended."""

import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from accounts.actors import SYSTEM
from accounts.authentication import (
    AuthenticationFailed,
    actor_of_access_token,
    authenticate_basic,
)
from accounts.models import AccessToken, Robot, User
from accounts.robots import create_robot
from accounts.tokens import (
    ACCESS_TOKEN_PREFIX,
    ROBOT_TOKEN_PREFIX,
    find_tokens,
    is_token,
    issue_access_token,
    make_token,
    revoke_access_token,
)
from repositories.models import Event
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient
from tests.servers import PROJECT_FOLDER, BerthServer

DOCS = (PROJECT_FOLDER / "docs" / "api.md").read_text()


def issue(user: User, name: str = "ci") -> tuple[AccessToken, str]:
    return issue_access_token(user=user, name=name, actions="write", actor=SYSTEM)


def revoke(monkeypatch: pytest.MonkeyPatch, text: str, **options: Any) -> str:
    monkeypatch.setattr("sys.stdin", StringIO(text))
    said = StringIO()
    call_command("revoke_token", stdout=said, **options)
    return said.getvalue()


@pytest.mark.parametrize("prefix", [ACCESS_TOKEN_PREFIX, ROBOT_TOKEN_PREFIX])
def test_the_documented_pattern_and_checksum_are_those_of_every_token(
    prefix: str,
) -> None:
    pattern = re.search(r"^(\\bberth_\S+)$", DOCS, re.MULTILINE)
    program = re.search(r"```python\n(.*?)```", DOCS, re.DOTALL)
    assert pattern and program
    names: dict[str, Any] = {}
    exec(program[1], names)
    for _ in range(200):
        token = make_token(prefix)
        found = re.search(pattern[1], f"token={token}\n")
        assert found is not None
        assert found.group() == token
        assert names["is_berth_token"](token) and is_token(token, prefix)
        other = ("b" if token[15] == "a" else "a").join([token[:15], token[16:]])
        assert not names["is_berth_token"](other)


def test_tokens_are_found_in_any_text_once() -> None:
    one, two = make_token(ACCESS_TOKEN_PREFIX), make_token(ROBOT_TOKEN_PREFIX)
    wrong = one[:-1] + ("b" if one[-1] == "a" else "a")
    text = f'{{"match": "{one}"}}\n{two},{one} x{two} {one}y {wrong} berth_pat_'
    assert find_tokens(text) == [one, two]


def test_the_end_of_a_token_is_kept(cast: Cast) -> None:
    token, secret = issue(cast.bob)
    assert AccessToken.objects.get(pk=token.pk).ends_with == secret[-4:]


def test_the_command_says_whose_a_token_was_and_ends_it(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, secret = issue(cast.bob, "deploy")
    robot, robots = make.robot(cast.acme.namespace)
    others = make_token(ACCESS_TOKEN_PREFIX)
    text = f"found in .env: {secret}\n{robots}\n{others}\n"
    said = revoke(monkeypatch, text, dry_run=True)
    assert f"'deploy' of {cast.bob.username}, would be revoked" in said
    assert authenticate_basic(cast.bob.username, secret).user_id == cast.bob.pk
    assert authenticate_basic(robot.username, robots).robot_id == robot.pk
    said = revoke(monkeypatch, text)
    assert said.splitlines() == [
        f"berth_pat_…{secret[-4:]}: 'deploy' of {cast.bob.username}, revoked",
        f"berth_rob_…{robots[-4:]}: the robot {robot.username}, ended; "
        "it needs a new token",
        f"berth_pat_…{others[-4:]}: not a token of this registry",
    ]
    for login, gone in ((cast.bob.username, secret), (robot.username, robots)):
        with pytest.raises(AuthenticationFailed):
            authenticate_basic(login, gone)
    told = Event.objects.order_by("-pk")[:2]
    assert [(e.kind, e.actor_name) for e in told] == [
        ("robot.token_replaced", "command line"),
        ("token.revoked", "command line"),
    ]
    assert told[1].detail == {"user": cast.bob.username, "token": "deploy"}
    assert "was revoked already" in revoke(monkeypatch, secret)
    assert Event.objects.filter(detail__token="deploy", kind="token.revoked").count()
    assert Robot.objects.get(pk=robot.pk).is_active
    row.refresh_from_db()
    assert row.revoked_at is not None


@pytest.mark.parametrize("text", ["", "berth_pat_x", "berth_pat_" + "x" * 42])
def test_a_text_without_a_token_is_said_to_have_none(
    database: None, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    with pytest.raises(CommandError, match="no token"):
        revoke(monkeypatch, text)


def test_a_token_is_revoked_once(cast: Cast) -> None:
    token, _ = issue(cast.bob, make.unique("once"))
    assert revoke_access_token(token=token, actor=SYSTEM)
    assert not revoke_access_token(token=token, actor=SYSTEM)
    told = Event.objects.filter(kind="token.revoked", detail__token=token.name)
    assert told.count() == 1


@pytest.fixture
def roots(registry: BerthServer) -> Iterator[PageClient]:
    root = make.user("root", is_superuser=True, is_staff=True)
    with PageClient(registry.url, user=root) as client:
        yield client


LIST = "/-/admin/accounts/accesstoken/"


def test_administrators_find_tokens_and_see_no_secret(
    roots: PageClient, cast: Cast
) -> None:
    name = make.unique("leaky")
    token, secret = issue(cast.bob, name)
    for words in (name, cast.bob.username, secret[-4:]):
        page = roots.get(f"{LIST}?q={words}")
        assert page.status_code == 200
        assert name in page.text
    assert name not in roots.get(f"{LIST}?q={make.unique('other')}").text
    one = roots.get(f"{LIST}{token.pk}/change/")
    assert cast.bob.username in one.text
    for page in (one, roots.get(f"{LIST}?q={name}")):
        assert secret not in page.text
        assert token.token_hash not in page.text
    assert 'name="name"' not in one.text, "nothing to fill in"
    changed = roots.post(f"{LIST}{token.pk}/change/", {"name": "x"})
    assert changed.status_code == 403
    for path in (f"{LIST}add/", f"{LIST}{token.pk}/delete/"):
        assert roots.get(path).status_code == 403


def act(client: PageClient, token: AccessToken) -> httpx.Response:
    form = {"action": "revoke", "_selected_action": str(token.pk)}
    return client.post(LIST, form)


def test_administrators_revoke_tokens_and_the_log_says_who(
    roots: PageClient, cast: Cast
) -> None:
    token, secret = issue(cast.bob, make.unique("leaky"))
    assert act(roots, token).status_code == 302
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(cast.bob.username, secret)
    event = Event.objects.latest("pk")
    assert event.kind == "token.revoked"
    assert event.actor_name.startswith("root")
    assert event.detail == {"user": cast.bob.username, "token": token.name}


def test_who_may_only_look_revokes_nothing(registry: BerthServer, cast: Cast) -> None:
    token, _ = issue(cast.bob, make.unique("kept"))
    helper = make.user("helper", is_staff=True)
    with PageClient(registry.url, user=helper) as helpers:
        act(helpers, token)
        assert helpers.get(LIST).status_code == 403
    token.refresh_from_db()
    assert token.revoked_at is None


def test_the_command_ends_what_a_leaked_token_made(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokens, and the robots' tokens of those, which may have leaked too (D9)."""
    row, secret = issue(cast.alice, "deploy")
    made, made_secret = issue_access_token(
        user=cast.alice,
        name="made",
        actions="admin",
        actor=actor_of_access_token(row),
    )
    robot, token = create_robot(
        namespace=cast.acme.namespace,
        name=make.unique("robby"),
        actor=actor_of_access_token(made),
    )
    said = revoke(monkeypatch, secret)
    assert f"with the token of the robot {robot.username}" in said
    for login, gone in (
        (cast.alice.username, secret),
        (cast.alice.username, made_secret),
        (robot.username, token),
    ):
        with pytest.raises(AuthenticationFailed):
            authenticate_basic(login, gone)
