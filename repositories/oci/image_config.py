"""An image's config blob: what it says of the image, read once and tolerantly. Pure.

The blob is whatever a builder wrote, and pages only show it: a member of another shape
than the specification's is left out, texts and lists are cut to a size that a page can
bear, and a blob that is no JSON object at all is no config (image-spec config.md).
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from repositories.oci import media_types
from repositories.oci.documents import Document, ReferenceKind

CONFIG_LIMIT_BYTES = 1024 * 1024  # real ones have some 10 kB
TEXT_MAX_LENGTH = 4096
WORD_MAX_LENGTH = 64  # of an operating system or an architecture
ENTRIES_MAX = 500  # of one list or map

CONFIG_TYPES = frozenset({media_types.OCI_CONFIG, media_types.DOCKER_CONFIG})
_TEXTS = ("User", "WorkingDir", "StopSignal")
_LISTS = ("Env", "Entrypoint", "Cmd")
_SETS = ("ExposedPorts", "Volumes")  # written as maps to empty objects


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """The content of an image's config; ``document`` has the shape of the spec.

    Of its ``config`` only the members that pages show are there, and of each step of
    its ``history`` ``created_by``, ``comment`` and ``empty_layer``.
    """

    os: str = ""
    architecture: str = ""
    variant: str = ""
    created_at: datetime | None = None
    document: dict[str, Any] = field(default_factory=dict)


def config_descriptor_of(document: Document) -> tuple[str, int] | None:
    """Return digest and size of an image's config; None if it is no image's."""
    for descriptor in document.descriptors:
        if descriptor.kind is ReferenceKind.CONFIG:
            if descriptor.media_type not in CONFIG_TYPES:
                return None
            return str(descriptor.digest), descriptor.size_bytes
    return None


def parse_image_config(content: bytes) -> ParsedConfig | None:
    """Read a config blob; None for one that cannot be read as one."""
    if len(content) > CONFIG_LIMIT_BYTES:
        return None
    try:
        body = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    config = body.get("config")
    document: dict[str, Any] = {
        "config": _settings(config if isinstance(config, dict) else {}),
        "history": _history(body.get("history")),
    }
    author = _text(body.get("author"))
    if author:
        document["author"] = author
    return ParsedConfig(
        os=_word(body.get("os")),
        architecture=_word(body.get("architecture")),
        variant=_word(body.get("variant")),
        created_at=_time(body.get("created")),
        document=document,
    )


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for name in _TEXTS:
        settings[name] = _text(config.get(name))
    for name in _LISTS:
        settings[name] = _texts(config.get(name))
    for name in _SETS:
        given = config.get(name)
        settings[name] = dict.fromkeys(
            _texts(list(given) if isinstance(given, dict) else None), None
        )
    labels = config.get("Labels")
    settings["Labels"] = _labels(labels if isinstance(labels, dict) else {})
    return {name: value for name, value in settings.items() if value}


def _labels(labels: dict[str, Any]) -> dict[str, str]:
    texts = [
        (_text(name), _text(value))
        for name, value in labels.items()
        if isinstance(value, str)
    ]
    return dict(texts[:ENTRIES_MAX])


def _history(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        return []
    steps = []
    for step in value[:ENTRIES_MAX]:
        if not isinstance(step, dict):
            return []  # steps are counted off against the layers: all or none
        kept: dict[str, Any] = {}
        for name in ("created_by", "comment"):
            text = _text(step.get(name))
            if text:
                kept[name] = text
        if step.get("empty_layer") is True:
            kept["empty_layer"] = True
        steps.append(kept)
    return steps


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    return [_text(text) for text in value if isinstance(text, str)][:ENTRIES_MAX]


def _text(value: Any) -> str:
    """Return a text that every database takes: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str):
        return ""
    cut = value[:TEXT_MAX_LENGTH].replace("\0", "")
    return cut.encode("utf-8", "replace").decode("utf-8")


def _word(value: Any) -> str:
    word = _text(value)
    return word if len(word) <= WORD_MAX_LENGTH and word.isprintable() else ""


def _time(value: Any) -> datetime | None:
    """Read RFC 3339; builders that do not want to say write the year 1."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if is_build_time(at) else None


def is_build_time(at: datetime) -> bool:
    """Return whether a time is real; builders write others to be reproducible.

    Reproducible builds write 1970, and buildpacks 1980.
    """
    return at.year > 1980
