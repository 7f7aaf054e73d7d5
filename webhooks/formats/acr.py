"""Azure Container Registry's payload.

learn.microsoft.com, container-registry-webhook-reference.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Notice

ACTIONS = {
    EventName.PUSH: "push",
    EventName.RESTORE: "push",
    EventName.DELETE: "delete",
}
METHODS = {"push": "PUT", "delete": "DELETE"}
EVENTS = frozenset(ACTIONS)


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    action = ACTIONS[EventName(notice.event)]
    target: dict[str, Any] = {
        "mediaType": notice.media_type,
        "digest": notice.digest,
        "repository": notice.full_name,
        "tag": notice.tag,
    }
    if action == "push":
        target |= {"size": notice.size_bytes, "length": notice.size_bytes}
    return {
        "id": notice.id,
        "timestamp": notice.at,
        "action": action,
        "target": target,
        "request": {
            "id": notice.id,
            "host": notice.registry,
            "method": METHODS[action],
            "useragent": notice.user_agent,
        },
    }
