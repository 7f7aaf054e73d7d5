"""How often the hot paths ask the database; the number is what makes them quick."""

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from distribution.storage import blob_store
from registry_site.wsgi import application
from repositories.models import Repository
from tests import images, make
from tests.conftest import Cast
from tests.distribution.test_tags import make_tags
from tests.images import ABSENT_DIGEST, digest_of
from tests.registry_client import RegistryClient

SESSION = "00000000-0000-4000-8000-000000000000"


def ask(method: str, target: str, token: str = "") -> tuple[str, list[str], bytes]:
    """Ask the application in this process; return status, queries and body."""
    parts = urlsplit(target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "CONTENT_LENGTH": "0",
        "wsgi.input": BytesIO(),
    }
    if token:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    setup_testing_defaults(environ)
    statuses: list[str] = []

    def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
        statuses.append(status)

    with CaptureQueriesContext(connection) as queries:
        body: Any = application(environ, start_response)
        try:
            content = b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()
    return statuses[0], [query["sql"] for query in queries.captured_queries], content


@pytest.fixture(autouse=True)
def _connected(database: None) -> Iterator[None]:
    connection.ensure_connection()  # what opening it takes is not counted
    yield


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v2/acme/api/tags/list"),
        ("GET", "/v2/acme/api/manifests/v1"),
        ("HEAD", "/v2/acme/api/manifests/v1"),
        ("PUT", "/v2/acme/api/manifests/v1"),
        ("DELETE", "/v2/acme/api/manifests/v1"),
        ("GET", f"/v2/acme/api/blobs/{ABSENT_DIGEST}"),
        ("POST", "/v2/acme/api/blobs/uploads/"),
        ("POST", f"/v2/acme/api/blobs/uploads/?mount={ABSENT_DIGEST}&from=acme/other"),
        ("PATCH", f"/v2/acme/api/blobs/uploads/{SESSION}"),
        ("GET", f"/v2/acme/api/referrers/{ABSENT_DIGEST}"),
    ],
)
@pytest.mark.parametrize("token", ["", "not.a.token"])
def test_a_challenge_asks_the_database_nothing(
    method: str, path: str, token: str
) -> None:
    """AUTH-1, AUTH-2: whoever knocks without a key costs next to nothing."""
    status, queries, _ = ask(method, path, token)
    assert status == "401 Unauthorized"
    assert queries == []


@pytest.mark.parametrize(
    "target", ["/v2/nothing", "/v2/UPPER/x/tags/list", "/v1/_ping"]
)
def test_what_needs_no_rows_reads_none(target: str) -> None:
    """E-1, SRCH-1."""
    assert ask("GET", target)[1] == []


def test_a_token_alone_is_read_without_the_database(alice: RegistryClient) -> None:
    """AUTH-30, D-3."""
    status, queries, body = ask("GET", "/v2/", alice.token())
    assert (status, queries, body) == ("200 OK", [], b"{}")


@pytest.mark.parametrize("who", ["alice", "bob", "robby", "carol"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("kind", ["tag", "digest", "blob", "absent"])
def test_a_pull_asks_three_times_at_most(
    request: pytest.FixtureRequest,
    alice: RegistryClient,
    api: str,
    who: str,
    method: str,
    kind: str,
) -> None:
    """MAN-15, BLOB-1: the repository, the rights, and the thing itself."""
    blob_store().verify()  # a process asks once whose store it is
    image = images.image()
    alice.push(f"{api}:v1", image)
    path = {
        "tag": "manifests/v1",
        "digest": f"manifests/{image.digest}",
        "blob": f"blobs/{digest_of(image.blobs[1])}",
        "absent": "manifests/absent",
    }[kind]
    client: RegistryClient = request.getfixturevalue(who)
    token = client.token(f"repository:{api}:pull")
    status, queries, body = ask(method, f"/v2/{api}/{path}", token)
    assert status.startswith("404" if kind == "absent" else "200")
    assert 1 <= len(queries) <= 3, queries
    if method == "GET" and kind != "absent":
        assert body == (image.blobs[1] if kind == "blob" else image.payload)


@pytest.mark.parametrize("path", ["manifests/v1", "blobs/{layer}"])
def test_a_public_pull_asks_twice(
    alice: RegistryClient, anonymous: RegistryClient, public_api: Repository, path: str
) -> None:
    """MAN-15: nobody's rights are nowhere to be read."""
    name = public_api.full_name
    image = images.image()
    alice.push(f"{name}:v1", image)
    target = f"/v2/{name}/{path.format(layer=digest_of(image.blobs[1]))}"
    status, queries, _ = ask("GET", target, anonymous.token(f"repository:{name}:pull"))
    assert status == "200 OK"
    assert 1 <= len(queries) <= 2, queries


def add_tags(client: RegistryClient, repository: Repository, count: int) -> None:
    client.push(repository.full_name, images.image())
    make_tags(repository, [make.unique("v") for _ in range(count)])


def add_referrers(client: RegistryClient, repository: Repository, count: int) -> None:
    subject = images.Image(b"{}", images.OCI_MANIFEST)
    for _ in range(count):
        client.push(repository.full_name, images.artifact(subject))


def add_repositories(
    client: RegistryClient, repository: Repository, count: int
) -> None:
    for _ in range(count):
        make.repository(repository.namespace, make.unique("listed"))


LISTS: list[tuple[str, Callable[[RegistryClient, Repository, int], None], int]] = [
    ("/v2/{api}/tags/list", add_tags, 3),
    (f"/v2/{{api}}/referrers/{digest_of(b'{}')}", add_referrers, 3),
    ("/v2/_catalog?n=1000", add_repositories, 3),
    ("/v1/search?q=listed&n=100", add_repositories, 5),
]


@pytest.mark.parametrize(("path", "add", "most"), LISTS)
def test_a_longer_list_asks_no_more(
    bob: RegistryClient,
    cast: Cast,
    private_api: Repository,
    path: str,
    add: Callable[[RegistryClient, Repository, int], None],
    most: int,
) -> None:
    """TAG-3, REF-4, CAT-1, SRCH-2: with ten rows and with twenty."""
    name = private_api.full_name
    token = bob.token(f"repository:{name}:pull", "registry:catalog:*")
    counts = []
    for _ in range(2):
        add(bob, private_api, 10)
        status, queries, _body = ask("GET", path.format(api=name), token)
        assert status == "200 OK"
        counts.append(len(queries))
    assert counts[0] == counts[1] <= most
