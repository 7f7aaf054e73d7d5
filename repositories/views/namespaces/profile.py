"""A namespace with its repositories (/acme), or an official image by its last name."""

from django.core.paginator import Paginator
from django.db.models import F, OrderBy
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from accounts.moved import Moved
from accounts.views.base import actor_of_page
from repositories.access import visible_repository
from repositories.models import Repository
from repositories.oci.references import DEFAULT_NAMESPACE
from repositories.permissions import may_create
from repositories.views.namespaces.page import open_namespace

PAGE_ROWS = 20
SORTS: dict[
    str, tuple[str | OrderBy, ...]
] = {  # what is asked for, and the order, which names decide where it does not
    "pushed": (F("pushed_at").desc(nulls_last=True), "name"),
    "pulls": ("-pull_count", "name"),
    "stars": ("-star_count", "name"),
    "size": ("-size_bytes", "name"),
    "name": ("name",),
}


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
    repositories = Repository.objects.visible_to(page.actor).in_namespace(
        page.namespace, containing=text
    )
    listed = Paginator(
        repositories.order_by(*SORTS.get(sort, SORTS["pushed"])), PAGE_ROWS
    )
    return page.render(
        "profile.html",
        "namespace",
        {
            "page": listed.get_page(request.GET.get("page")),
            "query_text": text,
            "sort": sort if sort in SORTS else "pushed",
            "may_create": bool(may_create(page.actor, page.namespace)),
        },
    )


def _show_official(request: HttpRequest, name: str) -> HttpResponse:
    """Send to library/java from /java, as docker does; what is invisible is absent."""
    actor = actor_of_page(request)
    try:
        repository = visible_repository(actor, DEFAULT_NAMESPACE, name)
    except Moved as moved:
        return redirect(f"/{moved.names['namespace']}/{moved.names['name']}")
    return redirect(f"/{repository.full_name}")
