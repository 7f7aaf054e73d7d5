"""The owner of an email address: the account that confirmed it (decision 10)."""

from allauth.account.models import EmailAddress
from django.db import IntegrityError
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import User


class AddressTaken(IntegrityError):
    """Another account has the email address."""

    def __init__(self) -> None:
        super().__init__("another account has this email address")


def users_with_address(address: str) -> QuerySet[User]:
    """Return the accounts with this primary email address, the one it belongs to first.

    That is the account that confirmed it, else the oldest one that can sign in.
    """
    confirmed = EmailAddress.objects.filter(
        user=OuterRef("pk"), verified=True, email__iexact=address
    )
    return (
        User.objects.filter(email__iexact=address)
        .annotate(is_owner=Exists(confirmed))
        .order_by("-is_active", "-is_owner", "date_joined", "pk")
    )


def is_address_taken(address: str, *, by_other_than: User) -> bool:
    """Return whether another account has the address, confirmed or as its primary one.

    Only administrators may learn this, and the reader of the address's mail.
    """
    if not address:
        return False
    other = ~Q(pk=by_other_than.pk) if by_other_than.pk else Q()
    confirmed = EmailAddress.objects.filter(verified=True, email__iexact=address)
    return User.objects.filter(
        Q(email__iexact=address) | Q(pk__in=confirmed.values("user")), other
    ).exists()
