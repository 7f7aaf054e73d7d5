"""A namespace with its repositories (/acme), or an official image by its last name."""

from dataclasses import dataclass

from django.db.models import F, OrderBy, OuterRef, Sum, Window
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.former_names import Moved
from accounts.models import User
from accounts.requests import actor_of_page
from hub.activity.recent import describe_recent
from hub.drawing.charts import HUES, Segment, bar_segments, small_spark
from hub.kit.pages import Pages
from hub.namespace.page import NamespacePage, open_namespace
from repositories.models import Repository, Tag
from repositories.models.repositories import RepositoryQuerySet
from repositories.oci.references import DEFAULT_NAMESPACE
from repositories.pulls.statistics import pulls_of_each
from repositories.rights.access import visible_repository
from repositories.rights.decisions import may_create

PAGE_ROWS = 20
DAYS_OF_PULLS = 14
LARGEST_SHOWN = 6  # repositories; the rest is one part of the bar
PEOPLE_SHOWN = 8
SORTS: dict[
    str, tuple[str | OrderBy, ...]
] = {  # what is asked for, and the order, which names decide where it does not
    "pushed": (F("pushed_at").desc(nulls_last=True), "name"),
    "pulls": ("-pull_count", "name"),
    "stars": ("-star_count", "name"),
    "size": ("-size_bytes", "name"),
    "name": ("name",),
}


@dataclass(frozen=True, slots=True)
class StoragePart:
    """The storage of one repository, or (without a name) of all that are not named."""

    name: str
    size_bytes: int
    hue: int
    segment: Segment


@require_safe
def show_namespace(request: HttpRequest, namespace: str) -> HttpResponse:
    """Show who it is and the repositories that the actor may see."""
    try:
        page = open_namespace(request, namespace)
    except Moved:
        raise
    except Http404:
        return _show_official(request, namespace)
    text = request.GET.get("q", "").replace("\0", "").strip()[:200]
    sort = request.GET.get("sort", "")
    visibility = request.GET.get("visibility", "")
    seen = Repository.objects.visible_to(page.actor).filter(namespace=page.namespace)
    found = seen.in_namespace(page.namespace, containing=text)
    if visibility in Repository.Visibility.values:
        found = found.filter(visibility=visibility)
    listed = Pages(
        found.defer("readme")
        .annotate(tag_count=Tag.objects.of_images().count_in(OuterRef("pk")))
        .order_by(*SORTS.get(sort, SORTS["pushed"])),
        PAGE_ROWS,
    ).get_page(request.GET.get("page"))
    pulls = pulls_of_each([row.pk for row in listed], days=DAYS_OF_PULLS)
    return page.render(
        "profile.html",
        "namespace",
        {
            "page": listed,
            "rows": [(row, small_spark(pulls[row.pk])) for row in listed],
            "storage": _storage(seen),
            "recent": describe_recent(
                page.namespace,
                seen,
                with_people=bool(page.namespace.organization_id and page.sees_people),
                with_robots=bool(page.namespace.organization_id and page.administers),
            ),
            "people": _people(page),
            "visibility": visibility,
            "query_text": text,
            "sort": sort if sort in SORTS else "pushed",
            "may_create": bool(may_create(page.actor, page.namespace)),
        },
    )


def _storage(seen: RepositoryQuerySet) -> tuple[int, list[StoragePart]]:
    """Return what is stored in all and, for a bar, in the largest. One query."""
    largest = list(
        seen.filter(size_bytes__gt=0)
        .annotate(total_bytes=Window(Sum("size_bytes")))
        .order_by("-size_bytes", "name")
        .values_list("name", "size_bytes", "total_bytes")[:LARGEST_SHOWN]
    )
    total = largest[0][2] if largest else 0
    parts = [(name, size_bytes) for name, size_bytes, _ in largest]
    rest = total - sum(size_bytes for _, size_bytes in parts)
    if rest > 0:
        parts.append(("", rest))
    segments = bar_segments([size for _, size in parts])
    return total, [
        StoragePart(name, size, place if name else HUES, segment)
        for place, ((name, size), segment) in enumerate(
            zip(parts, segments, strict=True), 1
        )
    ]


def _people(page: NamespacePage) -> list[User]:
    """Return the first members, for those who may see who they are."""
    organization = page.namespace.organization
    if organization is None or not page.sees_people:
        return []
    members = User.objects.filter(memberships__team__organization=organization)
    return list(members.distinct().order_by("username")[:PEOPLE_SHOWN])


def _show_official(request: HttpRequest, name: str) -> HttpResponse:
    """Send to library/java from /java, as docker does; what is invisible is absent."""
    actor = actor_of_page(request)
    try:
        repository = visible_repository(actor, DEFAULT_NAMESPACE, name)
    except Moved as moved:
        return redirect(reverse("repositories:overview", kwargs=moved.names))
    return redirect(repository)
