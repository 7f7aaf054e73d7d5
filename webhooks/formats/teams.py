"""An Adaptive Card for a workflow of Microsoft Teams.

Text is in TextRuns, which know no Markdown, so that names cannot become links.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import Message

CARD_TYPE = "application/vnd.microsoft.card.adaptive"


def render(message: Message, options: Mapping[str, Any]) -> dict[str, Any]:
    facts = [("Repository", message.full_name), ("By", message.actor or "somebody")]
    if message.tag:
        facts.insert(1, ("Tag", message.tag))
    if message.digest:
        facts.append(("Digest", message.digest))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _text(f"{message.summary} {message.reference}", weight="Bolder"),
            *(_text(f"{title}: {value}") for title, value in facts),
        ],
        "actions": [
            {
                "type": "Action.OpenUrl",
                "title": "Open in the registry",
                "url": message.page_url,
            }
        ],
    }
    attachment = {"contentType": CARD_TYPE, "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _text(text: str, **style: str) -> dict[str, Any]:
    return {
        "type": "RichTextBlock",
        "inlines": [{"type": "TextRun", "text": text, **style}],
    }
