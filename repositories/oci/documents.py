"""Manifests as documents: reads what a pushed body names.

The bytes themselves are kept and served as they came (MAN-2). ``parse_manifest`` is for
bodies that come in: it refuses whatever two programs could read differently, always as
a ManifestMalformed with a sentence (MAN-14). ``read_manifest`` is for manifests that
are stored, some of which were taken under older rules: it leaves out what it cannot
read.

References that must be kept are found by shape, whatever the manifest's type is: any
object with a digest, anywhere in the document, is a reference.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from repositories.oci import media_types
from repositories.oci.digests import (
    Digest,
    DigestMalformed,
    digest_of,
    parse_digest,
)
from repositories.oci.media_types import is_media_type
from repositories.oci.strict_json import (
    JsonRefused,
    parse_json,
    refuse_other_spellings,
)

# How BuildKit marks an entry of an index that says something of another entry.
ATTESTATION = "vnd.docker.reference.type"
ATTESTED_DIGEST = "vnd.docker.reference.digest"

NO_PLATFORM = "unknown/unknown"  # as BuildKit writes it

REFERENCES_MAX = 2000  # digests that one manifest names
OBJECTS_MAX = 2 * REFERENCES_MAX + 2  # that have a digest; one may be named often
SIZE_BYTES_MAX = 2**63 - 1  # what the database and every client can hold
PLACE_MAX_LENGTH = 60  # of the place that a message names
TEXT_MAX_LENGTH = 255  # of a media type (RFC 6838 §4.2) or an artifact type

_MEMBERS = frozenset(
    [
        *("schemaVersion", "mediaType", "artifactType", "config", "layers"),
        *("manifests", "blobs", "subject", "annotations"),
    ]
)
_DESCRIPTOR_MEMBERS = frozenset(
    [
        *("mediaType", "digest", "size", "urls", "annotations", "data"),
        *("artifactType", "platform"),
    ]
)
_PLATFORM_MEMBERS = frozenset(
    ["architecture", "os", "os.version", "os.features", "variant", "features"]
)


class ManifestMalformed(ValueError):
    """A body that cannot be taken as a manifest; says what was wrong."""


class ReferenceKind(StrEnum):
    """The use that a manifest makes of a digest."""

    CONFIG = "config"
    LAYER = "layer"
    FOREIGN_LAYER = "foreign"  # its bytes may lie elsewhere
    CHILD = "child"  # of an index
    OTHER = "other"  # named in a place that the image-spec does not define


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A reference to other content (image-spec descriptor.md)."""

    media_type: str
    digest: Digest
    size_bytes: int
    kind: ReferenceKind
    platform: str = ""  # "linux/arm64/v8"


@dataclass(frozen=True, slots=True)
class Document:
    """The content of a manifest."""

    media_type: str
    descriptors: tuple[Descriptor, ...] = ()
    subject: Digest | None = None
    artifact_type: str = ""  # as a referrers list shows it (REF-2)
    annotations: dict[str, str] = field(default_factory=dict)
    # Every size that is given for a digest; of a manifest that comes in.
    sizes: frozenset[tuple[Digest, int]] = frozenset()

    @property
    def referrer_annotations(self) -> str:
        """Return the annotations as JSON, "" if there are none or no subject."""
        if self.subject is None or not self.annotations:
            return ""
        text = json.dumps(self.annotations, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "replace").decode()

    @property
    def is_index(self) -> bool:
        return self.media_type in media_types.INDEX_TYPES


# --- manifests that come in


def parse_manifest(
    payload: bytes, content_type: str, *, accept_unknown: bool = True
) -> Document:
    """Read a manifest that was pushed with this Content-Type (MAN-3, MAN-4, MAN-14).

    A type that is not known by name is taken when it ends in ``+json`` and
    accept_unknown is set.
    """
    try:
        body = parse_json(payload)
        if not isinstance(body, dict):
            raise ManifestMalformed("not a JSON object")
        refuse_other_spellings(body, _MEMBERS)
        return _parse_body(body, content_type, accept_unknown)
    except JsonRefused as error:
        raise ManifestMalformed(str(error)) from error


