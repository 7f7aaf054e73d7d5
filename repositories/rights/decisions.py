"""THE decision: may this actor do this with this repository, and why (permissions.md).

    allowed = action in (ownership, teams, grants, visibility)
              and action in what the token lets through

The rights are read from the database on every request, in one query; nothing here is
remembered. The query is plain SQL because it is in the path of every pull, where
the ORM's compilation costs more than the query itself; Repository.objects.visible_to
says the same rule as a set, and a test holds the two against each other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from accounts.actions import (
    ACTIONS_OF_ROLE,
    ALL_ACTIONS,
    TAG_ACTIONS,
    Action,
    Role,
)
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.liveness import live_arms
from accounts.models import Namespace
from accounts.models.teams import ADMINISTERING
from accounts.namespace_rights import (
    CREATING_STANDINGS,
    OWNER,
    namespaces_reached_by,
)
from database.sql import Arm, fetch_rows
from repositories.models import Repository, RepositoryFacts
from repositories.oci.globs import matches

# Stands for the tag of a manifest that has none; only a glob like * matches it.
UNTAGGED = ""

HELD_SHOWN = 3  # roles that a refusal names

# Where a right may come from; the earlier one explains (in_order).
SOURCES = ("owner", "administrator", "grant", "team")


@dataclass(frozen=True, slots=True)
class Right:
    """One source of rights: what it is, the role it gives, and for which tags."""

    source: str  # one of SOURCES
    role: str
    tag_glob: str = ""
    team: str = ""

    def gives(self, action: Action, tag: str | None) -> bool:
        """Return whether this right covers the action.

        Without a tag, a right for some tags answers "for some tag, yes": blobs are
        uploaded before anybody says what they will be called.
        """
        if action not in ACTIONS_OF_ROLE[self.role]:
            return False
        if not self.tag_glob or action is Action.PULL:
            return True
        if action not in TAG_ACTIONS:
            return False
        return tag is None or matches(self.tag_glob, tag)


def decide(
    actor: Actor,
    action: Action,
    repository: Repository | RepositoryFacts,
    tag: str | None = None,
    *,
    holds: bool = False,
) -> Decision:
    """Decide whether the actor may do this, and why. At most one query.

    With ``holds``, for a caller in a transaction, what gives the right cannot be taken
    away before that transaction ends (rights_of).
    """
    facts = repository if isinstance(repository, RepositoryFacts) else repository.facts
    ceiling = actor.ceiling
    if action not in ceiling.actions:
        return Decision(False, lambda: explain_token(actor, action, facts.full_name))
    if not ceiling.covers(repository_id=facts.id, namespace_id=facts.namespace_id):
        return Decision(False, lambda: explain_token(actor, action, facts.full_name))
    if facts.is_public and action is Action.PULL:
        return Decision(
            True, lambda: f"pull: allowed, because {facts.full_name} is public"
        )
    if actor.is_anonymous:
        return Decision(
            False, lambda: f"{action}: refused, because no one is signed in"
        )
    return decide_by(rights_of(actor, facts, holds=holds), actor, action, facts, tag)


def decide_tags(
    actor: Actor,
    actions: Mapping[str, Action],
    repository: RepositoryFacts,
    *,
    holds: bool = False,
) -> list[Decision]:
    """Decide for each tag whether the actor may do the action to it. One query.

    The actions are push, overwrite and delete; visibility gives none of them. Holds as
    decide does.
    """
    ceiling = actor.ceiling
    if actor.is_anonymous or not ceiling.covers(
        repository_id=repository.id, namespace_id=repository.namespace_id
    ):
        return [decide(actor, action, repository) for action in actions.values()]
    rights = rights_of(actor, repository, holds=holds)
    return [
        decide_by(rights, actor, action, repository, tag)
        if action in ceiling.actions
        else decide(actor, action, repository)
        for tag, action in actions.items()
    ]


def decide_by(
    rights: list[Right],
    actor: Actor,
    action: Action,
    facts: RepositoryFacts,
    tag: str | None,
) -> Decision:
    """Decide by rights that were read already; the first one that gives it explains."""
    for right in rights:
        if right.gives(action, tag):
            return Decision(True, partial(_explain_right, actor, action, facts, right))
    return Decision(False, lambda: _explain_none(actor, action, facts, tag, rights))


def may_create(actor: Actor, namespace: Namespace) -> Decision:
    """Decide whether the actor may create a repository in the namespace, and why."""
    ceiling = actor.ceiling
    if Action.PUSH not in ceiling.actions or not ceiling.covers(
        repository_id=None, namespace_id=namespace.pk
    ):
        return Decision(
            False,
            lambda: (
                f"create: refused, because the token *{ceiling.token_name}* does not "
                f"reach new repositories of *{namespace.name}*"
            ),
        )
    if actor.is_anonymous:
        return Decision(False, lambda: "create: refused, because no one is signed in")
    sources = {row[0] for row in fetch_rows(*_standing_query(actor, namespace))}
    if actor.user_id is not None and actor.user_id == namespace.user_id:
        sources.add(OWNER)
    if "live" in sources and sources & CREATING_STANDINGS:
        return Decision(
            True, lambda: f"create: allowed, because {actor} may in *{namespace.name}*"
        )
    return Decision(
        False,
        lambda: (
            f"create: refused, because {actor} neither owns *{namespace.name}* nor is "
            "in a team that may create repositories there"
        ),
    )


def namespaces_to_create_in(actor: Actor) -> QuerySet[Namespace]:
    """Return the namespaces in which may_create allows the actor to create one."""
    if Action.PUSH not in actor.ceiling.actions:
        return Namespace.objects.none()
    return namespaces_reached_by(actor, CREATING_STANDINGS)


def rights_of(
    actor: Actor, facts: RepositoryFacts, *, holds: bool = False
) -> list[Right]:
    """Return what gives the actor rights on the repository, visibility apart.

    Empty for a user, robot or token that was suspended, disabled, revoked or deleted,
    or has expired, since the actor was authenticated. With ``holds`` the rows that say
    so are locked against changes until the caller's transaction ends: a removal of a
    right waits for it, and then nothing more comes by that right. Teams are locked
    before members and the user last, as the verbs in accounts do.
    """
    rows = fetch_rows(*_rights_query(actor, facts, holds=holds))
    if not any(source == "live" for source, *_ in rows):
        return []
    rights = [Right(*row) for row in rows if row[0] != "live"]
    if actor.user_id is not None and actor.user_id == facts.owner_id:
        rights.append(Right("owner", "admin"))
    return in_order(rights)


def in_order(rights: list[Right]) -> list[Right]:
    """Sort rights so that the same one explains every time: the plainest comes first.

    The database returns them as it likes.
    """
    return sorted(
        rights, key=lambda r: (SOURCES.index(r.source), r.tag_glob, r.team, r.role)
    )


_RIGHTS = (
    Arm(
        """
