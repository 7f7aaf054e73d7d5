"""The message to a receiver, from which each format is rendered. Pure."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from repositories.events.words import WORDS


class EventName(StrEnum):
    """The events that a webhook can receive (docs/webhooks.md)."""

    PUSH = "push"
    DELETE = "delete"
    RESTORE = "restore"
    REPOSITORY = "repository"
    PULL = "pull"


# Kinds of events as they are recorded, with what webhooks call them. One image pushed
# for several platforms is one event: its parts are pushed by digest (manifest.pushed),
# which no one waits for.
NAMES_OF_KINDS = {
    "tag.pushed": EventName.PUSH,
    "tag.deleted": EventName.DELETE,
    "tag.restored": EventName.RESTORE,
    "repository.created": EventName.REPOSITORY,
    "repository.visibility": EventName.REPOSITORY,
    "repository.renamed": EventName.REPOSITORY,
    "repository.transferred": EventName.REPOSITORY,
    "repository.deleted": EventName.REPOSITORY,
    "repository.restored": EventName.REPOSITORY,
    "tag.pulled": EventName.PULL,  # not in the log (webhooks/delivery/planning.py)
}
PLATFORMS_MAX_BYTES = 32 * 1024  # a real platform has some 12 characters
REFERENCES_MAX = 500  # in one message, of a manifest that has more


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened, with all that any format says of it."""

    id: str  # of the delivery; the same on every attempt
    event: str  # an EventName
    kind: str  # as recorded: "tag.pushed", "repository.renamed"
    at: str  # RFC 3339 in UTC
    actor: str
    registry_url: str
    namespace: str
    name: str
    visibility: str = "private"
    description: str = ""
    is_official: bool = False
    star_count: int = 0
    repository_created_at: str = ""
    tag: str = ""
    digest: str = ""
    previous_digest: str = ""
    media_type: str = ""
    size_bytes: int = 0  # of the manifest
    platforms: list[str] = field(default_factory=list)
    more_platform_count: int = 0  # entries of an index beyond those
    references: list[dict[str, Any]] = field(default_factory=list)  # descriptors
    detail: dict[str, Any] = field(default_factory=dict)
    sequence: int = 0  # of the row in the log; a later one has a higher number
    pull_count: int = 0  # of a pull: how often since the last message
    user_agent: str = ""
    callback_url: str = ""
    is_test: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def registry(self) -> str:
        """The host as image names have it: registry.example.com:5000."""
        return self.registry_url.partition("://")[2]

    @property
    def action(self) -> str:
        """The second part of the kind: pushed, deleted, renamed."""
        return self.kind.partition(".")[2]

    @property
    def image(self) -> str:
        """The repository as docker calls it, with the registry's host."""
        return f"{self.registry}/{self.full_name}"

    @property
    def reference(self) -> str:
        """The reference that `docker pull` takes."""
        return f"{self.image}:{self.tag}" if self.tag else self.image

    @property
    def repository_url(self) -> str:
        return f"{self.registry_url}/{self.full_name}"

    @property
    def page_url(self) -> str:
        """The page of the tag, or of the repository."""
        return f"{self.repository_url}:{self.tag}" if self.tag else self.repository_url

    @property
    def manifest_url(self) -> str:
        """Absolute, since Jenkins takes host and name from it."""
        return f"{self.registry_url}/v2/{self.full_name}/manifests/{self.digest}"

    @property
    def summary(self) -> str:
        """One plain sentence without the names, for messages: "alice pushed".

        A test says that it is one, in every message.
        """
        who = self.actor or "somebody"
        visibility = self.detail.get("visibility", "changed")
        words = WORDS[self.kind].plain.format(visibility=visibility)
        test = "Test from Berth: " if self.is_test else ""
        return f"{test}{who} {words}"


def seconds_of(time: str) -> int:
    """Return an RFC 3339 time as whole seconds since 1970; 0 for none."""
    return int(datetime.fromisoformat(time).timestamp()) if time else 0
