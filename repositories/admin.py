"""Repositories and grants in the administration pages."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from repositories.models import Event, Grant, Repository


class GrantInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Grant
    extra = 0
    autocomplete_fields = ("user", "team", "robot")


@admin.register(Repository)
class RepositoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Visibility, description and grants; what is in it is the clients' business."""

    list_display = ("full_name", "visibility", "size_bytes", "pushed_at")
    list_filter = ("visibility",)
    list_select_related = ("namespace",)
    search_fields = ("name", "namespace__name")
    fields = ("namespace", "name", "visibility", "description", "readme")
    readonly_fields = ("namespace", "name")
    inlines = (GrantInline,)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a push makes it

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The audit log; nobody writes it by hand."""

    list_display = ("at", "kind", "repository_name", "actor_name", "address")
    list_filter = ("kind",)
    search_fields = ("repository_name", "actor_name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
