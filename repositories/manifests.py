"""Keep and delete manifests, with what they refer to."""

from collections.abc import Callable, Collection
from typing import Any

from django.db import transaction
from django.db.models import F, Sum
from django.db.models.functions import Greatest, Least
from django.utils import timezone

from accounts.actions import Action
from accounts.actors import Actor
from database.crash_points import crash_point
from database.locking import lock_or_create, retry_deadlocks
from database.sql import fetch_rows
from repositories.events.recording import record_event
from repositories.models import (
    Event,
    ImageConfig,
    Manifest,
    ManifestReference,
    Repository,
    RepositoryFacts,
    Tag,
)
from repositories.oci.digests import Digest
from repositories.oci.documents import Document, ReferenceKind
from repositories.oci.image_config import ParsedConfig
from repositories.rights.decisions import UNTAGGED, decide_tags
from repositories.tags import record_tag_deletion

# Counted for one manifest; 2,000 of them still add up in a column of 64 bits.
TOTAL_BYTES_MAX = 2**52


class MediaTypeDiffers(ValueError):
    """The same bytes are kept under another media type, and stay so."""

    def __init__(self, media_type: str) -> None:
        super().__init__(f"these bytes are here already, with media type {media_type}")


class DeletionRefused(Exception):
    """The actor may not delete one of the tags of the manifest; says why."""


def record_manifest(
    *,
    repository: RepositoryFacts,
    digest: Digest,
    payload: bytes,
    document: Document,
    required: Collection[str],
    actor: Actor,
) -> tuple[Manifest, bool]:
    """Keep a manifest and its references, once; the second value is whether it is new.

    ``required`` are the digests that were present and have to stay while the
    manifest does. The row is locked for the rest of the caller's transaction, so that
    a tag can be moved to it while someone else deletes it.

    Raises MediaTypeDiffers for bytes that are here already as something else:
    otherwise, a right to push one tag could change what another tag means.
    """
    with transaction.atomic():
        manifest, is_new = lock_or_create(
            Manifest.objects.all(),
            repository_id=repository.id,
            digest=str(digest),
            defaults={
                "media_type": document.media_type,
                "payload": payload,
                "size_bytes": len(payload),
                "subject_digest": str(document.subject or ""),
                "artifact_type": document.artifact_type,
                "referrer_annotations": document.referrer_annotations,
                "referrer_annotations_bytes": len(
                    document.referrer_annotations.encode()
                ),
                **_totals_of(repository, document),
                "pushed_by": actor.name,
            },
        )
        if not is_new:
            if manifest.media_type != document.media_type:
                raise MediaTypeDiffers(manifest.media_type)
            return manifest, False
        ManifestReference.objects.bulk_create(
            [
                ManifestReference(
                    manifest=manifest,
                    repository_id=repository.id,
                    position=position,
                    kind=descriptor.kind,
                    digest=str(descriptor.digest),
                    media_type=descriptor.media_type,
                    size_bytes=descriptor.size_bytes,
                    platform=descriptor.platform,
                    is_required=str(descriptor.digest) in required,
                )
                for position, descriptor in enumerate(document.descriptors)
            ]
        )
        _add_to_indexes(manifest, manifest.blob_bytes)
        return manifest, True


def _totals_of(repository: RepositoryFacts, document: Document) -> dict[str, int]:
    """Return what lists say of a manifest: sizes, and how much it refers to."""
    children = {
        str(descriptor.digest)
        for descriptor in document.descriptors
        if descriptor.kind is ReferenceKind.CHILD
    }
    blob_bytes = sum(
        descriptor.size_bytes
        for descriptor in document.descriptors
        if descriptor.kind is not ReferenceKind.CHILD
    )
    content_bytes = blob_bytes
    if children:
        here = Manifest.objects.filter(repository=repository.id, digest__in=children)
        content_bytes += here.aggregate(bytes=Sum("blob_bytes"))["bytes"] or 0
    return {
        "reference_count": len(document.descriptors),
        "blob_bytes": min(blob_bytes, TOTAL_BYTES_MAX),
        "content_bytes": min(content_bytes, TOTAL_BYTES_MAX),
    }


