"""The few pages there are, and the administration."""

import re
import threading
from collections.abc import Iterator

import httpx
import pytest

from accounts.models import Namespace, User
from registry_site import health
from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.servers import BerthServer

PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def administrator(django_db_setup: None) -> User:
    return make.user("root", password=PASSWORD, is_superuser=True, is_staff=True)


@pytest.fixture(scope="module")
def administration(
    registry: BerthServer, administrator: User
) -> Iterator[httpx.Client]:
    """A session of the administrator, as a browser without JavaScript has it."""
    with httpx.Client(
        base_url=registry.url, follow_redirects=True, timeout=60
    ) as client:
        page = client.get("/-/admin/login/")
        done = client.post(
            "/accounts/login/",
            data={
                "login": administrator.username,
                "password": PASSWORD,
                "csrfmiddlewaretoken": token_of(page),
                "next": "/-/admin/",
            },
            headers={"Referer": str(page.url)},
        )
        assert "Log out" in done.text, done.text
        yield client


def token_of(page: httpx.Response) -> str:
    match = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert match, page.text
    return match[1]


def test_nothing_is_painted_before_all_of_it_is_there(registry: BerthServer) -> None:
    """No table moves its columns while its rows are still coming."""
    page = httpx.get(registry.url, timeout=60).text
    waits_for = re.search(r'<link rel="expect" href="#(\w+)" blocking="render">', page)
    assert waits_for, page
    assert page.index(f'id="{waits_for[1]}"') > page.index("</footer>")


def test_the_home_page_says_how_to_push(registry: BerthServer) -> None:
    page = httpx.get(registry.url, timeout=60)
    assert page.status_code == 200
    host = registry.url.removeprefix("http://")
    assert f"docker login {host}" in page.text
    for pattern in (
        r'href="(/-/assets/berth\.css[^"]+)"',
        r'src="(/-/assets/berth\.js[^"]+)"',
        r'src="(/static/js/theme\.js[^"]+)"',
        r'href="(/static/favicon\.svg[^"]+)"',
        r'href="(/-/assets/icons\.svg[^"#]+)#',
    ):
        address = re.search(pattern, page.text)
        assert address, pattern
        found = httpx.get(registry.url + address[1], timeout=60)
        assert found.status_code == 200, address[1]


def test_what_a_page_is_made_of_is_compressed_and_kept(registry: BerthServer) -> None:
    page = httpx.get(registry.url, timeout=60)
    assert page.headers["Content-Encoding"] == "gzip"
    address = re.search(r'href="(/-/assets/berth\.css[^"]+)"', page.text)
    assert address
    style = httpx.get(registry.url + address[1], timeout=60)
    assert style.headers["Content-Encoding"] == "gzip"
    assert "immutable" in style.headers["Cache-Control"]
    old = httpx.get(f"{registry.url}/-/assets/berth.css?v=old", timeout=60)
    assert "immutable" not in old.headers["Cache-Control"]
    no_asset = httpx.get(f"{registry.url}/-/assets/settings.py", timeout=60)
    assert no_asset.status_code == 404
    script = httpx.get(f"{registry.url}/static/django_htmx/htmx-2.min.js", timeout=60)
    assert script.headers["Content-Encoding"] == "gzip"


def test_a_page_that_is_not_there_is_a_page(registry: BerthServer) -> None:
    page = httpx.get(f"{registry.url}/nobody/nothing", timeout=60)
    assert page.status_code == 404
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("path", ["/%00", "/ac%00me", "/acme/a%00pi", "/api/v1/x%00"])
def test_nothing_has_a_null_character_in_its_name(
    registry: BerthServer, path: str
) -> None:
    """PostgreSQL would fail at it."""
    assert httpx.get(f"{registry.url}{path}", timeout=60).status_code == 404


def test_the_server_tells_whether_it_lives_and_works(registry: BerthServer) -> None:
    assert httpx.get(f"{registry.url}/healthz", timeout=60).json() == {"status": "ok"}
    assert httpx.get(f"{registry.url}/readyz", timeout=60).json() == {
        "status": "ok",
        "database": "ok",
        "blobs": "ok",
        "pulls": "ok",
        "pushes": "ok",
    }
    assert httpx.get(f"{registry.url}/readyz/pulls", timeout=60).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("", "accounts/user/", "accounts/user/add/", "accounts/organization/"),
        *("accounts/organization/add/", "accounts/team/", "accounts/namespace/"),
        *("accounts/robot/", "repositories/repository/", "repositories/event/"),
    ],
)
def test_the_administration_has_its_pages(
    administration: httpx.Client, path: str
) -> None:
    assert administration.get(f"/-/admin/{path}").status_code == 200


