"""What ends when an account asks for more: the table of accounts/credentials.py."""

import re
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import httpx
import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.authentication import (
    AuthenticationFailed,
    actor_of,
    actor_of_access_token,
    actor_of_password,
)
from accounts.credentials import ResetTokenGenerator
from accounts.models import AccessToken, Invitation, Robot, User
from accounts.robots import change_robot, remind_of_expiry
from accounts.second_factor import reset_second_factor
from accounts.tokens import issue_access_token, revoke_access_token
from accounts.users import change_password, change_user
from distribution.refresh_tokens import (
    authenticate_refresh_token,
    issue_refresh_token,
)
from distribution.tokens import issue_token
from notifications.models import Notification
from notifications.recipients import notify
from notifications.wording import wording_of
from repositories.models import Event, Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.pages import PageClient, code_of
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

pytestmark = pytest.mark.usefixtures("database", "registry")

PASSWORD = "correct horse battery"
NEW_PASSWORD = "another long password"


class Account:
    """One account, with one credential of every sort; each says whether it works."""

    def __init__(self, registry: BerthServer, anonymous: RegistryClient) -> None:
        self.registry, self.anonymous = registry, anonymous
        self.user = make.user("eve", password=PASSWORD, email=f"{make.unique('e')}@x.y")
        EmailAddress.objects.create(
            user=self.user, email=self.user.email, verified=True, primary=True
        )
        self.added = EmailAddress.objects.create(
            user=self.user, email=f"{make.unique('f')}@x.y", verified=False
        )
        self.api = make.repository(self.user.namespace, "api")
        self.here = PageClient(registry.url)  # where the change is made
        self.here.post(
            "/accounts/login/", {"login": self.user.username, "password": PASSWORD}
        )
        self.user.refresh_from_db()
        self.elsewhere = PageClient(registry.url, self.user)
        self.reset_key = ResetTokenGenerator().make_token(self.user)
        self.token, self.token_secret = issue_access_token(
            user=self.user, name="ci", actions="admin", actor=SYSTEM
        )
        by_token = actor_of_access_token(self.token)
        self.made, self.made_secret = issue_access_token(
            user=self.user, name="made", actions="read", actor=by_token
        )
        by_password = actor_of_password(self.user)
        self.logins = {
            "docker login by password": issue_refresh_token(
                actor=by_password, client=""
            ),
            "docker login by token": issue_refresh_token(actor=by_token, client=""),
        }
        access = [
            {
                "type": "repository",
                "name": self.api.full_name,
                "actions": ["pull", "push"],
                "id": self.api.pk,
            }
        ]
        self.registry_tokens = {
            f"registry token by {what}": issue_token(actor=actor, access=access)
            for what, actor in (("password", by_password), ("token", by_token))
        }
        self.robot, _ = make.robot(self.user.namespace)

    def works(self) -> set[str]:
        """Return which credentials still open something."""
        self.user = User.objects.get(pk=self.user.pk)
        found = {
            "session here": self._is_open(self.here),
            "session elsewhere": self._is_open(self.elsewhere),
            "reset link": self.user.is_active
            and ResetTokenGenerator().check_token(self.user, self.reset_key),
            "unconfirmed address": EmailAddress.objects.filter(
                pk=self.added.pk
            ).exists(),
            "access token": self._bearer_works(self.token_secret),
            "token made by it": self._bearer_works(self.made_secret),
            "robot": Robot.objects.live().filter(pk=self.robot.pk).exists(),
        }
        for name, secret in self.logins.items():
            found[name] = self._login_works(secret)
        path = f"/v2/{self.api.full_name}/blobs/uploads/"
        for name, token in self.registry_tokens.items():
            begun = self.anonymous.request("POST", path, token=token.text)
            found[name] = begun.status_code == 202
        return {name for name, works in found.items() if works}

    def _is_open(self, browser: PageClient) -> bool:
        return browser.http.get("/settings/profile").status_code == 200

    def _bearer_works(self, secret: str) -> bool:
        answer = self.anonymous.http.get(
            f"{self.registry.url}/api/v1/user",
            headers={"Authorization": f"Bearer {secret}"},
        )
        return answer.status_code == 200

    def _login_works(self, secret: str) -> bool:
        with override_settings(BERTH_IDENTITY_TOKENS=True):
            try:
                authenticate_refresh_token(secret)
            except AuthenticationFailed:
                return False
        return True


ALL = {
    "session here",
    "session elsewhere",
    "reset link",
    "unconfirmed address",
    "access token",
    "token made by it",
    "robot",
    "docker login by password",
    "docker login by token",
    "registry token by password",
    "registry token by token",
}
OF_PASSWORD = {
    "session elsewhere",
    "reset link",
    "docker login by password",
    "registry token by password",
}


