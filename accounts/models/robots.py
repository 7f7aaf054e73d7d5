from django.db import models

from accounts.models.fields import BytewiseCharField
from accounts.names import ROBOT_NAME_MAX_LENGTH


class RobotQuerySet(models.QuerySet["Robot"]):
    def live(self) -> "RobotQuerySet":
        """Keep the robots that are switched on and whose owner is."""
        return self.filter(is_active=True).exclude(namespace__user__is_active=False)


class Robot(models.Model):
    """A login for machines; it leaves with the namespace that owns it."""

    namespace = models.ForeignKey(
        "accounts.Namespace", on_delete=models.CASCADE, related_name="robots"
    )
    name = BytewiseCharField(max_length=ROBOT_NAME_MAX_LENGTH)
    description = models.TextField(blank=True)
    token_hash = models.CharField(max_length=64, unique=True)  # see accounts/tokens.py
    is_active = models.BooleanField(default=True)
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
        """Tell whether it and its owner are switched on."""
        owner = self.namespace.user
        return self.is_active and (owner is None or owner.is_active)

    def is_called(self, username: str) -> bool:
        """Tell whether this is its login, by a name that still leads to its owner."""
        if username == self.username:
            return True
        owner, _, name = username.partition("+")
        return name == self.name and self.namespace.is_called(owner)
