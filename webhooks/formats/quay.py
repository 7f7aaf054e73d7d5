"""Quay's repo_push (https://docs.quay.io/guides/notifications.html).

The host is in ``docker_url``, so Flux, Keel, Argo CD Image Updater and Kargo find the
image on a registry of one's own.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message

EVENTS = frozenset({EventName.PUSH, EventName.RESTORE})


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return one push of one tag."""
    return {
        "repository": message.full_name,
        "namespace": message.namespace,
        "name": message.name,
        "docker_url": message.image,
        "homepage": message.repository_url,
        "updated_tags": [message.tag],
    }
