from typing import Any, Self

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models.functions import Upper
from django.utils.crypto import salted_hmac

from accounts.liveness import is_live_user
from accounts.models.fields import BytewiseCharField, ClearEmailField, LineField
from accounts.models.namespaces import validate_namespace_field
from accounts.names import NAMESPACE_MAX_LENGTH


class User(AbstractUser):
    """A person. The username is also the name of the person's namespace."""

    username = BytewiseCharField(
        max_length=NAMESPACE_MAX_LENGTH,
        unique=True,
        validators=[validate_namespace_field],
        error_messages={"unique": "this name is taken"},
    )
    email = ClearEmailField(blank=True)
    _kept_password: str | None = None
    display_name = LineField(max_length=100, blank=True)
    must_change_password = models.BooleanField(
        "must change the password",
        default=False,
        help_text="The pages ask for a new password after the next sign-in.",
    )
    first_name = None  # type: ignore[assignment]  # one name, as the person writes it
    last_name = None  # type: ignore[assignment]
    # Counts how often the account has asked for more (accounts/credentials.py). What a
    # password opened keeps the number of that moment, and ends when it is another one.
    epoch = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        # Not unique: an address belongs to the account that confirmed it (allauth's
        # EmailAddress), and until then a sign-up must not reveal that another has it.
        indexes = [models.Index(Upper("email"), name="user_email_index")]

    @classmethod
    def from_db(cls, *args: Any, **options: Any) -> Self:
        user = super().from_db(*args, **options)
        user._kept_password = user.__dict__.get("password")
        return user

    def save(self, *args: Any, **options: Any) -> None:
        """Save it; a new password begins a new epoch.

        Without ``update_fields``, the epoch in the database stays: another request may
        have increased it.
        """
        if self._state.adding:
            super().save(*args, **options)
        else:
            fields = options.pop("update_fields", None)
            columns = {f.name for f in self._meta.concrete_fields}
            names = columns - {"id", "epoch"} - self.get_deferred_fields()
            written = names if fields is None else set(fields)
            if "password" in written and self.password != self._kept_password:
                self.epoch += 1
                written.add("epoch")
            super().save(*args, **options, update_fields=written)
        self._kept_password = self.password

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """Return what a session keeps of its user: of the password and the epoch."""
        opened_by = f"{self.password}\0{self.epoch}" if self.epoch else self.password
        salt = "django.contrib.auth.models.AbstractBaseUser.get_session_auth_hash"
        return salted_hmac(
            salt, opened_by, secret=secret, algorithm="sha256"
        ).hexdigest()

    @property
    def is_live(self) -> bool:
        """Return whether it can act; a suspended user cannot."""
        return is_live_user(self)

    def get_full_name(self) -> str:
        return self.display_name or self.username

    def get_short_name(self) -> str:
        return self.username
