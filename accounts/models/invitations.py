from allauth.account.models import EmailAddress
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.liveness import live_robot, live_user
from accounts.models.fields import ClearEmailField
from accounts.models.teams import MembershipDecision, Team
from accounts.models.users import User


class InvitationQuerySet(models.QuerySet["Invitation"]):
    """The only place that says which invitations stand, and for whom.

    To accept one asks these sets, as do the lists, the bell and the page of a link.
    """

    def standing(self) -> "InvitationQuerySet":
        """Keep the invitations that their recipient can accept.

        Their time is not over, the inviter could still make them, and the teams of the
        user whom they name were not decided on since.
        """
        return self.filter(
            _inviter_administers(),
            _inviter_can_act(),
            Q(user=None) | live_user("user__"),
            ~_decided_since(OuterRef("user")),
            expires_at__gt=timezone.now(),
        )

    def open_to(self, user: User) -> "InvitationQuerySet":
        """Keep the standing ones that a user can answer who has their link."""
        is_live = Exists(User.objects.filter(live_user(), pk=user.pk))
        return self.standing().filter(
            Q(user=None) | Q(user=user), is_live, ~_decided_since(user.pk)
        )

    def to(self, user: User) -> "InvitationQuerySet":
        """Keep those that a user can answer, by name or by a confirmed address."""
        return self.open_to(user).addressed_to(user)

    def addressed_to(self, user: User) -> "InvitationQuerySet":
        """Keep those to a user, by name or by a confirmed address; some are over."""
        # Not by iexact: in a column, "_" and "%" would stand for any letters.
        confirmed = EmailAddress.objects.filter(user=user, verified=True)
        addresses = confirmed.values(address=Lower("email"))
        return self.alias(address=Lower("email")).filter(
            Q(user=user) | Q(address__in=addresses)
        )

    def expired(self) -> "InvitationQuerySet":
        return self.filter(expires_at__lte=timezone.now())

    def without_inviter(self) -> "InvitationQuerySet":
        """Keep those whose inviter is in no admin team of the organization any more."""
        return self.exclude(_inviter_administers())

    def with_team(self) -> "InvitationQuerySet":
        return self.select_related("team__organization__namespace", "user")


def _inviter_administers() -> Q:
    """Return the condition that the inviter is in an admin team, or was a command."""
    teams = Team.objects.administering().filter(
        organization=OuterRef("team__organization")
    )
    return (
        Q(inviter=None, inviting_robot=None)
        | Q(Exists(teams.filter(memberships__user=OuterRef("inviter"))))
        | Q(Exists(teams.filter(memberships__robot=OuterRef("inviting_robot"))))
    )


def _inviter_can_act() -> Q:
    """Return the condition that the inviter is not suspended, disabled or expired."""
    is_live_user = Q(inviter=None) | live_user("inviter__")
    is_live_robot = Q(inviting_robot=None) | live_robot("inviting_robot__")
    return is_live_user & is_live_robot


def _decided_since(user: OuterRef | int) -> Q:
    """Return the condition that the user's teams were decided on after the invitation.

    Whatever address it went to: what was decided last counts.
    """
    return Q(
        Exists(
            MembershipDecision.objects.filter(
                Q(organization=OuterRef("team__organization")) | Q(organization=None),
                user=user,
                decided_at__gte=OuterRef("created_at"),
            )
        )
    )


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
