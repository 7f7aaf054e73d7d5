"""GET /v2/token: what docker, skopeo and crane ask before everything else (§2.2)."""

import re
from typing import Any

import httpx
import jwt
import pytest

from accounts.actors import SYSTEM
from accounts.models import Namespace
from accounts.organizations import create_organization
from distribution.tokens import TOKEN_MAX_LENGTH
from tests import make
from tests.conftest import Cast
from tests.registry_client import RegistryClient, basic_header, error_codes


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def access_of(answer: httpx.Response) -> dict[str, list[str]]:
    """Return what a token lets through, by resource."""
    assert answer.status_code == 200, answer.text
    return {
        f"{entry['type']}:{entry['name']}": entry["actions"]
        for entry in claims_of(answer.json()["token"])["access"]
    }


def test_the_answer_has_all_that_clients_read(alice: RegistryClient, api: str) -> None:
    """AUTH-13, AUTH-41: oras does not renew a token between POST and PUT."""
    answer = alice.token_answer(f"repository:{api}:pull,push")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert body["token"] == body["access_token"]
    assert type(body["expires_in"]) is int and 300 <= body["expires_in"] <= 900
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["issued_at"])
    assert "refresh_token" not in body


@pytest.mark.parametrize("count", [99, 200])
@pytest.mark.parametrize("length", [66, 220])
def test_a_token_of_many_scopes_is_taken(
    alice: RegistryClient, api: str, other: str, count: int, length: int
) -> None:
    """What is signed is taken back, and the first scope is in it (AUTH-50, C4)."""
    sources = [
        f"{alice.username}/{make.unique('source')}".ljust(length, "a")
        for _ in range(count)
    ]
    scopes = [
        f"repository:{api}:pull,push",
        *(f"repository:{source}:pull" for source in sources),
        f"repository:{other}:pull",
    ]
    answer = alice.token_answer(*scopes)
    token = answer.json()["token"]
    assert len(token) <= TOKEN_MAX_LENGTH
    held = access_of(answer)
    assert held[f"repository:{api}"] == ["pull", "push"]
    assert 30 <= len(held) < count + 2
    assert answer.json()["scope"].split()[0] == scopes[0]
    assert alice.post(f"/v2/{api}/blobs/uploads/", token=token).status_code == 202
    # What found no room says so, and a mount from there becomes an upload.
    refused = alice.get(f"/v2/{other}/tags/list", token=token)
    assert refused.status_code == 401
    assert "did not fit" in refused.headers["WWW-Authenticate"]
    digest = alice.push_blob(other, b"a layer")
    mount = f"/v2/{api}/blobs/uploads/?mount={digest}&from={other}"
    assert alice.post(mount, token=token).status_code == 202


def test_a_scope_of_very_many_actions_makes_no_long_token(
    anonymous: RegistryClient,
) -> None:
    """Only words that mean something are signed (AUTH-50, C4)."""
    actions = ",".join(f"a{number}" for number in range(3000))
    for resource in ("registry:catalog", "repository:acme/api"):
        answer = anonymous.token_answer(f"{resource}:*,{actions}")
        assert len(answer.json()["token"]) < 1500


def test_docker_login(alice: RegistryClient) -> None:
    """AUTH-30: challenge, token without a scope, and /v2/ with it."""
    assert alice.get("/v2/", token="").status_code == 401
    answer = alice.token_answer(
        offline_token="true", client_id="docker", account=alice.username
    )
    assert access_of(answer) == {}
    assert alice.get("/v2/", token=answer.json()["token"]).status_code == 200


@pytest.mark.parametrize("username", ["", "nobody-of-that-name", "{alice}", "{robby}"])
@pytest.mark.parametrize("secret", ["", "wrong", "berth_pat_x", "{other token}"])
def test_wrong_credentials_never_give_an_anonymous_token(
    anonymous: RegistryClient, cast: Cast, username: str, secret: str
) -> None:
    """AUTH-11, R-15: docker login would else succeed."""
    username = username.format(alice=cast.alice.username, robby=cast.robby.username)
    if secret == "{other token}":
        secret = cast.secrets[cast.dave.username]
    login = RegistryClient(anonymous.http, anonymous.url)
    answer = login.get("/v2/token", token="", headers=basic_header(username, secret))
    assert answer.status_code == 401
    assert error_codes(answer) == ["UNAUTHORIZED"]
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith("Basic realm=")
    assert challenge.endswith(', charset="UTF-8"')  # RFC 7617, AUTH-51


