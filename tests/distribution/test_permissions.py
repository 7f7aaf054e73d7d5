"""Who gets what on which path: every route of the protocol, as tables.

It holds L10 of reliability.md, too.
"""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from accounts.actors import SYSTEM
from accounts.memberships import remove_member
from accounts.models import AccessToken, Robot, User
from accounts.tokens import issue_access_token, revoke_access_token
from distribution.urls import urlpatterns
from repositories.models import Grant, Repository
from tests import images, make
from tests.conftest import Cast
from tests.images import ABSENT_DIGEST, digest_of, some_bytes
from tests.registry_client import (
    RegistryClient,
    TokenRefused,
    basic_header,
    error_codes,
    parse_challenge,
    with_digest,
)

NOTHING, READ, WRITE = 0, 1, 2

# What a route needs, method, path, and the status for those who have it. They are asked
# in this order; what destroys comes last.
ROUTES = [
    (READ, "GET", "tags/list", 200),
    (READ, "HEAD", "manifests/v1", 200),
    (READ, "GET", "manifests/v1", 200),
    (READ, "GET", "manifests/{image}", 200),
    (READ, "HEAD", "blobs/{layer}", 200),
    (READ, "GET", "blobs/{layer}", 200),
    (READ, "GET", "referrers/{image}", 200),
    (READ, "GET", "manifests/absent", 404),
    (READ, "GET", f"blobs/{ABSENT_DIGEST}", 404),
    (READ, "GET", f"referrers/{ABSENT_DIGEST}", 200),
    (WRITE, "POST", "blobs/uploads/", 202),
    (WRITE, "POST", "blobs/uploads/?digest={empty}", 201),
    (WRITE, "POST", "blobs/uploads/?mount={layer}", 201),
    (WRITE, "POST", f"blobs/uploads/?mount={ABSENT_DIGEST}", 202),
    (WRITE, "GET", "{session}", 204),
    (WRITE, "HEAD", "{session}", 204),
    (WRITE, "PATCH", "{session}", 202),
    (WRITE, "PUT", "{session}?digest={empty}", 201),
    (WRITE, "DELETE", "{session}", 404),  # it was closed just now
    (WRITE, "PUT", "manifests/v2", 201),
    (WRITE, "PUT", "manifests/v1", 201),
    (WRITE, "PUT", "manifests/{image}", 201),
    (WRITE, "DELETE", "manifests/v1", 202),
    (WRITE, "DELETE", "manifests/{image}", 202),
    (WRITE, "DELETE", "blobs/{own}", 202),
]

# Routes that name no repository: the status for whoever signs in (Basic), for nobody,
# and for a wrong password.
OTHER_ROUTES = [
    ("GET", "/v2/", 200, 401, 401),
    ("HEAD", "/v2/", 200, 401, 401),
    ("GET", "/v2/token", 200, 200, 401),
    ("POST", "/v2/token", 400, 400, 400),  # who it is stands in the form
    ("GET", "/v2/token/jwks", 200, 200, 200),
    ("HEAD", "/v2/token/jwks", 200, 200, 200),
    ("GET", "/v2/_catalog", 200, 401, 401),
    ("GET", "/v2/_oci/ext/discover", 200, 200, 200),
    ("GET", "/v1/_ping", 200, 200, 200),
    ("HEAD", "/v1/_ping", 200, 200, 200),
    ("GET", "/v1/search?q=api", 200, 200, 401),
]

PEOPLE = [  # who, what they may do in a private repository, and in a public one
    ("alice", WRITE, WRITE),
    ("bob", WRITE, WRITE),
    ("robby", WRITE, WRITE),
    ("carol", READ, READ),
    ("dave", NOTHING, READ),
    ("anonymous", NOTHING, READ),
    ("alice with a token to read", READ, READ),
    ("bob with a token to write", WRITE, WRITE),
    ("bob with a token for this repository", WRITE, WRITE),
    ("bob with a token for this namespace", WRITE, WRITE),
    ("alice with a token for another repository", NOTHING, NOTHING),
    ("dave with a token for everything", NOTHING, READ),
]


def as_person(
    request: pytest.FixtureRequest, cast: Cast, who: str, repository: Repository
) -> RegistryClient:
    name, _, limit = who.partition(" with a token ")
    client: RegistryClient = request.getfixturevalue(name)
    if not limit:
        return client
    every_limit: dict[str, dict[str, Any]] = {
        "to read": {"actions": "read"},
        "to write": {"actions": "write"},
        "for this repository": {"repository_ids": [repository.pk]},
        "for this namespace": {"namespace_ids": [repository.namespace_id]},
        "for another repository": {"repository_ids": [repository.pk + 1_000_000]},
        "for everything": {},
    }
    secret = make.access_token(getattr(cast, name), **every_limit[limit])
    return RegistryClient(client.http, client.url, client.username, secret)


