from datetime import timedelta

from django.db import models
from django.utils import timezone

from accounts.liveness import is_live_robot, is_over, live_robot
from accounts.models.fields import BytewiseCharField, ParagraphsField
from accounts.names import ROBOT_NAME_MAX_LENGTH

NEARLY_OVER = timedelta(days=7)  # before its end there is a reminder


class RobotQuerySet(models.QuerySet["Robot"]):
    def live(self) -> "RobotQuerySet":
        """Keep those that are enabled, not expired, and whose owner can act."""
        return self.filter(live_robot())

    def expiring(self) -> "RobotQuerySet":
        """Keep the live ones that expire soon, without a reminder so far."""
        soon = timezone.now() + NEARLY_OVER
        return self.live().filter(expires_at__lte=soon, reminded_at=None)


class Robot(models.Model):
    """A login for machines; it leaves with the namespace that owns it."""

    namespace = models.ForeignKey(
        "accounts.Namespace", on_delete=models.CASCADE, related_name="robots"
    )
    name = BytewiseCharField(max_length=ROBOT_NAME_MAX_LENGTH)
    description = ParagraphsField(blank=True)
    token_hash = models.CharField(max_length=64, unique=True)  # see accounts/tokens.py
    is_active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The access token with which its token was made, for when that one leaks.
    token_made_with = models.ForeignKey(
        "accounts.AccessToken",
        on_delete=models.SET_NULL,
        null=True,
        editable=False,
        related_name="robots",
    )
    last_used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = RobotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"], name="robot_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.username

    @property
    def username(self) -> str:
        return f"{self.namespace.name}+{self.name}"

    @property
    def is_live(self) -> bool:
        """Return whether it is enabled, not expired, and its owner can act."""
        return is_live_robot(self)

    @property
    def is_over(self) -> bool:
        return is_over(self.expires_at)

    @property
    def is_nearly_over(self) -> bool:
        """Return whether it expires within a week."""
        return (
            self.expires_at is not None
            and self.expires_at - timezone.now() <= NEARLY_OVER
        )

    def is_called(self, username: str) -> bool:
        """Return whether this is its login, by a name that still leads to its owner."""
        if username == self.username:
            return True
        owner, _, name = username.partition("+")
        return name == self.name and self.namespace.is_called(owner)
