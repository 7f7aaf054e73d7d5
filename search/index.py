"""Keeps platforms and labels of images, and writes every entry again."""

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from database.sql import change_rows
from repositories.models import ImageConfig, Repository, RepositoryLabel, SearchEntry
from repositories.models.search import LABEL_KEY_MAX_LENGTH, LABEL_VALUE_MAX_LENGTH
from repositories.oci.platforms import bit_of
from search.triggers import install, put_sql

_ADD_PLATFORM = """
UPDATE repositories_searchentry SET platforms = platforms | %s
 WHERE repository_id = %s AND (platforms & %s) = 0"""

LABELS_MAX = 100  # of one image
BATCH_ROWS = 10_000


def index_image(config: ImageConfig) -> None:
    """Add an image's platform and labels to its repository's."""
    repository_id = config.manifest.repository_id
    _add_platform(repository_id, bit_of(config.os, config.architecture))
    _store_labels(repository_id, [config])


def index_new_image(
    *, instance: ImageConfig, created: bool, raw: bool = False, **signal: Any
) -> None:
    """Receive post_save of a config, in the transaction of the push.

    With ``raw``, a fixture is loaded: its rows may come before those they refer to.
    """
    if created and not raw:
        index_image(instance)


def _add_platform(repository_id: int, bit: int) -> None:
    """Most pushes bring a platform that is known, and then nothing is written."""
    if bit:
        change_rows(_ADD_PLATFORM, (bit, repository_id, bit))


def _store_labels(repository_id: int, configs: list[ImageConfig]) -> None:
    labels: dict[str, str] = {}
    for config in configs:  # the last one's value of a key is kept
        given = config.document.get("config", {}).get("Labels", {})
        labels |= dict(list(given.items())[:LABELS_MAX])
    RepositoryLabel.objects.bulk_create(
        [
            RepositoryLabel(repository_id=repository_id, key=key, value=value)
            for key, value in sorted(labels.items())
            if len(key) <= LABEL_KEY_MAX_LENGTH and len(value) <= LABEL_VALUE_MAX_LENGTH
        ],
        update_conflicts=True,
        unique_fields=["repository", "key"],
        update_fields=["value"],
    )


def rebuild() -> int:
    """Write every entry, platform and label again; return how many entries there are.

    Safe beside pushes, safe to kill and to run twice. Platforms and labels of images
    that are gone go here, and only here.
    """
    install()
    with connection.cursor() as cursor:
        for first, last in _batches():
            cursor.execute(put_sql("r.id BETWEEN %s AND %s"), [first, last])
            _rebuild_images(first, last)
        cursor.execute(
            "DELETE FROM repositories_searchentry WHERE repository_id IN "
            "(SELECT id FROM repositories_repository WHERE deleted_at IS NOT NULL)"
        )
        if connection.vendor == "sqlite":
            cursor.execute(
                "INSERT INTO repositories_searchtext (repositories_searchtext) "
                "VALUES ('rebuild')"
            )
        else:
            cursor.execute("ANALYZE repositories_searchentry")
    return SearchEntry.objects.count()


def _batches() -> Iterator[tuple[int, int]]:
    highest = Repository.objects.aggregate(highest=Max("pk"))["highest"] or 0
    for first in range(1, highest + 1, BATCH_ROWS):
        yield first, first + BATCH_ROWS - 1


def _rebuild_images(first: int, last: int) -> None:
    configs = ImageConfig.objects.filter(
        manifest__repository__gte=first, manifest__repository__lte=last
    ).order_by("manifest__repository", "pk")
    of_repository: dict[int, list[ImageConfig]] = {}
    for config in configs.select_related("manifest").defer(
        "manifest__payload", "manifest__referrer_annotations"
    ):
        of_repository.setdefault(config.manifest.repository_id, []).append(config)
    SearchEntry.objects.filter(pk__gte=first, pk__lte=last).exclude(
        platforms=0
    ).exclude(pk__in=of_repository).update(platforms=0)
    RepositoryLabel.objects.filter(repository__gte=first, repository__lte=last).exclude(
        repository__in=of_repository
    ).delete()
    for repository_id, its in of_repository.items():
        with transaction.atomic():
            # The repository's row, so that a push does not come in between.
            rows = Repository.objects.select_for_update(no_key=True)
            rows.filter(pk=repository_id).first()
            bits = 0
            for config in its:
                bits |= bit_of(config.os, config.architecture)
            SearchEntry.objects.filter(pk=repository_id).update(platforms=bits)
            RepositoryLabel.objects.filter(repository=repository_id).delete()
            _store_labels(repository_id, its)
