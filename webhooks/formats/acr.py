"""Azure Container Registry's payload.

learn.microsoft.com, container-registry-webhook-reference.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message

ACTIONS = {
    EventName.PUSH: "push",
    EventName.RESTORE: "push",
    EventName.DELETE: "delete",
}
METHODS = {"push": "PUT", "delete": "DELETE"}
EVENTS = frozenset(ACTIONS)


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    action = ACTIONS[EventName(message.event)]
    target: dict[str, Any] = {
        "mediaType": message.media_type,
        "digest": message.digest,
        "repository": message.full_name,
        "tag": message.tag,
    }
    if action == "push":
        target |= {"size": message.size_bytes, "length": message.size_bytes}
    return {
        "id": message.id,
        "timestamp": message.at,
        "action": action,
        "target": target,
        "request": {
            "id": message.id,
            "host": message.registry,
            "method": METHODS[action],
            "useragent": message.user_agent,
        },
    }
