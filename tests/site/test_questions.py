"""Pages ask before access is removed, or offer an Undo (F2)."""

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
from allauth.account.models import EmailAddress
from django.db.models import Model

from accounts.authentication import actor_of
from accounts.invitations import invite
from accounts.models import AccessToken, Invitation, Membership, Robot, Team, User
from repositories.models import DefaultPermission, Grant, Manifest, Repository
from repositories.rights.defaults import add_default
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from webhooks.models import Webhook


class _Controls(HTMLParser):
    """The links and the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []  # address and class
        self.forms: list[dict[str, Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a":
            self.links.append((given.get("href", ""), given.get("class", "")))
        elif tag == "form":
            self.forms.append({**given, "fields": {}, "buttons": []})
        elif tag == "input" and self.forms and given.get("type") == "hidden":
            self.forms[-1]["fields"][given["name"]] = given.get("value", "")
        elif tag == "button" and self.forms and "form" not in given:
            self.forms[-1]["buttons"].append(given)


def controls_of(text: str) -> _Controls:
    parser = _Controls()
    parser.feed(text)
    return parser


@pytest.fixture
def everything(cast: Cast, alice: RegistryClient) -> Iterator[dict[str, Any]]:
    """An organization of its own with one of everything that can be removed."""
    owner, bob, carol = (make.user(name) for name in ("olga", "boris", "clara"))
    acme = make.organization(owner=owner, name="removals")
    team = make.team(acme, bob, name="backend")
    own_team = make.team(acme, owner, name="own")
    repository = make.repository(acme.namespace, "api")
    grant = make.grant(repository, carol, "write")
    make.grant(repository, team, "read")
    robot, _ = make.robot(acme.namespace)
    actor = actor_of(owner)
    invitation, _ = invite(team=team, actor=actor, email="x@example.com")
    rule = add_default(
        namespace=acme.namespace, creator=None, subject=team, role="read", actor=actor
    )
    webhook, _ = make.webhook("https://hooks.example.com/x", repository=repository)
    make.access_token(owner)
    token = AccessToken.objects.get(user=owner)
    emails = [f"{make.unique('mail')}@example.com" for _ in range(2)]
    for email in emails:
        EmailAddress.objects.create(
            user=owner, email=email, primary=email == emails[0], verified=True
        )
    client = RegistryClient(
        alice.http, alice.url, owner.username, make.access_token(owner)
    )
    client.push(f"{repository.full_name}:v1", image())
    manifest = Manifest.objects.filter(repository=repository).latest("pk")
    yield {
        "owner": owner,
        "bob": bob,
        "carol": carol,
        "name": acme.namespace.name,
        "team": team,
        "own_team": own_team,
        "grant": grant,
        "robot": robot,
        "invitation": invitation,
        "rule": rule,
        "webhook": webhook,
        "token": token,
        "email": emails[1],
        "digest": manifest.digest,
    }


def there(rows: type[Model], **wanted: Any) -> Callable[[], bool]:
    return lambda: rows._default_manager.filter(**wanted).exists()


def test_every_removal_of_access_asks_first(
    registry: BerthServer, everything: dict[str, Any]
) -> None:
    """A link leads to a question that names what is lost; its button removes it."""
    here: Any = everything
    home = f"/{here['name']}"
    api = f"{home}/api"
    team = f"{home}/-/teams/{here['team'].name}"
    own_team = f"{home}/-/teams/{here['own_team'].name}"
    robot = f"{home}/-/robots/{here['robot'].name}"
    # The page, the address of the question there, what the question names, what goes.
    table: list[tuple[str, str, str, Callable[[], bool]]] = [
        (
            *(f"{api}/-/access", f"{api}/-/access/{here['grant'].pk}?remove=1"),
            *("write on", there(Grant, pk=here["grant"].pk)),
        ),
        (
            *(team, f"{team}/leave?member={here['bob']}", "read on"),
            there(Membership, team=here["team"], user=here["bob"]),
        ),
        (
            *(own_team, f"{own_team}/leave?member={here['owner']}"),
            *("Leave team", there(Membership, team=here["own_team"])),
        ),
        (
            *(team, f"{home}/-/invitations/{here['invitation'].pk}/withdraw"),
            *("x@example.com", there(Invitation, pk=here["invitation"].pk)),
        ),
        (
            *(f"{home}/-/defaults", f"{home}/-/defaults/{here['rule'].pk}/remove"),
            *("Existing access stays", there(DefaultPermission, pk=here["rule"].pk)),
        ),
        (
            *(robot, f"{robot}/token", "The old token is revoked"),
            there(Robot, pk=here["robot"].pk, token_hash=here["robot"].token_hash),
        ),
        (*(robot, f"{robot}/delete", "Anything"), there(Robot, pk=here["robot"].pk)),
        (*(team, f"{team}/delete", "read on"), there(Team, pk=here["team"].pk)),
        (
            *("/settings/tokens", f"/settings/tokens/{here['token'].pk}/revoke"),
            *(
                "stops working",
                there(AccessToken, pk=here["token"].pk, revoked_at=None),
            ),
        ),
        (
            f"{api}/-/webhooks/{here['webhook'].pk}",
            *(f"{api}/-/webhooks/{here['webhook'].pk}/delete", "no more events"),
            there(Webhook, pk=here["webhook"].pk),
        ),
        (
            "/accounts/email/",
            f"/settings/emails/remove?email={quote(here['email'])}",
            *(here["email"], there(EmailAddress, email=here["email"])),
        ),
        (
            f"{api}@{here['digest']}",
            *(f"{api}/-/manifests/{here['digest']}/delete", "v1"),
            there(Manifest, digest=here["digest"], repository__name="api"),
        ),
    ]
    make.grant(
        Repository.objects.get(pk=here["grant"].repository_id), here["bob"], "read"
    )
    with PageClient(registry.url, here["owner"]) as browser:
        for page_url, question_url, words, is_there in table:
            page = browser.get(page_url)
            links = [link for link, _classes in controls_of(page.text).links]
            assert question_url in [link.replace("&amp;", "&") for link in links], (
                page_url,
                links,
            )
            question = browser.get(question_url)
            assert question.status_code == 200, question_url
            assert words in question.text, question_url
            assert is_there(), f"{question_url} was not asked"
            form = next(
                form
                for form in controls_of(question.text).forms
                if "confirm" in form.get("class", "")
            )
            target = form.get("action") or question_url
            done = browser.post(target, form["fields"], question)
            assert done.status_code in {200, 302}, (target, done.text)
            assert not is_there(), f"{question_url} removed nothing"
        for person in (here["carol"], here["bob"], here["owner"]):
            question_url = f"{home}/-/people/remove?person={person.username}"
            question = browser.get(question_url)
            assert question.status_code == 200
            done = browser.post(question_url, {"person": person.username}, question)
            assert done.status_code == 302


@pytest.mark.once  # it is about the words of pages
def test_no_page_has_a_button_that_removes_at_once(
    registry: BerthServer, everything: dict[str, Any]
) -> None:
    """In a form that changes something, a button in the color of danger has an Undo,
    or asks for a name to be typed; all others are links to a question.
    """
    here: Any = everything
    home = f"/{here['name']}"
    undone_or_typed = ("/-/tags/delete", "/-/settings/delete")
    paths = [
        *("/settings/tokens", "/settings/logins", "/settings/security"),
        *("/accounts/email/", "/accounts/sessions/", "/settings/notifications"),
        *(f"{home}/-/{rest}" for rest in ("people", "teams", "robots", "defaults")),
        *(
            f"{home}/-/settings",
            f"{home}/-/deleted",
            f"{home}/-/teams/{here['team'].name}",
        ),
        f"{home}/-/robots/{here['robot'].name}",
        *(f"{home}/api{rest}" for rest in ("", "/-/tags", ":v1", "/-/access")),
        f"{home}/api@{here['digest']}",
        *(f"{home}/api/-/settings", f"{home}/api/-/webhooks"),
        f"{home}/api/-/webhooks/{here['webhook'].pk}",
    ]
    with PageClient(registry.url, here["owner"]) as browser:
        for path in paths:
            page = browser.get(path, follow_redirects=True)
            assert page.status_code == 200, path
            for form in controls_of(page.text).forms:
                if form.get("method", "").lower() != "post":
                    continue
                if form.get("action", "").endswith(undone_or_typed):
                    continue
                dangerous = [
                    b for b in form["buttons"] if "danger" in b.get("class", "")
                ]
                assert not dangerous, (path, form)


def test_a_robot_is_disabled_with_an_undo(
    registry: BerthServer, everything: dict[str, Any]
) -> None:
    robot: Robot = everything["robot"]
    path = f"/{everything['name']}/-/robots/{robot.name}"
    with PageClient(registry.url, everything["owner"]) as browser:
        browser.post(f"{path}/switch", {}, browser.get(path))
        robot.refresh_from_db()
        assert not robot.is_active
        page = browser.get(path)
        (undo,) = [
            form["action"]
            for form in controls_of(page.text).forms
            if any("data-undo" in button for button in form["buttons"])
        ]
        browser.post(undo, {}, page)
        robot.refresh_from_db()
        assert robot.is_active


def test_an_organization_with_repositories_says_what_to_do_before(
    registry: BerthServer, everything: dict[str, Any]
) -> None:
    """Settings explain why it cannot be deleted, and offer no button for it (F14)."""
    home = f"/{everything['name']}"
    owner: User = everything["owner"]
    with PageClient(registry.url, owner) as browser:
        settings = browser.get(f"{home}/-/settings")
        assert "still has repositories. Delete or transfer them first." in settings.text
        links = [link for link, _classes in controls_of(settings.text).links]
        assert f"{home}/-/settings/delete" not in links
        question = browser.get(f"{home}/-/settings/delete")
        assert "still has repositories" in question.text
        assert "Delete organization</button>" not in question.text
        refused = browser.post(f"{home}/-/settings/delete", {}, question)
        assert refused.status_code == 422
        Repository.objects.filter(namespace__name=everything["name"]).delete()
        assert (
            f'href="{home}/-/settings/delete"' in browser.get(f"{home}/-/settings").text
        )
