"""Explore, search, stars and the site's state, as pages without scripts."""

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import quote_plus

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import Namespace, Organization, User
from repositories import stars
from repositories.models import Category, Repository, SearchEntry, Star
from repositories.oci.platforms import bit_of
from search import trends
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.pages import PageClient, flat, title_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

CANARY = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


@pytest.fixture
def nobody(registry: BerthServer) -> Iterator[PageClient]:
    with PageClient(registry.url) as client:
        yield client


@pytest.fixture
def daves(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, user=cast.dave) as client:
        yield client


@pytest.fixture
def library(django_db_setup: None) -> Namespace:
    return Namespace.objects.get(name="library")


def described(namespace: Namespace, name: str, **columns: object) -> Repository:
    repository = make.repository(namespace, name, visibility="public")
    Repository.objects.filter(pk=repository.pk).update(**columns)
    return repository


def names_in(text: str) -> list[str]:
    """Return where the titles of the rows lead."""
    return re.findall(r'<h[23] class="row-title"><a href="/([^"]+)"', text)


def test_a_search_lists_what_matches(nobody: PageClient, cast: Cast) -> None:
    word = make.unique("paged").replace("-", "")
    own = cast.acme.namespace
    first = described(own, word, description=f"About {word.upper()}.", star_count=2013)
    second = described(own, f"my-{word}", pull_count=10_482_077)
    described(own, make.unique("other"))
    make.repository(own, f"{word}-private")
    page = nobody.get(f"/search?q={word}")
    assert page.status_code == 200
    assert title_of(page) == f"{word}: search results · Berth"
    assert names_in(page.text) == [first.full_name, second.full_name]
    assert f"<mark>{word}</mark>" in page.text
    assert f"About <mark>{word.upper()}</mark>." in page.text
    assert '<data value="2013" title="2,013 stars">2.0K</data>' in page.text
    assert '<data value="10482077" title="10,482,077 pulls">10M+</data>' in page.text
    assert "1 to 2 of" in page.text
    assert "private" not in re.sub(r"<nav.*?</nav>", "", page.text.lower(), flags=re.S)


def test_filters_and_order_are_in_the_address(nobody: PageClient, cast: Cast) -> None:
    word = make.unique("narrow").replace("-", "")
    shelf = Category.objects.create(slug=make.unique("shelf"), name="A shelf")
    arm = described(cast.acme.namespace, f"{word}-arm", star_count=1)
    both = described(cast.acme.namespace, f"{word}-both", star_count=5)
    both.categories.add(shelf)
    SearchEntry.objects.filter(pk=arm.pk).update(platforms=2)
    SearchEntry.objects.filter(pk=both.pk).update(platforms=3)
    for parameters, expected in [
        ("", [both, arm]),
        ("&arch=amd64", [both]),
        ("&arch=amd64&arch=arm64&sort=stars", [both, arm]),
        ("&os=windows", []),
        (f"&category={shelf.slug}", [both]),
        ("&type=official", []),
        ("&type=starred", []),
        ("&sort=updated", [both, arm]),
    ]:
        page = nobody.get(f"/search?q={word}{parameters}")
        expected_names = [repository.full_name for repository in expected]
        assert (parameters, names_in(page.text)) == (parameters, expected_names)
    page = nobody.get(f"/search?q={word}&arch=amd64&os=linux")
    assert re.search(r'name="arch" value="amd64" checked', flat(page))
    assert f'href="?q={word}&amp;os=linux"' in page.text, "each filter can be removed"
    empty = nobody.get(f"/search?q={word}&os=windows")
    assert "Without filters there are 2 results." in empty.text
    assert f'href="/search?q={word}"' in empty.text


def test_filters_count_what_is_in_the_namespace_that_is_asked_for(
    nobody: PageClient, cast: Cast
) -> None:
    owner = make.user("scoped")
    inside = described(owner.namespace, "one")
    described(owner.namespace, "two")
    outside = described(cast.acme.namespace, make.unique("outside"))
    SearchEntry.objects.filter(pk=inside.pk).update(platforms=1)
    SearchEntry.objects.filter(pk=outside.pk).update(
        platforms=bit_of("windows", "amd64")
    )
    where = f"user:{owner.username}"
    page = nobody.get(f"/search?q={where}")
    assert len(names_in(page.text)) == 2
    linux = re.search(r'name="os" value="linux".*?title="([^"]*)"', flat(page))
    assert linux is not None
    assert linux[1] == "1", "of two"
    assert 'value="windows"' not in page.text, "that would find nothing"
    empty = nobody.get(f"/search?q={where}&os=windows")
    assert "Without filters there are 2 results." in empty.text
    assert f'href="/search?q={quote_plus(where)}"' in empty.text


def test_what_only_looks_like_a_filter_is_explained(nobody: PageClient) -> None:
    page = nobody.get("/search?q=is%3Abogus<b>")
    assert "<code>is:bogus&lt;b&gt;</code> isn\u2019t a filter" in page.text
    assert "isn\u2019t a filter" not in nobody.get("/search?q=nothing-at-all").text


