"""Keeps a database and a blob store together that belong together.

The table Installation and the marker file of the store have one identifier. Without
that, a typing error in DATABASE_URL makes a new, empty database, for which every stored
blob is garbage.

    store's marker   database      what is done
    same             same          a sample of blobs is looked up in the store
    another          one, or none  refused: another installation's store
    none             blobs         refused, unless the sample finds its blobs: the store
                                   is of an earlier version, and is adopted once
    none             no blobs      refused if the store has blobs, else both are made
    a later format   any           refused: a later version of Berth writes it

`manage.py adopt_store` decides the refused cases. Every use of the store compares the
identifiers again, at the cost of one stat() (BlobStore.verify).
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from accounts.actors import Actor
from distribution.models import Blob, Installation
from distribution.models.installation import ONLY
from distribution.storage import blob_store
from distribution.storage.base import BlobStore, Mark, StoreError
from repositories.events.recording import record_in_namespace
from repositories.models import Event

SAMPLE_NEWEST = 50  # an incomplete copy lacks these, or any others
SAMPLE_SPREAD = 150
MISSING_FEW = 3
MISSING_PERCENT = 5  # of the sample; a few damaged blobs do not stop a start


class StoreMismatch(StoreError):
    """The blob store is not this database's, or not all of it is there."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The blobs that the database has recorded, and how many of them the store has."""

    blob_count: int
    sampled: int
    missing: int
    store_has_blobs: bool

    @property
    def missing_percent(self) -> int:
        return -(-100 * self.missing // self.sampled) if self.sampled else 0


def prepare_store(store: BlobStore) -> None:
    """Make or check the bond of database and store; StoreMismatch if there is none.

    Safe when two processes run it at once: the marker is read before the row, and is
    written after the row.
    """
    mark = store.read_mark()
    installation = Installation.objects.filter(pk=ONLY).first()
    compared = compare(store)
    _check_bond(store, mark, installation, compared)
    store.prepare()
    if installation is None:
        chosen = (
            uuid.UUID(mark.identifier) if mark and mark.identifier else uuid.uuid4()
        )
        installation, _ = Installation.objects.get_or_create(
            pk=ONLY, defaults={"identifier": chosen}
        )
    if mark is None or not mark.identifier:
        store.write_mark(str(installation))


def _check_bond(
    store: BlobStore,
    mark: Mark | None,
    installation: Installation | None,
    compared: Comparison,
) -> None:
    if mark is not None and mark.identifier:
        # A database and a store that are both unused have nothing to lose.
        belongs = str(installation) == mark.identifier if installation else False
        if not belongs and not (installation is None and _is_unused(compared)):
            raise StoreMismatch(_of_another(store, installation, compared))
    elif compared.store_has_blobs and not compared.blob_count:
        raise StoreMismatch(_of_another(store, installation, compared))
    _check_sample(store, installation, compared)


def _check_sample(
    store: BlobStore, installation: Installation | None, compared: Comparison
) -> None:
    accepted = installation.missing_percent if installation else 0
    if compared.missing <= MISSING_FEW and compared.missing < compared.sampled:
        return  # damage is for fsck_registry; a store of others lacks nearly all
    if compared.missing_percent > max(MISSING_PERCENT, accepted):
        raise StoreMismatch(_incomplete(store, compared))


def check_store() -> None:
    """Raise StoreError unless the store is there, writable, this database's and whole.

    Reads a sample of rows, so it is for starts and not for requests.
    """
    store = blob_store()
    store.check()
    installation = Installation.objects.filter(pk=ONLY).first()
    _check_sample(store, installation, compare(store))


def compare(store: BlobStore) -> Comparison:
    """Look up a sample of the database's blobs in the store."""
    missing = sampled = 0
    for key, size_bytes in _sample():
        sampled += 1
        if store.size_of(key) != size_bytes:
            missing += 1
    return Comparison(
        blob_count=Blob.objects.count(),
        sampled=sampled,
        missing=missing,
        store_has_blobs=next(iter(store.stored_objects()), None) is not None,
    )


def _sample() -> Iterator[tuple[str, int]]:
    """Yield keys and sizes: the newest blobs, and others at even distances."""
    rows = Blob.objects.order_by("-pk").values_list("pk", "storage_key", "size_bytes")
    newest = list(rows[:SAMPLE_NEWEST])
    yield from ((key, size_bytes) for _, key, size_bytes in newest)
    if len(newest) < SAMPLE_NEWEST:
        return
    last = newest[-1][0]
    step = max(1, last // SAMPLE_SPREAD)
    for start in range(0, last, step):
        found = rows.filter(pk__gte=start, pk__lt=min(start + step, last)).last()
        if found is not None:
            yield found[1], found[2]


def adopt_store(*, actor: Actor) -> None:
    """Bind database and store by a new identifier, whatever either had before.

    Another database or store with the former identifier is refused from then on.
    """
    store = blob_store()
    compared = compare(store)
    with transaction.atomic():
        installation, _ = Installation.objects.update_or_create(
            pk=ONLY,
            defaults={
                "identifier": uuid.uuid4(),
                "missing_percent": min(100, compared.missing_percent + MISSING_PERCENT),
            },
        )
        record_in_namespace(
            kind=Event.Kind.STORE_ADOPTED,
            namespace=None,
            actor=actor,
            detail={
                "store": store.place,
                "blobs": compared.blob_count,
                "sampled": compared.sampled,
                "missing": compared.missing,
            },
        )
    store.write_mark(str(installation))


def database_place() -> str:
    """Return the database's name and host, as messages show it."""
    database = settings.DATABASES["default"]
    host = f" on {database['HOST']}" if database.get("HOST") else ""
    return f"{database['NAME']}{host}"


def _is_unused(compared: Comparison) -> bool:
    return not compared.blob_count and not compared.store_has_blobs


def _of_another(
    store: BlobStore, installation: Installation | None, compared: Comparison
) -> str:
    if compared.blob_count:
        rows = f"{compared.blob_count:,} blobs, of which {compared.missing} of "
        rows += f"{compared.sampled} sampled are missing in this store"
    else:
        rows = "no blobs" if installation else "no blobs, and is new"
    content = "has blobs" if compared.store_has_blobs else "has no blobs"
    return (
        f"the blob store {store.place} {content} and belongs to another database than "
        f"{database_place()}, which has {rows}. Nothing was changed. "
        "Check DATABASE_URL and BERTH_DATA. To move an installation, copy its "
        "database first (docs/operations.md, Move). To use this store with this "
        "database, run 'manage.py adopt_store'"
    )


def _incomplete(store: BlobStore, compared: Comparison) -> str:
    return (
        f"the blob store {store.place} lacks {compared.missing} of {compared.sampled} "
        f"sampled blobs of the database {database_place()} ({compared.blob_count:,} "
        "blobs). Nothing was changed. Is the disk mounted, is BERTH_DATA right, and is "
        "the restore complete? To start without the missing blobs, run "
        "'manage.py adopt_store'"
    )
