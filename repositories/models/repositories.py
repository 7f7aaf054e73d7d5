from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from accounts.actions import Action, Role
from accounts.actors import Actor
from accounts.models import NameReserved, Namespace
from accounts.models.fields import BytewiseCharField, SummaryField
from accounts.namespace_rights import live_rows, namespaces_with_standing, teams_of
from database.sql import change_rows
from repositories.models.grants import Grant
from repositories.oci.references import NAME_MAX_LENGTH

README_MAX_LENGTH = 100_000  # characters; forms and the API refuse more


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """The facts of a repository that permission questions need, without its row."""

    id: int
    namespace_id: int
    namespace_name: str
    name: str
    is_public: bool
    owner_id: int | None  # the user whose namespace it is
    organization_id: int | None

    @property
    def full_name(self) -> str:
        return f"{self.namespace_name}/{self.name}"


class RepositoryQuerySet(models.QuerySet["Repository"]):
    def visible_to(self, actor: Actor) -> "RepositoryQuerySet":
        """Keep the repositories that the actor may pull from.

        This is decisions.decide for the action pull, said as a set; a test over
        generated people and repositories holds the two against each other.
        """
        return self.filter(
            may_pull(actor, is_public=Q(visibility=Repository.Visibility.PUBLIC)),
            deleted_at=None,
        )

    def restorable_by(self, actor: Actor) -> "RepositoryQuerySet":
        """Keep the deleted ones whose time is not over and that the actor may restore.

        Actors may restore what they could have deleted: decisions.decide for the action
        destroy, said as a set, and held against it by the same test.
        """
        is_restorable = Q(deleted_at__gt=restorable_since())
        return self.filter(may_all(actor, Action.DESTROY), is_restorable)

    def hooked_by(self, actor: Actor) -> "RepositoryQuerySet":
        """Keep those whose webhooks the actor may change, as decide says of hook."""
        return self.filter(may_all(actor, Action.HOOK), deleted_at=None)

    def past_restoring(self) -> "RepositoryQuerySet":
        """Keep the deleted ones that no one can restore any more."""
        return self.filter(deleted_at__lte=restorable_since())

    def in_use(self) -> "RepositoryQuerySet":
        """Keep those that were pushed to or pulled from recently, deleted ones too."""
        days = settings.BERTH_RESERVED_NAME_DAYS
        since = timezone.now() - timedelta(days=days)
        pulled = self.model._meta.apps.get_model("repositories", "DailyPulls").objects
        return self.filter(
            Q(pushed_at__gt=since)
            | Exists(pulled.filter(repository=OuterRef("pk"), day__gt=since.date())),
        )

    def with_full_name(self) -> "RepositoryQuerySet":
        return self.select_related("namespace")

    def in_namespace(
        self, namespace: Namespace, *, containing: str = ""
    ) -> "RepositoryQuerySet":
        """Keep those of a namespace, with a text in their name or description."""
        found = self.filter(namespace=namespace).with_full_name()
        if not containing:
            return found
        words = Q(name__icontains=containing) | Q(description__icontains=containing)
        return found.filter(words)

    def full_names_after(self, last: str) -> "models.QuerySet[Repository, str]":
        """Return namespace/name behind ``last`` in byte order; it need not exist."""
        full_name = Concat(
            "namespace__name", Value("/"), "name", output_field=BytewiseCharField()
        )
        return (
            self.annotate(listed_name=full_name)
            .filter(listed_name__gt=last.replace("\0", ""))
            .order_by("listed_name")
            .values_list("listed_name", flat=True)
        )


def restorable_since() -> datetime:
    """Return the moment before which a deletion is final."""
    return timezone.now() - timedelta(days=settings.BERTH_RESTORE_DAYS)


def may_pull(actor: Actor, *, is_public: Q, repository: str = "pk") -> Q:
    """Return the rule of visible_to for a table of repositories or of their entries.

    ``is_public`` says there what is public, ``repository`` names its column of ids;
    ``namespace`` both have.
    """
    ceiling = actor.ceiling
    if Action.PULL not in ceiling.actions:
        return Q(pk__in=())
    right = (
        is_public
        | Q(namespace__in=namespaces_with_standing(actor))
        | Q(**{f"{repository}__in": granted_to(actor)})
    )
    return right & within_ceiling(actor, repository=repository)


def may_all(actor: Actor, action: Action) -> Q:
    """Return the rule for an action that only the role admin gives, of repositories."""
    if action not in actor.ceiling.actions:
        return Q(pk__in=())
    administered = Q(namespace__in=namespaces_with_standing(actor)) | Q(
        pk__in=granted_to(actor, role=Role.ADMIN, tag_glob="")
    )
    return administered & within_ceiling(actor)


def within_ceiling(actor: Actor, *, repository: str = "pk") -> Q:
    """Return what the actor's token reaches, of repositories or of their entries."""
    ceiling = actor.ceiling
    if ceiling.repository_ids is None and ceiling.namespace_ids is None:
        return Q()
    return Q(**{f"{repository}__in": ceiling.repository_ids or ()}) | Q(
        namespace__in=ceiling.namespace_ids or ()
    )


