from allauth.account.models import EmailAddress
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models.fields import ClearEmailField
from accounts.models.users import User


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def standing(self) -> "InvitationQuerySet":
        """Keep the invitations that can still be answered."""
        return self.filter(expires_at__gt=timezone.now())

    def expired(self) -> "InvitationQuerySet":
        return self.filter(expires_at__lte=timezone.now())

    def to(self, user: User) -> "InvitationQuerySet":
        """Keep the standing ones to the user, by name or by a confirmed address."""
        # Not by iexact: in a column, "_" and "%" would stand for any letters.
        confirmed = EmailAddress.objects.filter(user=user, verified=True)
        addresses = confirmed.values(address=Lower("email"))
        return (
            self.standing()
            .alias(address=Lower("email"))
            .filter(Q(user=user) | Q(address__in=addresses))
        )

    def with_team(self) -> "InvitationQuerySet":
        return self.select_related("team__organization__namespace", "user")


class Invitation(models.Model):
    """A team's offer to a user, or to the reader of an email address.

    The row goes when it is accepted, declined or withdrawn; the audit log keeps what
    happened. The secret of the mailed link is kept as a hash (accounts/tokens.py).
    """

    team = models.ForeignKey(
        "accounts.Team", on_delete=models.CASCADE, related_name="invitations"
    )
    user = models.ForeignKey(
        "accounts.User",
        on_delete=models.CASCADE,
        related_name="invitations",
        null=True,
        blank=True,
    )
    email = ClearEmailField(blank=True)
    token_hash = models.CharField(max_length=64, unique=True)
    invited_by = models.CharField(max_length=100)  # the login, as it was
    # Who made it, and with which token: it ends with them.
    inviter = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, related_name="+"
    )
    inviting_robot = models.ForeignKey(
        "accounts.Robot", on_delete=models.CASCADE, null=True, related_name="+"
    )
    made_with = models.ForeignKey(
        "accounts.AccessToken", on_delete=models.CASCADE, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(email=""),
                name="invitation_is_to_user_or_email",
            ),
            models.UniqueConstraint(
                fields=["team", "user"], name="invitation_user_unique"
            ),
            models.UniqueConstraint(
                "team",
                Lower("email"),
                condition=~Q(email=""),
                name="invitation_email_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"invitation {self.pk}"