def turn_on_second_factor(account: Account) -> None:
    path = "/accounts/2fa/totp/activate/"
    asked = account.here.get(path)
    if asked.status_code == 302:  # for the password first
        again = {"password": PASSWORD, "next": path}
        account.here.post(asked.headers["Location"], again)
    page = account.here.get(path)
    secret = re.search(r'data-copy="([A-Z2-7]{32})"', page.text)
    assert secret, page.text
    account.here.post(path, {"code": code_of(secret[1])}, page)
    assert Authenticator.objects.filter(user=account.user).exists()


def turn_it_on_and_reset_it(account: Account) -> None:
    totp.TOTP.activate(account.user, totp.generate_totp_secret())
    assert reset_second_factor(user=account.user, actor=SYSTEM)


def change_it_on_the_page(account: Account) -> None:
    done = account.here.post(
        "/accounts/password/change/",
        {
            "oldpassword": PASSWORD,
            "password1": NEW_PASSWORD,
            "password2": NEW_PASSWORD,
        },
    )
    assert done.status_code == 302


EVENTS: dict[str, tuple[Callable[[Account], Any], set[str]]] = {
    "second factor turned on": (turn_on_second_factor, OF_PASSWORD),
    "second factor reset": (turn_it_on_and_reset_it, OF_PASSWORD | {"session here"}),
    "password changed on the page": (
        change_it_on_the_page,
        OF_PASSWORD | {"unconfirmed address"},
    ),
    "password set by others": (
        lambda account: change_password(
            user=account.user, password=NEW_PASSWORD, actor=SYSTEM
        ),
        OF_PASSWORD | {"unconfirmed address", "session here"},
    ),
    "address changed": (
        lambda account: change_user(
            user=account.user, actor=SYSTEM, email=f"{make.unique('g')}@x.y"
        ),
        {"reset link"},
    ),
    "token revoked": (
        lambda account: revoke_access_token(token=account.token, actor=SYSTEM),
        {
            "access token",
            "token made by it",
            "docker login by token",
            "registry token by token",
        },
    ),
    "suspended": (
        lambda account: change_user(user=account.user, actor=SYSTEM, is_active=False),
        ALL - {"unconfirmed address"},
    ),
}


@pytest.mark.parametrize("event", EVENTS)
def test_what_was_made_by_less_ends_at_once(
    event: str, registry: BerthServer, anonymous: RegistryClient
) -> None:
    """A table of events and credentials: what ends, and what continues (D8)."""
    account = Account(registry, anonymous)
    assert account.works() == ALL
    happen, ends = EVENTS[event]
    happen(account)
    assert account.works() == ALL - ends
    if event == "suspended":  # what was a password's stays ended afterwards
        change_user(user=account.user, actor=SYSTEM, is_active=True)
        assert account.works() == ALL - OF_PASSWORD - {"session here"}
    account.here.http.close()
    account.elsewhere.http.close()


def test_an_administrator_resets_a_second_factor(registry: BerthServer) -> None:
    """By command and page; it is recorded, and the owner gets a mail (D20)."""
    root = make.user("root", is_superuser=True, is_staff=True)
    for by in ("command", "page"):
        user = make.user("lost", email=f"{make.unique('lost')}@example.com")
        totp.TOTP.activate(user, totp.generate_totp_secret())
        if by == "command":
            call_command("reset_second_factor", user.username, stdout=StringIO())
        else:
            with PageClient(registry.url, root) as browser:
                browser.post(
                    "/-/admin/accounts/user/",
                    {"action": "reset_second_factors", "_selected_action": user.pk},
                )
        assert not Authenticator.objects.filter(user=user).exists()
        event = Event.objects.get(kind="user.second_factor", namespace__user=user)
        said_by = "command line" if by == "command" else root.username
        assert event.actor_name == said_by


def test_the_owner_of_a_second_factor_gets_a_mail_of_its_reset() -> None:
    user = make.user("lost", email=f"{make.unique('lost')}@example.com")
    totp.TOTP.activate(user, totp.generate_totp_secret())
    assert reset_second_factor(user=user, actor=SYSTEM)
    assert mail.outbox[-1].to == [user.email]
    assert user.username in mail.outbox[-1].body