@pytest.mark.parametrize("visibility", ["private", "public"])
@pytest.mark.parametrize(
    ("who", "in_private", "in_public", "by"),
    [(*person, "token") for person in PEOPLE]
    + [(*person, "Basic") for person in PEOPLE if person[0] != "anonymous"],
)
def test_who_may_do_what(
    request: pytest.FixtureRequest,
    cast: Cast,
    alice: RegistryClient,
    who: str,
    in_private: int,
    in_public: int,
    visibility: str,
    by: str,
) -> None:
    """AUTH-2, AUTH-3, AUTH-12, D-2: 401 for whatever is not allowed, on every path."""
    repository: Repository = request.getfixturevalue(f"{visibility}_api")
    client = as_person(request, cast, who, repository)
    has = in_private if visibility == "private" else in_public
    name = repository.full_name
    image = images.image()
    alice.push(f"{name}:v1", image)
    owner = client if has == WRITE else alice
    words = {
        "image": image.digest,
        "layer": digest_of(image.blobs[1]),
        "own": owner.push_blob(name, some_bytes()),
        "empty": digest_of(b""),
        "session": owner.start_upload(name).removeprefix(f"/v2/{name}/"),
    }
    basic: dict[str, Any] = {}
    if by == "Basic":
        basic = {"token": "", "headers": client.basic}
    expected, found = {}, {}
    for needs, method, path, status in ROUTES:
        options = dict(basic)
        if method == "PUT" and path.startswith("manifests/"):
            media_type = {"Content-Type": image.media_type}
            options["headers"] = media_type | client.basic if basic else media_type
            options["content"] = image.payload
        target = f"/v2/{name}/{path.format(**words)}"
        response = client.request(method, target, **options)
        found[method, path] = response.status_code
        expected[method, path] = status if has >= needs else 401
        if response.status_code == 401 and method != "HEAD":
            assert error_codes(response) == ["UNAUTHORIZED"]
    assert found == expected


@pytest.mark.parametrize(
    ("method", "path", "signed_in", "anonymous", "wrong"), OTHER_ROUTES
)
def test_who_gets_what_names_no_repository(
    alice: RegistryClient,
    http: httpx.Client,
    method: str,
    path: str,
    signed_in: int,
    anonymous: int,
    wrong: int,
) -> None:
    def status(headers: dict[str, str]) -> int:
        return http.request(method, alice.url + path, headers=headers).status_code

    assert status(alice.basic) == signed_in
    assert status({}) == anonymous
    assert status(basic_header(alice.username, "wrong")) == wrong


def test_every_route_is_in_a_table() -> None:
    """One that is added without a row here fails."""
    routes = {
        (pattern.pattern.regex, method)
        for pattern in urlpatterns
        for method in pattern.callback.functions  # type: ignore[attr-defined]
    }
    paths = [(method, path) for method, path, *_ in OTHER_ROUTES]
    for _, method, path, _ in ROUTES:
        below = path.replace("{session}", "blobs/uploads/1")
        paths.append((method, f"/v2/acme/api/{below}"))
    asked = set()
    for method, path in paths:
        bare = path.partition("?")[0].removeprefix("/")
        matching = (p.pattern.regex for p in urlpatterns if p.pattern.regex.match(bare))
        asked.add((next(matching), method))
    # HEAD runs the function of GET where it has none of its own (test_errors.py).
    asked |= {(regex, "HEAD") for regex, method in asked if method == "GET"}
    assert routes == asked


# --- what may not be seen is not there


@pytest.mark.parametrize("who", ["dave", "anonymous"])
@pytest.mark.parametrize("with_token", [True, False])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        (
            m,
            p.format(
                image=ABSENT_DIGEST,
                layer=ABSENT_DIGEST,
                own=ABSENT_DIGEST,
                empty=ABSENT_DIGEST,
            ),
        )
        for _, m, p, _ in ROUTES
        if "{session}" not in p
    ],
)
def test_private_and_absent_repositories_answer_the_same(
    request: pytest.FixtureRequest,
    api: str,
    who: str,
    with_token: bool,
    method: str,
    path: str,
) -> None:
    """D-2: nothing tells them apart, neither status nor header nor words."""
    client: RegistryClient = request.getfixturevalue(who)
    namespace = api.partition("/")[0]
    absent = f"{namespace}/{make.unique('absent')}"
    answers = []
    for name in (api, absent):
        token = client.token(f"repository:{name}:*") if with_token else ""
        answer = client.request(method, f"/v2/{name}/{path}", token=token)
        headers = {n: v for n, v in answer.headers.items() if n != "date"}
        headers.pop("content-length", None)  # of a body that repeats the name
        text = str((answer.status_code, sorted(headers.items()), answer.text))
        answers.append(text.replace(name, "<name>"))
    assert answers[0] == answers[1]
    assert answers[0].startswith("(401")


