"""The formats that a webhook may speak: one pure module each, found here by name.

    native              CloudEvents 1.0, structured JSON
    dockerhub           Docker Hub
    quay                Quay
    harbor              Harbor, its default payload
    harbor-cloudevents  Harbor, its CloudEvents payload
    distribution        notifications of Distribution, the reference registry
    acr                 Azure Container Registry
    slack, teams, discord   a message for people
    custom              JSON from the user's own template

A format says only what it has words for; a webhook cannot ask it for other events.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webhooks.formats import (
    acr,
    custom,
    discord,
    distribution,
    dockerhub,
    harbor,
    harbor_cloudevents,
    native,
    quay,
    slack,
    teams,
)
from webhooks.message import EventName, Message

CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Format:
    """How one format is made; ``options`` names what a webhook may choose of it."""

    events: frozenset[EventName]
    render: Callable[[Message, Mapping[str, Any]], Any]
    content_type: Callable[[Mapping[str, Any]], str] = lambda options: (
        "application/json"
    )
    options: Mapping[str, tuple[Any, ...]] | None = None
    has_references: bool = False  # else hundreds of rows are not read for it


FORMATS: dict[str, Format] = {
    "native": Format(native.EVENTS, native.render, lambda _: native.CONTENT_TYPE),
    "dockerhub": Format(
        dockerhub.EVENTS, dockerhub.render, options={"with_host": (False, True)}
    ),
    "quay": Format(quay.EVENTS, quay.render),
    "harbor": Format(harbor.EVENTS, harbor.render),
    "harbor-cloudevents": Format(
        harbor_cloudevents.EVENTS,
        harbor_cloudevents.render,
        lambda _: harbor_cloudevents.CONTENT_TYPE,
    ),
    "distribution": Format(
        distribution.EVENTS,
        distribution.render,
        distribution.content_type,
        {"version": (2, 1)},
        has_references=True,
    ),
    "acr": Format(acr.EVENTS, acr.render),
    "slack": Format(frozenset(EventName), slack.render),
    "teams": Format(frozenset(EventName), teams.render),
    "discord": Format(frozenset(EventName), discord.render),
    CUSTOM: Format(frozenset(EventName), custom.render),
}

# A test has a field of its own in these; chat formats and "native" have their words.
FORMATS_OF_PROGRAMS = frozenset(
    {"dockerhub", "quay", "harbor", "harbor-cloudevents", "distribution", "acr"}
)
