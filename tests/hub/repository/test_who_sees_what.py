"""Who gets what from every page of a repository; no page is missing from the table."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from repositories.models import Grant, Repository
from tests import make
from tests.conftest import Cast
from tests.hub.repository.conftest import Browse
from tests.images import image
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

PEOPLE = ("alice", "bob", "carol", "dave", "former", "administrator", "anonymous")

# Name of the page, method, form, then the status for each of PEOPLE in that order:
# alice owns, bob writes, carol reads, dave is a stranger, former was in the team, the
# administrator of the site has no right here. All rows are of a private repository.
Row = tuple[str, str, dict[str, str], tuple[int, ...]]
READERS = (200, 200, 200, 404, 404, 404, 404)
WRITERS = (302, 302, 403, 404, 404, 404, 404)
STARRERS = (302, 302, 302, 404, 404, 404, 404)
OWNERS = (200, 403, 403, 404, 404, 404, 404)
OWNERS_POST = (302, 403, 403, 404, 404, 404, 404)
OWNERS_FORM = (422, 403, 403, 404, 404, 404, 404)
TABLE: list[Row] = [
    ("overview", "GET", {}, READERS),
    ("tags", "GET", {}, READERS),
    ("tag", "GET", {}, READERS),
    ("manifest", "GET", {}, READERS),
    ("raw", "GET", {}, READERS),
    ("activity", "GET", {}, READERS),
    ("delete-tags", "POST", {"only": "absent"}, WRITERS),
    ("restore-tags", "POST", {"only": "absent"}, WRITERS),
    ("put-tag", "POST", {"name": "v2", "digest": "{digest}"}, WRITERS),
    ("star", "POST", {"starred": "yes"}, STARRERS),
    ("watch", "POST", {"watched": "yes"}, STARRERS),
    ("access", "GET", {}, OWNERS),
    ("access", "POST", {}, OWNERS_FORM),
    ("change-access", "GET", {}, OWNERS),
    ("change-access", "POST", {"role": "write"}, OWNERS_POST),
    ("settings", "GET", {}, OWNERS),
    ("settings", "POST", {"description": "x"}, OWNERS_POST),
    ("edit-readme", "GET", {}, OWNERS),
    ("edit-readme", "POST", {"readme": "x"}, OWNERS_POST),
    ("visibility", "POST", {"visibility": "private"}, OWNERS_POST),
    ("rename", "POST", {"name": "UPPER"}, OWNERS_FORM),
    ("transfer", "POST", {"namespace": "nobody-there"}, OWNERS_FORM),
    ("restore", "POST", {"repository": "1"}, (404, 404, 404, 404, 404, 404, 404)),
    ("delete", "POST", {"confirmation": "no"}, OWNERS_FORM),
    ("delete-manifest", "GET", {}, (200, 200, 403, 404, 404, 404, 404)),
    ("delete-manifest", "POST", {}, (302, 404, 403, 404, 404, 404, 404)),
]


@pytest.fixture(scope="module")
def browsers(cast: Cast, registry: BerthServer) -> Iterator[dict[str, PageClient]]:
    """A browser of each of PEOPLE."""
    former = make.user("former")
    team = make.team(cast.acme, former)
    team.memberships.all().delete()
    administrator = make.user("root", is_superuser=True, is_staff=True)
    more_people = {"former": former, "administrator": administrator}
    with ExitStack() as clients:
        yield {
            who: clients.enter_context(
                PageClient(
                    registry.url, more_people.get(who) or getattr(cast, who, None)
                )
            )
            for who in PEOPLE
        }


@pytest.fixture(scope="module")
def forms(browsers: dict[str, PageClient]) -> dict[str, httpx.Response]:
    """A page of each of PEOPLE, for the token of its forms."""
    return {
        who: client.http.get("/" if who != "anonymous" else "/accounts/login/")
        for who, client in browsers.items()
    }


def address(name: str, repository: Repository, digest: str) -> str:
    grant = Grant.objects.filter(repository=repository).first()
    assert grant is not None
    words = {
        "namespace": repository.namespace.name,
        "name": repository.name,
        "tag": "v1",
        "digest": digest,
        "grant": grant.pk,
    }
    wanted = set(pattern_of(name).pattern.converters)
    return reverse(f"repositories:{name}", kwargs={key: words[key] for key in wanted})


def patterns() -> list[URLPattern]:
    [resolver] = [
        resolver
        for resolver in get_resolver().url_patterns
        if getattr(resolver, "namespace", "") == "repositories"
    ]
    assert isinstance(resolver, URLResolver)
    return [
        row
        for row in resolver.url_patterns
        if isinstance(row, URLPattern)
        and {"namespace", "name"} <= set(row.pattern.converters)
    ]


def pattern_of(name: str) -> URLPattern:
    [pattern] = [pattern for pattern in patterns() if pattern.name == name]
    return pattern


@pytest.mark.parametrize("row", TABLE, ids=[f"{m} {n}" for n, m, *_ in TABLE])
def test_everybody_gets_the_answer_of_the_table(
    browsers: dict[str, PageClient],
    forms: dict[str, httpx.Response],
    private_api: Repository,
    alice: RegistryClient,
    row: Row,
) -> None:
    name, method, form, expected = row
    pushed = image()
    alice.push(f"{private_api.full_name}:v1", pushed)
    fields = {key: value.format(digest=pushed.digest) for key, value in form.items()}
    path = address(name, private_api, pushed.digest)
    absent = path.replace(private_api.name, "absent", 1)
    got = []
    for who, client in browsers.items():
        if method == "GET":
            got.append(client.get(path).status_code)
            assert client.get(absent).status_code == 404
        else:
            got.append(client.post(path, fields, forms[who]).status_code)
            assert client.post(absent, fields, forms[who]).status_code == 404
    assert dict(zip(PEOPLE, got, strict=True)) == dict(
        zip(PEOPLE, expected, strict=True)
    )


def test_no_page_is_missing_from_the_table() -> None:
    assert {pattern.name for pattern in patterns()} == {name for name, *_ in TABLE}


@pytest.mark.parametrize("pattern", patterns(), ids=lambda pattern: str(pattern.name))
def test_asking_changes_nothing(
    browse: Browse,
    private_api: Repository,
    alice: RegistryClient,
    pattern: URLPattern,
) -> None:
    """No page changes anything by GET, and none by a POST without its token."""
    pushed = image()
    alice.push(f"{private_api.full_name}:v1", pushed)
    events = list(private_api.events.values_list("pk", flat=True))
    path = address(str(pattern.name), private_api, pushed.digest)
    client = browse("alice")
    fields = {"only": "v1", "confirmation": private_api.full_name, "description": "y"}
    fields |= {"visibility": "public", "readme": "y", "remove": "1"}
    asked = client.get(path, params=fields)
    assert asked.status_code in {200, 405}
    forged = client.http.post(path, data=fields)
    assert forged.status_code in {403, 405}
    assert list(private_api.events.values_list("pk", flat=True)) == events


def test_a_public_repository_is_open_to_all(
    browse: Browse, public_api: Repository, alice: RegistryClient
) -> None:
    pushed = image()
    alice.push(f"{public_api.full_name}:v1", pushed)
    visitor = browse("anonymous")
    for name in ("overview", "tags", "tag", "manifest", "raw", "activity"):
        assert visitor.get(address(name, public_api, pushed.digest)).status_code == 200
    for name in ("access", "settings", "edit-readme"):
        asked = visitor.get(address(name, public_api, pushed.digest))
        assert asked.status_code == 302
        assert asked.headers["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/acme",
            "/acme/",
            "/acme/api/",
            "/acme/API",
            "/acme/api:",
            "/acme/api@sha256:0",
        ),
        *(
            "/acme/api/-/",
            "/acme/-/api",
            "/settings/api",
            "/accounts/api",
            "/acme//api",
        ),
        "/acme/api:" + "a" * 129,
        "/acme/" + "a/" * 200 + "a",
    ],
)
def test_what_is_no_name_is_not_there(browse: Browse, path: str) -> None:
    assert browse("alice").get(path).status_code in {404, 301, 302}


def test_a_name_with_slashes_has_all_its_pages(
    browse: Browse, cast: Cast, alice: RegistryClient
) -> None:
    deep = make.repository(cast.acme.namespace, f"{make.unique('a')}/tags/list")
    alice.push(f"{deep.full_name}:v1", image())
    client = browse("alice")
    for rest in ("", ":v1", "/-/tags", "/-/settings", "/-/activity", "/-/access"):
        page = client.get(f"/{deep.full_name}{rest}")
        assert page.status_code == 200
        assert deep.name in page.text
