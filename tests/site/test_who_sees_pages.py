"""Who gets what from every page but those of one repository; none is missing.

Pages of a repository are in tests/hub/repository/test_who_sees_what.py, Django's
administration and allauth's account pages are theirs.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.urls import reverse

from accounts.actors import ANONYMOUS
from accounts.authentication import actor_of
from accounts.invitations import invite
from accounts.models import User
from accounts.tokens import issue_access_token
from repositories.lifecycle import delete_repository
from repositories.rights.defaults import add_default
from repositories.watches import watch
from tests import make
from tests.conftest import TEST_DATABASE, Cast
from tests.pages import PageClient
from tests.servers import BerthServer
from tests.site.test_cross_site import patterns, variables_of
from webhooks.delivery.redelivery import send_test
from webhooks.registration import delete_webhook

SIGN_IN = "sign in"
Answers = tuple[int | str, ...]


def everybody(status: int) -> Answers:
    return (status,) * 8


def signed_in(status: int) -> Answers:
    return (*(status,) * 5, SIGN_IN, status, SIGN_IN)


def owner(status: int, others: int = 403) -> Answers:
    return (status, *(others,) * 4, SIGN_IN, others, SIGN_IN)


def administrator(status: int) -> Answers:
    return (*(403,) * 5, SIGN_IN, status, SIGN_IN)


MEMBERS: Answers = (200, 200, 403, 403, 403, SIGN_IN, 403, SIGN_IN)
INVITED: Answers = (404, 404, 404, 404, 400, SIGN_IN, 404, SIGN_IN)

# Page -> GET and POST (an empty form) for owner, member, reader, former member,
# stranger, somebody suspended, the site's administrator and nobody, in this order;
# what is not named answers 405. Rows that end what others need stand last.
TABLE: dict[str, dict[str, Answers]] = {
    "home": {"GET": everybody(200), "POST": everybody(200)},
    "asset": {"GET": everybody(200), "POST": everybody(200)},
    "docs": {"GET": everybody(200)},
    "docs-page": {"GET": everybody(404)},
    "favicon.ico": {"GET": everybody(302), "POST": everybody(302)},
    "robots.txt": {"GET": everybody(200)},
    ".well-known/change-password": {"GET": everybody(302), "POST": everybody(302)},
    "healthz": {"GET": everybody(200), "POST": everybody(200)},
    "readyz": {"GET": everybody(200), "POST": everybody(200)},
    "readyz/pulls": {"GET": everybody(200), "POST": everybody(200)},
    "invitation-page": {"GET": everybody(404), "POST": everybody(404)},
    "metrics": {"GET": (*(401,) * 6, 200, 401)},
    "webhooks:site-list": {"GET": administrator(200), "POST": administrator(422)},
    "webhooks:site-webhook": {"GET": administrator(200), "POST": administrator(422)},
    "webhooks:site-secret": {"POST": administrator(200)},
    "webhooks:site-active": {"POST": administrator(302)},
    "webhooks:site-test": {"POST": administrator(302)},
    "webhooks:site-redeliver-failed": {"POST": administrator(302)},
    "webhooks:site-redeliver": {"POST": administrator(302)},
    "webhooks:site-delete": {"GET": administrator(200), "POST": administrator(302)},
    "notifications:inbox": {"GET": signed_in(200)},
    "notifications:read": {"POST": signed_in(400)},
    "notifications:mail": {"POST": signed_in(302)},
    "notifications:end-watch": {"POST": owner(302, others=404)},
    "notifications:invitation": {"POST": INVITED},
    "settings": {"GET": everybody(302), "POST": everybody(302)},
    "distribution:logins": {"GET": signed_in(200), "POST": signed_in(400)},
    "accounts:profile": {"GET": signed_in(200), "POST": signed_in(302)},
    "accounts:security": {"GET": signed_in(200)},
    "accounts:first-sign-in": {"GET": signed_in(302), "POST": signed_in(302)},
    "accounts:remove-email": {"GET": signed_in(404)},
    "accounts:end-sessions": {"GET": signed_in(200)},
    "accounts:remove-link": {"GET": signed_in(404)},
    "accounts:new-organization": {"GET": signed_in(200), "POST": signed_in(422)},
    "repositories:search": {"GET": everybody(200), "POST": everybody(200)},
    "repositories:suggestions": {"GET": everybody(200), "POST": everybody(200)},
    "repositories:new": {"GET": signed_in(200), "POST": signed_in(422)},
    "repositories:check-name": {"GET": signed_in(200)},
    "repositories:access-tokens": {"GET": signed_in(200), "POST": signed_in(422)},
    "repositories:former-names": {"GET": signed_in(200), "POST": signed_in(404)},
    "repositories:account": {"GET": signed_in(200)},
    "repositories:rename-account": {"POST": signed_in(422)},
    "repositories:delete-account": {"GET": signed_in(200), "POST": signed_in(422)},
    "repositories:revoke-token": {
        "GET": owner(200, others=404),
        "POST": owner(302, others=404),
    },
    "webhooks:namespace-list": {"GET": owner(200), "POST": owner(422)},
    "webhooks:namespace-webhook": {"GET": owner(200), "POST": owner(422)},
    "webhooks:namespace-secret": {"POST": owner(200)},
    "webhooks:namespace-active": {"POST": owner(302)},
    "webhooks:namespace-test": {"POST": owner(302)},
    "webhooks:namespace-redeliver-failed": {"POST": owner(302)},
    "webhooks:namespace-redeliver": {"POST": owner(302)},
    "webhooks:namespace-delete": {"GET": owner(200), "POST": owner(302)},
    "repositories:namespace": {"GET": everybody(200)},
    "repositories:teams": {"GET": MEMBERS, "POST": owner(422)},
    "repositories:team": {"GET": MEMBERS, "POST": owner(422)},
    "repositories:why": {"GET": owner(422)},
    "repositories:join-team": {"POST": owner(422)},
    "repositories:leave-team": {"GET": owner(404), "POST": owner(404)},
    "repositories:withdraw-invitation": {"GET": owner(200), "POST": owner(302)},
    "repositories:people": {"GET": MEMBERS},
    "repositories:invite": {"GET": owner(200), "POST": owner(422)},
    "repositories:remove-person": {"GET": owner(404), "POST": owner(404)},
    "repositories:robots": {"GET": owner(200), "POST": owner(422)},
    "repositories:robot": {"GET": owner(200)},
    "repositories:robot-token": {"GET": owner(200), "POST": owner(200)},
    "repositories:switch-robot": {"POST": owner(302)},
    "repositories:robot-expiry": {"POST": owner(400)},
    "repositories:delete-robot": {"GET": owner(200), "POST": owner(302)},
    "repositories:defaults": {"GET": owner(200), "POST": owner(422)},
    "repositories:remove-default": {"GET": owner(200), "POST": owner(302)},
    "repositories:audit": {"GET": owner(200)},
    "repositories:deleted": {"GET": signed_in(200)},
    "repositories:deleted-repository": {"GET": owner(200, others=404)},
    "repositories:purge": {
        "GET": owner(200, others=404),
        "POST": owner(302, others=404),
    },
    "repositories:organization-settings": {"GET": owner(200), "POST": owner(302)},
    "repositories:rename-organization": {"POST": owner(422)},
    "repositories:delete-team": {"GET": owner(200), "POST": owner(302)},
    "repositories:delete-organization": {"GET": owner(200), "POST": owner(422)},
}


@dataclass(frozen=True)
class Place:
    """An organization with one of everything, and the people around it."""

    people: dict[str, User | None]
    words: dict[str, Any]
    hooks: dict[str, dict[str, Any]]

    def address(self, text: str, name: str) -> str:
        """Return the address of a route, by its text and the name of its page."""
        words = self.words | self.hooks.get(name.partition("-")[0], {})
        if name == text:
            return f"/{text}"
        return reverse(name, kwargs={key: words[key] for key in variables_of(text)})


@pytest.fixture
def place(cast: Cast) -> Iterator[Place]:
    owner, member, former, reader, stranger, disabled, root = (
        make.user(name)
        for name in ("owner", "member", "former", "reader", "other", "off", "root")
    )
    User.objects.filter(pk=root.pk).update(is_superuser=True, is_staff=True)
    User.objects.filter(pk=disabled.pk).update(is_active=False)
    actor = actor_of(owner)
    guild = make.organization(owner=owner, name="guild")
    team = make.team(guild, member, former, disabled)
    team.memberships.filter(user=former).delete()
    api = make.repository(guild.namespace, "api", actor=actor)
    make.grant(api, team, "write")
    make.grant(api, reader, "read")
    deleted = make.repository(guild.namespace, "deleted", actor=actor)
    make.grant(deleted, team, "write")
    delete_repository(repository=deleted, actor=actor)
    robot, _ = make.robot(guild.namespace)
    hook, _ = make.webhook("https://example.com/h", namespace=guild.namespace)
    of_site, _ = make.webhook("https://example.com/h")
    watch(repository=api, user=owner)
    token, _ = issue_access_token(
        user=owner, name="laptop", actions="read", actor=actor
    )
    invitation, _ = invite(team=team, actor=actor, user=stranger)
    default = add_default(
        namespace=guild.namespace, creator=None, subject=team, role="read", actor=actor
    )
    words = {
        "namespace": guild.namespace.name,
        "team": team.name,
        "robot": robot.name,
        "default": default.pk,
        "repository": deleted.pk,
        "invitation": invitation.pk,
        "invitation_id": invitation.pk,
        "token_id": token.pk,
        "watch_id": owner.watches.get().pk,
        "secret": "absent",
        "name": "berth.css",
    }
    hooks = {
        f"webhooks:{kind}": {
            "webhook_id": one.pk,
            "delivery": send_test(webhook=one).uuid,
        }
        for kind, one in (("namespace", hook), ("site", of_site))
    }
    hooks["docs"] = {"name": "absent"}
    yield Place(
        {
            "owner": owner,
            "member": member,
            "reader": reader,
            "former": former,
            "stranger": stranger,
            "disabled": disabled,
            "administrator": root,
            "anonymous": None,
        },
        words,
        hooks,
    )
    delete_webhook(webhook=of_site, actor=ANONYMOUS)


def routes() -> dict[str, str]:
    """Return name -> text of the routes that the table is about."""
    return {
        name if name.rpartition(":")[2] else text: text
        for text, name, _ in patterns()
        if not {"namespace", "name"} <= variables_of(text)
        and not text.startswith("accounts/")
    }


def test_no_page_is_missing_from_the_table() -> None:
    assert set(routes()) == set(TABLE)


def test_everybody_gets_the_answer_of_the_table(
    place: Place, registry: BerthServer
) -> None:
    """Those who may not are asked for each page before those who may.

    On the second database each answer of a page is asked for by one of those who get
    it: who is who, the rules decide, and test_rules_as_sets.py asks them on both.
    """
    texts = routes()
    wrong = {}
    with ExitStack() as stack:
        browsers = {
            who: stack.enter_context(PageClient(registry.url, user))
            for who, user in place.people.items()
        }
        forms = {who: form_of(browser) for who, browser in browsers.items()}
        for name, methods in TABLE.items():
            path = place.address(texts[name], name)
            for method in ("GET", "POST"):
                turns = turns_of(place, methods.get(method))
                for who, status in sorted(turns, key=is_answered):
                    browser = browsers[who]
                    if method == "GET":
                        answer = browser.http.get(path)
                    else:
                        answer = browser.post(path, {}, forms[who])
                    if seen(answer) != status:
                        wrong[method, name, who] = (seen(answer), status)
    assert wrong == {}


def turns_of(place: Place, answers: Answers | None) -> list[tuple[str, int | str]]:
    """Return who is to be asked, and the answers; 405 is the same for everybody."""
    if answers is None:
        return [("owner", 405), ("anonymous", 405)]
    turns = list(zip(place.people, answers, strict=True))
    if TEST_DATABASE == "sqlite":
        return turns
    return [turn for n, turn in enumerate(turns) if turn[1] not in answers[:n]]


def is_answered(turn: tuple[str, int | str]) -> bool:
    """Order those who are refused before those who are not."""
    return turn[1] not in {SIGN_IN, 401, 403, 404, 405}


def form_of(browser: PageClient) -> httpx.Response:
    """Return a page with a form, for its token."""
    page = browser.http.get("/organizations/new")
    return page if page.status_code == 200 else browser.http.get("/accounts/login/")


def seen(answer: httpx.Response) -> int | str:
    if answer.headers.get("Location", "").startswith("/accounts/login/"):
        return SIGN_IN
    return answer.status_code
