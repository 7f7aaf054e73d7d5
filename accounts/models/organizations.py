from django.db import models

from accounts.actors import Actor
from accounts.models.fields import (
    ClearEmailField,
    ClearURLField,
    LineField,
    ParagraphsField,
)


class OrganizationQuerySet(models.QuerySet["Organization"]):
    def of(self, actor: Actor) -> "OrganizationQuerySet":
        """Keep the organizations that the actor is in and the token reaches."""
        if actor.user_id is not None:
            mine = self.filter(teams__memberships__user=actor.user_id)
        elif actor.robot_id is not None:
            mine = self.filter(teams__memberships__robot=actor.robot_id)
        else:
            return self.none()
        ceiling = actor.ceiling
        if ceiling.repository_ids is not None or ceiling.namespace_ids is not None:
            mine = mine.filter(namespace__in=ceiling.namespace_ids or ())
        return mine.distinct()


class Organization(models.Model):
    """A group that owns a namespace; people join it through teams."""

    display_name = LineField(max_length=100, blank=True)
    description = ParagraphsField(blank=True)
    email = ClearEmailField(blank=True)
    website = ClearURLField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = OrganizationQuerySet.as_manager()

    def __str__(self) -> str:
        return self.display_name or f"organization {self.pk}"
