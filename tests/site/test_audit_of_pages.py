"""What the administration and the command line leave in the audit log."""

from collections.abc import Iterator
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import httpx
import pytest
from allauth.mfa import signals
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.test import RequestFactory

from accounts.actors import SYSTEM
from accounts.models import Namespace, Organization, Robot, Team, User
from accounts.users import create_user, suspend_user
from repositories.models import Category, Event, Grant, Repository
from tests import make
from tests.conftest import Cast
from tests.servers import BerthServer

PASSWORD = "a long enough password"
# Models of the administration, and how the tests below reach their changes.
COVERED = {
    *("User", "Organization", "Team", "Namespace", "Robot"),
    *("Repository", "Category"),
    "AccessToken",  # tests/accounts/test_leaked_tokens.py
}
READ_ONLY = {"Event"}


class Form(HTMLParser):
    """The fields of a page with the values that a browser would send back."""

    def __init__(self, page: httpx.Response) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._select = self._area = ""
        self.feed(page.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        name = values.get("name", "")
        if tag == "input" and name and values.get("type") not in {"submit", "search"}:
            is_box = values.get("type") == "checkbox"
            if not is_box or "checked" in values:
                self.fields[name] = values.get("value", "on" if is_box else "")
        elif tag == "select":
            self._select = name
            if "multiple" not in values:
                self.fields.setdefault(name, "")
        elif tag == "option" and self._select and "selected" in values:
            self.fields[self._select] = values.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, text: str) -> None:
        if self._area:
            self.fields[self._area] += text.removeprefix("\n")


class Browser:
    """An administrator's session; every change is looked up in the log."""

    def __init__(self, client: httpx.Client, user: User) -> None:
        self.client, self.user = client, user

    def submit(self, path: str, **changed: str | None) -> httpx.Response:
        """Fill in a form and send it; None takes a field (a checkbox) out."""
        page = self.client.get(path)
        assert page.status_code == 200, path
        fields = Form(page).fields | changed
        sent = {name: value for name, value in fields.items() if value is not None}
        done = self.client.post(path, data=sent, headers={"Referer": str(page.url)})
        assert done.status_code == 200, (path, done.text[:2000])
        return done

    def change(self, path: str, **changed: str | None) -> list[tuple[str, Any]]:
        """Send a form and return what it left in the log."""
        before = Event.objects.latest("pk").pk
        done = self.submit(path, **changed)
        events = list(Event.objects.filter(pk__gt=before).order_by("pk"))
        assert events or "errorlist" in done.text, (path, done.text[-3000:])
        for event in events:
            assert event.actor_name == self.user.username
            assert event.user_id == self.user.pk
            assert event.address in {"127.0.0.1", "::1"}
        return [(event.kind, event.detail) for event in events]


def open_browser(registry: BerthServer) -> httpx.Client:
    return httpx.Client(base_url=registry.url, follow_redirects=True, timeout=60)


@pytest.fixture(scope="module")
def browser(registry: BerthServer) -> Iterator[Browser]:
    root = make.user("root", password=PASSWORD, is_superuser=True, is_staff=True)
    with open_browser(registry) as client:
        session = Browser(client, root)
        login = {"login": root.username, "password": PASSWORD}
        told = session.change("/accounts/login/?next=/-/admin/", **login)
        assert told == [("user.signed_in", {"user": root.username})]
        yield session


def test_no_model_of_the_administration_is_missing_here() -> None:
    """One that is registered shows below that its changes are recorded."""
    registered = {model.__name__ for model in admin.site._registry}
    assert registered == COVERED | READ_ONLY


def test_a_user_there(browser: Browser) -> None:
    name = make.unique("ivan")
    created = browser.change(
        "/-/admin/accounts/user/add/",
        username=name,
        usable_password="true",
        password1=PASSWORD,
        password2=PASSWORD,
    )
    assert created == [("user.created", {"user": name, "is_superuser": False})]
    user = User.objects.get(username=name)
    assert user.check_password(PASSWORD)
    path = f"/-/admin/accounts/user/{user.pk}"
    email = f"{name}@example.com"
    changed = browser.change(f"{path}/change/", email=email, is_superuser="on")
    assert changed == [
        (
            "user.changed",
            {"user": name, "changed": ["email", "is_superuser"], "is_superuser": True},
        )
    ]
    off = browser.change(f"{path}/change/", is_active=None)
    assert off == [("user.suspended", {"user": name})]
    assert browser.change(f"{path}/change/", is_active="on") == [
        ("user.activated", {"user": name})
    ]
    password = {"password1": PASSWORD + "!", "password2": PASSWORD + "!"}
    reset = browser.change(f"{path}/password/", usable_password="true", **password)
    assert reset == [("user.password_changed", {"user": name})]
    user.refresh_from_db()
    assert (user.email, user.is_superuser, user.is_active) == (email, True, True)
    assert user.check_password(PASSWORD + "!")


