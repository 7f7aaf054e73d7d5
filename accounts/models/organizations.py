from django.db import models


class Organization(models.Model):
    """A group that owns a namespace; people join it through teams."""

    display_name = models.CharField(max_length=100, blank=True)
    description = models.TextField(blank=True)
    email = models.EmailField(blank=True)
    website = models.URLField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.display_name or f"organization {self.pk}"
