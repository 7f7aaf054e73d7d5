"""Harbor's CloudEvents payload (goharbor.io, Configure Webhook Notifications)."""

from collections.abc import Mapping
from typing import Any

from webhooks.formats import harbor
from webhooks.message import EventName, Notice

CONTENT_TYPE = "application/cloudevents+json"
TYPES = {
    EventName.PUSH: "harbor.artifact.pushed",
    EventName.RESTORE: "harbor.artifact.pushed",
    EventName.DELETE: "harbor.artifact.deleted",
    EventName.PULL: "harbor.artifact.pulled",
}
EVENTS = frozenset(TYPES)


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": notice.id,
        "requestid": notice.id,
        "source": f"/projects/{notice.namespace}/webhook/policies/{notice.name}",
        "type": TYPES[EventName(notice.event)],
        "datacontenttype": "application/json",
        "time": notice.at,
        "operator": notice.actor,
        "data": harbor.event_data(notice),
    }