def test_pages_of_results(nobody: PageClient, cast: Cast) -> None:
    word = make.unique("leaf").replace("-", "")
    for n in range(30):
        make.repository(cast.acme.namespace, f"{word}-{n}", visibility="public")
    first = nobody.get(f"/search?q={word}")
    second = nobody.get(f"/search?q={word}&page=2")
    assert len(set(names_in(first.text)) | set(names_in(second.text))) == 30
    assert f'href="?q={word}&amp;page=2"' in first.text
    beyond = nobody.get(f"/search?q={word}&page=99")
    assert names_in(beyond.text) == names_in(second.text)


def test_htmx_gets_only_the_results(nobody: PageClient) -> None:
    page = nobody.http.get(
        "/search?q=x", headers={"HX-Request": "true", "HX-Target": "results"}
    )
    assert page.text.lstrip().startswith('<section id="results"')
    assert "HX-Target" in page.headers["Vary"]


@pytest.mark.parametrize(
    "query",
    ["q=%00", "q=%25_%27%22", "q=" + "x" * 3000, "q=a&page=x&sort=%00&os=%00", "q=/"],
)
def test_any_search_is_answered(nobody: PageClient, query: str) -> None:
    assert nobody.get(f"/search?{query}").status_code == 200


def test_an_image_and_tag_lead_to_that_tag(
    nobody: PageClient,
    daves: PageClient,
    registry: BerthServer,
    alice: RegistryClient,
    public_api: Repository,
    api: str,
) -> None:
    name = public_api.full_name
    pushed = image()
    alice.push(f"{name}:8.3", pushed)
    alice.push(f"{api}:8.3", image())
    host = registry.url.removeprefix("http://")
    for text, address in [
        (f"{name}:8.3", f"/{name}:8.3"),
        (f"docker pull {host}/{name}:8.3", f"/{name}:8.3"),
        (f"{name}@{pushed.digest}", f"/{name}@{pushed.digest}"),
    ]:
        page = nobody.http.get("/search", params={"q": text})
        assert (page.status_code, page.headers["Location"]) == (302, address)
    for text in (f"{name}:9", f"{api}:8.3"):
        page = daves.get("/search", params={"q": text})
        assert page.status_code == 200
    assert api not in names_in(page.text)


def test_user_text_stays_text(daves: PageClient, cast: Cast) -> None:
    word = make.unique("canary").replace("-", "")
    repository = described(
        cast.acme.namespace, word, description=f"{word} {CANARY}"[:200]
    )
    shelf = Category.objects.create(slug=make.unique("shelf"), name=CANARY)
    repository.categories.add(shelf)
    Organization.objects.filter(pk=cast.acme.pk).update(display_name=CANARY)
    stars.star(repository=repository, user=cast.dave)
    trends.refresh()
    try:
        for path, parameters in [
            ("/search", {"q": f'{word} "{CANARY}"'}),
            ("/search", {"q": word, "sort": CANARY, "os": CANARY}),
            ("/search", {"q": word}),
            ("/search/suggestions", {"q": word}),
            ("/", {}),
        ]:
            page = daves.get(path, params=parameters)
            assert "<script>alert" not in page.text, path
            assert "<img" not in page.text, path
        assert CANARY in unescape(daves.get("/search", params={"q": word}).text)
    finally:
        Organization.objects.filter(pk=cast.acme.pk).update(display_name="")


def test_suggestions_are_of_what_one_may_see(
    nobody: PageClient, daves: PageClient, cast: Cast
) -> None:
    word = make.unique("sugg").replace("-", "")
    own = make.repository(cast.dave.namespace, word)
    assert own.full_name not in nobody.http.get(f"/search/suggestions?q={word}").text
    page = daves.http.get(f"/search/suggestions?q={word}")
    assert f'<option value="{own.full_name}">' in page.text


@pytest.mark.parametrize("path", ["/{api}/", "/{api}/-/tags/", "/search/", "/{acme}/"])
def test_a_slash_too_much_is_forgiven(
    nobody: PageClient, public_api: Repository, path: str
) -> None:
    path = path.format(api=public_api.full_name, acme=public_api.namespace.name)
    answer = nobody.http.get(f"{path}?q=a%20b")
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{path.rstrip('/')}?q=a%20b"
    assert nobody.http.get(f"{nobody.url}//evil.example//").status_code == 404
    assert nobody.http.get("/not-there/-/nothing/").status_code == 404


def test_the_first_page_shows_what_there_is(
    nobody: PageClient, cast: Cast, alice: RegistryClient, library: Namespace
) -> None:
    official = described(library, make.unique("java"), star_count=10**6)
    shelf = Category.objects.create(slug=make.unique("shelf"), name="A shelf")
    official.categories.add(shelf)
    liked = described(cast.acme.namespace, make.unique("liked"))
    private = make.repository(cast.acme.namespace, make.unique("secret"))
    private.categories.add(shelf)
    for _ in range(40):
        stars.star(repository=liked, user=make.user("fan"))
    trends.refresh()
    alice.push(f"{liked.full_name}:v7", image())
    alice.push(f"{private.full_name}:v8", image())
    page = nobody.get("/")
    assert title_of(page) == "Explore images · Berth"
    assert f'href="/{official.full_name}">{official.name}</a>' in page.text
    assert f'href="/search?category={shelf.slug}"' in page.text
    trending, _, updated = page.text.partition('id="h-updated"')
    assert liked.full_name in trending
    assert f'<a href="/{liked.full_name}"' in updated
    assert f"<code>v7</code> pushed by {cast.alice.username}" in updated
    assert private.name not in page.text
    count = re.search(rf'category={shelf.slug}".*?value="(\d+)"', flat(page))
    assert count and count[1] == "1", "the private one is not counted"


