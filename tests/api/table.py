"""How the table of test_routes.py says who gets what, and what follows from a row.

    Route("PATCH", f"{ORG}/teams/{{team}}", for_=OWNERS)
    Route("GET", f"{API}/tags", for_=READERS, needs=READ, anonymous=404)

A row says who is let through and what they are answered. The rest is the same for all
routes: what the others are told follows from what the path is about, and a credential
lets through less than its person, never more:

    session         as a full token; of one who was suspended: as anonymous
    full token      the person
    read token      403 wherever the row needs more than read
    other token     for one other repository: 404 in repositories, 403 elsewhere
    password        401, HTTP Basic is no scheme of the API
    registry token  401, it is for /v2/

The older form (path, method, body, eleven numbers in the order of COLUMNS) goes on to
be understood.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Everybody, by what they are in {api}, which is private, and in {org}.
PERSONS = (
    "alice",  # owns
    "bob",  # writes through a team, and so is in the organization
    "carol",  # reads
    "dave",  # a stranger
    "robby",  # a robot that writes
    "former",  # was in the team
    "disabled",  # was suspended, is still in the team
    "administrator",  # of the site
    "anonymous",
)
COLUMNS = (
    *("alice", "bob", "carol", "dave", "former", "disabled", "administrator"),
    *("robby", "anonymous", "alice-read", "alice-other"),
)
CREDENTIALS = ("session", "full", "read", "other", "password", "registry")
CREDENTIALS_OF = {
    "robby": ("full", "registry"),  # a robot has one token and no session
    "anonymous": ("full", "registry"),  # "full" is none at all
}

# Who is let through.
EVERYBODY = frozenset(PERSONS) - {"disabled"}
SIGNED_IN = EVERYBODY - {"anonymous"}
PEOPLE = SIGNED_IN - {"robby"}
READERS = frozenset({"alice", "bob", "carol", "robby"})
WRITERS = READERS - {"carol"}
MEMBERS = frozenset({"alice", "bob"})
OWNERS = frozenset({"alice"})
ADMINISTRATORS = frozenset({"administrator"})

# What a token has to allow.
READ, WRITE, ADMIN = "read", "write", "admin"

# What a path is about, and so what a token for something else gets.
REPOSITORY, RESTRICTED, UNRESTRICTED = "repository", "restricted", "unrestricted"
HIDDEN = "hidden"  # absent for all but those who are let through

ORG = "/organizations/{org}"
API = "/repositories/{api}"


@dataclass(frozen=True)
class Route:
    """One row. ``otherwise`` is for persons whose answer does not follow."""

    method: str
    path: str
    body: Any = None
    status: int = 200
    for_: frozenset[str] = OWNERS
    needs: str = ADMIN
    anonymous: int = 401
    reach: str = ""
    otherwise: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_about(self) -> str:
        if self.reach:
            return self.reach
        return REPOSITORY if self.path.startswith(API) else RESTRICTED

    def expected(self) -> dict[tuple[str, str], int]:
        """Return the status for every person with every credential."""
        return {
            (person, credential): self._narrowed(person, credential)
            for person, credential in everybody()
        }

    def of(self, person: str) -> int:
        """Return what a person gets with all of the person's rights."""
        if person in self.otherwise:
            return self.otherwise[person]
        if person == "disabled":
            return 401
        if person in self.for_:
            return self.status
        if person == "anonymous":
            return self.anonymous
        return 404 if self._hides_from(person) else 403

    def _hides_from(self, person: str) -> bool:
        return self.is_about == HIDDEN or (
            self.is_about == REPOSITORY and person not in READERS
        )

    def _narrowed(self, person: str, credential: str) -> int:
        full = self.of(person)
        if credential in {"password", "registry"}:
            return 401
        if credential == "session" and person == "disabled":
            return self.of("anonymous")
        if credential in {"session", "full"} or person == "disabled":
            return full
        if credential == "other" and self.is_about != UNRESTRICTED:
            return 404 if self.is_about in {REPOSITORY, HIDDEN} else 403
        if self.needs == READ or credential == "other":
            return full
        return 404 if self._hides_from(person) else 403


@dataclass(frozen=True)
class Columns(Route):
    """A row of the older form; what it says of alice's tokens goes for everybody's."""

    numbers: Mapping[str, int] = field(default_factory=dict)

    def of(self, person: str) -> int:
        if person == "anonymous" and self.method != "GET":
            return 401
        return self.numbers[person]

    def _narrowed(self, person: str, credential: str) -> int:
        full = super()._narrowed(person, "full")
        if credential not in {"read", "other"} or person == "disabled":
            return super()._narrowed(person, credential)
        narrowed = self.numbers[f"alice-{credential}"]
        if person == "alice":
            return narrowed
        if narrowed == self.numbers["alice"] and narrowed < 400:
            return full
        unseen = self.is_about == REPOSITORY and person not in READERS
        return full if unseen else narrowed


def row_of(row: Any) -> Route:
    """Return a row of either form."""
    if isinstance(row, Route):
        return row
    path, method, body, numbers = row
    by_column = dict(zip(COLUMNS, numbers, strict=True))
    return Columns(method, path, body, numbers=by_column)


def everybody() -> Iterator[tuple[str, str]]:
    """Return every person with every credential, last the owner, who changes things."""
    for person in reversed(PERSONS):
        for credential in reversed(CREDENTIALS_OF.get(person, CREDENTIALS)):
            yield person, credential
