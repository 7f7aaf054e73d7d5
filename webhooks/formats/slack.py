"""A message for Slack's incoming webhooks (api.slack.com/messaging/webhooks)."""

from collections.abc import Mapping
from typing import Any

from webhooks.message import Message

ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})  # all that Slack has


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    link = f"<{message.page_url}|{escape(message.reference)}>"
    lines = [f"{escape(message.summary)} {link}"]
    if message.digest:
        lines.append(f"`{escape(message.digest[:19])}`")
    return {
        "text": escape(f"{message.summary} {message.reference}"),  # for notifications
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
