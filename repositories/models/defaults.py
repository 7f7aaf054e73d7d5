from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from accounts.actions import Role


class DefaultPermission(models.Model):
    """When somebody creates a repository in a namespace, give this subject that role.

    Without a creator the rule is for anyone's repositories; one for the creator beats
    it, per subject (permissions.md).
    """

    namespace = models.ForeignKey(
        "accounts.Namespace",
        on_delete=models.CASCADE,
        related_name="default_permissions",
    )
    creator_user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, related_name="+"
    )
    creator_robot = models.ForeignKey(
        "accounts.Robot", on_delete=models.CASCADE, null=True, related_name="+"
    )
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, related_name="+"
    )
    team = models.ForeignKey(
        "accounts.Team", on_delete=models.CASCADE, null=True, related_name="+"
    )
    robot = models.ForeignKey(
        "accounts.Robot", on_delete=models.CASCADE, null=True, related_name="+"
    )
    role = models.CharField(max_length=5, choices=[(r.value, r.value) for r in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(user__isnull=False, team__isnull=True, robot__isnull=True)
                    | Q(user__isnull=True, team__isnull=False, robot__isnull=True)
                    | Q(user__isnull=True, team__isnull=True, robot__isnull=False)
                ),
                name="default_has_one_subject",
            ),
            models.CheckConstraint(
                condition=Q(creator_user__isnull=True) | Q(creator_robot__isnull=True),
                name="default_has_one_creator",
            ),
            # No id is 0; NULLs would all differ from one another.
            models.UniqueConstraint(
                "namespace",
                Coalesce("creator_user", 0),
                Coalesce("creator_robot", 0),
                Coalesce("user", 0),
                Coalesce("team", 0),
                Coalesce("robot", 0),
                name="default_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} in {self.namespace_id}"