def test_the_only_owner_is_suspended_there_too(browser: Browser) -> None:
    """The audit log says which organization has no owner any more."""
    owner = make.user("owner")
    acme = make.organization(owner=owner)
    path = f"/-/admin/accounts/user/{owner.pk}/change/"
    left = {"user": owner.username, "without_owner": [acme.namespace.name]}
    assert browser.change(path, is_active=None) == [("user.suspended", left)]
    assert not User.objects.get(pk=owner.pk).is_active


def test_ones_own_password_there(registry: BerthServer) -> None:
    root = make.user("root", password=PASSWORD, is_superuser=True, is_staff=True)
    with open_browser(registry) as client:
        session = Browser(client, root)
        session.submit(
            "/accounts/login/?next=/-/admin/", login=root.username, password=PASSWORD
        )
        told = session.change(
            "/-/admin/password_change/",
            old_password=PASSWORD,
            new_password1=PASSWORD + "!",
            new_password2=PASSWORD + "!",
        )
        assert told == [("user.password_changed", {"user": root.username})]
        assert client.get("/-/admin/").status_code == 200, "and stays signed in"


def test_what_people_change_of_their_own_account(registry: BerthServer) -> None:
    user = make.user("olga", password=PASSWORD)
    with open_browser(registry) as client:
        session = Browser(client, user)
        login = {"login": user.username, "password": PASSWORD}
        told = session.change("/accounts/login/", **login)
        assert told == [("user.signed_in", {"user": user.username})]
        told = session.change(
            "/accounts/password/change/",
            oldpassword=PASSWORD,
            password1=PASSWORD + "!",
            password2=PASSWORD + "!",
        )
        assert told == [("user.password_changed", {"user": user.username})]


@pytest.mark.parametrize("change", ["added", "removed", "reset"])
def test_a_second_factor_is_recorded_without_its_key(
    cast: Cast, rf: RequestFactory, change: str
) -> None:
    """allauth's signal, as its pages send it."""
    factor = Authenticator(
        user=cast.bob, type=Authenticator.Type.TOTP, data={"secret": "key"}
    )
    request = rf.post("/", REMOTE_ADDR="203.0.113.9")
    signal: Any = getattr(signals, f"authenticator_{change}")
    signal.send(Authenticator, request=request, user=cast.bob, authenticator=factor)
    event = Event.objects.of_namespace(cast.bob.namespace).latest("pk")
    assert (event.kind, event.address) == ("user.second_factor", "203.0.113.9")
    wanted = {"user": cast.bob.username, "change": change, "type": "totp"}
    assert event.detail == wanted


def test_an_organization_there(browser: Browser, cast: Cast) -> None:
    name = make.unique("guild")
    made = browser.change(
        "/-/admin/accounts/organization/add/", name=name, owner=str(cast.dave.pk)
    )
    assert made == [("organization.created", {"owner": cast.dave.username})]
    organization = Organization.objects.get(namespace__name=name)
    path = f"/-/admin/accounts/organization/{organization.pk}/change/"
    assert browser.change(path, display_name="Guild") == [
        ("organization.changed", {"changed": ["display_name"]})
    ]
    path = f"/-/admin/accounts/namespace/{organization.namespace.pk}/change/"
    assert browser.change(path, is_verified="on") == [
        ("organization.changed", {"changed": ["is_verified"], "is_verified": True})
    ]
    assert Namespace.objects.get(name=name).is_verified


def test_a_team_there(browser: Browser, cast: Cast) -> None:
    organization = make.organization(owner=cast.dave)
    made = browser.change(
        "/-/admin/accounts/team/add/",
        organization=str(organization.pk),
        name="testers",
        standing="member",
        **{"memberships-TOTAL_FORMS": "1", "memberships-0-user": str(cast.bob.pk)},
    )
    bob, carol = cast.bob.username, cast.carol.username
    assert made == [
        ("team.created", {"team": "testers", "standing": "member"}),
        ("member.added", {"team": "testers", "member": bob}),
    ]
    team = Team.objects.get(organization=organization, name="testers")
    path = f"/-/admin/accounts/team/{team.pk}"
    changed = browser.change(
        f"{path}/change/",
        standing="admin",
        **{"memberships-0-user": str(cast.carol.pk)},
    )
    was = {"changed": ["standing"], "standing": "admin", "was": {"standing": "member"}}
    assert changed == [
        ("team.changed", {"team": "testers", **was}),
        ("member.added", {"team": "testers", "member": carol}),
        ("member.removed", {"team": "testers", "member": bob}),
    ]
    gone = browser.change(f"{path}/change/", **{"memberships-0-DELETE": "on"})
    assert gone == [("member.removed", {"team": "testers", "member": carol})]
    deleted = browser.change(f"{path}/delete/", post="yes")
    assert deleted == [("team.deleted", {"team": "testers", "members": []})]
    bulk = {"action": "delete_selected", "_selected_action": str(team.pk)}
    before = Event.objects.latest("pk").pk
    browser.submit("/-/admin/accounts/team/", **bulk)
    assert Event.objects.latest("pk").pk == before