def _parse_body(
    body: dict[str, Any], content_type: str, accept_unknown: bool
) -> Document:
    media_type = _media_type_of(body, media_types.without_parameters(content_type))
    version = body.get("schemaVersion")
    if media_type in media_types.SCHEMA1_TYPES or version == 1:
        raise ManifestMalformed(
            "schema 1 manifests are not supported: push with a current client"
        )
    if type(version) is not int or version != 2:
        raise ManifestMalformed("schemaVersion is not 2")
    artifact_type = _media_type_in(body, "artifactType")
    if media_type in media_types.IMAGE_TYPES:
        _refuse_member(body, "manifests", media_type)
        named = _image_descriptors(body)
        artifact_type = artifact_type or named[0].media_type
    elif media_type in media_types.INDEX_TYPES:
        _refuse_member(body, "layers", media_type)
        _refuse_member(body, "config", media_type)
        named = _descriptors(body, "manifests", ReferenceKind.CHILD)
    elif accept_unknown and media_type.endswith("+json"):
        named = []
    else:
        raise ManifestMalformed(f"media type '{media_type}' is not that of a manifest")
    subject = body.get("subject")
    described = (
        None
        if subject is None
        else _descriptor(subject, "subject", ReferenceKind.CHILD)
    )
    objects = list(islice(_objects_with_digest(body), OBJECTS_MAX))
    if len(objects) == OBJECTS_MAX:
        raise ManifestMalformed(f"more than {REFERENCES_MAX} references")
    sizes = {_check_object(value, place) for place, value in objects}
    descriptors = (*named, *_others(objects, named))
    if len(descriptors) > REFERENCES_MAX:
        raise ManifestMalformed(f"more than {REFERENCES_MAX} references")
    return Document(
        media_type=media_type,
        descriptors=descriptors,
        subject=None if described is None else described.digest,
        artifact_type=artifact_type,
        annotations=_annotations(body, ""),
        sizes=frozenset(size for size in sizes if size is not None),
    )


def _media_type_of(body: dict[str, Any], content_type: str) -> str:
    declared = _media_type_in(body, "mediaType")
    if content_type in media_types.UNSPECIFIC_TYPES:
        if declared:
            return declared
        if body.get("manifests") is not None:
            return media_types.OCI_INDEX
        if body.get("config") is not None or body.get("layers") is not None:
            return media_types.OCI_MANIFEST
        raise ManifestMalformed("neither Content-Type nor mediaType names its type")
    if len(content_type) > TEXT_MAX_LENGTH:
        raise ManifestMalformed("Content-Type is too long")
    if not is_media_type(content_type):
        raise ManifestMalformed(f"Content-Type {content_type!a} is not a media type")
    if declared and declared != content_type:
        raise ManifestMalformed(
            f"mediaType '{declared}' differs from Content-Type '{content_type}'"
        )
    return content_type


def _refuse_member(body: dict[str, Any], member: str, media_type: str) -> None:
    """Refuse an image that is also an index: readers would disagree about it."""
    if body.get(member) is not None:
        raise ManifestMalformed(f"'{member}' does not belong in {media_type}")


def _image_descriptors(body: dict[str, Any]) -> list[Descriptor]:
    return [
        _descriptor(body.get("config"), "config", ReferenceKind.CONFIG),
        *_descriptors(body, "layers", ReferenceKind.LAYER),
    ]


def _descriptors(
    body: dict[str, Any], member: str, kind: ReferenceKind
) -> list[Descriptor]:
    """Return the descriptors of a list; null, which Go writes for none, is empty."""
    values = body.get(member)
    if values is None:
        return []
    if not isinstance(values, list):
        raise ManifestMalformed(f"{member} is not a list")
    if len(values) > REFERENCES_MAX:
        raise ManifestMalformed(f"more than {REFERENCES_MAX} references")
    return [
        _descriptor(value, f"{member}[{index}]", kind)
        for index, value in enumerate(values)
    ]


def _descriptor(value: Any, where: str, kind: ReferenceKind) -> Descriptor:
    digest = _digest_in(value, where)
    media_type = _media_type_in(value, "mediaType", where=where)
    if not media_type:
        raise ManifestMalformed(f"{where} has no mediaType")
    size_bytes = value.get("size")
    if not _is_size(size_bytes):
        raise ManifestMalformed(f"{where}: size is not a number of bytes")
    if kind is ReferenceKind.LAYER and _is_foreign(value, media_type):
        kind = ReferenceKind.FOREIGN_LAYER
    return Descriptor(media_type, digest, size_bytes, kind, _platform(value))


