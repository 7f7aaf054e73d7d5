"""An Adaptive Card for a workflow of Microsoft Teams.

Text stands in TextRuns, which know no Markdown, so that names cannot become links.
"""

from collections.abc import Mapping
from typing import Any

from webhooks.message import Notice

CARD_TYPE = "application/vnd.microsoft.card.adaptive"


def render(notice: Notice, options: Mapping[str, Any]) -> dict[str, Any]:
    facts = [("Repository", notice.full_name), ("By", notice.actor or "somebody")]
    if notice.tag:
        facts.insert(1, ("Tag", notice.tag))
    if notice.digest:
        facts.append(("Digest", notice.digest))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _text(f"{notice.summary} {notice.reference}", weight="Bolder"),
            *(_text(f"{title}: {value}") for title, value in facts),
        ],
        "actions": [
            {
                "type": "Action.OpenUrl",
                "title": "Open in the registry",
                "url": notice.page_url,
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
