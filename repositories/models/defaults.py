from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from accounts.actions import Role
from accounts.models import Team


class DefaultPermissionQuerySet(models.QuerySet["DefaultPermission"]):
    def with_names(self) -> "DefaultPermissionQuerySet":
        return self.select_related(
            "user",
            "team",
            "robot__namespace",
            "creator_user",
            "creator_robot__namespace",
        )


class DefaultPermission(models.Model):
    """A rule: whenever a repository is created in a namespace, a subject gets a role.

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

    objects = DefaultPermissionQuerySet.as_manager()

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

    @property
    def creator_name(self) -> str | None:
        """The login whose repositories the rule is for, None for anyone's."""
        creator = self.creator_user or self.creator_robot
        return creator.username if creator is not None else None

    @property
    def is_for_one_creator(self) -> bool:
        return self.creator_user_id is not None or self.creator_robot_id is not None

    @property
    def subject_kind(self) -> str:
        """One of user, team and robot."""
        if self.user_id is not None:
            return "user"
        return "team" if self.team_id is not None else "robot"

    @property
    def subject_name(self) -> str:
        subject = self.user or self.team or self.robot
        assert subject is not None, "the database keeps rules without a subject away"
        return subject.name if isinstance(subject, Team) else subject.username