def _check_object(value: dict[str, Any], where: str) -> tuple[Digest, int] | None:
    """Check what an object with a digest says beside it; return digest and size.

    A digest alone may be a text of another meaning. With a type or a size it is a
    reference, and one that cannot be read could not be kept.
    """
    if value.get("mediaType") is None and value.get("size") is None:
        return None
    digest = _digest_in(value, where)
    refuse_other_spellings(value, _DESCRIPTOR_MEMBERS, where)
    _media_type_in(value, "mediaType", where=where)
    _media_type_in(value, "artifactType", where=where)
    size_bytes = value.get("size")
    if size_bytes is not None and not _is_size(size_bytes):
        raise ManifestMalformed(f"{where}: size is not a number of bytes")
    _annotations(value, where)
    urls = value.get("urls")
    if urls is not None and not (
        isinstance(urls, list) and all(isinstance(url, str) for url in urls)
    ):
        raise ManifestMalformed(f"{where}: urls is not a list of texts")
    _check_platform(value.get("platform"), where)
    _check_data(value, where)
    return None if size_bytes is None else (digest, size_bytes)


def _check_platform(platform: Any, where: str) -> None:
    if platform is None:
        return
    if not isinstance(platform, dict):
        raise ManifestMalformed(f"{where}: platform is not an object")
    refuse_other_spellings(platform, _PLATFORM_MEMBERS, f"{where}: platform")
    for member in ("os", "architecture", "variant", "os.version"):
        if not isinstance(platform.get(member, ""), str | None):
            raise ManifestMalformed(f"{where}: platform: {member} is not a text")


