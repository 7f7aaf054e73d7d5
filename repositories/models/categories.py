from django.db import models

from accounts.models.fields import LineField, SummaryField


class Category(models.Model):
    """A category of the hub; site administrators add them and put images there."""

    slug = models.SlugField(max_length=40, unique=True)
    name = LineField(max_length=60)
    description = SummaryField(max_length=200, blank=True)
    position = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("position", "slug")
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name
