"""Distribution's notifications (distribution.github.io, about/notifications).

An envelope with one event. ``version`` chooses the media type: 2 as in Distribution 3,
1 as in 2.8. Jenkins takes host and name from ``target.url``, which is absolute.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message

ACTIONS = {
    EventName.PUSH: "push",
    EventName.RESTORE: "push",
    EventName.DELETE: "delete",
    EventName.PULL: "pull",
}
METHODS = {"push": "PUT", "delete": "DELETE", "pull": "GET"}
EVENTS = frozenset(ACTIONS)


def content_type(options: Mapping[str, Any]) -> str:
    version = options.get("version", 2)
    return f"application/vnd.docker.distribution.events.v{version}+json"


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    action = ACTIONS[EventName(message.event)]
    target: dict[str, Any] = {"repository": message.full_name, "tag": message.tag}
    if action != "delete":  # of what is deleted, only its name is told
        target = {
            "mediaType": message.media_type,
            "digest": message.digest,
            "size": message.size_bytes,
            "length": message.size_bytes,
            "repository": message.full_name,
            "url": message.manifest_url,
            "tag": message.tag,
            "references": message.references,
        }
    return {
        "events": [
            {
                "id": message.id,
                "timestamp": message.at,
                "action": action,
                "target": {key: value for key, value in target.items() if value},
                "request": {
                    "id": message.id,
                    "host": message.registry,
                    "method": METHODS[action],
                    "useragent": message.user_agent,
                },
                "actor": {"name": message.actor},
                "source": {"addr": message.registry},
            }
        ]
    }