SELECT 'administrator', 'admin', '', t.name FROM accounts_team t
  JOIN accounts_membership m ON m.team_id = t.id
 WHERE t.organization_id = %s AND m.{kind}_id = %s
   AND t.standing = '{administering}'""",
        "t, m",
    ),
    Arm(
        """
SELECT 'grant', g.role, g.tag_glob, '' FROM repositories_grant g
 WHERE g.repository_id = %s AND g.{kind}_id = %s""",
        "g",
    ),
    Arm(
        """
SELECT 'team', g.role, g.tag_glob, t.name FROM repositories_grant g
  JOIN accounts_team t ON t.id = g.team_id
  JOIN accounts_membership m ON m.team_id = g.team_id
 WHERE g.repository_id = %s AND m.{kind}_id = %s""",
        "t, m, g",
    ),
)
_STANDING = Arm(
    """
SELECT t.standing, t.name, '', '' FROM accounts_team t
  JOIN accounts_membership m ON m.team_id = t.id
 WHERE t.organization_id = %s AND m.{kind}_id = %s""",
    "t, m",
)


def _live_query(actor: Actor) -> tuple[tuple[Arm, ...], list[Any], str, int]:
    """Return SELECTs, their parameters, the subject's kind and id."""
    arms, parameters = live_arms(actor)
    selects = _live_selects(arms)
    if actor.robot_id is not None:
        return selects, parameters, "robot", actor.robot_id
    assert actor.user_id is not None, "live_arms refuses anonymous actors"
    return selects, parameters, "user", actor.user_id


@cache  # of the four kinds of actors
def _live_selects(arms: tuple[Arm, ...]) -> tuple[Arm, ...]:
    columns = "\nSELECT 'live', '', '', ''"
    return tuple(Arm(f"{columns} {arm.sql}", arm.tables) for arm in arms)


def _rights_query(
    actor: Actor, facts: RepositoryFacts, *, holds: bool
) -> tuple[str, list[Any]]:
    live, parameters, kind, subject_id = _live_query(actor)
    return _union((*_RIGHTS, *live), kind, holds=holds), [
        facts.organization_id,
        subject_id,
        facts.id,
        subject_id,
        facts.id,
        subject_id,
        *parameters,
    ]