def test_the_administration_is_closed_to_others(registry: BerthServer) -> None:
    page = httpx.get(f"{registry.url}/-/admin/accounts/user/", timeout=60)
    assert page.status_code == 302
    assert "/-/admin/login/" in page.headers["Location"]


def test_a_new_user_gets_a_namespace(administration: httpx.Client) -> None:
    name = make.unique("ivan")
    page = administration.get("/-/admin/accounts/user/add/")
    done = administration.post(
        "/-/admin/accounts/user/add/",
        data={
            "csrfmiddlewaretoken": token_of(page),
            "username": name,
            "usable_password": "true",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
        headers={"Referer": str(page.url)},
    )
    assert done.status_code == 200
    assert Namespace.objects.get(name=name, user__username=name)


def test_a_repository_is_made_public_there(
    administration: httpx.Client, cast: Cast, private_api: Repository
) -> None:
    path = f"/-/admin/repositories/repository/{private_api.pk}/change/"
    page = administration.get(path)
    assert page.status_code == 200
    forms = re.findall(r'name="(grants-[A-Z_]+)" value="(\d*)"', page.text)
    rows = re.findall(
        r'name="(grants-\d+-(?:id|repository|tag_glob))" value="([^"]*)"', page.text
    )
    chosen = re.findall(
        r'<select name="(grants-\d+-(?:user|team|robot|role))".*?</select>',
        page.text,
        re.DOTALL,
    )
    selected = {}
    for name in chosen:
        block = re.search(rf'<select name="{name}".*?</select>', page.text, re.DOTALL)
        assert block
        option = re.search(r'value="([^"]*)" selected', block[0])
        selected[name] = option[1] if option else ""
    done = administration.post(
        path,
        data={
            "csrfmiddlewaretoken": token_of(page),
            "visibility": "public",
            **dict(forms),
            **dict(rows),
            **selected,
        },
        headers={"Referer": str(page.url)},
    )
    assert done.status_code == 200
    private_api.refresh_from_db()
    assert private_api.is_public, done.text[-3000:]
    assert private_api.grants.count() == 3


def test_a_refusal_leaves_the_connection_in_order(registry: BerthServer) -> None:
    """A small body is taken whole; after a large one the client is told to hang up."""
    with httpx.Client(base_url=registry.url, timeout=60) as client:
        for size in (1000, 2_000_000, 20_000_000):
            for _ in range(5):
                body = {"name": "x" * size}
                try:
                    refused = client.post("/api/v1/organizations", json=body)
                except httpx.WriteError:  # the refusal came in the middle of it
                    assert size > 2_500_000
                    continue
                assert refused.status_code == 401
                if size > 2_500_000:
                    assert refused.headers["Connection"] == "close"
                assert client.get("/healthz").status_code == 200


def test_a_new_organization_gets_its_owner(
    administration: httpx.Client, cast: Cast
) -> None:
    name = make.unique("guild")
    page = administration.get("/-/admin/accounts/organization/add/")
    done = administration.post(
        "/-/admin/accounts/organization/add/",
        data={
            "csrfmiddlewaretoken": token_of(page),
            "name": name,
            "owner": str(cast.dave.pk),
            "display_name": "The Guild",
        },
        headers={"Referer": str(page.url)},
    )
    assert done.status_code == 200
    organization = Namespace.objects.get(name=name).organization
    assert organization is not None, done.text[-2000:]
    assert organization.display_name == "The Guild"
    assert organization.teams.filter(
        name="owners", memberships__user=cast.dave
    ).exists()


def test_a_part_that_hangs_is_reported_and_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Readiness does not hang with the disk or database that it asks (E9)."""
    monkeypatch.setattr(health, "ANSWER_SECONDS", 0.1)
    answered = threading.Event()
    asked: list[int] = []

    def hang() -> str:
        asked.append(1)
        answered.wait(60)
        return health.OK

    part = health.Part("blob store", hang)
    assert [part.state() for _ in range(3)] == [health.UNAVAILABLE] * 3
    assert len(asked) == 1, "one thread waits, however often it is asked"
    assert part.problem == "the blob store does not answer"
    answered.set()
    monkeypatch.setattr(health, "ANSWER_SECONDS", 30)
    assert part.state() == health.OK
    assert part.problem == ""
