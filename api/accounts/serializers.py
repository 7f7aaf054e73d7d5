"""Serializers of people and organizations; every field is named."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import AccessToken, Invitation, Organization, Robot, Team, User
from accounts.models.fields import validate_line
from accounts.models.namespaces import validate_claimed_field, validate_namespace_field
from accounts.names import (
    NAMESPACE_MAX_LENGTH,
    NAMESPACE_MIN_LENGTH,
    NAMESPACE_PATTERN,
    TEAM_NAME_MAX_LENGTH,
    InvalidName,
    validate_component,
)


@extend_schema_field({"anyOf": [{"type": "string", "format": "email"}, {"enum": [""]}]})
class EmailOrNoneField(serializers.EmailField):
    """An email address, "" for none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(validate_line)


@extend_schema_field(
    {
        "type": "string",
        "pattern": f"^{NAMESPACE_PATTERN}$",
        "minLength": NAMESPACE_MIN_LENGTH,
        "maxLength": NAMESPACE_MAX_LENGTH,
    }
)
class NamespaceNameField(serializers.CharField):
    """A name that a user or an organization may take, or an administrator give."""

    def __init__(self, *, is_claimed: bool = True, **options: Any) -> None:
        super().__init__(max_length=NAMESPACE_MAX_LENGTH, **options)
        self.validators.append(
            validate_claimed_field if is_claimed else validate_namespace_field
        )


@extend_schema_field(
    {
        "type": "string",
        "pattern": f"^{NAMESPACE_PATTERN}$",
        "minLength": 1,
        "maxLength": TEAM_NAME_MAX_LENGTH,
    }
)
class ComponentField(serializers.CharField):
    """The name of a team or a robot."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=39, **options)
        self.validators.append(_check_component)


class FutureField(serializers.DateTimeField):
    """A time that is not over yet."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(_check_future)


def _check_future(moment: datetime) -> None:
    if moment <= timezone.now():
        raise serializers.ValidationError("this time is in the past")


def _check_component(name: str) -> None:
    try:
        validate_component(name)
    except InvalidName as error:
        raise serializers.ValidationError(str(error)) from error


class UserSerializer(serializers.ModelSerializer[User]):
    """Oneself."""

    email = EmailOrNoneField(read_only=True)

    class Meta:
        model = User
        fields = ("username", "email", "display_name", "date_joined")
        read_only_fields = ("username", "email", "date_joined")


class ChangedUserSerializer(UserSerializer):
    """Takes a new username too."""

    username = NamespaceNameField(required=False)

    class Meta(UserSerializer.Meta):
        read_only_fields = ("email", "date_joined")  # type: ignore[assignment]


class PublicUserSerializer(serializers.ModelSerializer[User]):
    """The public part of a user."""

    class Meta:
        model = User
        fields = ("username", "display_name", "date_joined")


class AdministeredUserSerializer(serializers.ModelSerializer[User]):
    """A user as site administrators see and change it."""

    email = EmailOrNoneField(required=False, allow_blank=True, max_length=254)

    class Meta:
        model = User
        fields = ("username", "email", "display_name", "is_active", "date_joined")
        read_only_fields = ("username", "date_joined")


class NewUserSerializer(serializers.Serializer[Any]):
    username = NamespaceNameField(is_claimed=False)
    email = EmailOrNoneField(required=False, allow_blank=True, max_length=254)
    password = serializers.CharField(max_length=1000, trim_whitespace=False)


class AccessTokenSerializer(serializers.ModelSerializer[AccessToken]):
    """A token as listed: never the secret, nor its hash.

    ``repositories`` and ``namespaces`` are null without a limit; a repository that the
    owner sees no more is not named.
    """

    repositories = serializers.ListField(
        child=serializers.CharField(), allow_null=True, source="reach.repositories"
    )
    namespaces = serializers.ListField(
        child=serializers.CharField(), allow_null=True, source="reach.namespaces"
    )

    class Meta:
        model = AccessToken
        fields = (
            "id",
            "name",
            "actions",
            "ends_with",
            "is_limited",
            "repositories",
            "namespaces",
            "created_at",
            "expires_at",
            "last_used_at",
        )


class NewAccessTokenSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, validators=[validate_line])
    actions = serializers.ChoiceField(AccessToken.Actions.choices)
    repositories = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=100
    )
    namespaces = serializers.ListField(
        child=serializers.CharField(max_length=255), required=False, max_length=100
    )
    expires_at = FutureField(required=False, allow_null=True)


class IssuedTokenSerializer(AccessTokenSerializer):
    """The one answer that has the secret."""

    token = serializers.CharField()

    class Meta(AccessTokenSerializer.Meta):
        fields = (*AccessTokenSerializer.Meta.fields, "token")  # type: ignore[assignment]


class OrganizationSerializer(serializers.ModelSerializer[Organization]):
    name = serializers.CharField(source="namespace.name", read_only=True)
    is_official = serializers.BooleanField(
        source="namespace.is_official", read_only=True
    )
    is_verified = serializers.BooleanField(
        source="namespace.is_verified", read_only=True
    )

    class Meta:
        model = Organization
        fields = (
            "name",
            "display_name",
            "description",
            "website",
            "is_official",
            "is_verified",
            "created_at",
        )
        read_only_fields = ("created_at",)


class ChangedOrganizationSerializer(OrganizationSerializer):
    """Takes a new name too."""

    name = NamespaceNameField(required=False)


class NewOrganizationSerializer(serializers.Serializer[Any]):
    name = NamespaceNameField()
    display_name = serializers.CharField(
        max_length=100, required=False, allow_blank=True, validators=[validate_line]
    )


class TeamSerializer(serializers.ModelSerializer[Team]):
    name = ComponentField()
    members = serializers.SerializerMethodField()

    class Meta:
        model = Team
        fields = ("name", "description", "standing", "members", "created_at")
        read_only_fields = ("created_at",)

    def get_members(self, team: Team) -> list[str]:
        members = [m.user or m.robot for m in team.memberships.all()]
        return sorted(member.username for member in members if member)


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation as the invited user sees it."""

    team = serializers.CharField(source="team.name")
    username = serializers.CharField(
        source="user.username", default=None, allow_null=True
    )

    class Meta:
        model = Invitation
        fields = (
            "id",
            "team",
            "username",
            "email",
            "invited_by",
            "created_at",
            "expires_at",
        )


class NewInvitationSerializer(serializers.Serializer[Any]):
    """To a user or to an email address, one of the two."""

    team = ComponentField()
    username = serializers.CharField(max_length=NAMESPACE_MAX_LENGTH, required=False)
    email = serializers.EmailField(
        max_length=254, required=False, validators=[validate_line]
    )

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if ("username" in fields) == ("email" in fields):
            raise serializers.ValidationError(
                {"username": "give either a username or an email"}
            )
        return fields


class OwnInvitationSerializer(serializers.ModelSerializer[Invitation]):
    """An invitation as the invited user sees it."""

    organization = serializers.CharField(source="team.organization.namespace.name")
    team = serializers.CharField(source="team.name")

    class Meta:
        model = Invitation
        fields = (
            "id",
            "organization",
            "team",
            "invited_by",
            "created_at",
            "expires_at",
        )


class InvitationAnswerSerializer(serializers.Serializer[Any]):
    answer = serializers.ChoiceField(["accept", "decline"])


class RobotSerializer(serializers.ModelSerializer[Robot]):
    """A robot as listed: never its token."""

    expires_at = FutureField(required=False, allow_null=True)
    username = serializers.CharField(read_only=True)
    name = ComponentField()

    class Meta:
        model = Robot
        fields = (
            "name",
            "username",
            "description",
            "is_active",
            "expires_at",
            "last_used_at",
        )
        read_only_fields = ("is_active", "last_used_at")


class ChangedRobotSerializer(serializers.ModelSerializer[Robot]):
    """The fields of a robot that PATCH changes."""

    expires_at = FutureField(required=False, allow_null=True)

    class Meta:
        model = Robot
        fields = ("description", "is_active", "expires_at")


class RobotTokenSerializer(serializers.Serializer[Any]):
    """The one answer that has a robot's token, also ready to be pasted."""

    username = serializers.CharField()
    token = serializers.CharField()
    snippets = serializers.DictField(child=serializers.CharField())