def test_the_owners_team_there(browser: Browser, cast: Cast) -> None:
    organization = make.organization(owner=cast.dave)
    owners = Team.objects.get(organization=organization)
    path = f"/-/admin/accounts/team/{owners.pk}"
    assert browser.change(f"{path}/change/", **{"memberships-0-DELETE": "on"}) == []
    assert owners.memberships.count() == 1
    assert browser.client.get(f"{path}/delete/").status_code == 403
    added = browser.change(
        f"{path}/change/",
        **{"memberships-TOTAL_FORMS": "2", "memberships-1-user": str(cast.bob.pk)},
    )
    assert added == [
        ("member.added", {"team": "owners", "member": cast.bob.username}),
    ]
    gone = make.user("gone")
    owners.memberships.filter(user=cast.bob).update(user=gone)
    suspend_user(user=gone, actor=SYSTEM)
    order = [row.user_id for row in owners.memberships.order_by("pk")]
    first = order.index(cast.dave.pk)
    fields = {f"memberships-{first}-DELETE": "on"}
    assert browser.change(f"{path}/change/", **fields) == [], "gone cannot sign in"
    assert owners.memberships.count() == 2


def test_a_robot_there(browser: Browser, cast: Cast) -> None:
    robot, _ = make.robot(cast.acme.namespace)
    path = f"/-/admin/accounts/robot/{robot.pk}"
    assert browser.change(f"{path}/change/", is_active=None) == [
        (
            "robot.changed",
            {"robot": robot.username, "changed": ["is_active"], "is_active": False},
        )
    ]
    assert browser.change(f"{path}/delete/", post="yes") == [
        ("robot.deleted", {"robot": robot.username})
    ]
    assert not Robot.objects.filter(pk=robot.pk).exists()


def test_a_repository_there(
    browser: Browser, cast: Cast, private_api: Repository
) -> None:
    path = f"/-/admin/repositories/repository/{private_api.pk}/change/"
    told = browser.change(path, visibility="public", readme="# Read me")
    assert [kind for kind, _ in told] == ["repository.changed", "repository.visibility"]
    fields = Form(browser.client.get(path)).fields
    pks = [fields[f"grants-{number}-id"] for number in range(3)]
    of = {str(grant.pk): grant for grant in Grant.objects.filter(pk__in=pks)}
    carols = next(n for n, pk in enumerate(pks) if of[pk].user_id == cast.carol.pk)
    assert browser.change(path, **{f"grants-{carols}-role": "write"}) == [
        grant_told("grant.set", cast.carol, "write")
    ]
    assert browser.change(path, **{f"grants-{carols}-user": str(cast.dave.pk)}) == [
        grant_told("grant.removed", cast.carol, "write"),
        grant_told("grant.set", cast.dave, "write"),
    ]
    fields = Form(browser.client.get(path)).fields
    daves = next(n for n in range(3) if fields[f"grants-{n}-user"] == str(cast.dave.pk))
    assert browser.change(path, **{f"grants-{daves}-DELETE": "on"}) == [
        grant_told("grant.removed", cast.dave, "write")
    ]
    more = {"grants-TOTAL_FORMS": "3", "grants-2-role": "read"}
    added = browser.change(path, **more, **{"grants-2-user": str(cast.dave.pk)})
    assert added == [grant_told("grant.set", cast.dave, "read")]


def test_a_category_there(browser: Browser, private_api: Repository) -> None:
    slug = make.unique("shelf")
    detail = {"category": slug, "name": "Shelf"}
    assert browser.change(
        "/-/admin/repositories/category/add/", slug=slug, name="Shelf"
    ) == [("category.set", detail)]
    category = Category.objects.get(slug=slug)
    path = f"/-/admin/repositories/repository/{private_api.pk}/change/"
    assert browser.change(path, categories=str(category.pk)) == [
        ("repository.changed", {"changed": ["categories"], "categories": [slug]})
    ]
    assert list(private_api.categories.all()) == [category]
    path = f"/-/admin/repositories/category/{category.pk}/delete/"
    assert browser.change(path, post="yes") == [("category.removed", detail)]


def grant_told(kind: str, user: User, role: str) -> tuple[str, dict[str, Any]]:
    subject = {"kind": "user", "name": user.username}
    return kind, {"subject": subject, "role": role, "tags": ""}


# --- the command line


def test_an_administrator_from_the_command_line(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = make.unique("boss")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    arguments = {"username": name, "email": f"{name}@example.com"}
    call_command("createsuperuser", "--noinput", **arguments, stdout=StringIO())
    event = Event.objects.get(kind="user.created", namespace__name=name)
    assert (event.actor_name, event.address) == ("command line", None)
    assert event.detail == {"user": name, "is_superuser": True}


def test_an_administrator_does_not_take_an_organizations_name(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    name = cast.acme.namespace.name
    with pytest.raises(CommandError, match="taken"):
        call_command("createsuperuser", "--noinput", username=name, email="x@acme.test")
    assert not User.objects.filter(username=name).exists()


def test_a_password_from_the_command_line(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = create_user(username=make.unique("vic"), password=None, actor=make.SYSTEM)
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSWORD)
    call_command("changepassword", user.username, stdout=StringIO())
    event = Event.objects.of_namespace(user.namespace).latest("pk")
    assert (event.kind, event.actor_name) == ("user.password_changed", "command line")
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
