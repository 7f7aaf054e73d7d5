"""One's settings: profile, security, notifications, and a new organization."""

from collections.abc import Iterator

import pytest

from accounts.models import Namespace, User
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, title_of
from tests.servers import BerthServer

PAGES = {
    "/settings/profile": "Profile · Berth",
    "/settings/security": "Password and 2FA · Berth",
    "/settings/notifications": "Notifications · Berth",
    "/settings/tokens": "Access tokens · Berth",
    "/settings/logins": "Docker logins · Berth",
    "/organizations/new": "New organization · Berth",
    "/new": "New repository · Berth",
    "/accounts/email/": "Email addresses · Berth",
    "/accounts/sessions/": "Sessions · Berth",
    "/accounts/password/set/": "Set a password · Berth",
}


@pytest.fixture
def dave(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, cast.dave) as client:
        yield client


@pytest.mark.parametrize(("path", "title"), PAGES.items())
def test_the_pages_are_there_and_say_what_they_are(
    dave: PageClient, path: str, title: str
) -> None:
    page = dave.get(path)
    assert page.status_code == 200
    assert title_of(page) == title


@pytest.mark.parametrize("path", PAGES)
def test_who_did_not_sign_in_is_asked_to(registry: BerthServer, path: str) -> None:
    with PageClient(registry.url) as nobody:
        asked = nobody.get(path)
    assert asked.status_code == 302
    assert asked.headers["Location"].startswith("/accounts/login/?next=/")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_asks_few_questions(
    path: str,
    cast: Cast,
    client: object,
    database: None,
    django_assert_max_num_queries: object,
) -> None:
    client.force_login(cast.alice)  # type: ignore[attr-defined]
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        page = client.get(path)  # type: ignore[attr-defined]
    assert page.status_code == 200


def test_settings_lead_to_the_profile(dave: PageClient) -> None:
    assert dave.get("/settings").headers["Location"] == "/settings/profile"


def test_a_display_name_is_changed_and_shown_as_text(registry: BerthServer) -> None:
    person = make.user("xena")
    canary = '"><script src="https://evil.example/x.js"></script>'
    with PageClient(registry.url, person) as xena:
        done = xena.post("/settings/profile", {"display_name": canary})
        assert done.status_code == 302
        page = xena.get("/settings/profile")
    assert User.objects.get(pk=person.pk).display_name == canary
    assert canary not in page.text
    assert "Saved." in page.text


def test_a_display_name_that_is_too_long_is_refused(dave: PageClient) -> None:
    done = dave.post("/settings/profile", {"display_name": "x" * 101})
    assert done.status_code == 422
    assert title_of(done) == "Error: Profile · Berth"


def test_who_founds_an_organization_owns_it(dave: PageClient, cast: Cast) -> None:
    name = make.unique("guild")
    done = dave.post("/organizations/new", {"name": name, "display_name": "The Guild"})
    assert done.status_code == 302
    assert done.headers["Location"] == f"/{name}"
    organization = Namespace.objects.get(name=name).organization
    assert organization is not None
    assert organization.display_name == "The Guild"
    assert organization.teams.get(name="owners").memberships.get().user == cast.dave


@pytest.mark.parametrize("name", ["acme", "dave", "settings", "Bad Name", ""])
def test_a_name_that_cannot_be_is_refused(
    dave: PageClient, cast: Cast, name: str
) -> None:
    taken = {"acme": cast.acme.namespace.name, "dave": cast.dave.username}
    before = Namespace.objects.count()
    done = dave.post("/organizations/new", {"name": taken.get(name, name)})
    assert done.status_code == 422
    assert title_of(done) == "Error: New organization · Berth"
    assert Namespace.objects.count() == before


@pytest.mark.parametrize(
    "path", ["/settings/profile", "/organizations/new", "/new", "/settings/tokens"]
)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_there(dave: PageClient, path: str, method: str) -> None:
    token = dave.get(path).text.split('name="csrfmiddlewaretoken" value="')[1][:64]
    refused = dave.http.request(method, path, headers={"X-CSRFToken": token})
    assert refused.status_code == 405


def test_a_form_from_elsewhere_changes_nothing(dave: PageClient) -> None:
    before = Namespace.objects.count()
    for data in ({"name": make.unique("forged")}, {}):
        forged = dave.http.post(
            "/organizations/new", data=data, headers={"Origin": "https://evil.example"}
        )
        assert forged.status_code == 403
        assert "<h1>" in forged.text
    assert Namespace.objects.count() == before
