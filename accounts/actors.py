"""The actor of a request and its ceiling: every permission question starts here.

An Actor is made by authentication and never looked into the database again for its
identity; what it may do is asked on every request (rule 5 of
docs/development/permissions.md).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime

from accounts.actions import ALL_ACTIONS, Action


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How much a token lets through at most. None means: not limited in that way."""

    actions: frozenset[Action] = ALL_ACTIONS
    repository_ids: frozenset[int] | None = None
    namespace_ids: frozenset[int] | None = None
    # For explanations: "the token *ci* allows *write*".
    token_name: str = ""
    token_role: str = ""

    @property
    def is_everywhere(self) -> bool:
        """Return whether no repository or namespace is out of the token's reach."""
        return self.repository_ids is None and self.namespace_ids is None

    def covers(self, *, repository_id: int | None, namespace_id: int) -> bool:
        """Return whether the token reaches this repository (None: one not yet made)."""
        if self.is_everywhere:
            return True
        return (
            repository_id is not None and repository_id in (self.repository_ids or ())
        ) or namespace_id in (self.namespace_ids or ())


UNLIMITED = Ceiling()


@dataclass(frozen=True, slots=True)
class Actor:
    """A user, a robot, or no one (both ids None), as authenticated for one request."""

    user_id: int | None = None
    robot_id: int | None = None
    name: str = ""  # the login: "alice", "acme+deploy", "" for anonymous
    access_token_id: int | None = None
    # Of the account when a password, without a session, opened this; else None.
    epoch: int | None = None
    expires_at: datetime | None = None  # of the token: what it makes ends with it
    address: str = ""  # where the request came from, for the audit
    ceiling: Ceiling = field(default=UNLIMITED)

    @property
    def is_anonymous(self) -> bool:
        return self.user_id is None and self.robot_id is None

    def __str__(self) -> str:
        return self.name or "anonymous"

    def at(self, address: str) -> "Actor":
        """Return the same actor, asking from this address."""
        return replace(self, address=address)


ANONYMOUS = Actor()
# For the audit of what no one asked for by a request. They have no rights.
SYSTEM = Actor(name="system")  # Berth itself: timetables, clean-up
COMMAND_LINE = Actor(name="command line")  # whoever has a shell on the machine
