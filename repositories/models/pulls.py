from django.db import models

from accounts.models.fields import BytewiseCharField
from repositories.models.tags import TAG_MAX_LENGTH


class DailyPulls(models.Model):
    """How often a repository was pulled on one day (UTC), by tag, platform and client.

    Old days keep their sum and lose the rest (repositories/pulls/counting.py). An empty
    tag is a pull by a digest that no tag, or more than one, pointed to; an empty
    platform is that of an index, whose image is chosen by the client: see
    DailyPlatformPulls.
    """

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="daily_pulls"
    )
    day = models.DateField()
    tag = BytewiseCharField(max_length=TAG_MAX_LENGTH, blank=True)
    platform = models.CharField(max_length=192, blank=True)
    client = models.CharField(max_length=20, blank=True)  # distribution/clients.py
    pull_count = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "day", "tag", "platform", "client"],
                name="daily_pulls_unique",
            )
        ]
        indexes = [models.Index(fields=["day"], name="daily_pulls_day")]

    def __str__(self) -> str:
        return f"{self.pull_count} on {self.day}"


class DailyPlatformPulls(models.Model):
    """The images of a repository's indexes that clients chose on one day (UTC).

    Not pulls: the index was counted already.
    """

    repository = models.ForeignKey("repositories.Repository", on_delete=models.CASCADE)
    day = models.DateField()
    platform = models.CharField(max_length=255)
    pull_count = models.PositiveBigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "day", "platform"],
                name="daily_platform_pulls_unique",
            )
        ]

    def __str__(self) -> str:
        return f"{self.pull_count} of {self.platform} on {self.day}"


class CountedBatch(models.Model):
    """A batch of pulls that was counted, so that it never is a second time."""

    name = models.CharField(max_length=100, unique=True)
    counted_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return self.name
