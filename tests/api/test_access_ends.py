"""Access ends everywhere at once: ways to lose it by ways to hold it.

It holds L10 of reliability.md, too.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from allauth.account.models import EmailAddress
from django.test import override_settings
from django.utils import timezone

from accounts.actors import SYSTEM, Actor
from accounts.authentication import (
    AuthenticationFailed,
    actor_of,
    actor_of_access_token,
    actor_of_robot,
)
from accounts.invitations import InvitationOver, accept, find_by_secret, invite
from accounts.memberships import add_member, remove_member
from accounts.models import AccessToken, Invitation, Robot, Team, User
from accounts.robots import change_robot, delete_robot, replace_token
from accounts.teams import change_team, delete_team
from accounts.tokens import issue_access_token, revoke_access_token
from accounts.users import LastAdministrator, change_user, delete_user
from distribution.models import Upload
from distribution.refresh_tokens import (
    authenticate_refresh_token,
    issue_refresh_token,
)
from notifications.models import Notification
from notifications.recipients import notify
from repositories.events.recording import record_event
from repositories.lifecycle import delete_repository, restore_repository
from repositories.models import Event, Grant, Repository
from repositories.rights.defaults import add_default
from repositories.stars import star
from repositories.watches import watch
from tests import images, make
from tests.api.conftest import ApiClient
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer
from webhooks.models import Webhook
from webhooks.registration import WebhookInvalid, change_webhook, create_webhook

pytestmark = pytest.mark.usefixtures("database", "registry")


class World:
    """An organization, and a member who holds a right there in every way there is."""

    def __init__(self, registry: BerthServer, http: httpx.Client) -> None:
        self.registry, self.http = registry, http
        self.owner, self.eve = make.user("olga"), make.user("eve")
        self.root = make.user("root", is_superuser=True, is_staff=True)
        self.acme = make.organization(owner=self.owner)
        self.name = self.acme.namespace.name
        actor = actor_of(self.eve)
        self.team = make.team(self.acme, self.eve, standing="admin")
        space = self.acme.namespace
        self.api = make.repository(space, "api", actor=actor)  # hers: a grant
        self.gone = make.repository(space, "gone", actor=actor)
        delete_repository(repository=self.gone, actor=actor)
        add_default(
            namespace=space,
            creator=None,
            subject=self.eve,
            role="admin",
            actor=actor,
        )
        secret = make.access_token(self.eve)
        self.token = AccessToken.objects.get(user=self.eve)
        self.limited = make.access_token(self.eve, namespace_ids=[space.pk])
        self.docker = RegistryClient(http, registry.url, self.eve.username, secret)
        self.rest = ApiClient(http, registry.url, secret)
        self.image = images.image()
        self.docker.push(f"{self.api.full_name}:v1", self.image)
        self.held = self.docker.token(f"repository:{self.api.full_name}:pull,push")
        self.login = issue_refresh_token(
            actor=actor_of_access_token(self.token), client="docker"
        )
        self.browser = PageClient(registry.url, self.eve)
        begun = self.docker.post(f"/v2/{self.api.full_name}/blobs/uploads/")
        assert begun.status_code == 202
        star(repository=self.api, user=self.eve)
        watch(repository=self.api, user=self.eve)
        self.webhooks = [
            create_webhook(
                url="https://eve.example.com/", events=["push"], actor=actor, **place
            )[0]
            for place in ({"repository": self.api}, {"namespace": space})
        ]
        EmailAddress.objects.create(
            user=self.eve, email=f"{self.eve.username}@example.com", verified=True
        )
        self.elsewhere = f"{make.unique('other')}@example.com"
        owners = Team.objects.get(organization=self.acme, name="owners")
        by_owner = actor_of(self.owner)
        self.invitations = {
            "by name": invite(team=owners, user=self.eve, actor=by_owner)[0],
            "by address": invite(
                team=owners,
                email=f"{self.eve.username}@EXAMPLE.com",
                actor=by_owner,
            )[0],
            "by another address": invite(
                team=owners, email=self.elsewhere, actor=by_owner
            )[0],
        }
        self.friend = make.user("friend")
        self.sent = invite(team=owners, user=self.friend, actor=actor)[0]

    # --- ways to hold it

    def pulls(self) -> bool:
        fresh = RegistryClient(
            self.http, self.registry.url, self.eve.username, self.docker.secret
        )
        path = f"/v2/{self.api.full_name}/manifests/v1"
        basic = (self.eve.username, self.docker.secret)
        scope = {"scope": f"repository:{self.api.full_name}:pull"}
        asked = self.http.get(f"{self.registry.url}/v2/token", params=scope, auth=basic)
        if asked.status_code != 200:
            return False
        return fresh.get(path, token=asked.json()["token"]).status_code == 200

    def pulls_with_the_token_held(self) -> bool:
        path = f"/v2/{self.api.full_name}/manifests/v1"
        return self.docker.get(path, token=self.held).status_code == 200

    def pushes_with_the_token_held(self) -> bool:
        path = f"/v2/{self.api.full_name}/blobs/uploads/"
        return self.docker.post(path, token=self.held).status_code == 202

    def logs_in_by_docker(self) -> bool:
        with override_settings(BERTH_IDENTITY_TOKENS=True):
            try:
                actor = authenticate_refresh_token(self.login)
            except AuthenticationFailed:
                return False
        return Repository.objects.visible_to(actor).filter(pk=self.api.pk).exists()

    def asks_the_api(self) -> bool:
        return self.rest.get(f"/repositories/{self.api.full_name}").status_code == 200

    def asks_the_api_with_a_limited_token(self) -> bool:
        client = ApiClient(self.http, self.registry.url, self.limited)
        return client.get(f"/repositories/{self.api.full_name}").status_code == 200

    def administers_by_the_api(self) -> bool:
        return self.rest.get(f"/organizations/{self.name}/robots").status_code == 200

    def opens_the_page(self) -> bool:
        return self.browser.http.get(f"/{self.api.full_name}").status_code == 200

    def opens_the_people(self) -> bool:
        return self.browser.http.get(f"/{self.name}/-/people").status_code == 200

    def has_a_webhook(self) -> bool:
        ids = [webhook.pk for webhook in self.webhooks]
        return Webhook.objects.filter(pk__in=ids, is_active=True).exists()

    def has_an_upload(self) -> bool:
        return Upload.objects.filter(
            user=self.eve, repository__namespace=self.acme.namespace
        ).exists()

    def is_notified(self) -> bool:
        """Also by mail, which goes to those who have a notification."""
        event = record_event(
            kind=Event.Kind.TAG_PUSHED,
            repository=self.api.facts,
            actor=SYSTEM,
            detail={"tag": make.unique("v"), "digest": self.image.digest},
        )
        notify(events=[event])
        return Notification.objects.filter(user=self.eve, event=event).exists()

    def reads_notifications(self) -> bool:
        rows = Notification.objects.readable_by(actor_of(self.eve))
        return rows.filter(event__repository=self.api).exists()

    def lists_stars(self) -> bool:
        answer = self.rest.get("/user/stars")
        return answer.status_code == 200 and self.api.full_name in answer.text

    def gets_a_role_by_default(self) -> bool:
        fresh = make.repository(
            self.acme.namespace, make.unique("new"), actor=actor_of(self.owner)
        )
        actor = actor_of(self.eve)
        return Repository.objects.visible_to(actor).filter(pk=fresh.pk).exists()

    def gets_back_what_is_restored(self) -> bool:
        restore_repository(
            repository=self.gone, actor=SYSTEM, name=make.unique("restored")
        )
        actor = actor_of(self.eve)
        seen = Repository.objects.visible_to(actor).filter(pk=self.gone.pk).exists()
        self.gone.refresh_from_db()
        delete_repository(repository=self.gone, actor=SYSTEM)
        self.gone.refresh_from_db()
        return seen

    def is_invited(self) -> bool:
        """By any of the links; those who are in already are asked for nothing."""
        return any(self._accepts(one, self.eve) for one in self.invitations.values())

    def has_invited(self) -> bool:
        return self._accepts(self.sent, self.friend)

    def _accepts(self, invitation: Invitation, user: User) -> bool:
        """Answer it as its link would, and put everything back."""
        fresh = User.objects.get(pk=user.pk)
        row = Invitation.objects.with_team().filter(pk=invitation.pk).first()
        if row is None:
            return False
        try:
            accept(invitation=row, user=fresh)
        except InvitationOver:
            return False
        return True


HOLDS: dict[str, Callable[[World], bool]] = {
    name: getattr(World, name)
    for name in vars(World)
    if not name.startswith("_") and callable(getattr(World, name))
}
# Their answers are by one try only: to accept an invitation changes the world.
TRIED_AFTERWARDS = {"is_invited", "has_invited"}


def removed_by_api(world: World) -> None:
    owner = ApiClient(world.http, world.registry.url, make.access_token(world.owner))
    path = f"/organizations/{world.name}/members/{world.eve.username}"
    assert owner.delete(path).status_code == 204
    assert owner.delete(path).status_code == 204  # twice does no harm


def removed_on_the_page(world: World) -> None:
    with PageClient(world.registry.url, world.owner) as browser:
        people = browser.get(f"/{world.name}/-/people")
        path = f"/{world.name}/-/people/remove?person={world.eve.username}"
        assert path in people.text
        asked = browser.get(path)
        assert world.api.full_name in asked.text
        assert world.team.name in asked.text
        done = browser.post(path, {"person": world.eve.username}, asked)
        assert done.status_code == 302


def left(world: World) -> None:
    path = f"/organizations/{world.name}/members/{world.eve.username}"
    assert world.rest.delete(path).status_code == 204


def suspended(world: World) -> None:
    root = ApiClient(world.http, world.registry.url, make.access_token(world.root))
    assert root.delete(f"/users/{world.eve.username}").status_code == 204


LOSSES = (removed_by_api, removed_on_the_page, left, suspended)


@pytest.mark.parametrize("lose", LOSSES)
def test_every_way_to_hold_access_ends_with_every_way_to_lose_it(
    lose: Callable[[World], None], registry: BerthServer, http: httpx.Client
) -> None:
    """One call ends all that a person has in an organization (D7, E8)."""
    world = World(registry, http)
    before = {
        name: hold(world)
        for name, hold in HOLDS.items()
        if name not in TRIED_AFTERWARDS
    }
    assert before == dict.fromkeys(before, True)
    lose(world)
    after = {name: hold(world) for name, hold in HOLDS.items()}
    assert after == dict.fromkeys(HOLDS, False)
    if lose is suspended:
        change_user(user=world.eve, actor=SYSTEM, is_active=True)
        assert not world.is_invited()
        assert not world.has_a_webhook()
    else:
        assert not Grant.objects.filter(user=world.eve).exists()
    world.browser.http.close()


# --- invitations


@pytest.mark.parametrize("happened", ["added", "removed from a team"])
def test_an_older_invitation_gives_nothing(happened: str) -> None:
    """What was decided last counts, whatever address the invitation went to (E8)."""
    owner, bob = make.user("olga"), make.user("bob")
    acme = make.organization(owner=owner)
    owners = Team.objects.get(organization=acme, name="owners")
    actor = actor_of(owner)
    unknown = f"{make.unique('b')}@example.com"
    EmailAddress.objects.create(user=bob, email=f"{bob.username}@example.com")
    for to in (
        {"user": bob},
        {"email": f"{bob.username}@example.com"},
        {"email": unknown},
    ):
        invite(team=owners, actor=actor, **to)
    team = make.team(acme)
    add_member(team=team, user=bob, actor=SYSTEM)
    if happened != "added":
        remove_member(team=team, user=bob, actor=SYSTEM)
    [left_over] = Invitation.objects.with_team().filter(team=owners)
    assert left_over.email == unknown  # may be another person's
    with pytest.raises(InvitationOver):
        accept(invitation=left_over, user=bob)
    accept(invitation=left_over, user=make.user("another"))
    withdrawn = Event.objects.filter(
        kind="invitation.withdrawn", namespace=acme.namespace
    )
    assert withdrawn.count() == 2
    again, _ = invite(team=owners, user=bob, actor=actor)  # a decision of its own
    accept(invitation=again, user=bob)
    assert owners.memberships.filter(user=bob).exists()


def taken_out(team: Team, who: User | Robot) -> None:
    if isinstance(who, User):
        remove_member(team=team, actor=SYSTEM, user=who)
    else:
        remove_member(team=team, actor=SYSTEM, robot=who)


def team_demoted(team: Team, who: User | Robot) -> None:
    change_team(team=team, actor=SYSTEM, standing="creator")


def team_deleted(team: Team, who: User | Robot) -> None:
    delete_team(team=team, actor=SYSTEM)


def disabled(team: Team, who: User | Robot) -> None:
    if isinstance(who, User):
        change_user(user=who, actor=SYSTEM, is_active=False)
    else:
        change_robot(robot=who, actor=SYSTEM, is_active=False)


def deleted(team: Team, who: User | Robot) -> None:
    if isinstance(who, User):
        delete_user(user=who, actor=SYSTEM)
    else:
        delete_robot(robot=who, actor=SYSTEM)


def token_replaced(team: Team, who: User | Robot) -> None:
    if isinstance(who, User):
        for token in AccessToken.objects.filter(user=who):
            revoke_access_token(token=token, actor=SYSTEM)
    else:
        replace_token(robot=who, actor=SYSTEM)


def actor_with_token(who: User | Robot) -> Actor:
    if isinstance(who, Robot):
        return actor_of_robot(who)
    token, _ = issue_access_token(user=who, name="x", actions="admin", actor=SYSTEM)
    return actor_of_access_token(token)


@pytest.mark.parametrize(
    "lose",
    [taken_out, team_demoted, team_deleted, disabled, deleted, token_replaced],
)
def test_an_invitation_ends_with_the_right_of_who_sent_it(
    lose: Callable[[Team, User | Robot], None], database: None
) -> None:
    """Users and robots that no longer administer let no one in (E8)."""
    owner, friend = make.user("olga"), make.user("friend")
    acme = make.organization(owner=owner)
    other = make.team(acme)
    robot, _ = make.robot(acme.namespace)
    for who in (make.user("eve"), robot):
        admins = make.team(acme, who, standing="admin")
        actor = actor_with_token(who)
        mine, secret = invite(team=other, user=friend, actor=actor)
        assert mine in Invitation.objects.to(friend)
        lose(admins, who)
        assert mine not in Invitation.objects.to(friend)
        assert find_by_secret(secret) is None
        with pytest.raises(InvitationOver):
            accept(invitation=mine, user=friend)
        withdrawn = Event.objects.filter(
            kind="invitation.withdrawn", namespace=acme.namespace
        )
        is_paused = lose is disabled and who is robot
        assert withdrawn.count() == (0 if is_paused else 1)
        withdrawn.delete()
        if is_paused:  # until it is switched on again, as its token is
            change_robot(robot=robot, actor=SYSTEM, is_active=True)
            assert find_by_secret(secret) == mine
            change_robot(robot=robot, actor=SYSTEM, is_active=False)
        again, _ = invite(team=other, user=friend, actor=actor_of(owner))
        again.delete()


# --- webhooks


URL = "https://deploy.example.com/hooks/1"


@pytest.mark.parametrize(
    ("url", "keeps"),
    [
        ("https://deploy.example.com/hooks/2", True),
        ("https://DEPLOY.example.com:443/hooks/1?x=1", True),
        ("http://deploy.example.com:443/hooks/1", False),
        ("http://deploy.example.com/hooks/1", False),
        ("https://deploy.example.com:444/hooks/1", False),
        ("https://deploy.example.com.evil.example/hooks/1", False),
    ],
)
def test_a_header_goes_only_where_it_was_given_for(
    private_api: Repository, url: str, keeps: bool, registry: BerthServer
) -> None:
    """Another scheme, host or port wants the values again, by API and page (D15)."""
    headers = {"Authorization": "Bearer secret"}
    for kept in (None, {"Authorization": None}):
        hook, _ = make.webhook(URL, repository=private_api, headers=headers)
        changes: dict[str, Any] = {"url": url}
        if kept is not None:
            changes["headers"] = kept
        if keeps:
            changed = change_webhook(webhook=hook, actor=SYSTEM, **changes)
            assert changed.headers == headers
        else:
            with pytest.raises(WebhookInvalid) as refused:
                change_webhook(webhook=hook, actor=SYSTEM, **changes)
            assert refused.value.field == "headers"
            hook.refresh_from_db()
            assert (hook.url, hook.headers) == (URL, headers)
            changed = change_webhook(webhook=hook, actor=SYSTEM, url=url, headers={})
            assert changed.headers == {}
        hook.delete()


# --- administrators


def test_the_last_administrator_stays(
    registry: BerthServer, http: httpx.Client
) -> None:
    """No page, call or command takes the last one away; another one may go."""
    administrators = User.objects.filter(is_superuser=True)
    others = list(administrators.values_list("pk", "is_active"))
    User.objects.filter(is_superuser=True).update(is_active=False)
    try:
        root = make.user("root", is_superuser=True, is_staff=True)
        make.organization(owner=root)
        client = ApiClient(http, registry.url, make.access_token(root))
        path = f"/users/{root.username}"
        assert client.delete(path).status_code == 409
        assert client.patch(path, {"is_active": False}).status_code == 409
        for name in ("is_active", "is_staff", "is_superuser"):
            with pytest.raises(LastAdministrator):
                change_user(user=root, actor=SYSTEM, **{name: False})
            root.refresh_from_db()
        with PageClient(registry.url, root) as browser:
            page = browser.get(f"/-/admin/accounts/user/{root.pk}/change/")
            fields = {"username": root.username, "display_name": "", "email": ""}
            done = browser.post(str(page.url.path), fields, page)
            assert "last active administrator" in done.text
        second = make.user("second", is_superuser=True, is_staff=True)
        assert client.delete(f"/users/{second.username}").status_code == 204
        assert User.objects.get(pk=root.pk).is_active
    finally:
        for pk, is_active in others:
            User.objects.filter(pk=pk).update(is_active=is_active)


def test_an_account_is_suspended_whatever_it_owns(
    registry: BerthServer, http: httpx.Client
) -> None:
    """The only owner too; an administrator then appoints another one."""
    root = make.user("root", is_superuser=True, is_staff=True)
    owner, heir = make.user("olga"), make.user("heir")
    acme = make.organization(owner=owner)
    owners = Team.objects.get(organization=acme, name="owners")
    with PageClient(registry.url, root) as browser:
        path = f"/-/admin/accounts/user/{owner.pk}/change/"
        fields = {"username": owner.username, "display_name": "", "email": ""}
        assert browser.post(path, fields).status_code == 302
        assert (
            f"No active owner is left in {acme.namespace.name}"
            in browser.get("/-/admin/accounts/user/").text
        )
        assert not User.objects.get(pk=owner.pk).is_active
        path = f"/-/admin/accounts/team/{owners.pk}/change/"
        membership = owners.memberships.get()
        fields = {
            "memberships-TOTAL_FORMS": "2",
            "memberships-INITIAL_FORMS": "1",
            "memberships-0-id": str(membership.pk),
            "memberships-0-team": str(owners.pk),
            "memberships-0-user": str(owner.pk),
            "memberships-1-team": str(owners.pk),
            "memberships-1-user": str(heir.pk),
        }
        done = browser.post(path, fields)
        assert done.status_code == 302, done.text[-3000:]
    client = ApiClient(http, registry.url, make.access_token(heir))
    path = f"/organizations/{acme.namespace.name}/members/{owner.username}"
    assert client.delete(path).status_code == 204
    assert timezone.now() - timedelta(1) < owner.date_joined
