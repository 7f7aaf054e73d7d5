"""Rows for tests, made with the verbs that the site uses; names never repeat.

alice = make.user("alice")
acme = make.organization(owner=alice)
backend = make.team(acme, bob)
api = make.repository(acme.namespace, "api")
make.grant(api, backend, "write")
"""

import itertools
import os
from collections.abc import Sequence
from typing import Any

from django.db import transaction

from accounts.actors import ANONYMOUS, SYSTEM, Actor
from accounts.memberships import add_member
from accounts.models import Namespace, Organization, Robot, Team, User
from accounts.organizations import create_organization
from accounts.robots import create_robot
from accounts.teams import create_team
from accounts.tokens import issue_access_token
from accounts.users import create_user
from repositories.lifecycle import create_repository
from repositories.models import Grant, Repository
from webhooks.models import Webhook
from webhooks.registration import create_webhook

_serial = itertools.count(1)
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")


def unique(name: str) -> str:
    """Return a name that begins so and that nobody has yet.

    None is the beginning of another, and they sort as they were made.
    """
    return f"{name}-{_worker}{next(_serial):05}"


def user(name: str = "user", *, password: str | None = None, **columns: Any) -> User:
    """Make a person; without a password, one who has to use tokens.

    Hashing a password well takes its time, so only tests of passwords have one.
    """
    with transaction.atomic():
        person = create_user(username=unique(name), password=password, actor=SYSTEM)
        if columns:
            User.objects.filter(pk=person.pk).update(**columns)
            person.refresh_from_db()
    return person


def access_token(user: User, actions: str = "admin", **limits: Any) -> str:
    """Issue an access token and return the secret."""
    return issue_access_token(
        user=user, name=unique("token"), actions=actions, actor=SYSTEM, **limits
    )[1]


def organization(*, owner: User, name: str = "acme") -> Organization:
    """Make an organization with one owner."""
    return create_organization(name=unique(name), owner=owner, actor=SYSTEM)


def team(
    organization: Organization,
    *members: User | Robot,
    name: str = "backend",
    standing: str = "member",
) -> Team:
    """Make a team of these people and robots."""
    with transaction.atomic():
        made = Team(organization=organization, name=unique(name), standing=standing)
        create_team(team=made, actor=SYSTEM)
        for member in members:
            if isinstance(member, Robot):
                add_member(team=made, robot=member, actor=SYSTEM)
            else:
                add_member(team=made, user=member, actor=SYSTEM)
    return made


def robot(namespace: Namespace, name: str = "robby") -> tuple[Robot, str]:
    """Make a robot; the second value is its token."""
    return create_robot(namespace=namespace, name=unique(name), actor=SYSTEM)


def repository(
    namespace: Namespace,
    name: str = "api",
    *,
    visibility: str = "private",
    actor: Actor = ANONYMOUS,
) -> Repository:
    """Make a repository; without an actor, one that nobody got a grant for."""
    return create_repository(
        namespace=namespace, name=name, actor=actor, visibility=visibility
    )


def grant(
    repository: Repository,
    subject: User | Team | Robot,
    role: str,
    *,
    tags: str = "",
) -> Grant:
    """Give a user, a team or a robot a role on a repository."""
    kind = {User: "user", Team: "team", Robot: "robot"}[type(subject)]
    return Grant.objects.create(
        repository=repository, role=role, tag_glob=tags, **{kind: subject}
    )


def webhook(
    url: str,
    *,
    repository: Repository | None = None,
    namespace: Namespace | None = None,
    events: Sequence[str] = ("push",),
    **settings: Any,
) -> tuple[Webhook, str]:
    """Make a webhook of this place; the second value is its secret."""
    return create_webhook(
        repository=repository,
        namespace=namespace,
        url=url,
        events=events,
        actor=ANONYMOUS,
        **settings,
    )
