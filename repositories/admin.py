"""Repositories and grants in the administration pages.

Every change goes through the verb that the API uses too (accounts/admin.py).
"""

from typing import Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from accounts.admin import changes_of
from accounts.requests import actor_of_page
from repositories.events.recording import record_event, record_in_namespace
from repositories.lifecycle import change_visibility, describe_repository
from repositories.models import Category, Event, Grant, Repository
from repositories.rights.grants import Subject, add_grant, change_grant, remove_grant


class GrantInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Grant
    extra = 0
    autocomplete_fields = ("user", "team", "robot")


@admin.register(Repository)
class RepositoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Visibility, description and grants; what is in it is the clients' business."""

    list_display = ("full_name", "visibility", "size_bytes", "pushed_at", "deleted_at")
    list_filter = ("visibility", "categories", "namespace__is_official")
    list_select_related = ("namespace",)
    search_fields = ("name", "namespace__name")
    fields = (
        *("namespace", "name", "visibility", "description", "readme"),
        "categories",
    )
    readonly_fields = ("namespace", "name")
    autocomplete_fields = ("categories",)
    inlines = (GrantInline,)

    def save_model(
        self, request: HttpRequest, obj: Repository, form: Any, change: bool
    ) -> None:
        kept = Repository.objects.get(pk=obj.pk)
        actor = actor_of_page(request)
        texts = changes_of(form)
        visibility = texts.pop("visibility", kept.visibility)
        texts.pop("categories", None)  # of another table; save_related writes them
        describe_repository(repository=kept, actor=actor, **texts)
        change_visibility(repository=kept, visibility=visibility, actor=actor)

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        super().save_related(request, form, formsets, change)
        if "categories" in form.changed_data:
            slugs = sorted(c.slug for c in form.cleaned_data["categories"])
            record_event(
                kind=Event.Kind.REPOSITORY_CHANGED,
                repository=form.instance.facts,
                actor=actor_of_page(request),
                detail={"changed": ["categories"], "categories": slugs},
            )

    def save_formset(
        self, request: HttpRequest, form: Any, formset: Any, change: bool
    ) -> None:
        actor = actor_of_page(request)
        formset.save(commit=False)
        added = [*formset.new_objects]
        for grant in formset.deleted_objects:
            remove_grant(grant=grant, actor=actor)
        for grant, _ in formset.changed_objects:
            kept = Grant.objects.get(pk=grant.pk)
            if subject_of(kept) == subject_of(grant):
                change_grant(
                    grant=kept, role=grant.role, tag_glob=grant.tag_glob, actor=actor
                )
            else:  # someone else's from now on
                remove_grant(grant=kept, actor=actor)
                added.append(grant)
        for grant in added:
            add_grant(
                repository=grant.repository,
                subject=subject_of(grant),
                role=grant.role,
                tag_glob=grant.tag_glob,
                actor=actor,
            )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a push makes it

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Category)
class CategoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Categories, in their order; repositories are put there on their own pages."""

    list_display = ("name", "slug", "position", "repository_count")
    list_editable = ("position",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}

    def save_model(
        self, request: HttpRequest, obj: Category, form: Any, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        self.record(request, Event.Kind.CATEGORY_SET, obj)

    def delete_model(self, request: HttpRequest, obj: Category) -> None:
        self.record(request, Event.Kind.CATEGORY_REMOVED, obj)
        super().delete_model(request, obj)

    def delete_queryset(
        self, request: HttpRequest, queryset: QuerySet[Category]
    ) -> None:
        for category in queryset:
            self.delete_model(request, category)

    def record(self, request: HttpRequest, kind: str, category: Category) -> None:
        """Add the change to the site's log; the administration's view is atomic."""
        record_in_namespace(
            kind=kind,
            namespace=None,
            actor=actor_of_page(request),
            detail={"category": category.slug, "name": category.name},
        )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Category]:
        counted = Count("repositories", filter=Q(repositories__deleted_at=None))
        rows: QuerySet[Category] = super().get_queryset(request)
        return rows.annotate(repository_count=counted)

    @admin.display(description="repositories", ordering="repository_count")
    def repository_count(self, category: Category) -> int:
        count: int = getattr(category, "repository_count", 0)
        return count


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The audit log; no one writes it by hand."""

    list_display = (
        "at",
        "kind",
        "namespace_name",
        "repository_name",
        "actor_name",
        "access_token",
        "address",
    )
    list_filter = ("kind",)
    list_select_related = ("access_token",)
    search_fields = ("namespace_name", "repository_name", "actor_name")
    show_full_result_count = False  # counting all of a long log takes its time

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def subject_of(grant: Grant) -> Subject:
    subject = grant.user or grant.team or grant.robot
    assert subject is not None, "the form asks for one"
    return subject
