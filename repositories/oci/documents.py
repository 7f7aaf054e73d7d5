"""Manifests as documents: what a pushed body says, read once and with suspicion.

The bytes themselves are kept and served as they came (MAN-2); what is parsed here is
only for finding references, and every surprise is a ManifestMalformed with a sentence,
never another exception (MAN-14).
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from repositories.oci import media_types
from repositories.oci.digests import Digest, DigestMalformed, parse_digest

# How BuildKit marks an entry of an index that says something of another entry.
ATTESTATION = "vnd.docker.reference.type"
ATTESTED_DIGEST = "vnd.docker.reference.digest"

NO_PLATFORM = "unknown/unknown"  # as BuildKit writes it

REFERENCES_MAX = 2000  # children and layers of one manifest
SIZE_BYTES_MAX = 2**63 - 1  # what the database and every client can hold
TEXT_MAX_LENGTH = 255  # of a media type (RFC 6838 §4.2) or an artifact type


class ManifestMalformed(ValueError):
    """A body that cannot be taken as a manifest; says what was wrong."""


class ReferenceKind(StrEnum):
    """What a manifest uses a digest for."""

    CONFIG = "config"
    LAYER = "layer"
    FOREIGN_LAYER = "foreign"  # its bytes may lie elsewhere
    CHILD = "child"  # of an index


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
    """What a manifest says."""

    media_type: str
    descriptors: tuple[Descriptor, ...] = ()
    subject: Digest | None = None
    artifact_type: str = ""  # as a referrers list shows it (REF-2)
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def is_index(self) -> bool:
        return self.media_type in media_types.INDEX_TYPES


def parse_manifest(
    payload: bytes, content_type: str, *, accept_unknown: bool = True
) -> Document:
    """Read a manifest that was pushed with this Content-Type (MAN-3, MAN-4, MAN-14).

    A type that is not known by name is taken as opaque, without references, when it
    ends in ``+json`` and accept_unknown is set.
    """
    body = _parse_object(payload)
    media_type = _media_type_of(body, media_types.without_parameters(content_type))
    if media_type in media_types.SCHEMA1_TYPES or body.get("schemaVersion") == 1:
        raise ManifestMalformed(
            "schema 1 manifests are not supported: push with a current client"
        )
    if body.get("schemaVersion") != 2:
        raise ManifestMalformed("schemaVersion is not 2")
    subject = body.get("subject")
    common: dict[str, Any] = {
        "media_type": media_type,
        "subject": None if subject is None else _digest_in(subject, "subject"),
        "annotations": _annotations(body),
    }
    artifact_type = _text(body, "artifactType")
    if media_type in media_types.IMAGE_TYPES:
        _refuse_member(body, "manifests", media_type)
        descriptors = _image_descriptors(body)
        artifact_type = artifact_type or descriptors[0].media_type
    elif media_type in media_types.INDEX_TYPES:
        _refuse_member(body, "layers", media_type)
        _refuse_member(body, "config", media_type)
        descriptors = _index_descriptors(body)
    elif accept_unknown and media_type.endswith("+json"):
        descriptors = []
    else:
        raise ManifestMalformed(f"media type '{media_type}' is not that of a manifest")
    if len(descriptors) > REFERENCES_MAX:
        raise ManifestMalformed(f"more than {REFERENCES_MAX} references")
    return Document(
        descriptors=tuple(descriptors), artifact_type=artifact_type, **common
    )


def _parse_object(payload: bytes) -> dict[str, Any]:
    try:
        body = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except ManifestMalformed:
        raise
    except RecursionError as error:
        raise ManifestMalformed("nested too deeply") from error
    except ValueError as error:  # JSON, UTF-8, or an absurdly long number
        raise ManifestMalformed(f"not valid JSON: {str(error)[:200]}") from error
    if not isinstance(body, dict):
        raise ManifestMalformed("not a JSON object")
    return body


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ManifestMalformed("a member is given twice")
    return members


def _refuse_constant(name: str) -> None:
    raise ManifestMalformed(f"{name} is not JSON")


def _media_type_of(body: dict[str, Any], content_type: str) -> str:
    declared = _text(body, "mediaType")
    if content_type in media_types.UNSPECIFIC_TYPES:
        if declared:
            return declared
        if "manifests" in body:
            return media_types.OCI_INDEX
        if "config" in body or "layers" in body:
            return media_types.OCI_MANIFEST
        raise ManifestMalformed("neither Content-Type nor mediaType names its type")
    if declared and declared != content_type:
        raise ManifestMalformed(
            f"mediaType '{declared}' differs from Content-Type '{content_type}'"
        )
    if len(content_type) > TEXT_MAX_LENGTH:
        raise ManifestMalformed("Content-Type is too long")
    return content_type


def _refuse_member(body: dict[str, Any], member: str, media_type: str) -> None:
    """An image that is also an index means different things to different readers."""
    if body.get(member) is not None:
        raise ManifestMalformed(f"'{member}' does not belong in {media_type}")


def _image_descriptors(body: dict[str, Any]) -> list[Descriptor]:
    layers = body.get("layers", [])
    if not isinstance(layers, list):
        raise ManifestMalformed("layers is not a list")
    return [
        _descriptor(body.get("config"), "config", ReferenceKind.CONFIG),
        *(
            _descriptor(layer, f"layers[{index}]", ReferenceKind.LAYER)
            for index, layer in enumerate(layers)
        ),
    ]


def _index_descriptors(body: dict[str, Any]) -> list[Descriptor]:
    manifests = body.get("manifests")
    if not isinstance(manifests, list):
        raise ManifestMalformed("manifests is not a list")
    return [
        _descriptor(manifest, f"manifests[{index}]", ReferenceKind.CHILD)
        for index, manifest in enumerate(manifests)
    ]


def _descriptor(value: Any, where: str, kind: ReferenceKind) -> Descriptor:
    digest = _digest_in(value, where)
    media_type = _text(value, "mediaType", where=where)
    if not media_type:
        raise ManifestMalformed(f"{where} has no mediaType")
    size_bytes = value.get("size")
    if type(size_bytes) is not int or not 0 <= size_bytes <= SIZE_BYTES_MAX:
        raise ManifestMalformed(f"{where}: size is not a number of bytes")
    if kind is ReferenceKind.LAYER and (
        value.get("urls") or media_types.is_foreign_layer(media_type)
    ):
        kind = ReferenceKind.FOREIGN_LAYER
    return Descriptor(media_type, digest, size_bytes, kind, _platform(value))


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
    """Tell whether something runs there: ``unknown/unknown`` stands for no platform."""
    return bool(text) and "unknown" not in text.split("/")


def find_attestations(payload: bytes) -> dict[str, list[str]]:
    """Return what BuildKit attests in an index: by digest, those of the attestations.

    The index has been taken as a manifest before; anything surprising is nothing.
    """
    found: dict[str, list[str]] = {}
    for entry in _parse_object(payload).get("manifests") or []:
        attested = _attested_in(entry)
        if attested and isinstance(entry.get("digest"), str):
            found.setdefault(attested, []).append(entry["digest"])
    return found


def _attested_in(entry: Any) -> str:
    """Return the digest that an entry of an index attests something of, else ""."""
    annotations = entry.get("annotations") if isinstance(entry, dict) else None
    if not isinstance(annotations, dict) or ATTESTATION not in annotations:
        return ""
    digest = annotations.get(ATTESTED_DIGEST)
    return digest if isinstance(digest, str) else ""


def _annotations(body: dict[str, Any]) -> dict[str, str]:
    annotations = body.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict) or not all(
        isinstance(text, str) for text in annotations.values()
    ):
        raise ManifestMalformed("annotations is not a map of texts")
    return annotations


def _text(value: dict[str, Any], member: str, *, where: str = "") -> str:
    text = value.get(member)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > TEXT_MAX_LENGTH or "\0" in text:
        place = f"{where}: " if where else ""
        raise ManifestMalformed(f"{place}{member} is not a short text")
    return text
