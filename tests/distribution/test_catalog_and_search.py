"""What there is: /v2/_catalog, `docker search`, and the list of extensions (§10)."""

import pytest

from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.registry_client import RegistryClient, error_codes, follow_links, next_link

# --- catalog


def catalog(client: RegistryClient, query: str = "?n=50") -> list[str]:
    names: list[str] = follow_links(client.get, f"/v2/_catalog{query}", "repositories")
    return names


def test_everybody_sees_what_they_may_pull(
    request: pytest.FixtureRequest, private_api: Repository, public_api: Repository
) -> None:
    """CAT-1."""
    private, public = private_api.full_name, public_api.full_name
    for who, sees_private in [
        ("alice", True),
        ("bob", True),
        ("carol", True),
        ("robby", True),
        ("dave", False),
        ("anonymous", False),
    ]:
        names = catalog(request.getfixturevalue(who))
        assert public in names
        assert (private in names, who) == (sees_private, who)
        assert names == sorted(names, key=str.encode)
        assert len(names) == len(set(names))


def test_an_access_token_narrows_the_catalog(
    alice: RegistryClient, cast: Cast, private_api: Repository, other: str
) -> None:
    """CAT-1."""
    secret = make.access_token(cast.alice, repository_ids=[private_api.pk])
    narrow = RegistryClient(alice.http, alice.url, alice.username, secret)
    assert catalog(narrow) == [private_api.full_name]
    assert other in catalog(alice)


def test_pages_of_the_catalog(alice: RegistryClient, cast: Cast) -> None:
    """CAT-1, R-28: last need not exist, and behind the end is nothing."""
    own = cast.acme.namespace
    base = make.unique("pages")
    names = [f"{own.name}/{base}/{letter}" for letter in "abcde"]
    for name in names:
        make.repository(own, name.partition("/")[2])
    start = f"/v2/_catalog?n=2&last={own.name}/{base}"
    first = alice.get(start)
    assert first.headers["Content-Type"] == "application/json"
    assert first.json() == {"repositories": names[:2]}
    second = alice.get(str(next_link(first)))
    assert second.json() == {"repositories": names[2:4]}
    middle = alice.get(f"/v2/_catalog?n=1&last={own.name}/{base}/bb")
    assert middle.json() == {"repositories": names[2:3]}
    for query in ("?last=~", "?n=5&last=zzzz", "?n=0"):
        end = alice.get(f"/v2/_catalog{query}")
        assert end.json() == {"repositories": []}
        assert "Link" not in end.headers


def test_a_page_of_the_catalog_has_a_hundred(alice: RegistryClient, cast: Cast) -> None:
    """CAT-1."""
    base = make.unique("many")
    Repository.objects.bulk_create(
        Repository(namespace=cast.acme.namespace, name=f"{base}/{n:03}")
        for n in range(101)
    )
    response = alice.get(f"/v2/_catalog?last={cast.acme.namespace.name}/{base}")
    assert len(response.json()["repositories"]) == 100
    assert next_link(response) is not None


@pytest.mark.parametrize("n", ["-1", "x"])
def test_a_catalog_page_of_no_size_is_refused(alice: RegistryClient, n: str) -> None:
    """CAT-1, E-2."""
    response = alice.get(f"/v2/_catalog?n={n}")
    assert response.status_code == 400
    assert error_codes(response) == ["PAGINATION_NUMBER_INVALID"]


def test_extensions_are_listed(anonymous: RegistryClient) -> None:
    """CAT-1: `_oci/ext/discover` names the catalog."""
    response = anonymous.get("/v2/_oci/ext/discover", token="")
    assert response.status_code == 200
    for extension in response.json()["extensions"]:
        assert {"name", "url", "description", "endpoints"} <= set(extension)


# --- search


@pytest.fixture
def word(cast: Cast) -> str:
    """A word that one public and one private repository of acme have in their names."""
    word = make.unique("needle").replace("-", "")
    own = cast.acme.namespace
    public = make.repository(own, f"{word}-public", visibility="public")
    description = "two\nlines\tand  spaces"
    Repository.objects.filter(pk=public.pk).update(
        description=description, star_count=7
    )
    make.repository(own, f"{word}-private")
    return word


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/v1/_ping", "/v1/_ping/"])
def test_docker_asks_first_whether_it_is_a_registry(
    anonymous: RegistryClient, method: str, path: str
) -> None:
    """SRCH-1, SRCH-5."""
    response = anonymous.request(method, path, token="")
    assert response.status_code == 200
    assert response.headers["X-Docker-Registry-Standalone"] == "true"
    if method == "GET":
        assert response.json() == {"standalone": True}


