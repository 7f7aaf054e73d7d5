"""Each rule that is also written as a set, against the decision, over one population.

The decision is the truth, and the set has to agree with it for every account with every
credential: users with a session, a password and tokens of each scope, suspended and
removed users, robots in teams, expired and disabled robots, site administrators, and
the anonymous client.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.actions import Action
from accounts.actors import ANONYMOUS, SYSTEM, Actor
from accounts.authentication import (
    AuthenticationFailed,
    actor_of,
    actor_of_access_token,
    actor_of_password,
    actor_of_robot,
)
from accounts.invitations import InvitationOver, accept, invite
from accounts.liveness import live_arms, live_user
from accounts.memberships import remove_from_organization
from accounts.models import (
    AccessToken,
    FormerNamespaceName,
    Invitation,
    MembershipDecision,
    Namespace,
    Organization,
    Robot,
    User,
)
from accounts.namespace_rights import (
    administrators_of,
    is_live,
    may_administer,
    may_see_people,
    namespaces_administered_by,
    organizations_of,
)
from accounts.site_rights import may_administer_site
from accounts.tokens import issue_access_token
from database.sql import fetch_rows
from distribution.models import RefreshToken
from distribution.refresh_tokens import (
    authenticate_refresh_token,
    issue_refresh_token,
    logins_of,
)
from notifications.models import FOR_ADMINISTRATORS, Notification
from notifications.recipients import notify
from repositories.former_names import former_names_of
from repositories.models import Event, FormerRepositoryName, Repository, SearchEntry
from repositories.models.repositories import may_pull, restorable_since
from repositories.rights.decisions import (
    decide,
    may_create,
    namespaces_to_create_in,
)
from repositories.rights.holders import holders_of
from repositories.watches import watch
from search.query import parse_query
from search.results import find_ids
from tests import make
from webhooks.permissions import may_hook_namespace, may_hook_site

WORD = "population"  # of every description, for the search


@dataclass
class Population:
    """Rows of every kind, and everyone who can ask for them."""

    acme: Organization
    users: dict[str, User] = field(default_factory=dict)
    robots: dict[str, Robot] = field(default_factory=dict)
    tokens: list[AccessToken] = field(default_factory=list)
    actors: dict[str, Actor] = field(default_factory=dict)
    repositories: list[Repository] = field(default_factory=list)
    deleted: list[Repository] = field(default_factory=list)
    namespaces: list[Namespace] = field(default_factory=list)
    organizations: list[Organization] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    # What a decision said, since several sets are compared with the same one.
    said: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    def allows(self, decision: Any, who: str, item: Any) -> bool:
        key = (decision, who, item.pk)
        if key not in self.said:
            self.said[key] = bool(decision(self.actors[who], item))
        return self.said[key]


def make_population() -> Population:
    owner = make.user("owner")
    acme = make.organization(owner=owner, name="sets")
    people = Population(acme, {"owner": owner})
    guild = make.organization(owner=make.user("master"), name="guild")
    people.organizations = [acme, guild]
    add_accounts(people)
    add_repositories(people)
    end_some(people)
    add_actors(people, guild)
    add_notifications(people)
    return people


def add_accounts(people: Population) -> None:
    acme = people.acme
    names = ["admin", "creator", "member", "reader", "tagged", "keeper", "stranger"]
    names += ["suspended", "removed"]
    people.users |= {name: make.user(name) for name in names}
    people.users["root"] = make.user("root", is_superuser=True, is_staff=True)
    people.users["root suspended"] = make.user("gone", is_superuser=True)
    robots = ("plain", "creator", "admin", "granted", "disabled", "expired")
    people.robots = {name: make.robot(acme.namespace)[0] for name in robots}
    for name in ("stranger", "suspended"):
        namespace = people.users[name].namespace
        people.robots[f"of {name}"] = make.robot(namespace)[0]
    users, robot = people.users, people.robots
    ended = (robot["disabled"], robot["expired"])
    make.team(acme, users["member"], users["removed"], name="members")
    make.team(
        acme,
        *(users["creator"], robot["creator"], robot["of stranger"]),
        standing="creator",
    )
    admins = (users["admin"], users["suspended"], robot["admin"], *ended)
    make.team(acme, *admins, robot["of suspended"], standing="admin")


def add_repositories(people: Population) -> None:
    """Make private, public and deleted ones of every owner, with every grant."""
    users, robots = people.users, people.robots
    spaces = [people.acme.namespace]
    spaces += [users[name].namespace for name in ("stranger", "suspended")]
    people.namespaces = [
        *(one.namespace for one in people.organizations),
        *(user.namespace for user in users.values()),
    ]
    now = timezone.now()
    for space in spaces:
        for name, visibility, deleted_at in (
            ("private", "private", None),
            ("public", "public", None),
            ("deleted", "private", now),
            ("gone", "public", restorable_since() - timedelta(minutes=5)),
        ):
            made = make.repository(space, name, visibility=visibility)
            make.grant(made, users["reader"], "read")
            make.grant(made, users["tagged"], "admin", tags="v*")
            make.grant(made, users["keeper"], "admin")
            make.grant(made, users["suspended"], "admin")
            make.grant(made, users["removed"], "write")
            make.grant(made, robots["granted"], "admin")
            make.grant(made, people.acme.teams.get(name__startswith="members"), "write")
            rows = Repository.objects.filter(pk=made.pk)
            rows.update(deleted_at=deleted_at, description=WORD)
            made.refresh_from_db()
            (people.deleted if deleted_at else people.repositories).append(made)
        people.repositories.append(make.repository(space, "bare"))
        Repository.objects.filter(pk=people.repositories[-1].pk).update(
            description=WORD
        )


def end_some(people: Population) -> None:
    users, robots = people.users, people.robots
    ended = [users["suspended"].pk, users["root suspended"].pk]
    # In the database alone, as a change that another process makes at this moment.
    User.objects.filter(pk__in=ended).update(is_active=False)
    remove_from_organization(
        organization=people.acme, user=users["removed"], actor=SYSTEM
    )
    Robot.objects.filter(pk=robots["disabled"].pk).update(is_active=False)
    Robot.objects.filter(pk=robots["expired"].pk).update(
        expires_at=timezone.now() - timedelta(1)
    )
    for name, user in users.items():
        users[name] = User.objects.select_related("namespace").get(pk=user.pk)
    for rows in (people.repositories, people.deleted):
        found = Repository.objects.select_related("namespace__user")
        rows[:] = [found.get(pk=row.pk) for row in rows]
    for name, robot in robots.items():
        with_owner = Robot.objects.select_related("namespace__user")
        robots[name] = with_owner.get(pk=robot.pk)


def add_actors(people: Population, guild: Organization) -> None:
    actors = people.actors
    actors["anonymous"] = ANONYMOUS
    actors |= {f"robot {n}": actor_of_robot(r) for n, r in people.robots.items()}
    reached = [repository.pk for repository in people.repositories[:2]]
    scopes: dict[str, dict[str, Any]] = {
        "read": {"actions": "read"},
        "write": {"actions": "write"},
        "admin": {"actions": "admin"},
        "acme": {"actions": "admin", "namespace_ids": [people.acme.namespace.pk]},
        "acme to write": {
            "actions": "write",
            "namespace_ids": [people.acme.namespace.pk],
        },
        "guild": {"actions": "admin", "namespace_ids": [guild.namespace.pk]},
        "two": {"actions": "admin", "repository_ids": reached},
        "nothing": {"actions": "admin", "repository_ids": []},
        "revoked": {"actions": "admin"},
        "expired": {"actions": "admin"},
    }
    ends = {
        "revoked": {"revoked_at": timezone.now()},
        "expired": {"expires_at": timezone.now() - timedelta(1)},
    }
    for name, user in people.users.items():
        actors[name] = actor_of(user)
        actors[f"{name} by password"] = actor_of_password(user)
        for scope, limits in scopes.items():
            token, _ = issue_access_token(user=user, name=scope, actor=SYSTEM, **limits)
            actors[f"{name} by token: {scope}"] = actor_of_access_token(token)
            AccessToken.objects.filter(pk=token.pk).update(**ends.get(scope, {}))
            people.tokens.append(
                AccessToken.objects.select_related("user").get(pk=token.pk)
            )
    old = people.users["owner"]
    User.objects.filter(pk=old.pk).update(epoch=old.epoch + 1)  # ends its password


def add_notifications(people: Population) -> None:
    """Notify all users of everything, as if they had lost their rights since."""
    spaces = {row.namespace_id: row.namespace for row in people.repositories}.values()
    rows = [*people.repositories[:4], people.deleted[0]]
    places = [(row.namespace, row) for row in rows]
    everywhere: list[tuple[Namespace | None, Repository | None, str]] = [
        (*place, kind)
        for place in places
        for kind in (Event.Kind.TAG_PUSHED, FOR_ADMINISTRATORS[0])
    ]
    for place in spaces:
        everywhere += [(place, None, kind) for kind in FOR_ADMINISTRATORS]
    everywhere += [(None, None, FOR_ADMINISTRATORS[0])]
    for namespace, repository, kind in everywhere:
        event = Event.objects.create(
            kind=kind,
            namespace=namespace,
            repository=repository,
            namespace_name=namespace.name if namespace else "",
            repository_name=repository.name if repository else "",
            detail={"tag": "v1"},
            is_relayed=True,
        )
        people.notifications += [
            Notification.objects.create(user=user, event=event)
            for user in people.users.values()
        ]


@cache
def decided(actor: Actor, action: Action, repository: Repository) -> bool:
    """Say what the decision is; rights do not change while the population is asked."""
    return bool(decide(actor, action, repository))


@cache
def may_hook_in(actor: Actor, namespace: Namespace) -> bool:
    return bool(may_hook_namespace(actor, namespace))


@pytest.fixture(scope="module")
def people(django_db_setup: None) -> Population:
    return make_population()


def keys(rows: Any) -> set[int]:
    return set(rows.values_list("pk", flat=True))


# --- what an actor may do with a thing, and the set of things


def may_read(actor: Actor, row: Notification) -> bool:
    event = row.event
    if actor.user_id != row.user_id:
        return False
    if event.repository is not None:
        action = Action.HOOK if event.kind in FOR_ADMINISTRATORS else Action.PULL
        exists = event.repository.deleted_at is None
        return exists and decided(actor, action, event.repository)
    if event.namespace is not None:
        return may_hook_in(actor, event.namespace)
    return bool(may_hook_site(actor))


def may_pull_from(actor: Actor, repository: Repository) -> bool:
    return decided(actor, Action.PULL, repository)


def may_restore(actor: Actor, repository: Repository) -> bool:
    assert repository.deleted_at is not None
    in_time = repository.deleted_at > restorable_since()
    return in_time and decided(actor, Action.DESTROY, repository)


Pair = tuple[
    Callable[[Population], Iterable[Any]],
    Callable[[Actor, Any], object],
    Callable[[Actor], set[int]],
]
PAIRS: dict[str, Pair] = {
    "visible_to": (
        lambda people: people.repositories,
        may_pull_from,
        lambda actor: keys(Repository.objects.visible_to(actor)),
    ),
    "may_pull of search entries": (
        lambda people: people.repositories,
        may_pull_from,
        lambda actor: set(
            SearchEntry.objects.filter(
                may_pull(actor, is_public=Q(is_public=True), repository="repository")
            ).values_list("repository", flat=True)
        ),
    ),
    "find_ids": (
        lambda people: people.repositories,
        may_pull_from,
        lambda actor: set(find_ids(actor, parse_query(WORD), 1000)),
    ),
    "hooked_by": (
        lambda people: people.repositories,
        lambda actor, one: decided(actor, Action.HOOK, one),
        lambda actor: keys(Repository.objects.hooked_by(actor)),
    ),
    "restorable_by": (
        lambda people: people.deleted,
        may_restore,
        lambda actor: keys(Repository.objects.restorable_by(actor)),
    ),
    "namespaces_to_create_in": (
        lambda people: people.namespaces,
        may_create,
        lambda actor: keys(namespaces_to_create_in(actor)),
    ),
    "namespaces_administered_by": (
        lambda people: people.namespaces,
        may_administer,
        lambda actor: keys(namespaces_administered_by(actor)),
    ),
    "organizations_of": (
        lambda people: people.organizations,
        lambda actor, one: may_see_people(actor, one.namespace),
        lambda actor: keys(organizations_of(actor)),
    ),
    "readable_by": (
        lambda people: people.notifications,
        may_read,
        lambda actor: keys(Notification.objects.readable_by(actor)),
    ),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", PAIRS)
def test_the_set_is_the_decision(database: None, people: Population, name: str) -> None:
    """A list shows what the actor may have, no more and no less."""
    items_of, is_allowed, set_of = PAIRS[name]
    items = {item.pk: item for item in items_of(people)}
    wrong = {}
    some = False
    for who, actor in people.actors.items():
        mine = list(items.values())
        if name == "readable_by":  # every other one is a stranger's
            mine = [row for row in mine if row.user_id == actor.user_id]
        allowed = {item.pk for item in mine if people.allows(is_allowed, who, item)}
        found = set_of(actor) & items.keys()
        some = some or bool(allowed)
        if found != allowed:
            wrong[who] = {
                "too many": [str(items[pk]) for pk in found - allowed],
                "missing": [str(items[pk]) for pk in allowed - found],
            }
    assert not wrong
    assert some, "a population in which everyone is refused shows nothing"


# --- who may, asked from the side of the thing


@pytest.mark.parametrize("action", [Action.PULL, Action.PUSH, Action.HOOK])
def test_the_holders_are_those_whom_the_decision_allows(
    database: None, people: Population, action: Action
) -> None:
    askers = [*map(actor_of, people.users.values())]
    askers += map(actor_of_robot, people.robots.values())
    names = {actor.name for actor in askers}
    for repository in people.repositories:
        if repository.is_public and action is Action.PULL:
            continue  # everyone, and not by a right
        found = {holder.who for holder in holders_of(repository, action)}
        allowed = {a.name for a in askers if decided(a, action, repository)}
        assert found & names == allowed, repository


def test_the_administrators_are_those_whom_the_decision_allows(
    database: None, people: Population
) -> None:
    for namespace in people.namespaces:
        found = keys(administrators_of(namespace))
        allowed = {
            user.pk
            for user in people.users.values()
            if may_administer(actor_of(user), namespace)
        }
        assert found & {user.pk for user in people.users.values()} == allowed


def test_those_are_notified_who_may_read_it(database: None, people: Population) -> None:
    """Every notification that the site sends can be read by its recipient."""
    for user in people.users.values():
        for repository in people.repositories:
            watch(repository=repository, user=user)
    events = {row.event_id: row.event for row in people.notifications}
    users = {user.pk: actor_of(user) for user in people.users.values()}
    for event in events.values():
        if event.repository is not None and event.repository.deleted_at is not None:
            continue  # nothing happens there any more
        old = event.pk
        event.pk = None
        event.save(force_insert=True)
        notify(events=[event])
        told = Notification.objects.filter(event=event, user__in=users)
        allowed = {
            row.user_id
            for row in people.notifications
            if row.event_id == old
            and row.user.is_active  # a suspended user may pull what is public
            and may_read(users[row.user_id], row)
        }
        assert set(told.values_list("user_id", flat=True)) == allowed, event


# --- invitations


ANSWERERS = ("reader", "keeper", "member", "removed", "stranger", "suspended")


def send_invitations(people: Population) -> list[Invitation]:
    """Send one from everyone to a name, and one to every name and kind of address."""
    senders = [*map(actor_of, people.users.values()), SYSTEM]
    senders += map(actor_of_robot, people.robots.values())
    reader, keeper = people.users["reader"], people.users["keeper"]
    to_whom: list[dict[str, Any]] = [{"user": people.users[n]} for n in ANSWERERS]
    for is_confirmed in (True, False):
        address = f"{make.unique('keeper')}@example.com"
        to_whom.append({"email": address.upper()})
        EmailAddress.objects.create(user=keeper, email=address, verified=is_confirmed)
    to_whom.append({"email": f"{make.unique('unknown')}@example.com"})
    owner = actor_of(people.users["owner"])
    asked: list[tuple[Actor, dict[str, Any]]] = [
        (sender, {"user": reader}) for sender in senders
    ]
    asked += [(owner, who) for who in to_whom]
    years = timedelta(days=1000)
    # Older than any decision on teams, and past their time.
    changes = [{}, {"created_at": timezone.now() - years}]
    changes += [{"expires_at": timezone.now()}]
    made = []
    with transaction.atomic():
        for sender, who in asked:
            for change in changes if sender is owner else changes[:1]:
                team = people.acme.teams.create(name=make.unique("t"))
                invitation, _ = invite(team=team, actor=sender, **who)
                if change:
                    Invitation.objects.filter(pk=invitation.pk).update(**change)
                made.append(invitation.pk)
    everything = ("user", "inviter", "inviting_robot__namespace__user")
    rows = Invitation.objects.with_team().select_related(*everything)
    return list(rows.filter(pk__in=made))


def may_sender_invite(invitation: Invitation) -> bool:
    robot, user = invitation.inviting_robot, invitation.inviter
    if user is not None:
        sender = actor_of(user)
    elif robot is not None:
        sender = actor_of_robot(robot)
    else:
        return True  # a command
    return bool(may_administer(sender, invitation.team.organization.namespace))


def may_accept(user: User, invitation: Invitation) -> bool:
    """Say whether a user who has the link may accept."""
    decided = MembershipDecision.objects.filter(
        Q(organization=invitation.team.organization) | Q(organization=None), user=user
    )
    return (
        user.is_active
        and invitation.user in {None, user}
        and invitation.expires_at > timezone.now()
        and not decided.filter(decided_at__gte=invitation.created_at).exists()
        and may_sender_invite(invitation)
    )


def accepts(user: User, invitation: Invitation) -> bool:
    """Accept it, and put everything back."""
    with transaction.atomic():
        try:
            accept(invitation=invitation, user=user)
        except InvitationOver:
            return False
        finally:
            transaction.set_rollback(True)
    return True


def test_the_listed_invitations_are_those_that_can_be_accepted(
    database: None, people: Population
) -> None:
    """By the link, what may be accepted; in the lists, what is also theirs (E8)."""
    rows = send_invitations(people)
    sent = {row.pk for row in rows}
    seen = set()
    for name in ANSWERERS:
        user = people.users[name]
        confirmed = {
            address.email.lower()
            for address in EmailAddress.objects.filter(user=user, verified=True)
        }
        allowed = {row.pk for row in rows if may_accept(user, row)}
        mine = {row.pk for row in rows if row.user == user}
        mine |= {row.pk for row in rows if row.email.lower() in confirmed}
        assert {row.pk for row in rows if accepts(user, row)} == allowed, name
        assert keys(Invitation.objects.open_to(user)) & sent == allowed, name
        assert keys(Invitation.objects.to(user)) & sent == allowed & mine, name
        seen.add((bool(allowed), bool(allowed & mine), bool(mine - allowed)))
    assert (True, True, True) in seen
    anyone = people.users["stranger"]
    standing = keys(Invitation.objects.standing()) & sent
    assert standing == {row.pk for row in rows if may_accept(row.user or anyone, row)}


# --- former names, and who may still act


def test_those_free_a_name_who_configure_what_had_it(
    database: None, people: Population
) -> None:
    acme = people.acme.namespace
    former = FormerNamespaceName.objects.create(
        name=make.unique("old"), namespace=acme, is_reserved=True
    )
    gone = FormerRepositoryName.objects.create(
        name=make.unique("gone"), namespace=acme, is_reserved=True
    )
    rows = [
        FormerRepositoryName.objects.create(
            name=make.unique("old"), namespace=acme, repository=one, is_reserved=True
        )
        for one in people.repositories
    ]
    names = {former.name, *(f"{acme.name}/{row.name}" for row in (gone, *rows))}
    for who, actor in people.actors.items():
        is_root = bool(may_administer_site(actor))
        of_acme = is_root or bool(may_administer(actor, acme))
        allowed = {former.name, f"{acme.name}/{gone.name}"} if of_acme else set()
        allowed |= {
            f"{acme.name}/{row.name}"
            for row in rows
            if is_root
            or (row.repository and decided(actor, Action.CONFIGURE, row.repository))
        }
        assert {one.name for one in former_names_of(actor)} & names == allowed, who


def test_every_form_of_liveness_agrees(database: None, people: Population) -> None:
    """The condition on rows, the test of a row, and the SQL of the protocol."""
    for user in User.objects.filter(pk__in=[one.pk for one in people.users.values()]):
        live = User.objects.filter(live_user(), pk=user.pk).exists()
        assert live is user.is_live is is_live(actor_of(user)), user
    for robot in people.robots.values():
        live = Robot.objects.live().filter(pk=robot.pk).exists()
        assert live is robot.is_live is is_live(actor_of_robot(robot)), robot
    for token in people.tokens:
        live = AccessToken.objects.live().filter(pk=token.pk).exists()
        actor = actor_of_access_token(token)
        assert live is token.is_live is is_live(actor), (token, token.user)
    seen = set()
    for who, actor in people.actors.items():
        if not actor.is_anonymous:
            arms, parameters = live_arms(actor)
            sql = " UNION ALL ".join(f"SELECT 1 {arm.sql}" for arm in arms)
            found = bool(fetch_rows(sql, parameters))
            assert found is is_live(actor), who
            seen.add(found)
    assert seen == {True, False}
    assert not is_live(ANONYMOUS)


def test_the_listed_logins_are_those_that_work(
    database: None, people: Population, settings: Any
) -> None:
    settings.BERTH_IDENTITY_TOKENS = True
    for name, stale in people.users.items():
        user = User.objects.get(pk=stale.pk)
        actors = [actor_of_password(user)]
        actors += [
            actor_of_access_token(token)
            for token in people.tokens
            if token.user_id == user.pk
        ]
        secrets = [issue_refresh_token(actor=one, client="docker") for one in actors]
        listed = logins_of(user).count()
        assert listed == sum(works(secret) for secret in secrets), name
    assert RefreshToken.objects.exists()


def works(secret: str) -> bool:
    try:
        authenticate_refresh_token(secret)
    except AuthenticationFailed:
        return False
    return True