def test_a_refusal_explains_itself_to_those_who_may_read(
    carol: RegistryClient, dave: RegistryClient, api: str
) -> None:
    """E-4, D-2: carol is told which right is missing, dave not even whether it is."""
    told = carol.post(f"/v2/{api}/blobs/uploads/", token="", headers=carol.basic)
    assert told.json()["errors"][0]["message"] == (
        f"push: refused, because {carol.username} has *read* on "
        f"*{api}*; *push* needs *write*"
    )
    told = dave.post(f"/v2/{api}/blobs/uploads/", token="", headers=dave.basic)
    assert told.json()["errors"][0]["message"] == (
        f"push: refused, because {dave.username} has no role on *{api}*, or there is "
        "no such repository"
    )


def test_docker_is_told_the_reason_where_it_looks_for_it(
    carol: RegistryClient, api: str
) -> None:
    """E-4: the challenge's error_description is what docker prints of a 401."""
    token = carol.token(f"repository:{api}:pull,push")
    refused = carol.post(f"/v2/{api}/blobs/uploads/", token=token)
    parameters = parse_challenge(refused).parameters
    assert parameters["error"] == "insufficient_scope"
    assert parameters["error_description"] == (
        f"push: refused, because {carol.username} has *read* on "
        f"*{api}*; *push* needs *write*"
    )


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"actions": "read"}, "does not allow it"),
        ({"repository_ids": []}, "does not reach"),
        ({"namespace_ids": []}, "does not reach"),
    ],
)
def test_a_refusal_names_the_token_that_is_too_narrow(
    alice: RegistryClient, cast: Cast, api: str, limits: dict[str, Any], words: str
) -> None:
    """E-4: the owner's token is the reason, for what is there and what is not."""
    name = 'n\u00e4h"\\\r\nX-Evil: 1'  # a token's name is anybody's text
    issued, secret = issue_access_token(
        user=cast.alice, name="new", actor=SYSTEM, **{"actions": "admin", **limits}
    )
    # Such a name is refused today; older rows may have one.
    AccessToken.objects.filter(pk=issued.pk).update(name=name)
    client = RegistryClient(alice.http, alice.url, alice.username, secret)
    for repository in (api, f"{api}-absent"):
        token = client.token(f"repository:{repository}:pull,push")
        refused = client.post(f"/v2/{repository}/blobs/uploads/", token=token)
        assert refused.status_code == 401
        assert "X-Evil" not in refused.headers
        description = parse_challenge(refused).parameters["error_description"]
        assert description.startswith("push: refused, because the token *n?h????X-Evil")
        assert words in description


def test_a_repository_that_one_lost_is_told_like_an_absent_one(
    alice: RegistryClient, private_api: Repository
) -> None:
    """D-2: also not by the words of a token that names it."""
    person = make.user("erin")
    grant = make.grant(private_api, person, "read")
    secret = make.access_token(person, repository_ids=[private_api.pk])
    grant.delete()
    client = RegistryClient(alice.http, alice.url, person.username, secret)
    answers = []
    for name in (private_api.full_name, f"{private_api.full_name}-absent"):
        token = client.token(f"repository:{name}:pull,push")
        refused = client.post(f"/v2/{name}/blobs/uploads/", token=token)
        answers.append(refused.text.replace(name, "<name>"))
    assert answers[0] == answers[1]


# --- rights for some tags only


@pytest.fixture
def releaser(
    anonymous: RegistryClient, cast: Cast, private_api: Repository
) -> RegistryClient:
    """One who writes to private_api, but only to tags like release-*."""
    person = make.user("releaser")
    make.grant(private_api, person, "write", tags="release-*")
    secret = make.access_token(person)
    return RegistryClient(anonymous.http, anonymous.url, person.username, secret)


