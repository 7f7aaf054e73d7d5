from django.contrib.auth.models import AbstractUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.models.fields import BytewiseCharField
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
    email = models.EmailField(blank=True)
    display_name = models.CharField(max_length=100, blank=True)
    must_change_password = models.BooleanField(
        "must change the password",
        default=False,
        help_text="The pages ask for a new password after the next sign-in.",
    )
    first_name = None  # type: ignore[assignment]  # one name, as the person writes it
    last_name = None  # type: ignore[assignment]

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("email"), condition=~Q(email=""), name="user_email_unique"
            )
        ]

    def get_full_name(self) -> str:
        return self.display_name or self.username

    def get_short_name(self) -> str:
        return self.username