def granted_to(actor: Actor, **grant: str) -> "models.QuerySet[Grant, Any]":
    """Return the ids of repositories that the actor or a team of it has a grant on.

    Every role has pull; ``grant`` wants one with these columns.
    """
    if actor.is_anonymous:
        return Grant.objects.none().values("repository")
    direct = (
        Q(user=actor.user_id) if actor.user_id is not None else Q(robot=actor.robot_id)
    )
    teams = teams_of(actor).values("pk")
    return Grant.objects.filter(
        Exists(live_rows(actor)), direct | Q(team__in=teams), **grant
    ).values("repository")


class Repository(models.Model):
    """A place for images of one name; ``name`` may contain slashes."""

    class Visibility(models.TextChoices):
        PUBLIC = "public"
        PRIVATE = "private"

    namespace = models.ForeignKey(
        "accounts.Namespace", on_delete=models.PROTECT, related_name="repositories"
    )
    name = BytewiseCharField(max_length=NAME_MAX_LENGTH)
    visibility = models.CharField(
        max_length=7, choices=Visibility.choices, default=Visibility.PRIVATE
    )
    description = SummaryField(max_length=200, blank=True)
    readme = models.TextField(blank=True)
    star_count = models.PositiveBigIntegerField(default=0)
    pull_count = models.PositiveBigIntegerField(default=0)
    size_bytes = models.PositiveBigIntegerField(default=0)  # of its blobs, once each
    created_at = models.DateTimeField(auto_now_add=True)
    pushed_at = models.DateTimeField(null=True, blank=True)
    categories = models.ManyToManyField(
        "repositories.Category", related_name="repositories", blank=True
    )
    # Since when it is gone for everyone but those who may restore it.
    deleted_at = models.DateTimeField(null=True, blank=True, db_index=True)
    deleted_by = models.CharField(max_length=100, blank=True)

    objects = RepositoryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "repositories"
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"],
                condition=Q(deleted_at=None),
                name="repository_name_unique",
            )
        ]

    def __str__(self) -> str:
        return self.full_name

    def save(self, *args: Any, **options: Any) -> None:
        """Save it, and let its name lead to no other repository any more.

        Raises NameReserved. The row comes first: a transaction that gives
        the same name up at this moment is waited for, and what it left is found.
        """
        fields = options.get("update_fields")
        takes_name = fields is None or {"name", "namespace", "deleted_at"} & {*fields}
        with transaction.atomic():
            super().save(*args, **options)
            if takes_name and self.deleted_at is None:
                for former in FormerRepositoryName.objects.filter(
                    namespace=self.namespace_id, name=self.name
                ):
                    if former.repository_id != self.pk and former.is_kept:
                        raise NameReserved(self.full_name)
                    former.delete()

    def get_absolute_url(self) -> str:
        """Return the page's address, which is the image's name."""
        return f"/{self.full_name}"

    @property
    def full_name(self) -> str:
        return f"{self.namespace.name}/{self.name}"

    @property
    def is_in_use(self) -> bool:
        """Return whether it was pushed to or pulled from recently."""
        return Repository.objects.in_use().filter(pk=self.pk).exists()

    @property
    def restorable_until(self) -> datetime | None:
        """The end of the time to restore it; None for one that is not deleted."""
        if self.deleted_at is None:
            return None
        return self.deleted_at + timedelta(days=settings.BERTH_RESTORE_DAYS)

    @property
    def is_public(self) -> bool:
        return self.visibility == self.Visibility.PUBLIC

    @property
    def facts(self) -> RepositoryFacts:
        return RepositoryFacts(
            id=self.pk,
            namespace_id=self.namespace_id,
            namespace_name=self.namespace.name,
            name=self.name,
            is_public=self.is_public,
            owner_id=self.namespace.user_id,
            organization_id=self.namespace.organization_id,
        )


class FormerRepositoryName(models.Model):
    """A name that a repository had: it leads there until another one takes it.

    A reserved one can be taken once it is freed (docs/names.md). Without a repository,
    that is gone.
    """

    namespace = models.ForeignKey("accounts.Namespace", on_delete=models.CASCADE)
    name = BytewiseCharField(max_length=NAME_MAX_LENGTH)
    repository = models.ForeignKey(
        "repositories.Repository",
        on_delete=models.SET_NULL,
        null=True,
        related_name="former_names",
    )
    is_reserved = models.BooleanField(default=False)
    freed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"], name="former_repository_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_kept(self) -> bool:
        """Return whether no other repository can take the name."""
        if self.freed_at is not None:
            return False
        return self.is_reserved or (
            self.repository is not None and self.repository.is_in_use
        )


def add_stored_bytes(repository_id: int, size_bytes: int) -> None:
    """Count bytes that were linked to (or, negative, taken from) a repository."""
    change_rows(
        "UPDATE repositories_repository SET size_bytes = size_bytes + %s WHERE id = %s",
        (size_bytes, repository_id),
    )
