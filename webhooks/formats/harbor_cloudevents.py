"""Harbor's CloudEvents payload (goharbor.io, Configure Webhook Notifications)."""

from collections.abc import Mapping
from typing import Any

from webhooks.formats import harbor
from webhooks.message import EventName, Message

CONTENT_TYPE = "application/cloudevents+json"
TYPES = {
    EventName.PUSH: "harbor.artifact.pushed",
    EventName.RESTORE: "harbor.artifact.pushed",
    EventName.DELETE: "harbor.artifact.deleted",
    EventName.PULL: "harbor.artifact.pulled",
}
EVENTS = frozenset(TYPES)


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": message.id,
        "requestid": message.id,
        "source": f"/projects/{message.namespace}/webhook/policies/{message.name}",
        "type": TYPES[EventName(message.event)],
        "datacontenttype": "application/json",
        "time": message.at,
        "operator": message.actor,
        "data": harbor.event_data(message),
    }
