"""Serializers of repositories; every field that can be changed is named."""

from typing import Any

from rest_framework import serializers

from accounts.actions import Action, Role
from accounts.models.fields import validate_summary
from repositories.models import (
    DefaultPermission,
    Event,
    Grant,
    Repository,
    Tag,
    TagMove,
)
from repositories.models.repositories import README_MAX_LENGTH
from repositories.oci.platforms import pairs_of
from repositories.oci.references import COMPONENT_PATTERN, NAME_MAX_LENGTH, is_tag

NAME_PATTERN = rf"^{COMPONENT_PATTERN}(?:/{COMPONENT_PATTERN})*\Z"


class RepositorySerializer(serializers.ModelSerializer[Repository]):
    namespace = serializers.CharField(source="namespace.name", read_only=True)
    full_name = serializers.CharField(read_only=True)
    is_official = serializers.BooleanField(
        source="namespace.is_official", read_only=True
    )
    is_verified = serializers.BooleanField(
        source="namespace.is_verified", read_only=True
    )
    readme = serializers.CharField(
        max_length=README_MAX_LENGTH,
        allow_blank=True,
        required=False,
        trim_whitespace=False,
    )

    class Meta:
        model = Repository
        fields = (
            "namespace",
            "name",
            "full_name",
            "visibility",
            "description",
            "readme",
            "is_official",
            "is_verified",
            "star_count",
            "pull_count",
            "size_bytes",
            "pushed_at",
            "created_at",
        )
        read_only_fields = (
            "name",
            "star_count",
            "pull_count",
            "size_bytes",
            "pushed_at",
            "created_at",
        )


class RepositoryNameField(serializers.RegexField):
    """The part of a repository's name after the namespace."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            NAME_PATTERN,
            max_length=NAME_MAX_LENGTH - 40,
            trim_whitespace=False,
            **options,
        )


class ChangedRepositorySerializer(RepositorySerializer):
    """Takes a new name, and another namespace, too."""

    namespace = serializers.CharField(max_length=39, required=False)
    name = RepositoryNameField(required=False)

    class Meta(RepositorySerializer.Meta):
        fields = ("namespace", "name", "visibility", "description", "readme")  # type: ignore[assignment]
        read_only_fields = ()  # type: ignore[assignment]
        validators: list[Any] = []  # whether a name is taken, the verbs say


class DeletedRepositorySerializer(RepositorySerializer):
    """A deleted repository, for those who may restore it."""

    restorable_until = serializers.DateTimeField(read_only=True)

    class Meta(RepositorySerializer.Meta):
        fields = (  # type: ignore[assignment]
            "id",
            "namespace",
            "name",
            "full_name",
            "visibility",
            "size_bytes",
            "deleted_at",
            "deleted_by",
            "restorable_until",
        )
        read_only_fields = fields  # type: ignore[assignment]


class RestoredNameSerializer(serializers.Serializer[Any]):
    name = RepositoryNameField(required=False)


class ListedRepositorySerializer(RepositorySerializer):
    """A repository in a list: without its README, of which 200 are 20 MB."""

    class Meta(RepositorySerializer.Meta):
        fields = tuple(  # type: ignore[assignment]
            name for name in RepositorySerializer.Meta.fields if name != "readme"
        )


class FoundRepositorySerializer(RepositorySerializer):
    """A repository as a search lists it: with its platforms, without its readme."""

    platforms = serializers.SerializerMethodField()
    categories = serializers.SerializerMethodField()

    class Meta(RepositorySerializer.Meta):
        fields = (  # type: ignore[assignment]
            *(name for name in RepositorySerializer.Meta.fields if name != "readme"),
            "platforms",
            "categories",
        )

    def get_platforms(self, repository: Repository) -> list[str]:
        """``os/architecture`` of the repository's images."""
        pairs = pairs_of(repository.search_entry.platforms)
        return [f"{system}/{architecture}" for system, architecture in pairs]

    def get_categories(self, repository: Repository) -> list[str]:
        return [category.slug for category in repository.categories.all()]


