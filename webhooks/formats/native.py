"""Berth's own: CloudEvents 1.0, structured JSON (github.com/cloudevents/spec).

The type says "image" or "repository", and subject and data carry what Argo CD Image
Updater reads of CloudEvents: repositoryName, imageTag, imageDigest, registryUrl.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Notice

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
EVENTS = frozenset(EventName)


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the envelope; absent values are left out, as CloudEvents has it."""
    subject_kind = "repository" if notice.event == EventName.REPOSITORY else "image"
    data: dict[str, Any] = {
        "event": notice.event,
        "action": notice.action,
        "registry": notice.registry,
        "repository": notice.full_name,
        "namespace": notice.namespace,
        "name": notice.name,
        "visibility": notice.visibility,
        "url": notice.page_url,
        "actor": {"name": notice.actor},
        "test": notice.is_test,
    }
    if notice.tag:
        data |= {
            "tag": notice.tag,
            "reference": notice.reference,
            "digest": notice.digest or None,
            "previous_digest": notice.previous_digest or None,
            "media_type": notice.media_type or None,
            "platforms": notice.platforms,
            "more_platform_count": notice.more_platform_count,
            "repositoryName": notice.full_name,
            "imageTag": notice.tag,
            "imageDigest": notice.digest or None,
            "registryUrl": notice.registry,
        }
        if notice.pull_count:
            data["count"] = notice.pull_count
    else:
        data["detail"] = notice.detail
    tag = f":{notice.tag}" if notice.tag else ""
    told = {
        "specversion": "1.0",
        "id": notice.id,
        "source": notice.repository_url,
        "type": f"dev.berth.{subject_kind}.{notice.action}",
        "subject": f"{notice.full_name}{tag}",
        "time": notice.at,
        "datacontenttype": "application/json",
        "data": data,
    }
    if notice.event != EventName.PULL:  # of which the log has no row
        told["sequence"] = f"{notice.sequence:020}"  # an extension; orders as text
    return told
