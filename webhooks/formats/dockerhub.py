"""Docker Hub's payload (docs.docker.com/docker-hub/repos/manage/webhooks).

Receivers take docker.io for the host; with the option ``with_host`` the repository's
name begins with ours. ``callback_url`` takes back what the receiver made of it.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Notice, seconds_of

EVENTS = frozenset({EventName.PUSH, EventName.RESTORE})


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return one push of one tag."""
    return {
        "callback_url": notice.callback_url,
        "push_data": {
            "pushed_at": seconds_of(notice.at),
            "pusher": notice.actor,
            "tag": notice.tag,
            "images": [],
            "media_type": notice.media_type,
        },
        "repository": {
            "comment_count": 0,
            "date_created": seconds_of(notice.repository_created_at),
            "description": notice.description,
            "dockerfile": "",
            "full_description": notice.description,
            "is_official": notice.is_official,
            "is_private": notice.visibility != "public",
            "is_trusted": False,
            "name": notice.name,
            "namespace": notice.namespace,
            "owner": notice.namespace,
            "repo_name": notice.image if options.get("with_host") else notice.full_name,
            "repo_url": notice.repository_url,
            "star_count": notice.star_count,
            "status": "Active",
        },
    }