def _check_data(value: dict[str, Any], where: str) -> None:
    """Hold embedded content against its digest (image-spec descriptor.md, data)."""
    data = value.get("data")
    if data is None:
        return
    try:
        content = base64.b64decode(data, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise ManifestMalformed(f"{where}: data is not base64") from error
    digest = _digest_in(value, where)
    if digest_of(content, digest.algorithm) != digest:
        raise ManifestMalformed(f"{where}: data has another digest than {digest}")


def _digest_in(value: Any, where: str) -> Digest:
    if not isinstance(value, dict):
        raise ManifestMalformed(f"{where} is not a descriptor")
    digest = value.get("digest")
    if not isinstance(digest, str):
        raise ManifestMalformed(f"{where} has no digest")
    try:
        return parse_digest(digest)
    except DigestMalformed as error:
        raise ManifestMalformed(f"{where}: {error}") from error


def _media_type_in(value: dict[str, Any], member: str, *, where: str = "") -> str:
    """Return a media type, "" if there is none; checked by RFC 6838, section 4.2."""
    text = value.get(member)
    if text is None or text == "":
        return ""
    if not isinstance(text, str) or not is_media_type(text):
        place = f"{where}: " if where else ""
        seen = ascii(text)[:100]
        raise ManifestMalformed(f"{place}{member} {seen} is not a media type")
    return text


def _annotations(value: dict[str, Any], where: str) -> dict[str, str]:
    annotations = value.get("annotations")
    if annotations is None:
        return {}
    place = f"{where}: " if where else ""
    if not isinstance(annotations, dict) or not all(
        isinstance(text, str) for text in annotations.values()
    ):
        raise ManifestMalformed(f"{place}annotations is not a map of texts")
    if "" in annotations:
        raise ManifestMalformed(f"{place}annotations has an empty key")
    return annotations


# --- manifests that are stored


def read_manifest(payload: bytes, media_type: str) -> Document:
    """Read a stored manifest; what cannot be read in it is left out.

    Raises ManifestMalformed for bytes that are not a JSON object, which no rule ever
    took.
    """
    body = _load_object(payload)
    named: list[Descriptor | None] = []
    artifact_type = _short_text(body.get("artifactType"))
    if media_type in media_types.IMAGE_TYPES:
        named = [
            _read_descriptor(body.get("config"), ReferenceKind.CONFIG),
            *(_read_descriptor(v, ReferenceKind.LAYER) for v in _list(body, "layers")),
        ]
        if not artifact_type and named[0] is not None:
            artifact_type = named[0].media_type
    elif media_type in media_types.INDEX_TYPES:
        children = _list(body, "manifests")
        named = [_read_descriptor(value, ReferenceKind.CHILD) for value in children]
    read = [descriptor for descriptor in named if descriptor is not None]
    objects = islice(_objects_with_digest(body), OBJECTS_MAX)
    subject = _read_descriptor(body.get("subject"), ReferenceKind.CHILD)
    return Document(
        media_type=media_type,
        descriptors=(*read, *_others(objects, read))[:REFERENCES_MAX],
        subject=None if subject is None else subject.digest,
        artifact_type=artifact_type,
        annotations=read_annotations(body),
    )


def read_annotations(value: Any) -> dict[str, str]:
    """Return those annotations of a stored object that are texts."""
    annotations = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(annotations, dict):
        return {}
    return {name: text for name, text in annotations.items() if isinstance(text, str)}


def find_attestations(payload: bytes) -> dict[str, list[str]]:
    """Return what BuildKit attests in an index: by digest, those of the attestations.

    The index has been taken as a manifest before; anything surprising is nothing.
    """
    found: dict[str, list[str]] = {}
    for entry in _list(_load_object(payload), "manifests"):
        attested = _attested_in(entry)
        if attested and isinstance(entry.get("digest"), str):
            found.setdefault(attested, []).append(entry["digest"])
    return found


def _load_object(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ManifestMalformed(f"not valid JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise ManifestMalformed("not a JSON object")
    return body


def _list(body: dict[str, Any], member: str) -> list[Any]:
    values = body.get(member)
    return values if isinstance(values, list) else []


def _read_descriptor(value: Any, kind: ReferenceKind) -> Descriptor | None:
    if not isinstance(value, dict):
        return None
    digest = value.get("digest")
    if not isinstance(digest, str):
        return None
    try:
        parsed = parse_digest(digest)
    except DigestMalformed:
        return None
    media_type = _short_text(value.get("mediaType"))
    size_bytes = value.get("size")
    if kind is ReferenceKind.LAYER and _is_foreign(value, media_type):
        kind = ReferenceKind.FOREIGN_LAYER
    return Descriptor(
        media_type=media_type,
        digest=parsed,
        size_bytes=int(size_bytes or 0) if _is_size(size_bytes) else 0,
        kind=kind,
        platform=_platform(value),
    )


# --- both


def _others(
    objects: Iterable[tuple[str, dict[str, Any]]], named: list[Descriptor]
) -> Iterator[Descriptor]:
    """Yield what a manifest refers to in places that its type does not define.

    Each digest once. The subject is not among them: it has a place of its own.
    """
    seen = {descriptor.digest for descriptor in named}
    for place, value in objects:
        if place == "subject":
            continue
        is_child = place.startswith("manifests[") and "." not in place
        kind = ReferenceKind.CHILD if is_child else ReferenceKind.OTHER
        descriptor = _read_descriptor(value, kind)
        if descriptor is not None and descriptor.digest not in seen:
            seen.add(descriptor.digest)
            yield descriptor


def _objects_with_digest(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object that has a digest, with its place, in the document's order."""
    rest: list[tuple[str, Any]] = [("", body)]
    while rest:
        place, value = rest.pop()
        if isinstance(value, dict):
            if isinstance(value.get("digest"), str):
                yield place, value
            named = [(f".{member[:40]}", item) for member, item in value.items()]
        else:
            named = [(f"[{index}]", item) for index, item in enumerate(value)]
        rest += [
            (_place_in(place, name), item)
            for name, item in reversed(named)
            if isinstance(item, dict | list)
        ]


def _place_in(place: str, name: str) -> str:
    """Name a value within another one; what lies deep has the name of what it is in."""
    if len(place) > PLACE_MAX_LENGTH:
        return place
    return place + name if place else name.removeprefix(".")


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= SIZE_BYTES_MAX


def _is_foreign(value: dict[str, Any], media_type: str) -> bool:
    return bool(value.get("urls")) or media_types.is_foreign_layer(media_type)


def _short_text(value: Any) -> str:
    is_short = isinstance(value, str) and len(value) <= TEXT_MAX_LENGTH
    return value if is_short and "\0" not in value else ""


def _platform(value: dict[str, Any]) -> str:
    """Return an entry's platform; what BuildKit attests of another entry has none."""
    if _attested_in(value):
        return NO_PLATFORM
    platform = value.get("platform")
    if not isinstance(platform, dict):
        return ""
    parts = [platform.get("os"), platform.get("architecture"), platform.get("variant")]
    words = [part for part in parts if isinstance(part, str) and part]
    return "/".join(words)[:TEXT_MAX_LENGTH].replace("\0", "")


def is_platform(text: str) -> bool:
    """Return whether a text names a platform; ``unknown/unknown`` stands for none."""
    return bool(text) and "unknown" not in text.split("/")


def _attested_in(entry: Any) -> str:
    """Return the digest that an entry of an index attests something of, else ""."""
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    if not isinstance(annotations, dict) or ATTESTATION not in annotations:
        return ""
    digest = annotations.get(ATTESTED_DIGEST)
    return digest if isinstance(digest, str) else ""