@pytest.mark.parametrize("header", ["Basic", "Basic !!", "Bearer a.b.c", "Negotiate x"])
def test_a_header_that_cannot_be_read_is_refused(
    anonymous: RegistryClient, header: str
) -> None:
    """AUTH-11, H-9."""
    answer = anonymous.get("/v2/token", token="", headers={"Authorization": header})
    assert answer.status_code == 401


@pytest.mark.parametrize("password", ["with:colons:", "p+l$u@s %2B&=#", "gänsefüßchen"])
def test_passwords_of_any_letters_work(
    anonymous: RegistryClient, password: str
) -> None:
    """AUTH-32, H-9."""
    person = make.user("typist", password=password)
    headers = basic_header(person.username, password)
    assert anonymous.get("/v2/token", token="", headers=headers).status_code == 200


def test_a_robot_signs_in_by_its_name_with_a_plus(
    robby: RegistryClient, api: str
) -> None:
    """AUTH-32."""
    assert "+" in robby.username
    answer = robby.token_answer(f"repository:{api}:pull,push")
    assert access_of(answer) == {f"repository:{api}": ["pull", "push"]}
    assert claims_of(answer.json()["token"])["sub"] == robby.username


def test_anonymous_gets_public_pulls_only(
    anonymous: RegistryClient, api: str, public_api: Any
) -> None:
    """AUTH-10, AUTH-12."""
    public = public_api.full_name
    answer = anonymous.token_answer(
        f"repository:{api}:pull,push", f"repository:{public}:pull,push,delete"
    )
    assert access_of(answer) == {f"repository:{public}": ["pull"]}
    assert claims_of(answer.json()["token"])["sub"] == ""


@pytest.mark.parametrize(
    ("who", "granted"),
    [
        ("alice", ["pull", "push", "delete"]),
        ("bob", ["pull", "push", "delete"]),
        ("robby", ["pull", "push", "delete"]),
        ("carol", ["pull"]),
        ("dave", None),
        ("anonymous", None),
    ],
)
@pytest.mark.parametrize("asked", ["pull,push,delete", "*", "delete,pull,push,fly"])
def test_asking_for_too_much_gives_what_there_is(
    request: pytest.FixtureRequest,
    api: str,
    who: str,
    granted: list[str] | None,
    asked: str,
) -> None:
    """AUTH-12, AUTH-15, DEL-5: containers/image asks for * and ggcr for all three."""
    client: RegistryClient = request.getfixturevalue(who)
    answer = client.token_answer(f"repository:{api}:{asked}")
    expected = {} if granted is None else {f"repository:{api}": granted}
    assert access_of(answer) == expected


@pytest.mark.parametrize(
    "scope",
    [
        "quota:{api}:pull",
        "repository:localhost:5000/{api}:pull",
        "repository:{api}",
        "repository::pull",
        "repository",
        ":::",
        "repository:UPPER/case:pull",
        "repository:{api}:",
        "\u00e4:\u00f6:\u00fc",
    ],
)
def test_a_scope_that_means_nothing_is_dropped(
    alice: RegistryClient, api: str, other: str, scope: str
) -> None:
    """AUTH-12, AUTH-15: and those beside it are granted."""
    answer = alice.token_answer(scope.format(api=api), f"repository:{other}:pull")
    assert access_of(answer) == {f"repository:{other}": ["pull"]}


def test_a_legacy_class_is_a_repository(alice: RegistryClient, api: str) -> None:
    """AUTH-15."""
    answer = alice.token_answer(f"repository(plugin):{api}:pull")
    assert access_of(answer) == {f"repository:{api}": ["pull"]}


