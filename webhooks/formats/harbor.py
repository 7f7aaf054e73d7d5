"""Harbor's default payload (goharbor.io, Configure Webhook Notifications).

Harbor authenticates with a fixed Authorization header: add it as a header of the hook.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Notice, seconds_of

TYPES = {
    EventName.PUSH: "PUSH_ARTIFACT",
    EventName.RESTORE: "PUSH_ARTIFACT",  # the tag is there again
    EventName.DELETE: "DELETE_ARTIFACT",
    EventName.PULL: "PULL_ARTIFACT",
}
EVENTS = frozenset(TYPES)


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": TYPES[EventName(notice.event)],
        "occur_at": seconds_of(notice.at),
        "operator": notice.actor,
        "event_data": event_data(notice),
    }


def event_data(notice: Notice) -> dict[str, Any]:
    """Return what both of Harbor's formats say of the artifact."""
    by_digest = f"{notice.image}@{notice.digest}"
    return {
        "resources": [
            {
                "digest": notice.digest,
                "tag": notice.tag or notice.digest,
                "resource_url": notice.reference if notice.tag else by_digest,
            }
        ],
        "repository": {
            "date_created": seconds_of(notice.repository_created_at),
            "name": notice.name,
            "namespace": notice.namespace,
            "repo_full_name": notice.full_name,
            "repo_type": notice.visibility,
        },
    }
