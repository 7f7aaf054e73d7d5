"""Names that may be taken, and secrets that are kept as hashes (I14)."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts.actors import COMMAND_LINE, SYSTEM
from accounts.authentication import AuthenticationFailed, authenticate_basic
from accounts.memberships import LastOwner, remove_member
from accounts.models import AccessToken, FailedAttempts, Robot, Team, User
from accounts.models.teams import OWNERS_TEAM
from accounts.names import RESERVED_NAMES, InvalidName, validate_namespace_name
from accounts.organizations import create_organization
from accounts.robots import replace_token
from accounts.tokens import (
    ACCESS_TOKEN_PREFIX,
    hash_token,
    is_token,
    issue_access_token,
    make_token,
)
from accounts.users import create_user, suspend_user
from registry_site import settings as berths
from tests import make
from tests.conftest import Cast


@pytest.mark.parametrize("name", ["ab", "alice", "a-b", "a.b_c", "0x", "a" * 39])
def test_names_that_may_be_taken(name: str) -> None:
    validate_namespace_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", "a", "a" * 40, "Alice", "a b", "-a", "a-", "a/b", "a+b", "ä", "a\n", "."),
        *sorted(RESERVED_NAMES),
    ],
)
def test_names_that_may_not(name: str) -> None:
    with pytest.raises(InvalidName):
        validate_namespace_name(name)


def test_a_user_and_an_organization_never_share_a_name(database: None) -> None:
    person = make.user("alice")
    with pytest.raises(IntegrityError):
        create_organization(name=person.username, owner=person, actor=SYSTEM)
    acme = make.organization(owner=person)
    with pytest.raises(IntegrityError):
        create_user(username=acme.namespace.name, password=None, actor=SYSTEM)
    assert not User.objects.filter(username=acme.namespace.name).exists()
    with pytest.raises(ValidationError):
        create_user(username="v2", password=None, actor=SYSTEM)


def test_passwords_are_argon2(database: None, settings: Any) -> None:
    settings.PASSWORD_HASHERS = berths.PASSWORD_HASHERS
    person = make.user("henry", password="correct horse")
    assert person.password.startswith("argon2$argon2id$v=19$m=102400,t=2,p=8$")
    assert authenticate_basic(person.username, "correct horse").user_id == person.pk
    for wrong in ("", "correct horse ", "x\0y"):
        with pytest.raises(AuthenticationFailed):
            authenticate_basic(person.username, wrong)


def test_a_user_is_found_by_a_name_with_capitals(cast: Cast) -> None:
    """As on the sign-in page; what opens has capitals that count."""
    person = make.user("weakling", password="correct horse")
    typed = person.username.title()
    _, token = issue_access_token(
        user=person, name="ci", actions="read", actor=COMMAND_LINE
    )
    for secret in ("correct horse", token):
        assert authenticate_basic(typed, secret).name == person.username
        for wrong in (secret.upper(), secret.swapcase()):
            with pytest.raises(AuthenticationFailed):
                authenticate_basic(typed, wrong)
    robot, robots = make.robot(cast.acme.namespace)
    for login in (robot.username.upper(), robot.username.title()):
        with pytest.raises(AuthenticationFailed):
            authenticate_basic(login, robots)
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(cast.alice.username.upper(), token)


def test_capitals_give_no_more_guesses(cast: Cast) -> None:
    person = make.user("weakling", password="correct horse")
    FailedAttempts.objects.all().delete()
    for typed in (person.username, person.username.upper(), person.username.title()):
        with pytest.raises(AuthenticationFailed):
            authenticate_basic(typed, f"wrong {typed}")
    counted = FailedAttempts.objects.values_list("failure_count", flat=True)
    assert list(counted) == [3], "one counter for all of them"


def test_a_token_is_kept_as_a_hash_and_opens_for_its_owner_only(cast: Cast) -> None:
    row, secret = issue_access_token(
        user=cast.bob, name="ci", actions="write", actor=SYSTEM
    )
    assert is_token(secret, ACCESS_TOKEN_PREFIX)
    kept = AccessToken.objects.filter(pk=row.pk).values().get()
    assert secret not in str(kept)
    assert kept["token_hash"] == hash_token(secret)
    actor = authenticate_basic(cast.bob.username, secret)
    assert (actor.user_id, actor.access_token_id) == (cast.bob.pk, row.pk)
    for username, wrong in (
        (cast.alice.username, secret),
        (cast.bob.username, secret[:-1]),
        (cast.bob.username, make_token(ACCESS_TOKEN_PREFIX)),
    ):
        with pytest.raises(AuthenticationFailed):
            authenticate_basic(username, wrong)
    row.refresh_from_db()
    assert row.last_used_at is not None


def test_a_leaked_token_can_be_told_from_a_word() -> None:
    """The checksum needs no database."""
    token = make_token(ACCESS_TOKEN_PREFIX)
    other = "b" if token[-1] == "a" else "a"
    assert not is_token(token[:-1] + other, ACCESS_TOKEN_PREFIX)
    assert not is_token("berth_pat_", ACCESS_TOKEN_PREFIX)


def test_a_robot_signs_in_with_its_whole_name(cast: Cast) -> None:
    """AUTH-32: acme+robby."""
    robot, token = make.robot(cast.acme.namespace)
    assert authenticate_basic(robot.username, token).robot_id == robot.pk
    fresh = replace_token(robot=robot, actor=SYSTEM)
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(robot.username, token)
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(robot.name, fresh)
    Robot.objects.filter(pk=robot.pk).update(is_active=False)
    with pytest.raises(AuthenticationFailed):
        authenticate_basic(robot.username, fresh)


def test_an_organization_keeps_an_owner(database: None) -> None:
    alice, bob = make.user("alice"), make.user("bob")
    acme = make.organization(owner=alice)
    owners = Team.objects.get(organization=acme, name=OWNERS_TEAM)
    with pytest.raises(LastOwner):
        remove_member(team=owners, user=alice, actor=SYSTEM)
    owners.memberships.create(user=bob)
    remove_member(team=owners, user=alice, actor=SYSTEM)
    with pytest.raises(LastOwner):
        remove_member(team=owners, user=bob, actor=SYSTEM)


def test_a_suspended_user_owns_nothing_for_others(database: None) -> None:
    """Else the one who could still sign in might leave."""
    alice, gone = make.user("alice"), make.user("gone")
    acme = make.organization(owner=alice)
    owners = Team.objects.get(organization=acme, name=OWNERS_TEAM)
    owners.memberships.create(user=gone)
    suspend_user(user=gone, actor=SYSTEM)
    with pytest.raises(LastOwner):
        remove_member(team=owners, user=alice, actor=SYSTEM)
    remove_member(team=owners, user=gone, actor=SYSTEM)
