"""People and organizations in the administration pages; secrets are never shown.

Every change goes through the verb that the API uses too, with the administrator as
actor, so that the audit log misses none of them.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.db import transaction
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse

from accounts.emails import AddressTaken, is_address_taken
from accounts.former_names import refuse_reserved
from accounts.liveness import live_user
from accounts.memberships import add_member, remove_member
from accounts.models import (
    AccessToken,
    Membership,
    Namespace,
    Organization,
    Robot,
    Team,
    User,
)
from accounts.models.namespaces import validate_namespace_field
from accounts.models.teams import OWNERS_TEAM
from accounts.names import NAMESPACE_MAX_LENGTH, InvalidName, validate_component
from accounts.organizations import change_organization, save_organization, set_badges
from accounts.requests import actor_of_page
from accounts.robots import change_robot, delete_robot
from accounts.second_factor import reset_second_factor
from accounts.teams import change_team, create_team, delete_team
from accounts.tokens import revoke_access_token
from accounts.users import (
    LastAdministrator,
    change_user,
    enrol_user,
    noting_password,
    organizations_left_by,
    require_another_administrator,
)


def changes_of(form: Any) -> dict[str, Any]:
    """Return what a form changes, as verbs take it."""
    return {name: form.cleaned_data[name] for name in form.changed_data}


class ChangedUserForm(UserChangeForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any]:
        """Refuse to take the last administrator away from the site."""
        fields: dict[str, Any] = super().clean() or {}
        lost = ("is_active", "is_staff", "is_superuser")
        if any(getattr(self.instance, name) and not fields.get(name) for name in lost):
            try:
                with transaction.atomic():
                    require_another_administrator(self.instance)
            except LastAdministrator as error:
                raise forms.ValidationError(str(error)) from error
        return fields

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        is_changed = email.lower() != self.instance.email.lower()
        if is_changed and is_address_taken(email, by_other_than=self.instance):
            raise forms.ValidationError(str(AddressTaken()))
        return email


@admin.register(User)
class BerthUserAdmin(UserAdmin):  # type: ignore[type-arg]
    """A new user gets the namespace of the same name, as everywhere."""

    form = ChangedUserForm
    list_display = ("username", "email", "is_active", "is_superuser", "date_joined")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("username", "email", "display_name")
    actions = ("reset_second_factors",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("display_name", "email")}),
        (
            "Standing",
            {
                "fields": (
                    "is_active",
                    "is_staff",
                    "is_superuser",
                    "must_change_password",
                )
            },
        ),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("username", "last_login", "date_joined") if obj else ()

    def save_model(
        self, request: HttpRequest, obj: User, form: Any, change: bool
    ) -> None:
        actor = actor_of_page(request)
        if change:
            kept = User.objects.get(pk=obj.pk)
            change_user(user=kept, actor=actor, **changes_of(form))
            if not kept.is_active and (left := organizations_left_by(kept)):
                self.message_user(
                    request,
                    f"No active owner is left in {', '.join(left)}. Add one to the "
                    "team owners of each, under Teams.",
                    messages.WARNING,
                )
        else:
            enrol_user(user=obj, actor=actor)

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        user = self.get_object(request, unquote(id))
        if user is None or request.method != "POST":
            return super().user_change_password(request, id, form_url)
        with noting_password(user_id=user.pk, actor=actor_of_page(request)):
            return super().user_change_password(request, id, form_url)

    @admin.action(
        description="Reset the second factor of selected users", permissions=["change"]
    )
    def reset_second_factors(self, request: HttpRequest, users: QuerySet[User]) -> None:
        actor = actor_of_page(request)
        reset = [
            user.username
            for user in users
            if reset_second_factor(user=user, actor=actor)
        ]
        self.message_user(request, f"Second factor reset: {', '.join(reset) or '0'}")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a user who goes is suspended; names are never given again


class OrganizationForm(forms.ModelForm):  # type: ignore[type-arg]
    website = forms.URLField(required=False, assume_scheme="https")

    class Meta:
        model = Organization
        fields = ("display_name", "description", "email", "website")


class NewOrganizationForm(OrganizationForm):
    """Asks also for the name and the first owner."""

    name = forms.CharField(
        max_length=NAMESPACE_MAX_LENGTH, validators=[validate_namespace_field]
    )
    owner = forms.ModelChoiceField(User.objects.filter(live_user()))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Namespace.objects.filter(name=name).exists():
            raise forms.ValidationError("this name is taken")
        refuse_reserved(name)
        return name


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("namespace", "display_name", "created_at")
    search_fields = ("namespace__name", "display_name")
    list_select_related = ("namespace",)

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        kwargs["form"] = NewOrganizationForm if obj is None else OrganizationForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: Organization, form: Any, change: bool
    ) -> None:
        actor = actor_of_page(request)
        if change:
            kept = Organization.objects.get(pk=obj.pk)
            change_organization(organization=kept, actor=actor, **changes_of(form))
        else:
            save_organization(
                organization=obj,
                name=form.cleaned_data["name"],
                owner=form.cleaned_data["owner"],
                actor=actor,
            )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipFormSet(BaseInlineFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        super().clean()
        is_owners = getattr(self.instance, "name", "") == OWNERS_TEAM
        if is_owners and not any(
            user.is_live
            for form in self.forms
            if not (fields := getattr(form, "cleaned_data", {})).get("DELETE")
            and (user := fields.get("user"))
        ):
            raise forms.ValidationError(
                "an organization keeps at least one owner who can sign in"
            )


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    """Members come and go; no membership becomes someone else's."""

    model = Membership
    formset = MembershipFormSet
    extra = 0
    autocomplete_fields = ("user", "robot")


class TeamForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        try:
            validate_component(name)
        except InvalidName as error:
            raise forms.ValidationError(str(error)) from error
        return name


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = TeamForm
    list_display = ("name", "organization", "standing")
    search_fields = ("name", "organization__namespace__name")
    inlines = (MembershipInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None and obj.name == OWNERS_TEAM:
            return ("organization", "name", "description", "standing")
        return ("organization",) if obj else ()

    def get_actions(self, request: HttpRequest) -> Any:
        return {}  # deleting in bulk would go past the verb

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may: bool = super().has_delete_permission(request, obj)
        return may and (obj is None or obj.name != OWNERS_TEAM)

    def save_model(
        self, request: HttpRequest, obj: Team, form: Any, change: bool
    ) -> None:
        actor = actor_of_page(request)
        if change:
            kept = Team.objects.get(pk=obj.pk)
            change_team(team=kept, actor=actor, **changes_of(form))
        else:
            create_team(team=obj, actor=actor)

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        actor = actor_of_page(request)
        formset.save(commit=False)
        kept = Membership.objects.in_bulk(
            [row.pk for row, _ in formset.changed_objects]
        )
        for row in formset.new_objects:
            add_member(team=row.team, user=row.user, robot=row.robot, actor=actor)
        for row, _ in formset.changed_objects:  # another member in the place of one
            add_member(team=row.team, user=row.user, robot=row.robot, actor=actor)
        for row in (*kept.values(), *formset.deleted_objects):
            remove_member(team=row.team, user=row.user, robot=row.robot, actor=actor)

    def delete_model(self, request: HttpRequest, obj: Team) -> None:
        delete_team(team=obj, actor=actor_of_page(request))


@admin.register(Namespace)
class NamespaceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Only the badges that administrators verify can be changed."""

    list_display = ("name", "is_official", "is_verified", "created_at")
    list_filter = ("is_official", "is_verified")
    search_fields = ("name",)
    fields = ("name", "user", "organization", "is_official", "is_verified")
    readonly_fields = ("name", "user", "organization")

    def save_model(
        self, request: HttpRequest, obj: Namespace, form: Any, change: bool
    ) -> None:
        kept = Namespace.objects.get(pk=obj.pk)
        actor = actor_of_page(request)
        set_badges(namespace=kept, actor=actor, **changes_of(form))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Robot)
class RobotAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("username", "is_active", "last_used_at")
    list_select_related = ("namespace",)
    search_fields = ("name", "namespace__name")
    fields = ("namespace", "name", "description", "is_active", "expires_at")
    readonly_fields = ("namespace", "name")

    def get_actions(self, request: HttpRequest) -> Any:
        return {}  # deleting in bulk would go past the verb

    def save_model(
        self, request: HttpRequest, obj: Robot, form: Any, change: bool
    ) -> None:
        kept = Robot.objects.get(pk=obj.pk)
        actor = actor_of_page(request)
        change_robot(robot=kept, actor=actor, **changes_of(form))

    def delete_model(self, request: HttpRequest, obj: Robot) -> None:
        delete_robot(robot=obj, actor=actor_of_page(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # its token is shown once, which these pages cannot do


@admin.register(AccessToken)
class AccessTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Finds the owner of a leaked token and revokes it; nothing here opens anything."""

    list_display = (
        *("name", "user", "actions", "is_limited", "ends_with", "last_used_at"),
        *("expires_at", "revoked_at"),
    )
    list_filter = ("actions", "is_limited")
    list_select_related = ("user",)
    search_fields = ("user__username", "name", "=ends_with")
    fields = (*list_display, "created_at")
    readonly_fields = fields
    ordering = ("-created_at",)
    actions = ("revoke",)

    @admin.action(description="Revoke selected access tokens", permissions=["revoke"])
    def revoke(self, request: HttpRequest, tokens: QuerySet[AccessToken]) -> None:
        actor = actor_of_page(request)
        ended = [revoke_access_token(token=token, actor=actor) for token in tokens]
        self.message_user(request, f"Revoked: {sum(ended)}")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return user.is_active and user.has_perm("accounts.change_accesstoken")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # it is shown once, to its owner

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a revoked one says until when it opened
