from django.db import models
from django.db.models import Q

from accounts.actions import Action, Role
from accounts.models import Namespace, Team

_MAIN_ACTIONS = {
    Role.READ: Action.PULL,
    Role.WRITE: Action.PUSH,
    Role.ADMIN: Action.GRANT,
}


class GrantQuerySet(models.QuerySet["Grant"]):
    def with_subjects(self) -> "GrantQuerySet":
        return self.select_related("user", "team", "robot__namespace")

    def in_namespace(self, namespace: Namespace) -> "GrantQuerySet":
        """Keep those on its repositories, but for the deleted ones."""
        return (
            self.with_subjects()
            .filter(repository__namespace=namespace, repository__deleted_at=None)
            .select_related("repository__namespace")
        )


class Grant(models.Model):
    """A role that a user, a team or a robot has on one repository.

    With a tag glob (``release-*``) the role counts for matching tags only, and pull for
    everything.
    """

    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="grants"
    )
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True
    )
    team = models.ForeignKey(
        "accounts.Team", on_delete=models.CASCADE, null=True, blank=True
    )
    robot = models.ForeignKey(
        "accounts.Robot", on_delete=models.CASCADE, null=True, blank=True
    )
    role = models.CharField(max_length=5, choices=[(r.value, r.value) for r in Role])
    tag_glob = models.CharField(max_length=128, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = GrantQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(user__isnull=False, team__isnull=True, robot__isnull=True)
                    | Q(user__isnull=True, team__isnull=False, robot__isnull=True)
                    | Q(user__isnull=True, team__isnull=True, robot__isnull=False)
                ),
                name="grant_has_one_subject",
            ),
            models.UniqueConstraint(
                fields=["repository", "user", "tag_glob"], name="grant_user_unique"
            ),
            models.UniqueConstraint(
                fields=["repository", "team", "tag_glob"], name="grant_team_unique"
            ),
            models.UniqueConstraint(
                fields=["repository", "robot", "tag_glob"], name="grant_robot_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} on {self.repository_id}"

    @property
    def main_action(self) -> Action:
        """Return the actions that the role allows."""
        return _MAIN_ACTIONS[Role(self.role)]

    @property
    def subject_kind(self) -> str:
        """One of user, team and robot."""
        if self.user_id is not None:
            return "user"
        return "team" if self.team_id is not None else "robot"

    @property
    def subject_name(self) -> str:
        subject = self.user or self.team or self.robot
        assert subject is not None, "the database keeps grants without a subject away"
        return subject.name if isinstance(subject, Team) else subject.username
