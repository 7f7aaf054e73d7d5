"""Lists and restores deleted repositories of a namespace."""

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import signed_in_user
from hub.kit.pages import ID_MAX, Pages, confirmation_page, show_toast
from hub.namespace.page import NamespacePage, open_namespace
from hub.repository.settings import show_deleted
from repositories.lifecycle import purge_repository
from repositories.models import Repository
from repositories.rights.access import restorable_repository

PAGE_ROWS = 20


@require_safe
def list_deleted(request: HttpRequest, namespace: str) -> HttpResponse:
    """List the repositories that the actor may restore, the last deleted one first."""
    signed_in_user(request)
    page = open_namespace(request, namespace)
    same_name = Repository.objects.filter(
        namespace=OuterRef("namespace"), name=OuterRef("name"), deleted_at=None
    )
    rows = (
        Repository.objects.restorable_by(page.actor)
        .in_namespace(page.namespace)
        .defer("readme")
        .annotate(is_taken=Exists(same_name))
        .order_by("-deleted_at", "-pk")
    )
    listed = Pages(rows, PAGE_ROWS).get_page(request.GET.get("page"))
    return page.render("deleted.html", "namespace", {"page": listed})


@require_safe
def show_one(request: HttpRequest, namespace: str, repository: int) -> HttpResponse:
    """Ask under which name it is to come back; by its id, since names repeat."""
    signed_in_user(request)
    _namespace, row = _open(request, namespace, repository)
    return show_deleted(request, row, status=200)


@require_http_methods(["GET", "HEAD", "POST"])
def purge(request: HttpRequest, namespace: str, repository: int) -> HttpResponse:
    """Confirm, then delete it permanently."""
    signed_in_user(request)
    page, row = _open(request, namespace, repository)
    back_url = page.address("deleted")
    if request.method == "POST":
        try:
            purge_repository(repository=row, actor=page.actor)
        except Repository.DoesNotExist as error:  # restored at this moment
            raise Http404 from error
        show_toast(
            request, _("%(name)s permanently deleted.") % {"name": row.full_name}
        )
        return redirect(back_url)
    return confirmation_page(
        request,
        question=_("Delete %(name)s permanently?") % {"name": row.full_name},
        consequence=_(
            "Its images, tags, settings and history are deleted and cannot be restored."
        ),
        action=_("Delete permanently"),
        back_url=back_url,
    )


def _open(
    request: HttpRequest, namespace: str, repository: int
) -> tuple[NamespacePage, Repository]:
    """Return a deleted repository of a namespace that the actor may restore."""
    page = open_namespace(request, namespace)
    if repository > ID_MAX:
        raise Http404
    row = restorable_repository(page.actor, repository)
    if row.namespace_id != page.namespace.pk:
        raise Http404
    return page, row
