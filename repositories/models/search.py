from django.db import models
from django.db.models import Q

from accounts.models.fields import BytewiseCharField
from repositories.oci.references import NAME_MAX_LENGTH

LABEL_KEY_MAX_LENGTH = 255
LABEL_VALUE_MAX_LENGTH = 255


def _order(column: str, name: str) -> models.Index:
    """Return the index of what is public, best first; the id decides between equals."""
    return models.Index(
        fields=[f"-{column}", "repository"], condition=Q(is_public=True), name=name
    )


class SearchEntry(models.Model):
    """The searchable facts of a repository, in one narrow row and its indexes.

    Beside the repository and not in it, so that a push and a pull, which change the
    repository's counters, touch no index of the search. Triggers in the database keep
    it in step with the repository and its namespace (search/triggers.py);
    only pulls wait for a task. A repository that is deleted has none.
    """

    repository = models.OneToOneField(
        "repositories.Repository",
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="search_entry",
    )
    namespace = models.ForeignKey(
        "accounts.Namespace",
        on_delete=models.CASCADE,
        related_name="+",
    )
    name = BytewiseCharField(max_length=NAME_MAX_LENGTH)
    full_name = BytewiseCharField(max_length=NAME_MAX_LENGTH)
    text = models.TextField()  # full name and description, in lower case
    is_public = models.BooleanField()
    is_official = models.BooleanField()
    is_verified = models.BooleanField()
    star_count = models.BigIntegerField()
    pull_count = models.BigIntegerField()
    updated_at = models.DateTimeField()  # of the last push, ten seconds late at most
    weight = models.BigIntegerField()  # marks, then stars, then pulls, as one number
    platforms = models.BigIntegerField()  # bits (repositories/oci/platforms.py)
    trend_score = models.FloatField()

    class Meta:
        indexes = [
            # With all that words are compared to, so that looking through the best
            # entries reads neighbors in the index and not rows all over the table.
            models.Index(
                fields=["-weight", "repository"],
                include=["is_public", "name", "full_name", "text"],
                condition=Q(is_public=True),
                name="search_best",
            ),
            _order("updated_at", "search_updated"),
            _order("pull_count", "search_pulls"),
            _order("star_count", "search_stars"),
            _order("trend_score", "search_trend"),
            models.Index(
                fields=["name", "-weight", "repository"],
                condition=Q(is_public=True),
                name="search_name",
            ),
            models.Index(fields=["full_name"], name="search_full_name"),
            models.Index(
                fields=["namespace", "-weight", "repository"],
                include=[
                    *("is_public", "is_official", "is_verified", "platforms"),
                    *("name", "full_name", "text"),
                ],
                condition=Q(is_public=False),
                name="search_own",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name


class RepositoryLabel(models.Model):
    """A label of the repository's images: of each key, the value pushed last."""

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="labels"
    )
    key = BytewiseCharField(max_length=LABEL_KEY_MAX_LENGTH)
    value = BytewiseCharField(max_length=LABEL_VALUE_MAX_LENGTH, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "key"], name="repository_label_unique"
            )
        ]
        indexes = [models.Index(fields=["key", "value"], name="repository_label_key")]

    def __str__(self) -> str:
        return f"{self.key}={self.value}"