class FoundPageSerializer(serializers.Serializer[Any]):
    """One page of a search."""

    count = serializers.IntegerField()
    count_is_exact = serializers.BooleanField()
    next = serializers.URLField(allow_null=True)
    results = FoundRepositorySerializer(many=True)


class StarredSerializer(serializers.Serializer[Any]):
    starred = serializers.BooleanField()
    star_count = serializers.IntegerField()


class WatchedSerializer(serializers.Serializer[Any]):
    watched = serializers.BooleanField()


class NewRepositorySerializer(serializers.Serializer[Any]):
    namespace = serializers.CharField(max_length=39, trim_whitespace=False)
    name = RepositoryNameField()
    visibility = serializers.ChoiceField(Repository.Visibility.choices)
    description = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        validators=[validate_summary],
    )


class SubjectSerializer(serializers.Serializer[Any]):
    """A user, a team of the repository's organization, or one of its robots."""

    kind = serializers.ChoiceField(["user", "team", "robot"])
    name = serializers.CharField(max_length=100)


class TagGlobField(serializers.CharField):
    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=128, allow_blank=True, **options)


class GrantSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField(read_only=True)
    subject = SubjectSerializer()
    role = serializers.ChoiceField([role.value for role in Role])
    tags = TagGlobField(required=False, default="")
    created_at = serializers.DateTimeField(read_only=True)

    def to_representation(self, grant: Grant) -> dict[str, Any]:
        return {
            "id": grant.pk,
            "subject": {"kind": grant.subject_kind, "name": grant.subject_name},
            "role": grant.role,
            "tags": grant.tag_glob,
            "created_at": serializers.DateTimeField().to_representation(
                grant.created_at
            ),
        }


class ChangedGrantSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField([role.value for role in Role], required=False)
    tags = TagGlobField(required=False)


class RobotGrantSerializer(serializers.ModelSerializer[Grant]):
    """A robot's grant, seen from the robot."""

    repository = serializers.CharField(source="repository.full_name")
    tags = serializers.CharField(source="tag_glob")

    class Meta:
        model = Grant
        fields = ("id", "repository", "role", "tags")


class RobotDetailSerializer(serializers.Serializer[Any]):
    """A robot with what it may do; never its token."""

    name = serializers.CharField(source="robot.name")
    username = serializers.CharField(source="robot.username")
    description = serializers.CharField(source="robot.description")
    is_active = serializers.BooleanField(source="robot.is_active")
    created_at = serializers.DateTimeField(source="robot.created_at")
    expires_at = serializers.DateTimeField(source="robot.expires_at", allow_null=True)
    last_used_at = serializers.DateTimeField(
        source="robot.last_used_at", allow_null=True
    )
    teams = serializers.ListField(child=serializers.CharField())
    grants = RobotGrantSerializer(many=True)
    snippets = serializers.DictField(child=serializers.CharField())


class DefaultSerializer(serializers.Serializer[Any]):
    """A rule: the subject gets a role on repositories of the creator (null: anyone)."""

    id = serializers.IntegerField(read_only=True)
    creator = serializers.CharField(max_length=100, required=False, allow_null=True)
    subject = SubjectSerializer()
    role = serializers.ChoiceField([role.value for role in Role])
    created_at = serializers.DateTimeField(read_only=True)

    def to_representation(self, rule: DefaultPermission) -> dict[str, Any]:
        return {
            "id": rule.pk,
            "creator": rule.creator_name,
            "subject": {"kind": rule.subject_kind, "name": rule.subject_name},
            "role": rule.role,
            "created_at": serializers.DateTimeField().to_representation(
                rule.created_at
            ),
        }


class HoldersQuestionSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField([action.value for action in Action])
    tag = serializers.CharField(max_length=128, required=False)
    after = serializers.CharField(max_length=100, required=False)
    page_size = serializers.IntegerField(min_value=1, max_value=200, default=50)


