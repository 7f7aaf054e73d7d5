from accounts.models.access_tokens import AccessToken, AccessTokenLimit
from accounts.models.attempts import FailedAttempts
from accounts.models.invitations import Invitation
from accounts.models.mail import QueuedMail, RefusedAddress
from accounts.models.namespaces import FormerNamespaceName, NameReserved, Namespace
from accounts.models.organizations import Organization
from accounts.models.robots import Robot
from accounts.models.teams import Membership, MembershipDecision, Team
from accounts.models.users import User

__all__ = [
    "AccessToken",
    "AccessTokenLimit",
    "FailedAttempts",
    "FormerNamespaceName",
    "Invitation",
    "Membership",
    "MembershipDecision",
    "NameReserved",
    "Namespace",
    "Organization",
    "QueuedMail",
    "RefusedAddress",
    "Robot",
    "Team",
    "User",
]
