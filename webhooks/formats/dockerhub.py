"""Docker Hub's payload (docs.docker.com/docker-hub/repos/manage/webhooks).

Receivers take docker.io for the host; with the option ``with_host`` the repository's
name begins with ours. ``callback_url`` takes back what the receiver made of it.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message, seconds_of

EVENTS = frozenset({EventName.PUSH, EventName.RESTORE})


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return one push of one tag."""
    return {
        "callback_url": message.callback_url,
        "push_data": {
            "pushed_at": seconds_of(message.at),
            "pusher": message.actor,
            "tag": message.tag,
            "images": [],
            "media_type": message.media_type,
        },
        "repository": {
            "comment_count": 0,
            "date_created": seconds_of(message.repository_created_at),
            "description": message.description,
            "dockerfile": "",
            "full_description": message.description,
            "is_official": message.is_official,
            "is_private": message.visibility != "public",
            "is_trusted": False,
            "name": message.name,
            "namespace": message.namespace,
            "owner": message.namespace,
            "repo_name": message.image
            if options.get("with_host")
            else message.full_name,
            "repo_url": message.repository_url,
            "star_count": message.star_count,
            "status": "Active",
        },
    }
