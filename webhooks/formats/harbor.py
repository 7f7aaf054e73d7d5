"""Harbor's default payload (goharbor.io, Configure Webhook Notifications).

Harbor authenticates with a fixed Authorization header: add it as a header of the hook.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message, seconds_of

TYPES = {
    EventName.PUSH: "PUSH_ARTIFACT",
    EventName.RESTORE: "PUSH_ARTIFACT",  # the tag is there again
    EventName.DELETE: "DELETE_ARTIFACT",
    EventName.PULL: "PULL_ARTIFACT",
}
EVENTS = frozenset(TYPES)


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": TYPES[EventName(message.event)],
        "occur_at": seconds_of(message.at),
        "operator": message.actor,
        "event_data": event_data(message),
    }


def event_data(message: Message) -> dict[str, Any]:
    """Return what both of Harbor's formats say of the artifact."""
    by_digest = f"{message.image}@{message.digest}"
    return {
        "resources": [
            {
                "digest": message.digest,
                "tag": message.tag or message.digest,
                "resource_url": message.reference if message.tag else by_digest,
            }
        ],
        "repository": {
            "date_created": seconds_of(message.repository_created_at),
            "name": message.name,
            "namespace": message.namespace,
            "repo_full_name": message.full_name,
            "repo_type": message.visibility,
        },
    }