@pytest.mark.parametrize(
    ("method", "reference", "status"),
    [
        ("PUT", "release-1", 201),  # new
        ("PUT", "release-0", 201),  # moved
        ("PUT", "v2", 403),
        ("PUT", "v1", 403),
        ("PUT", "xrelease-1", 403),
        ("PUT", "Release-1", 403),
        ("PUT", "{new}", 201),
        ("PUT", "{new}?tag=release-1&tag=release-0", 201),
        ("PUT", "{new}?tag=release-1&tag=v1", 403),
        ("PUT", "{new}?tag=v2", 403),
        ("DELETE", "release-0", 202),
        ("DELETE", "v1", 403),
        ("DELETE", "v2", 403),  # whether it is there or not
        ("DELETE", "{release}", 202),
        ("DELETE", "{kept}", 403),  # v1 would go with it
        ("DELETE", "{both}", 403),  # one of its tags is not theirs
        ("DELETE", "{untagged}", 403),
        ("DELETE", ABSENT_DIGEST, 404),
        ("GET", "v1", 200),
        ("GET", "{untagged}", 200),
    ],
)
def test_a_right_for_some_tags_is_for_no_others(
    alice: RegistryClient,
    releaser: RegistryClient,
    api: str,
    method: str,
    reference: str,
    status: int,
) -> None:
    """MAN-10, DEL-1, E-2, D-11: 403 DENIED by policy, and nothing has changed."""
    kept, release, both, untagged, new = (images.image() for _ in range(5))
    alice.push(f"{api}:v1", kept)
    alice.push(f"{api}:release-0", release)
    alice.push(f"{api}:release-both", both)
    alice.push(f"{api}:both", both)
    alice.push(api, untagged)
    for blob in new.blobs:
        releaser.push_blob(api, blob)
    before = alice.tags(api)
    digests = {
        "new": new.digest,
        "kept": kept.digest,
        "release": release.digest,
        "both": both.digest,
        "untagged": untagged.digest,
    }
    path = f"/v2/{api}/manifests/{reference.format(**digests)}"
    options: dict[str, Any] = {}
    if method == "PUT":
        options["content"] = new.payload
        options["headers"] = {"Content-Type": new.media_type}
    response = releaser.request(method, path, **options)
    assert response.status_code == status
    if status == 403:
        [error] = response.json()["errors"]
        assert error["code"] == "DENIED"
        assert "release-*" in error["message"]
        assert alice.tags(api) == before
        for image in (kept, release, both, untagged):
            assert alice.pull(f"{api}@{image.digest}") == image


# --- rights that end


def take_grant(cast: Cast, repository: Repository) -> None:
    Grant.objects.filter(repository=repository, team=cast.backend).delete()


def grant_read_instead(cast: Cast, repository: Repository) -> None:
    grants = Grant.objects.filter(repository=repository, team=cast.backend)
    grants.update(role="read")


@pytest.mark.parametrize(
    ("change", "reads"), [(take_grant, 401), (grant_read_instead, 200)]
)
def test_a_right_that_was_taken_stops_the_next_request(
    cast: Cast,
    bob: RegistryClient,
    private_api: Repository,
    change: Callable[[Cast, Repository], None],
    reads: int,
) -> None:
    """AUTH-40, D-2: the token says who and at most what, the database decides."""
    name = private_api.full_name
    image = images.image()
    digest = bob.push(f"{name}:v1", image)
    location = bob.start_upload(name)
    token = bob.token(f"repository:{name}:pull,push,delete")
    change(cast, private_api)
    assert bob.get(f"/v2/{name}/manifests/v1", token=token).status_code == reads
    for method, path in [
        ("POST", f"/v2/{name}/blobs/uploads/"),
        ("PATCH", location),
        ("PUT", with_digest(location, digest_of(b""))),
        ("GET", location),
        ("PUT", f"/v2/{name}/manifests/v2"),
        ("DELETE", f"/v2/{name}/manifests/{digest}"),
        ("DELETE", f"/v2/{name}/blobs/{digest_of(image.blobs[0])}"),
    ]:
        assert bob.request(method, path, token=token).status_code == 401


def leave_the_team(person: User, _: AccessToken, team: Any) -> None:
    remove_member(team=team, user=person, actor=SYSTEM)


def deactivate(person: User, _: AccessToken, team: Any) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def revoke(person: User, token: AccessToken, team: Any) -> None:
    revoke_access_token(token=token, actor=SYSTEM)


def delete_token(person: User, token: AccessToken, team: Any) -> None:
    token.delete()


def dissolve_the_team(person: User, _: AccessToken, team: Any) -> None:
    team.delete()


