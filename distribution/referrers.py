"""Referrers: the manifests that name another as their subject (REF-1 .. REF-8)."""

import json
from collections.abc import Collection
from typing import Any

from repositories.models import Manifest, RepositoryFacts
from repositories.oci.digests import Digest
from repositories.oci.documents import parse_manifest
from repositories.oci.media_types import OCI_INDEX

PAGE_LIMIT_BYTES = 4 * 1024 * 1024  # as a manifest's; many clients read one page only


def list_referrers(
    repository: RepositoryFacts,
    subject: Digest,
    *,
    artifact_types: Collection[str],
    last: int,
    page_size: int,
) -> tuple[bytes, int | None]:
    """Return an image index of the referrers, and where the next page begins.

    ``last`` and the second value are positions; several artifact types mean
    any of them.
    """
    rows = (
        Manifest.objects.filter(
            repository_id=repository.id, subject_digest=str(subject), pk__gt=last
        )
        .order_by("pk")
        .values_list(
            "pk", "digest", "media_type", "size_bytes", "artifact_type", "payload"
        )
    )
    if artifact_types:
        rows = rows.filter(artifact_type__in=artifact_types)
    entries: list[str] = []
    length = 0
    for pk, digest, media_type, size_bytes, artifact_type, payload in rows[
        : page_size + 1
    ].iterator(chunk_size=20):
        entry = json.dumps(
            _descriptor(digest, media_type, size_bytes, artifact_type, bytes(payload)),
            separators=(",", ":"),
        )
        length += len(entry) + 1
        if len(entries) == page_size or (entries and length > PAGE_LIMIT_BYTES):
            return render_index(entries), last
        entries.append(entry)
        last = pk
    return render_index(entries), None


def render_index(entries: Collection[str] = ()) -> bytes:
    """Return an image index of descriptors that are JSON already."""
    return (
        f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":['
        f"{','.join(entries)}]}}"
    ).encode()


def _descriptor(
    digest: str, media_type: str, size_bytes: int, artifact_type: str, payload: bytes
) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": media_type,
        "digest": digest,
        "size": size_bytes,
    }
    if artifact_type:
        descriptor["artifactType"] = artifact_type
    annotations = parse_manifest(payload, media_type).annotations
    if annotations:
        descriptor["annotations"] = annotations
    return descriptor