class HolderSerializer(serializers.Serializer[Any]):
    who = serializers.CharField()
    kind = serializers.ChoiceField(["user", "robot"])
    reason = serializers.CharField()


class HoldersSerializer(serializers.Serializer[Any]):
    results = HolderSerializer(many=True)
    anyone = serializers.BooleanField()
    next = serializers.URLField(allow_null=True)


class AccessQuestionSerializer(serializers.Serializer[Any]):
    who = serializers.CharField(max_length=100, allow_blank=True)
    action = serializers.ChoiceField([action.value for action in Action])
    tag = serializers.CharField(max_length=128, required=False)


class AccessAnswerSerializer(serializers.Serializer[Any]):
    allowed = serializers.BooleanField()
    reason = serializers.CharField()


class TagSerializer(serializers.ModelSerializer[Tag]):
    digest = serializers.CharField(source="manifest.digest")
    media_type = serializers.CharField(source="manifest.media_type")
    size_bytes = serializers.IntegerField(source="content_bytes")
    platforms = serializers.ListField(
        source="manifest.listed_platforms.names", child=serializers.CharField()
    )
    more_platform_count = serializers.IntegerField(
        source="manifest.listed_platforms.more_count",
        help_text="Entries of an index beyond those whose platforms are listed.",
    )
    pushed_at = serializers.DateTimeField(source="moved_at")
    pushed_by = serializers.CharField(source="moved_by")

    class Meta:
        model = Tag
        fields = (
            "name",
            "digest",
            "media_type",
            "size_bytes",
            "platforms",
            "more_platform_count",
            "pushed_at",
            "pushed_by",
            "last_pulled_at",
        )


class StatisticsQuerySerializer(serializers.Serializer[Any]):
    days = serializers.IntegerField(min_value=1, max_value=366, default=30)


class DayOfPullsSerializer(serializers.Serializer[Any]):
    day = serializers.DateField()
    pull_count = serializers.IntegerField()


class StatisticsSerializer(serializers.Serializer[Any]):
    """Days oldest first, in UTC; the rest is of these days, most pulled first.

    The tag "" are pulls by digest, and what is older than the detail kept.
    """

    pull_count = serializers.IntegerField()  # since ever
    days = DayOfPullsSerializer(many=True)
    tags = serializers.DictField(child=serializers.IntegerField())
    platforms = serializers.DictField(child=serializers.IntegerField())
    clients = serializers.DictField(child=serializers.IntegerField())


class MovedTagSerializer(serializers.Serializer[Any]):
    digest = serializers.CharField(max_length=140)


class TagMoveSerializer(serializers.ModelSerializer[TagMove]):
    class Meta:
        model = TagMove
        fields = ("digest", "previous_digest", "moved_by", "moved_at")


class EventSerializer(serializers.ModelSerializer[Event]):
    actor = serializers.CharField(source="actor_name")

    class Meta:
        model = Event
        fields = ("id", "kind", "actor", "at", "detail")


class AuditEventSerializer(EventSerializer):
    """An event with what only those who answer for the place may know.

    ``repository`` and ``namespace`` are the names of that time.
    """

    token = serializers.CharField(source="token_name")
    repository = serializers.CharField(source="repository_name")
    namespace = serializers.CharField(source="namespace_name")

    class Meta(EventSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *EventSerializer.Meta.fields,
            "address",
            "token",
            "repository",
            "namespace",
        )


class RepositoryAuditSerializer(AuditEventSerializer):
    """As those see it who may grant: what was before a transfer is the others'."""

    def to_representation(self, event: Event) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(event)
        assert event.repository is not None, "chosen by its repository"
        if event.namespace_id != event.repository.namespace_id:
            shown |= {"address": None, "token": ""}
        return shown


def check_tag(tag: str) -> None:
    """Raise ValidationError for a text that is no tag."""
    if not is_tag(tag):
        raise serializers.ValidationError({"tag": f"'{tag}' is not a tag"})