@pytest.mark.parametrize(
    "end", [leave_the_team, deactivate, revoke, delete_token, dissolve_the_team]
)
def test_a_token_is_worth_nothing_when_its_bearer_has_gone(
    cast: Cast,
    anonymous: RegistryClient,
    private_api: Repository,
    end: Callable[[User, AccessToken, Any], None],
) -> None:
    """AUTH-40: without waiting for the token to expire."""
    person = make.user("leaver")
    team = make.team(cast.acme, person, name="leavers")
    make.grant(private_api, team, "write")
    row, secret = issue_access_token(
        user=person, name="laptop", actions="admin", actor=SYSTEM
    )
    client = RegistryClient(anonymous.http, anonymous.url, person.username, secret)
    path = f"/v2/{private_api.full_name}/tags/list"
    token = client.token(f"repository:{private_api.full_name}:pull,push")
    assert client.get(path, token=token).status_code == 200
    end(person, row, team)
    assert client.get(path, token=token).status_code == 401
    upload = f"/v2/{private_api.full_name}/blobs/uploads/"
    assert client.post(upload, token=token).status_code == 401


def test_a_disabled_robot_is_out_at_once(
    cast: Cast, anonymous: RegistryClient, private_api: Repository
) -> None:
    """AUTH-40, AUTH-11."""
    robot, secret = make.robot(cast.acme.namespace, "leaver")
    make.grant(private_api, robot, "write")
    client = RegistryClient(anonymous.http, anonymous.url, robot.username, secret)
    path = f"/v2/{private_api.full_name}/tags/list"
    token = client.token(f"repository:{private_api.full_name}:pull")
    assert client.get(path, token=token).status_code == 200
    Robot.objects.filter(pk=robot.pk).update(is_active=False)
    assert client.get(path, token=token).status_code == 401
    with pytest.raises(TokenRefused):
        client.token()


def test_a_repository_that_was_made_private_is_private_at_once(
    anonymous: RegistryClient, public_api: Repository
) -> None:
    """AUTH-40, D-2."""
    path = f"/v2/{public_api.full_name}/tags/list"
    token = anonymous.token(f"repository:{public_api.full_name}:pull")
    assert anonymous.get(path, token=token).status_code == 200
    Repository.objects.filter(pk=public_api.pk).update(visibility="private")
    assert anonymous.get(path, token=token).status_code == 401


def statuses(client: RegistryClient, name: str, token: str) -> list[int]:
    answers: list[httpx.Response] = [
        client.get(f"/v2/{name}/tags/list", token=token),
        client.get(f"/v2/{name}/manifests/v1", token=token),
        client.post(f"/v2/{name}/blobs/uploads/", token=token),
    ]
    return [answer.status_code for answer in answers]


def test_a_repository_of_the_same_name_is_another_one(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    """AUTH-40: a token made for the old one opens nothing of the new one."""
    name = private_api.full_name
    digest = alice.push_blob(name, some_bytes())
    token = alice.token(f"repository:{name}:pull,push,delete")
    assert statuses(alice, name, token) == [200, 404, 202]
    private_api.delete()
    make.repository(cast.acme.namespace, private_api.name)
    assert statuses(alice, name, token) == [401, 401, 401]
    renewed = alice.token(f"repository:{name}:pull,push,delete")
    assert statuses(alice, name, renewed) == [200, 404, 202]
    path = f"/v2/{name}/blobs/{digest}"
    assert alice.head(path, token=renewed).status_code == 404


@pytest.mark.parametrize("by_token", [True, False], ids=["token", "basic"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "manifests/v1"),
        ("GET", "manifests/v1"),
        ("HEAD", "blobs/sha256:" + "0" * 64),
        ("GET", "tags/list"),
        ("PUT", "manifests/v1"),
        ("DELETE", "manifests/v1"),
        ("POST", "blobs/uploads/"),
    ],
)
def test_a_refusal_has_its_reason_in_a_header(
    carol: RegistryClient,
    dave: RegistryClient,
    api: str,
    method: str,
    path: str,
    by_token: bool,
) -> None:
    """AUTH-7: the answer to a HEAD has no body; error_description says why."""
    client = dave if method in {"HEAD", "GET"} else carol
    token = client.token(f"repository:{api}:pull,push") if by_token else ""
    headers = {} if by_token else client.basic
    refused = client.request(method, f"/v2/{api}/{path}", token=token, headers=headers)
    assert refused.status_code == 401
    parameters = parse_challenge(refused).parameters
    assert parameters["error"] == "insufficient_scope"
    assert f"because {client.username} has" in parameters["error_description"]
    assert parameters["error_description"].isascii()


def test_a_wrong_password_is_named_in_a_header(dave: RegistryClient, api: str) -> None:
    wrong = RegistryClient(dave.http, dave.url, make.unique("nobody"), "wrong")
    refused = wrong.request(
        "HEAD", f"/v2/{api}/manifests/v1", token="", headers=wrong.basic
    )
    parameters = parse_challenge(refused).parameters
    assert parameters["error"] == "invalid_token"
    assert parameters["error_description"]
