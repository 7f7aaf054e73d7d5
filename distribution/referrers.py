"""Referrers: the manifests that name another as their subject (REF-1 .. REF-10).

A page is cut by bytes and begins with the newest referrer, since many clients read one
page only, and want the newest signature. What a page shows of a referrer's annotations
was written when the referrer was pushed, so that a list costs what it sends, and no
stored manifest can break it.
"""

import json
from collections.abc import Collection

from django.db.models import QuerySet

from repositories.models import Manifest, RepositoryFacts
from repositories.oci.digests import Digest
from repositories.oci.media_types import OCI_INDEX

PAGE_LIMIT_BYTES = 4 * 1024 * 1024 - 256  # with its frame, as large as a manifest
ENTRY_MIN_BYTES = 128  # digest, size and the names of the members
ENTRIES_MAX = PAGE_LIMIT_BYTES // ENTRY_MIN_BYTES


def list_referrers(
    repository: RepositoryFacts,
    subject: Digest,
    *,
    artifact_types: Collection[str] | None,
    last: int | None,
    page_size: int,
) -> tuple[bytes, int | None]:
    """Return an image index of the referrers, and where the next page begins.

    ``last`` and the second value are positions; several artifact types mean any of
    them, and None means all. At most two queries.
    """
    rows = Manifest.objects.filter(
        repository_id=repository.id, subject_digest=str(subject)
    ).order_by("-pk")
    if last is not None:
        rows = rows.filter(pk__lt=last)
    if artifact_types is not None:
        rows = rows.filter(artifact_type__in=artifact_types)
    found = list(
        rows.values_list(
            *("pk", "digest", "media_type", "size_bytes", "artifact_type"),
            "referrer_annotations_bytes",
        )[: page_size + 1]
    )
    page: dict[int, str] = {}
    annotated = False
    length = 0
    for pk, digest, media_type, size_bytes, artifact_type, annotations_bytes in found:
        entry = _entry(digest, media_type, size_bytes, artifact_type)
        entry_bytes = len(entry.encode()) + 1
        has_annotations = 0 < annotations_bytes <= PAGE_LIMIT_BYTES - entry_bytes - 20
        if has_annotations:  # an entry that fills no page goes without them
            entry_bytes += annotations_bytes + len(',"annotations":')
        if len(page) == page_size or (page and length + entry_bytes > PAGE_LIMIT_BYTES):
            break
        length += entry_bytes
        annotated = annotated or has_annotations
        page[pk] = entry
    if annotated:
        _add_annotations(rows, page)
    is_cut = len(page) < len(found)
    return render_index(page.values()), min(page, default=None) if is_cut else None


def render_index(entries: Collection[str] = ()) -> bytes:
    """Return an image index of descriptors that are JSON already."""
    return (
        f'{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":['
        f"{','.join(entries)}]}}"
    ).encode()


def _add_annotations(rows: QuerySet[Manifest], page: dict[int, str]) -> None:
    """Put the annotations into those entries of a page that have some."""
    shown = rows.filter(
        pk__range=(min(page), max(page)),
        referrer_annotations_bytes__range=(1, PAGE_LIMIT_BYTES - ENTRY_MIN_BYTES),
    )
    for pk, annotations in shown.values_list("pk", "referrer_annotations"):
        if pk in page:
            page[pk] = f'{page[pk][:-1]},"annotations":{annotations}}}'


def _entry(digest: str, media_type: str, size_bytes: int, artifact_type: str) -> str:
    descriptor: dict[str, str | int] = {
        "mediaType": media_type,
        "digest": digest,
        "size": size_bytes,
    }
    if artifact_type:
        descriptor["artifactType"] = artifact_type
    return json.dumps(descriptor, separators=(",", ":"))