_IS_LISTED = """
SELECT 1 FROM repositories_manifestreference
 WHERE repository_id = %s AND digest = %s AND kind = %s LIMIT 1"""


def _add_to_indexes(manifest: Manifest, size_bytes: int) -> None:
    """Count an image that comes or goes in the indexes here that list it.

    Most images are in none, and to ask first takes less time than to build the update.
    """
    listed = (manifest.repository_id, manifest.digest, ReferenceKind.CHILD.value)
    if not fetch_rows(_IS_LISTED, listed):
        return
    listing = ManifestReference.objects.filter(
        repository=manifest.repository_id,
        digest=manifest.digest,
        kind=ReferenceKind.CHILD,
    ).values("manifest")
    Manifest.objects.filter(pk__in=listing).update(
        content_bytes=Least(
            Greatest(F("content_bytes") + size_bytes, 0), TOTAL_BYTES_MAX
        )
    )


def add_image_config(manifest: Manifest, config: ParsedConfig) -> None:
    """Keep what the config of a new image says, of which nothing can be there yet.

    It changes the repository's search entry, so it comes after mark_pushed().
    """
    ImageConfig.objects.create(manifest=manifest, **_columns_of(config))


def store_image_config(manifest: Manifest, config: ParsedConfig) -> bool:
    """Keep what an image's config says; False if someone did already."""
    return ImageConfig.objects.get_or_create(
        manifest=manifest, defaults=_columns_of(config)
    )[1]


def _columns_of(config: ParsedConfig) -> dict[str, Any]:
    return {
        "os": config.os,
        "architecture": config.architecture,
        "variant": config.variant,
        "created_at": config.created_at,
        "document": config.document,
    }


def record_push_by_digest(
    *, repository: RepositoryFacts, manifest: Manifest, actor: Actor
) -> None:
    """Write the event of a manifest that was pushed without a tag."""
    record_event(
        kind=Event.Kind.MANIFEST_PUSHED,
        repository=repository,
        actor=actor,
        detail={"digest": manifest.digest, "media_type": manifest.media_type},
    )


def mark_pushed(repository: RepositoryFacts) -> bool:
    """Record when the repository was last pushed to; False if it is not there.

    That is when it was deleted, or moved to another namespace, since the push began.
    Its row is locked for the rest of the caller's transaction, so that neither can
    happen before the push is over.
    """
    still_there = Repository.objects.filter(
        pk=repository.id, namespace=repository.namespace_id, deleted_at=None
    )
    return still_there.update(pushed_at=timezone.now()) == 1


@retry_deadlocks
def delete_manifest(
    *,
    repository: RepositoryFacts,
    digest: Digest,
    actor: Actor,
    check: Callable[[str], None] = lambda digest: None,
) -> bool:
    """Delete a manifest and all tags on it (DEL-1); False if there is none.

    Manifests that refer to it, as an index or by subject, stay (DEL-2, REF-6). Raises
    DeletionRefused unless the actor may delete every one of the tags: what is kept
    from someone by name is not to be had by digest. The row is locked, so that no tag
    comes in between. ``check`` is called last with the digest; if it raises, everything
    stays.
    """
    with transaction.atomic():
        manifest = (
            Manifest.objects.select_for_update()
            .filter(repository_id=repository.id, digest=str(digest))
            .first()
        )
        if manifest is None:
            return False
        tags = list(
            Tag.objects.select_for_update(of=("self",))
            .filter(manifest=manifest)
            .select_related("manifest")
            .order_by("name")
        )
        names = [tag.name for tag in tags] or [UNTAGGED]
        for decision in decide_tags(
            actor, dict.fromkeys(names, Action.DELETE), repository
        ):
            if not decision:
                raise DeletionRefused(decision.reason)
        check(manifest.digest)
        for tag in tags:
            record_tag_deletion(repository=repository, tag=tag, actor=actor)
        crash_point("C14")
        record_event(
            kind=Event.Kind.MANIFEST_DELETED,
            repository=repository,
            actor=actor,
            detail={"digest": manifest.digest, "media_type": manifest.media_type},
        )
        _add_to_indexes(manifest, -manifest.blob_bytes)
        manifest.delete()
        return True
