"""Ends credentials when an account changes its own, by one table.

What was made by less than the account asks for now ends at once:

    event                       sessions  docker    registry  reset   uncon-  access
                                          logins    tokens    links   firmed  tokens,
                                          by pass-  by pass-          addres- robots
                                          word      word              ses
    second factor turned on     end (1)   end       end       end     stay    stay
    second factor reset (2)     end       end       end       end     stay    stay
    password changed or reset   end (1)   end       end       end     end     stay
    primary address changed     stay      stay      stay      end     end     stay
    account suspended           end       end       end       end     stay    pause
    access token revoked        stay      stay      stay      stay    stay    end (3)

    (1) but for the one in which it was done
    (2) by an administrator of the site
    (3) with what it made: access tokens, invitations, docker logins, registry tokens

Access tokens and robots' tokens are credentials of their own: they are listed, limited
and revoked one by one. All the others hang on User.epoch, which a session, a docker
login, a registry token and a link to reset the password keep of the moment when they
were made. A new password begins an epoch by itself (User.save).

An address that was added and not confirmed goes with the old password: an intruder with
that password may have added it, to come back by a link to reset the password.
"""

from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db.models import F
from django.http import HttpRequest

from accounts.models import User


class ResetTokenGenerator(PasswordResetTokenGenerator):
    """Makes the tokens of links that reset a password.

    They end with the epoch, and when an address of the account changes.
    """

    def _make_hash_value(self, user: AbstractBaseUser, timestamp: int) -> str:
        assert isinstance(user, User), "it is the model of the settings"
        addresses = EmailAddress.objects.filter(user=user).values_list("email")
        known = sorted({user.email, *(address for (address,) in addresses)})
        base = super()._make_hash_value(user, timestamp)
        return f"{base}|{user.epoch}|{'|'.join(known)}"


def end_lesser_credentials(user: User, request: HttpRequest | None = None) -> None:
    """Begin a new epoch; the session of a request continues, if it is the user's."""
    User.objects.filter(pk=user.pk).update(epoch=F("epoch") + 1)
    user.refresh_from_db(fields=["epoch"])
    if request is not None and getattr(request, "user", None) == user:
        update_session_auth_hash(request, user)


def has_other_second_factor(user: User, authenticator: Authenticator) -> bool:
    """Return whether the account had a second factor before this one was added."""
    kinds: Any = Authenticator.Type
    others = Authenticator.objects.filter(user=user).exclude(pk=authenticator.pk)
    found: bool = others.exclude(type=kinds.RECOVERY_CODES).exists()
    return found


def forget_unconfirmed(user: User) -> None:
    """Delete the addresses that were added to the account and never confirmed."""
    EmailAddress.objects.filter(user=user, verified=False, primary=False).delete()