def _standing_query(actor: Actor, namespace: Namespace) -> tuple[str, list[Any]]:
    live, parameters, kind, subject_id = _live_query(actor)
    return _union((_STANDING, *live), kind, holds=False), [
        namespace.organization_id,
        subject_id,
        *parameters,
    ]


@cache  # of the few queries that these SELECTs make
def _union(arms: tuple[Arm, ...], kind: str, *, holds: bool) -> str:
    """Join SELECTs; a database with one writer at a time needs no locks to hold."""
    selects = [arm.sql.format(kind=kind, administering=ADMINISTERING) for arm in arms]
    if holds and connection.features.has_select_for_update:
        selects = [
            f"\nSELECT * FROM ({select} FOR SHARE OF {arm.tables}) AS held"
            for select, arm in zip(selects, arms, strict=True)
        ]
    return "\nUNION ALL".join(selects)


def explain_token(actor: Actor, action: Action, full_name: str) -> str:
    """Explain why the token used does not let the action through."""
    name = actor.ceiling.token_name
    token = f"the token *{name}*" if name else "the token"
    if action not in actor.ceiling.actions:
        return f"{action}: refused, because {token} does not allow it"
    return f"{action}: refused, because {token} does not reach *{full_name}*"


def _explain_right(
    actor: Actor, action: Action, facts: RepositoryFacts, right: Right
) -> str:
    place = f"*{facts.full_name}*"
    if right.tag_glob:
        place += f" for tags like '{right.tag_glob}'"
    because = {
        "owner": f"{actor} owns *{facts.namespace_name}*",
        "administrator": (
            f"{actor} is in team *{right.team}* of *{facts.namespace_name}*, which "
            "administers it"
        ),
        "grant": f"{actor} has *{right.role}* on {place}",
        "team": (
            f"{actor} is in team *{right.team}* of *{facts.namespace_name}*, which "
            f"has *{right.role}* on {place}"
        ),
    }[right.source]
    name = actor.ceiling.token_name
    also = f"; the token *{name}* allows *{actor.ceiling.token_role}*" if name else ""
    return f"{action}: allowed, because {because}{also}"


def _explain_none(
    actor: Actor,
    action: Action,
    facts: RepositoryFacts,
    tag: str | None,
    rights: list[Right],
) -> str:
    globs = sorted({r.tag_glob for r in rights if r.tag_glob and r.gives(action, None)})
    if tag is not None and globs:
        wanted = "what has no tag" if tag == UNTAGGED else f"*{tag}*"
        return (
            f"{action}: refused, because {actor} has it on *{facts.full_name}* only "
            f"for tags like {', '.join(map(repr, globs))}, not for {wanted}"
        )
    needed = next(role for role in Role if action in ACTIONS_OF_ROLE[role])
    return (
        f"{action}: refused, because {actor} has {_held(rights, facts)}; "
        f"*{action}* needs *{needed}*"
    )


def _held(rights: list[Right], facts: RepositoryFacts) -> str:
    """Return the roles that someone has there, and through what; the highest first."""
    if not rights:
        return f"no role on *{facts.full_name}*"
    highest = sorted(rights, key=lambda r: list(Role).index(Role(r.role)), reverse=True)
    held = []
    for right in highest[:HELD_SHOWN]:
        text = f"*{right.role}* on *{facts.full_name}*"
        if right.tag_glob:
            text += f" for tags like '{right.tag_glob}'"
        if right.team:
            text += f" through team *{right.team}*"
        held.append(text)
    if len(rights) > HELD_SHOWN:
        held.append(f"{len(rights) - HELD_SHOWN} more")
    return " and ".join(dict.fromkeys(held))


def actions_of(actor: Actor, facts: RepositoryFacts) -> frozenset[Action]:
    """Return every action that the actor has, for some tag at least. One query."""
    is_reached = actor.ceiling.covers(
        repository_id=facts.id, namespace_id=facts.namespace_id
    )
    asks = is_reached and not actor.is_anonymous
    return actions_by(rights_of(actor, facts) if asks else [], actor, facts)


def actions_by(
    rights: list[Right], actor: Actor, facts: RepositoryFacts
) -> frozenset[Action]:
    """Return every action that rights give which were read already. No query."""
    ceiling = actor.ceiling
    if not ceiling.covers(repository_id=facts.id, namespace_id=facts.namespace_id):
        return frozenset()
    actions = {Action.PULL} if facts.is_public else set()
    actions |= {a for a in ALL_ACTIONS for r in rights if r.gives(a, None)}
    return frozenset(actions) & ceiling.actions