def test_repeated_scopes_all_count(alice: RegistryClient, api: str, other: str) -> None:
    """AUTH-10, R-17: docker repeats the parameter, ggcr joins with spaces."""
    both = {f"repository:{api}": ["pull", "push"], f"repository:{other}": ["pull"]}
    scopes = (f"repository:{api}:pull,push", f"repository:{other}:pull")
    assert access_of(alice.token_answer(*scopes)) == both
    assert access_of(alice.token_answer(" ".join(scopes))) == both
    assert access_of(alice.token_answer(*reversed(scopes))) == both


def test_the_same_repository_twice_is_one_entry(
    alice: RegistryClient, api: str
) -> None:
    """AUTH-10: the actions are united."""
    answer = alice.token_answer(f"repository:{api}:pull", f"repository:{api}:push")
    assert access_of(answer) == {f"repository:{api}": ["pull", "push"]}


def test_only_what_was_asked_for_goes_in(alice: RegistryClient, api: str) -> None:
    """AUTH-42: a token stays far below the 8 KiB of a proxy's header."""
    answer = alice.token_answer(f"repository:{api}:pull")
    assert access_of(answer) == {f"repository:{api}": ["pull"]}
    assert len(answer.json()["token"]) < 2048
    many = [f"repository:{alice.username}/r{n}:pull" for n in range(300)]
    assert len(access_of(alice.token_answer(" ".join(many)))) == 100


def test_pull_of_what_a_push_could_make_grants_both(alice: RegistryClient) -> None:
    """AUTH-14, R-40: helm asks for pull first, and gives up on a 401."""
    name = f"{alice.username}/{make.unique('chart')}"
    answer = alice.token_answer(f"repository:{name}:pull")
    assert access_of(answer) == {f"repository:{name}": ["pull", "push"]}
    token = answer.json()["token"]
    head = alice.head(f"/v2/{name}/manifests/1.0", token=token)
    assert head.status_code == 404
    assert alice.post(f"/v2/{name}/blobs/uploads/", token=token).status_code == 202


def test_nobody_else_gets_a_token_for_what_is_not_there(
    alice: RegistryClient, dave: RegistryClient, anonymous: RegistryClient
) -> None:
    """AUTH-14, D-2."""
    scope = f"repository:{alice.username}/{make.unique('absent')}:pull,push"
    assert access_of(dave.token_answer(scope)) == {}
    assert access_of(anonymous.token_answer(scope)) == {}


def test_a_short_name_is_in_the_token_as_it_was_asked(
    anonymous: RegistryClient, official: str
) -> None:
    """D-13."""
    answer = anonymous.token_answer(f"repository:{official}:pull")
    assert access_of(answer) == {f"repository:{official}": ["pull"]}
    listing = anonymous.get(f"/v2/{official}/tags/list")
    assert listing.json() == {"name": official, "tags": []}


@pytest.fixture
def official(cast: Cast) -> str:
    """The one-component name of a public repository of library."""
    library = Namespace.objects.filter(name="library").first()
    if library is None:
        library = create_organization(
            name="library", owner=cast.alice, actor=SYSTEM
        ).namespace
    name = make.unique("hello")
    make.repository(library, name, visibility="public")
    return name


@pytest.mark.parametrize("actions", ["read", "write", "admin"])
def test_an_access_token_narrows_the_registry_token(
    alice: RegistryClient, cast: Cast, api: str, actions: str
) -> None:
    """AUTH-32: ceilings of access tokens reach into the registry token."""
    secret = make.access_token(cast.alice, actions)
    narrow = RegistryClient(alice.http, alice.url, alice.username, secret)
    answer = narrow.token_answer(f"repository:{api}:*")
    expected = ["pull"] if actions == "read" else ["pull", "push", "delete"]
    assert access_of(answer) == {f"repository:{api}": expected}
    started = narrow.post(f"/v2/{api}/blobs/uploads/")
    assert started.status_code == (401 if actions == "read" else 202)