def test_a_result_has_all_that_docker_and_podman_read(
    anonymous: RegistryClient, cast: Cast, word: str
) -> None:
    """SRCH-2, SRCH-3, SRCH-4: without credentials, as podman asks."""
    response = anonymous.get(f"/v1/search?q={word}&n=25", token="")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {
        "query": word,
        "num_results": 1,
        "num_pages": 1,
        "page": 1,
        "page_size": 25,
        "results": [
            {
                "name": f"{cast.acme.namespace.name}/{word}-public",
                "description": "two lines and spaces",
                "star_count": 7,
                "is_official": False,
                "is_automated": False,
                "is_trusted": False,
            }
        ],
    }


def test_nobody_finds_what_they_may_not_pull(
    request: pytest.FixtureRequest, word: str
) -> None:
    """SRCH-4: with Basic, with docker's search token, and with neither."""
    for who, count in [("alice", 2), ("dave", 1), ("anonymous", 1)]:
        client: RegistryClient = request.getfixturevalue(who)
        token = client.token("registry:catalog:search")
        found = client.get(f"/v1/search?q={word}", token=token).json()
        assert (found["num_results"], who) == (count, who)
        if who != "anonymous":
            basic = {**client.basic, "X-Docker-Token": "true"}
            found = client.get(f"/v1/search?q={word}", token="", headers=basic).json()
            assert (found["num_results"], who) == (count, who)


@pytest.mark.parametrize("header", ["Basic !!!", "Bearer x.y.z", "Basic YTpi"])
def test_wrong_credentials_do_not_search(
    anonymous: RegistryClient, header: str
) -> None:
    """SRCH-4, AUTH-11."""
    response = anonymous.get(
        "/v1/search?q=x", token="", headers={"Authorization": header}
    )
    assert response.status_code == 401


@pytest.mark.parametrize(
    ("n", "size"), [("", 25), ("1", 1), ("100", 100), ("500", 100), ("0", 25)]
)
def test_the_number_of_results(anonymous: RegistryClient, n: str, size: int) -> None:
    """SRCH-1, SRCH-3: 25 by default, never more than 100."""
    query = f"&n={n}" if n else ""
    found = anonymous.get(f"/v1/search?q={query}", token="").json()
    assert found["page_size"] == size
    assert len(found["results"]) == min(size, found["num_results"])


def test_a_query_may_name_a_namespace(
    anonymous: RegistryClient, cast: Cast, word: str
) -> None:
    """SRCH-1: docker cuts off the host and leaves the slash."""
    query = f"{cast.acme.namespace.name}/{word}"
    found = anonymous.get(f"/v1/search?q={query}", token="").json()
    assert [r["name"] for r in found["results"]] == [f"{query}-public"]


def test_results_have_pages(anonymous: RegistryClient, cast: Cast) -> None:
    """SRCH-2: as the Hub's."""
    word = make.unique("paged").replace("-", "")
    for n in range(5):
        make.repository(cast.acme.namespace, f"{word}-{n}", visibility="public")
    names: list[str] = []
    for page in (1, 2, 3):
        path = f"/v1/search?q={word}&n=2&page={page}"
        found = anonymous.get(path, token="").json()
        assert (found["num_results"], found["num_pages"]) == (5, 3)
        names += [result["name"] for result in found["results"]]
    assert len(set(names)) == 5


@pytest.mark.parametrize(
    "query",
    [
        "q=%00",
        "q=%25_%27",
        "q=" + "x" * 5000,
        "q=%F0%9F%90%B3",
        "q=",
        "",
        "q=a&q=b",
        "q=" + "+".join("abcdefghijklmnop"),
        "q=/",
        "q=//x",
        "filters=%7B%7D",
    ],
)
def test_any_query_is_answered(anonymous: RegistryClient, query: str) -> None:
    """SRCH-2, E-1: never 500."""
    assert anonymous.get(f"/v1/search?{query}", token="").status_code == 200


@pytest.mark.parametrize("query", ["n=x", "n=-1", "page=0", "page=x", "page=-1"])
def test_a_number_that_is_none_is_refused(
    anonymous: RegistryClient, query: str
) -> None:
    """SRCH-2, E-1."""
    assert anonymous.get(f"/v1/search?q=x&{query}", token="").status_code == 400
