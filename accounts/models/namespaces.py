from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import Q
from django.dispatch import Signal

from accounts.models.fields import BytewiseCharField
from accounts.names import (
    NAMESPACE_MAX_LENGTH,
    InvalidName,
    validate_claimed_name,
    validate_namespace_name,
)


def validate_namespace_field(name: str) -> None:
    """Give the grammar's sentence to a form or to the admin."""
    try:
        validate_namespace_name(name)
    except InvalidName as error:
        raise ValidationError(str(error)) from error


def validate_claimed_field(name: str) -> None:
    """Refuse also what speaks for the site, where people choose a name themselves."""
    try:
        validate_claimed_name(name)
    except InvalidName as error:
        raise ValidationError(str(error)) from error


# Sent with ``namespace``; a receiver returns whether images of it are in use.
namespace_in_use = Signal()


class NameReserved(IntegrityError):
    """The name is a former one by which images are still pulled.

    Raised where the database itself refuses a name that is taken.
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"the name '{name}' is reserved, because recent pulls used it; "
            "its former owner or an administrator of this registry can free it"
        )


class NamespaceQuerySet(models.QuerySet["Namespace"]):
    def called(self, name: str) -> "Namespace | None":
        """Return the namespace of that name, else the one that the name leads to."""
        return (
            self.filter(name=name).first()
            or self.filter(former_names__name=name).first()
        )


class Namespace(models.Model):
    """One name, owned by a user or by an organization, so the two never collide."""

    name = BytewiseCharField(
        max_length=NAMESPACE_MAX_LENGTH,
        unique=True,
        validators=[validate_namespace_field],
    )
    user = models.OneToOneField(
        "accounts.User",
        on_delete=models.PROTECT,
        related_name="namespace",
        null=True,
        blank=True,
    )
    organization = models.OneToOneField(
        "accounts.Organization",
        on_delete=models.PROTECT,
        related_name="namespace",
        null=True,
        blank=True,
    )
    is_official = models.BooleanField(default=False)
    is_verified = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = NamespaceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) ^ Q(organization__isnull=True),
                name="namespace_has_one_owner",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        """Save it, and let its name lead to no other namespace any more.

        Raises NameReserved. The row comes first: a transaction that gives
        the same name up at this moment is waited for, and what it left is found.
        """
        fields = options.get("update_fields")
        with transaction.atomic():
            super().save(*args, **options)
            if fields is None or "name" in fields:
                for former in FormerNamespaceName.objects.filter(name=self.name):
                    if former.namespace_id != self.pk and former.is_kept:
                        raise NameReserved(self.name)
                    former.delete()

    @property
    def is_in_use(self) -> bool:
        """Return whether images are pulled or pushed by its name."""
        asked = namespace_in_use.send(sender=Namespace, namespace=self)
        return any(is_in_use for _, is_in_use in asked)

    def is_called(self, name: str) -> bool:
        """Return whether this is its name, or one that still leads here."""
        return name == self.name or self.former_names.filter(name=name).exists()


class FormerNamespaceName(models.Model):
    """A name that a namespace had: it leads there until another one takes it.

    A reserved one can be taken once it is freed (docs/names.md). Without a namespace,
    that is gone.
    """

    name = BytewiseCharField(max_length=NAMESPACE_MAX_LENGTH, unique=True)
    namespace = models.ForeignKey(
        "accounts.Namespace",
        on_delete=models.SET_NULL,
        null=True,
        related_name="former_names",
    )
    is_reserved = models.BooleanField(default=False)
    freed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    @property
    def is_kept(self) -> bool:
        """Return whether no other namespace can take the name."""
        if self.freed_at is not None:
            return False
        return self.is_reserved or (
            self.namespace is not None and self.namespace.is_in_use
        )
