from django.db import models

from accounts.models.fields import (
    ClearEmailField,
    ClearURLField,
    LineField,
    ParagraphsField,
)


class Organization(models.Model):
    """A group that owns a namespace; people join it through teams."""

    display_name = LineField(max_length=100, blank=True)
    description = ParagraphsField(blank=True)
    email = ClearEmailField(blank=True)
    website = ClearURLField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.display_name or f"organization {self.pk}"
