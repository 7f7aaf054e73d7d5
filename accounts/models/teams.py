from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce

from accounts.models.fields import BytewiseCharField, ParagraphsField
from accounts.models.namespaces import Namespace
from accounts.names import TEAM_NAME_MAX_LENGTH

OWNERS_TEAM = "owners"  # every organization has it, with standing admin, never empty


class TeamQuerySet(models.QuerySet["Team"]):
    def with_members(self) -> "TeamQuerySet":
        return self.prefetch_related(
            "memberships__user", "memberships__robot__namespace"
        )

    def administering(self) -> "TeamQuerySet":
        """Keep the teams whose members administer their organization."""
        return self.filter(standing=ADMINISTERING)

    def of_namespace(self, namespace: Namespace) -> "TeamQuerySet":
        """Keep the teams of a namespace's organization; a user's has none."""
        return self.filter(
            organization__isnull=False, organization=namespace.organization_id
        )


class Team(models.Model):
    """People and robots of an organization that have rights together."""

    class Standing(models.TextChoices):
        MEMBER = "member"  # nothing by itself
        CREATOR = "creator"  # may create repositories
        ADMIN = "admin"  # administers the organization and all its repositories

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, related_name="teams"
    )
    name = BytewiseCharField(max_length=TEAM_NAME_MAX_LENGTH)
    description = ParagraphsField(blank=True)
    standing = models.CharField(
        max_length=7, choices=Standing.choices, default=Standing.MEMBER
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="team_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def administers(self) -> bool:
        """Return whether its members administer the organization."""
        return self.standing == ADMINISTERING


# The standing that administers the organization, and those that create repositories.
ADMINISTERING = Team.Standing.ADMIN
CREATING = (Team.Standing.CREATOR, ADMINISTERING)


class MembershipDecision(models.Model):
    """The last time that the teams of a user in an organization were decided on.

    An invitation that was made before gives nothing any more, to whatever address of
    the user it went. Without an organization, the decision counts for all of them.
    """

    organization = models.ForeignKey(
        "accounts.Organization", on_delete=models.CASCADE, null=True, related_name="+"
    )
    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="+"
    )
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "user", Coalesce("organization", 0), name="membership_decision_unique"
            )
        ]

    def __str__(self) -> str:
        return f"decision {self.pk}"


class Membership(models.Model):
    """A user or a robot in a team."""

    team = models.ForeignKey(
        "accounts.Team", on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        "accounts.User",
        on_delete=models.CASCADE,
        related_name="memberships",
        null=True,
        blank=True,
    )
    robot = models.ForeignKey(
        "accounts.Robot",
        on_delete=models.CASCADE,
        related_name="memberships",
        null=True,
        blank=True,
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(robot__isnull=True),
                name="membership_is_user_or_robot",
            ),
            models.UniqueConstraint(
                fields=["team", "user"], name="membership_user_unique"
            ),
            models.UniqueConstraint(
                fields=["team", "robot"], name="membership_robot_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"membership {self.pk}"
