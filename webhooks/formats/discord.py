"""A message for Discord's webhooks (discord.com/developers, Execute Webhook)."""

import re
from collections.abc import Mapping
from typing import Any

from webhooks.message import EventName, Message

TITLE_MAX_LENGTH = 256
COLOURS = {EventName.DELETE: 0xB42318}
COLOUR = 0x1D63ED


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    fields = [{"name": "By", "value": escape(message.actor or "somebody")}]
    if message.digest:
        fields.append({"name": "Digest", "value": f"`{message.digest}`"})
    title = f"{message.summary} {message.reference}"
    return {
        "embeds": [
            {
                "title": escape(title)[:TITLE_MAX_LENGTH],
                "url": message.page_url,
                "timestamp": message.at,
                "color": COLOURS.get(EventName(message.event), COLOUR),
                "fields": fields,
            }
        ],
        "allowed_mentions": {"parse": []},  # a tag called @everyone rings no one
    }


def escape(text: str) -> str:
    """Keep people's words from becoming Markdown."""
    return re.sub(r"([\\*_~`|>\[\]()#])", r"\\\1", text)