def test_robots_stop_on_time_after_a_reminder(registry: BerthServer) -> None:
    """A robot's administrators are reminded once, a week before it expires (D20)."""
    owner = make.user("owner")
    robot, token = make.robot(owner.namespace)
    with PageClient(registry.url, owner) as browser:
        path = f"/{owner.username}/-/robots/{robot.name}"
        page = browser.get(path)
        assert "Never expires" in page.text
        assert browser.post(f"{path}/expiry", {"days": "30"}, page).status_code == 302
        assert "Never expires" not in browser.get(path).text
    soon = timezone.now() + timedelta(days=6)
    change_robot(robot=robot, actor=SYSTEM, expires_at=timezone.now() + timedelta(30))
    reminders = Event.objects.filter(
        kind="robot.expires_soon", namespace=robot.namespace
    )
    remind_of_expiry()
    assert not reminders.exists()
    change_robot(robot=robot, actor=SYSTEM, expires_at=soon)
    remind_of_expiry()
    remind_of_expiry()
    assert reminders.get().detail["robot"] == robot.username
    notify(events=[reminders.get()])
    note = Notification.objects.readable_by(actor_of(owner)).with_event().get()
    assert robot.username in wording_of(note).headline
    assert httpx.get(f"{registry.url}{wording_of(note).path}").status_code == 302
    for expires_at, status in ((soon, 200), (timezone.now(), 401)):
        Robot.objects.filter(pk=robot.pk).update(expires_at=expires_at)
        asked = httpx.get(f"{registry.url}/v2/token", auth=(robot.username, token))
        assert asked.status_code == status


def test_nothing_that_a_token_makes_outlives_it(
    registry: BerthServer, anonymous: RegistryClient
) -> None:
    """Tokens, robots, invitations and registry tokens end with their maker (D9)."""
    owner = make.user("olga")
    acme = make.organization(owner=owner)
    name, team = acme.namespace.name, make.team(acme)
    ends_at = timezone.now() + timedelta(minutes=2)
    secret = make.access_token(owner, expires_at=ends_at)
    client = ApiClient(anonymous.http, registry.url, secret)
    later = (ends_at + timedelta(seconds=1)).isoformat()
    body = {"name": "made", "actions": "admin"}
    for wrong in (None, later):
        refused = client.post("/user/tokens", {**body, "expires_at": wrong})
        assert refused.status_code == 403, wrong
        refused = client.post(
            f"/organizations/{name}/robots", {"name": "late", "expires_at": wrong}
        )
        assert refused.status_code == 403, wrong
    made = client.post("/user/tokens", body).json()
    assert made["expires_at"] == client_time(ends_at)
    assert client.post(f"/organizations/{name}/robots", {"name": "ci"}).is_success
    robot = Robot.objects.get(namespace=acme.namespace, name="ci")
    assert robot.expires_at == ends_at
    path = f"/organizations/{name}/robots/ci"
    assert client.patch(path, {"expires_at": None}).status_code == 403
    eternal, _ = make.robot(acme.namespace)
    renewed = client.post(f"/organizations/{name}/robots/{eternal.name}/token")
    assert renewed.status_code == 201
    eternal.refresh_from_db()
    assert eternal.expires_at == ends_at
    invited = client.post(
        f"/organizations/{name}/invitations",
        {"team": team.name, "email": f"{make.unique('x')}@example.com"},
    ).json()
    assert invited["expires_at"] == client_time(ends_at)
    AccessToken.objects.filter(token_hash__isnull=False, user=owner).exclude(
        name="made"
    ).update(expires_at=timezone.now() + timedelta(seconds=30))
    answer = anonymous.http.get(
        f"{registry.url}/v2/token", auth=(owner.username, secret)
    )
    assert answer.json()["expires_in"] <= 30


def client_time(moment: Any) -> str:
    return str(moment.isoformat().replace("+00:00", "Z"))


def test_revoking_a_token_ends_what_it_made(
    registry: BerthServer, anonymous: RegistryClient
) -> None:
    """Down to the third generation, and the invitations too (D9)."""
    owner = make.user("olga")
    acme = make.organization(owner=owner)
    team = make.team(acme)
    secrets = [make.access_token(owner)]
    body = {"name": "made", "actions": "admin"}
    for _ in range(2):
        client = ApiClient(anonymous.http, registry.url, secrets[-1])
        secrets.append(client.post("/user/tokens", body).json()["token"])
    client.post(
        f"/organizations/{acme.namespace.name}/invitations",
        {"team": team.name, "email": f"{make.unique('x')}@example.com"},
    )
    first = AccessToken.objects.filter(user=owner).earliest("pk")
    revoke_access_token(token=first, actor=SYSTEM)
    for secret in secrets:
        client = ApiClient(anonymous.http, registry.url, secret)
        assert client.get("/user").status_code == 401
    assert not Invitation.objects.filter(team=team).exists()
    assert Repository.objects.filter(namespace=acme.namespace).count() == 0
