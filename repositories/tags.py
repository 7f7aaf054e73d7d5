"""Move, delete and restore tags; every step is kept as history and as an event."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.actors import Actor
from database.crash_points import crash_point
from database.locking import lock_or_create, retry_deadlocks
from repositories.events.recording import record_event
from repositories.models import Event, Manifest, RepositoryFacts, Tag, TagMove


class TagExists(ValueError):
    """A tag cannot be restored, since there is one of its name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a tag '{name}'")


class ManifestGone(ValueError):
    """A tag cannot be restored, since what it pointed to was deleted as well."""

    def __init__(self, name: str, digest: str) -> None:
        super().__init__(f"{digest}, which '{name}' pointed to, was deleted too")


def move_tag(
    *, repository: RepositoryFacts, name: str, manifest: Manifest, actor: Actor
) -> str:
    """Point a tag to a manifest, record the move, and return where it pointed before.

    That is the manifest's own digest if nothing moved, and "" for a new tag. The tag's
    row is locked, so that of two moves one comes after the other. Runs in the caller's
    transaction, which holds the manifest's row (repositories/manifests.py).
    """
    now = timezone.now()
    with transaction.atomic():
        tag, is_new = lock_or_create(
            Tag.objects.all(),
            repository_id=repository.id,
            name=name,
            defaults={
                "manifest": manifest,
                "moved_at": now,
                "moved_by": actor.name,
            },
        )
        previous_digest = "" if is_new else tag.manifest.digest
        if not is_new:
            tag.manifest = manifest
            tag.moved_at = now
            tag.moved_by = actor.name
            tag.save(update_fields=["manifest", "moved_at", "moved_by"])
        if previous_digest == manifest.digest:
            return previous_digest
        _record_move(repository, name, manifest.digest, previous_digest, actor, now)
        record_event(
            kind=Event.Kind.TAG_PUSHED,
            repository=repository,
            actor=actor,
            detail={
                "tag": name,
                "digest": manifest.digest,
                "previous_digest": previous_digest,
                "media_type": manifest.media_type,
            },
        )
        return previous_digest


@retry_deadlocks
def tag_manifest(
    *, repository: RepositoryFacts, digest: str, name: str, actor: Actor
) -> bool:
    """Point a tag to a manifest that is in the repository; False if it is not."""
    with transaction.atomic():
        manifest = (
            Manifest.objects.select_for_update()
            .filter(repository_id=repository.id, digest=digest)
            .first()
        )
        if manifest is None:
            return False
        move_tag(repository=repository, name=name, manifest=manifest, actor=actor)
        return True


@retry_deadlocks
def delete_tag(
    *,
    repository: RepositoryFacts,
    name: str,
    actor: Actor,
    check: Callable[[str], None] = lambda digest: None,
) -> bool:
    """Delete a tag and record it; the manifest stays. False if there is no such tag.

    ``check`` is called with the digest that the tag points to while the tag's row is
    locked. If it raises, the tag stays.
    """
    with transaction.atomic():
        tag = (
            Tag.objects.select_for_update(of=("self",))
            .select_related("manifest")
            .filter(repository_id=repository.id, name=name)
            .first()
        )
        if tag is None:
            return False
        check(tag.manifest.digest)
        record_tag_deletion(repository=repository, tag=tag, actor=actor)
        tag.delete()
        crash_point("C14")
        return True


@retry_deadlocks
def restore_tag(*, repository: RepositoryFacts, name: str, actor: Actor) -> bool:
    """Put back a tag that was deleted, as it was and where it last pointed to.

    Who moved it there, when, and the last pull are those from before the deletion; the
    move and the event say who restored it. False if no tag of that name was ever
    deleted. Raises TagExists when there is one, and ManifestGone when the manifest was
    deleted too. The manifest's row is locked, so that it stays.
    """
    with transaction.atomic():
        moves = TagMove.objects.filter(repository_id=repository.id, name=name)
        last = moves.order_by("-pk").first()
        if last is None:
            return False
        if last.digest:
            raise TagExists(name)
        manifest = (
            Manifest.objects.select_for_update()
            .filter(repository_id=repository.id, digest=last.previous_digest)
            .first()
        )
        if manifest is None:
            raise ManifestGone(name, last.previous_digest)
        moved_at, moved_by = _last_moved(last)
        try:
            with transaction.atomic():
                Tag.objects.create(
                    repository_id=repository.id,
                    name=name,
                    manifest=manifest,
                    moved_at=moved_at,
                    moved_by=moved_by,
                    last_pulled_at=last.tag_pulled_at,
                )
        except IntegrityError as error:  # pushed at this moment
            raise TagExists(name) from error
        _record_move(repository, name, manifest.digest, "", actor, timezone.now())
        record_event(
            kind=Event.Kind.TAG_RESTORED,
            repository=repository,
            actor=actor,
            detail={
                "tag": name,
                "digest": manifest.digest,
                "media_type": manifest.media_type,
            },
        )
        return True


def record_tag_deletion(*, repository: RepositoryFacts, tag: Tag, actor: Actor) -> None:
    """Write the history and the event of a tag that goes in this transaction."""
    digest = tag.manifest.digest
    _record_move(
        repository,
        tag.name,
        "",
        digest,
        actor,
        timezone.now(),
        tag_moved_at=tag.moved_at,
        tag_moved_by=tag.moved_by,
        tag_pulled_at=tag.last_pulled_at,
    )
    record_event(
        kind=Event.Kind.TAG_DELETED,
        repository=repository,
        actor=actor,
        detail={"tag": tag.name, "digest": digest},
    )


def _record_move(
    repository: RepositoryFacts,
    name: str,
    digest: str,
    previous_digest: str,
    actor: Actor,
    at: datetime,
    **of_tag: Any,
) -> None:
    TagMove.objects.create(
        repository_id=repository.id,
        name=name,
        digest=digest,
        previous_digest=previous_digest,
        moved_by=actor.name,
        moved_at=at,
        **of_tag,
    )


def _last_moved(deletion: TagMove) -> tuple[datetime, str]:
    """Return when and by whom a deleted tag was moved to where it pointed at last.

    A deletion from before it was kept is as far back as the history says.
    """
    if deletion.tag_moved_at is not None:
        return deletion.tag_moved_at, deletion.tag_moved_by or ""
    before = (
        TagMove.objects.filter(
            repository_id=deletion.repository_id, name=deletion.name, pk__lt=deletion.pk
        )
        .exclude(digest="")
        .order_by("-pk")
        .first()
    )
    move = before or deletion
    return move.moved_at, move.moved_by
