"""A message for Slack's incoming webhooks (api.slack.com/messaging/webhooks)."""

from collections.abc import Mapping
from typing import Any

from webhooks.message import Notice

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # all that Slack has


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    link = f"<{notice.page_url}|{escape(notice.reference)}>"
    lines = [f"{escape(notice.summary)} {link}"]
    if notice.digest:
        lines.append(f"`{escape(notice.digest[:19])}`")
    return {
        "text": escape(f"{notice.summary} {notice.reference}"),  # for notifications
        "blocks": [
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "\n".join(lines)},
            }
        ],
    }


def escape(text: str) -> str:
    """Keep people's words from becoming links and mentions."""
    return text.translate(ESCAPES)