def test_a_name_alone_leads_to_the_official_image(
    nobody: PageClient, library: Namespace
) -> None:
    official = described(library, make.unique("java"))
    private = make.repository(library, make.unique("hidden"))
    page = nobody.http.get(f"/{official.name}")
    assert page.headers["Location"] == f"/{official.full_name}"
    page = nobody.http.get(f"/{official.name}:v1")
    assert page.headers["Location"] == f"/{official.full_name}:v1"
    assert nobody.get(f"/{private.name}").status_code == 404
    assert nobody.get("/no-such-name").status_code == 404


def test_a_star_is_set_and_taken_by_a_form(
    nobody: PageClient, daves: PageClient, cast: Cast, api: str
) -> None:
    word = make.unique("starry").replace("-", "")
    repository = described(cast.acme.namespace, word)
    path = f"/{repository.full_name}/-/star"
    search = f"/search?q={word}"
    page = daves.get(search)
    form = {"starred": "yes", "next": search}
    answer = daves.post(path, form, page)
    assert (answer.status_code, answer.headers["Location"]) == (302, search)
    starred = Star.objects.filter(repository=repository, user=cast.dave)
    assert starred.exists()
    page = daves.get(search)
    assert 'aria-pressed="true"' in page.text
    answer = daves.post(path, {"starred": "no"}, page, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert 'aria-pressed="false"' in answer.text
    assert not starred.exists()
    away = daves.post(path, {"starred": "yes", "next": "https://evil.example/"}, page)
    assert away.headers["Location"] == f"/{repository.full_name}"
    assert daves.post(f"/{api}/-/star", form, page).status_code == 404
    assert daves.http.get(path).status_code == 405
    assert daves.http.post(path, data=form).status_code == 403, "without a token"


def test_the_state_of_the_site_is_for_its_administrators(
    registry: BerthServer, nobody: PageClient, daves: PageClient
) -> None:
    root = make.user("root", is_superuser=True, is_staff=True)
    with PageClient(registry.url, user=root) as roots:
        page = roots.get("/-/admin/site/")
    assert page.status_code == 200
    for word in ("Users", "Repositories", "Stored", "Queue: upkeep", "Django"):
        assert word in flat(page)
    assert daves.get("/-/admin/site/").status_code == 403
    assert nobody.get("/-/admin/site/").status_code == 302


@pytest.mark.parametrize("path", ["/", "/search?q={word}", "/search?q={word}&os=linux"])
def test_a_list_asks_as_often_for_twenty_as_for_ten(
    database: None, cast: Cast, library: Namespace, path: str
) -> None:
    word = make.unique("count").replace("-", "")
    shelf = Category.objects.create(slug=make.unique("shelf"), name="Shelf")
    client = Client()
    client.force_login(
        User.objects.get(pk=cast.dave.pk), backend="accounts.backends.LimitedBackend"
    )
    counts = []
    for n in (10, 20):
        for place in range(n - 10, n):
            repository = described(library, f"{word}-{place}")
            repository.categories.add(shelf)
            SearchEntry.objects.filter(pk=repository.pk).update(platforms=1)
            stars.star(repository=repository, user=cast.dave)
        with CaptureQueriesContext(
            connection,
        ) as asked:
            response = client.get(path.format(word=word), HTTP_HOST="localhost")
        assert response.status_code == 200
        counts.append(len(asked))
    # One of them only where the bell may have something to count.
    assert counts[0] == counts[1] <= 13, [q["sql"][:300] for q in asked]


def test_administrators_keep_shelves_and_marks(
    registry: BerthServer, cast: Cast, public_api: Repository
) -> None:
    shelf = Category.objects.create(slug=make.unique("shelf"), name="Shelf")
    namespace = make.organization(owner=cast.alice, name="vendor").namespace
    root = make.user("root", is_superuser=True, is_staff=True)
    with PageClient(registry.url, user=root) as roots:
        for path in (
            "repositories/category/",
            f"repositories/category/?q={shelf.slug}",
            f"repositories/repository/?categories__id__exact={shelf.pk}",
            f"repositories/repository/{public_api.pk}/change/",
        ):
            assert roots.get(f"/-/admin/{path}").status_code == 200
        found = roots.get(f"/-/admin/repositories/category/?q={shelf.slug}")
        assert shelf.slug in found.text
        path = f"/-/admin/accounts/namespace/{namespace.pk}/change/"
        saved = roots.post(path, {"is_verified": "on"})
    assert saved.status_code == 302
    namespace.refresh_from_db()
    assert (namespace.is_verified, namespace.is_official) == (True, False)
