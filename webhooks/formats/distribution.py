"""Distribution's notifications (distribution.github.io, about/notifications).

An envelope with one event. ``version`` chooses the media type: 2 as in Distribution 3,
1 as in 2.8. Jenkins takes host and name from ``target.url``, which is absolute.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Notice

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


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    action = ACTIONS[EventName(notice.event)]
    target: dict[str, Any] = {"repository": notice.full_name, "tag": notice.tag}
    if action != "delete":  # of what is deleted, only its name is told
        target = {
            "mediaType": notice.media_type,
            "digest": notice.digest,
            "size": notice.size_bytes,
            "length": notice.size_bytes,
            "repository": notice.full_name,
            "url": notice.manifest_url,
            "tag": notice.tag,
            "references": notice.references,
        }
    return {
        "events": [
            {
                "id": notice.id,
                "timestamp": notice.at,
                "action": action,
                "target": {key: value for key, value in target.items() if value},
                "request": {
                    "id": notice.id,
                    "host": notice.registry,
                    "method": METHODS[action],
                    "useragent": notice.user_agent,
                },
                "actor": {"name": notice.actor},
                "source": {"addr": notice.registry},
            }
        ]
    }
