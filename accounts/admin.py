"""People and organizations in the administration pages; secrets are never shown."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db import transaction
from django.http import HttpRequest

from accounts.models import (
    Membership,
    Namespace,
    Organization,
    Robot,
    Team,
    User,
)
from accounts.models.namespaces import validate_namespace_field
from accounts.names import NAMESPACE_MAX_LENGTH
from accounts.organizations import found_organization


@admin.register(User)
class BerthUserAdmin(UserAdmin):  # type: ignore[type-arg]
    """A new user gets the namespace of the same name, as everywhere."""

    list_display = ("username", "email", "is_active", "is_superuser", "date_joined")
    list_filter = ("is_active", "is_superuser")
    search_fields = ("username", "email", "display_name")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("display_name", "email")}),
        ("Standing", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("username", "last_login", "date_joined") if obj else ()

    def save_model(
        self, request: HttpRequest, obj: User, form: Any, change: bool
    ) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            Namespace.objects.get_or_create(user=obj, defaults={"name": obj.username})

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # a user who goes is switched off; names are never given again


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
    owner = forms.ModelChoiceField(User.objects.filter(is_active=True))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Namespace.objects.filter(name=name).exists():
            raise forms.ValidationError("this name is taken")
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
        if change:
            super().save_model(request, obj, form, change)
        else:
            found_organization(
                organization=obj,
                name=form.cleaned_data["name"],
                owner=form.cleaned_data["owner"],
            )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    extra = 0
    autocomplete_fields = ("user", "robot")


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("name", "organization", "standing")
    search_fields = ("name", "organization__namespace__name")
    inlines = (MembershipInline,)


@admin.register(Namespace)
class NamespaceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Only what administrators vouch for can be changed."""

    list_display = ("name", "is_official", "is_verified", "created_at")
    search_fields = ("name",)
    fields = ("name", "user", "organization", "is_official", "is_verified")
    readonly_fields = ("name", "user", "organization")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Robot)
class RobotAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("username", "is_active", "last_used_at")
    list_select_related = ("namespace",)
    search_fields = ("name", "namespace__name")
    fields = ("namespace", "name", "description", "is_active")
    readonly_fields = ("namespace", "name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # its token is shown once, which these pages cannot do
