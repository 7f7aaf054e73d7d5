"""Quay's repo_push (https://docs.quay.io/guides/notifications.html).

The host is in ``docker_url``, so Flux, Keel, Argo CD Image Updater and Kargo find the
image on a registry of one's own.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Notice

EVENTS = frozenset({EventName.PUSH, EventName.RESTORE})


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return one push of one tag."""
    return {
        "repository": notice.full_name,
        "namespace": notice.namespace,
        "name": notice.name,
        "docker_url": notice.image,
        "homepage": notice.repository_url,
        "updated_tags": [notice.tag],
    }
