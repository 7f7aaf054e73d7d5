"""Berth's own: CloudEvents 1.0, structured JSON (github.com/cloudevents/spec).

The type says "image" or "repository", and subject and data carry what Argo CD Image
Updater reads of CloudEvents: repositoryName, imageTag, imageDigest, registryUrl.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
EVENTS = frozenset(EventName)


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the envelope; absent values are left out, as CloudEvents has it."""
    subject_kind = "repository" if message.event == EventName.REPOSITORY else "image"
    data: dict[str, Any] = {
        "event": message.event,
        "action": message.action,
        "registry": message.registry,
        "repository": message.full_name,
        "namespace": message.namespace,
        "name": message.name,
        "visibility": message.visibility,
        "url": message.page_url,
        "actor": {"name": message.actor},
        "test": message.is_test,
    }
    if message.tag:
        data |= {
            "tag": message.tag,
            "reference": message.reference,
            "digest": message.digest or None,
            "previous_digest": message.previous_digest or None,
            "media_type": message.media_type or None,
            "platforms": message.platforms,
            "more_platform_count": message.more_platform_count,
            "repositoryName": message.full_name,
            "imageTag": message.tag,
            "imageDigest": message.digest or None,
            "registryUrl": message.registry,
        }
        if message.pull_count:
            data["count"] = message.pull_count
    else:
        data["detail"] = message.detail
    tag = f":{message.tag}" if message.tag else ""
    told = {
        "specversion": "1.0",
        "id": message.id,
        "source": message.repository_url,
        "type": f"dev.berth.{subject_kind}.{message.action}",
        "subject": f"{message.full_name}{tag}",
        "time": message.at,
        "datacontenttype": "application/json",
        "data": data,
    }
    if message.event != EventName.PULL:  # of which the log has no row
        told["sequence"] = f"{message.sequence:020}"  # an extension; orders as text
    return told
