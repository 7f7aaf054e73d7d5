"""The tags of a repository: find, sort, delete, restore."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page
from django.db.models import F
from django.db.models.expressions import OrderBy
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.actions import Action
from accounts.requests import SignInNeeded
from hub.kit.pages import Pages, show_toast
from hub.repository.image_view import describe_tags
from hub.repository.page import RepositoryPage, open_page
from repositories.models import Repository, Tag, TagMove
from repositories.models.tags import TagQuerySet
from repositories.oci.references import is_tag
from repositories.oci.versions import newest_first
from repositories.rights.decisions import decide_tags
from repositories.tag_statuses import statuses_of
from repositories.tags import ManifestGone, TagExists, delete_tag, restore_tag

PAGE_TAGS = 25
KEPT = frozenset({"q", "sort", "page", "attached"})  # of the list's address
BACK_MAX_LENGTH = 2000
AT_ONCE_MAX = 100  # tags of one deletion
DELETED_SHOWN = 10
SORTS = {
    "pushed": gettext_lazy("Last pushed"),
    "version": gettext_lazy("Version"),
    "pulled": gettext_lazy("Last pulled"),
    "size": gettext_lazy("Size"),
    "name": gettext_lazy("Name"),
}
ORDERS: dict[str, tuple[str | OrderBy, ...]] = {
    "pushed": ("-moved_at", "name"),
    "pulled": (F("last_pulled_at").desc(nulls_last=True), "name"),
    "size": ("-manifest__content_bytes", "name"),
    "name": ("name",),
}


@require_safe
def show_tags(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """List tags. ``since`` asks for the list only if something happened after it."""
    page = open_page(request, namespace, name)
    repository = page.repository
    state = _state_of(repository)
    if "HX-Request" in request.headers and request.GET.get("since") == state:
        return HttpResponse(status=204)
    words = request.GET.get("q", "").replace("\0", "").strip()
    sort = request.GET.get("sort", "")
    sort = sort if sort in SORTS else "pushed"
    shows_all = "attached" in request.GET
    tags = repository.tags.all() if shows_all else repository.tags.of_images()
    if words:
        tags = tags.filter(name__icontains=words)
    listed, paginator_page = _page_of(tags, sort, request.GET.get("page", "1"))
    statuses = (
        statuses_of(repository, {tag.name: tag.manifest.digest for tag in listed})
        if page.may(Action.PUSH)
        else {}
    )
    gone, restorable = _deletions(page, words)
    restored = request.GET.getlist("restored")
    return page.render(
        "repositories/tags.html",
        "tags",
        {
            "tags": [
                (shown, statuses.get(shown.tag.name, []))
                for shown in describe_tags(repository, listed)
            ],
            "page": paginator_page,
            "state": state,
            "words": words,
            "sort": sort,
            "sorts": SORTS.items(),
            "shows_all": shows_all,
            "gone": gone,
            "restorable": restorable,
            "restored": next((tag.name for tag in listed if tag.name in restored), ""),
            "was_restored": bool(restored),
            "back": _kept(request.GET).urlencode(),
        },
    )


def _state_of(repository: Repository) -> str:
    """Return what is another text once a tag was pushed, moved, deleted or restored.

    The last event alone is not enough: what commits later may have a lower number.
    """
    newest = getattr(repository, "newest_event", None)
    return f"{newest or 0} {repository.pushed_at or ''}"


def _page_of(tags: TagQuerySet, sort: str, number: str) -> tuple[list[Tag], Page[Any]]:
    """Return one page of tags. Versions are compared here: databases cannot."""
    if sort != "version":
        ordered = tags.with_content().order_by(*ORDERS[sort])
        page = Pages(ordered, PAGE_TAGS).get_page(number)
        return list(page.object_list), page
    names = sorted(tags.values_list("name", flat=True), key=newest_first)
    page_of_names = Pages(names, PAGE_TAGS).get_page(number)
    wanted = list(page_of_names.object_list)
    found = {tag.name: tag for tag in tags.with_content().filter(name__in=wanted)}
    return [found[name] for name in wanted if name in found], page_of_names


def _deletions(page: RepositoryPage, words: str) -> tuple[list[TagMove], list[TagMove]]:
    """Return the tags that are gone: just now, and others that can be restored.

    The first are those that the address names; the second, newest first, those that the
    actor might push again. One query at most.
    """
    names = page.request.GET.getlist("deleted")
    if not names and not page.may(Action.PUSH):
        return [], []
    moves = TagMove.objects.deleted_lately(page.repository.pk).order_by("-pk")
    gone, others = [], []
    for move in moves:
        if move.name in names:
            gone.append(move)
        elif (
            move.is_restorable
            and words.lower() in move.name.lower()
            and page.may_to_tag(Action.PUSH, move.name)
        ):
            others.append(move)
    return gone[::-1], others[:DELETED_SHOWN]


@require_POST
def delete_tags(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Delete the tags that were chosen; those that may not be stay, and it is said."""
    page = open_page(request, namespace, name)
    permitted = _permitted(page, Action.DELETE)
    deleted = [
        tag
        for tag in permitted
        if delete_tag(repository=page.repository.facts, name=tag, actor=page.actor)
    ]
    return _back(page, deleted=deleted)


@require_POST
def restore_tags(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Restore deleted tags to where they pointed last: all that were sent, or one."""
    page = open_page(request, namespace, name)
    restored = [tag for tag in _permitted(page, Action.PUSH) if _restore(page, tag)]
    if restored:
        text = ngettext("%(tag)s restored.", "%(count)s tags restored.", len(restored))
        show_toast(request, text % {"tag": restored[0], "count": len(restored)})
    others = [
        tag
        for tag in request.POST.getlist("tag")[:AT_ONCE_MAX]
        if is_tag(tag) and tag not in restored
    ]
    return _back(page, deleted=others, restored=restored)


def _restore(page: RepositoryPage, name: str) -> bool:
    """Restore one tag, or say why not."""
    try:
        if restore_tag(repository=page.repository.facts, name=name, actor=page.actor):
            return True
        messages.warning(page.request, _("There was nothing to restore."))
    except (TagExists, ManifestGone) as error:
        messages.warning(page.request, str(error))
    return False


def _permitted(page: RepositoryPage, action: Action) -> list[str]:
    """Return those of the chosen tags that the actor may do this to.

    Says why of the others. Refuses if none is left.
    """
    request = page.request
    only = request.POST.get("only")
    given = [only] if only else request.POST.getlist("tag")[:AT_ONCE_MAX]
    chosen = [tag for tag in dict.fromkeys(given) if is_tag(tag)]
    if page.actor.is_anonymous:
        raise SignInNeeded
    decisions = decide_tags(
        page.actor, dict.fromkeys(chosen, action), page.repository.facts
    )
    refused = [decision for decision in decisions if not decision]
    if chosen and len(refused) == len(chosen):
        raise PermissionDenied(refused[0].reason)
    for decision in refused:
        messages.warning(request, decision.reason)
    return [tag for tag, may in zip(chosen, decisions, strict=True) if may]


def _back(
    page: RepositoryPage, *, deleted: Sequence[str] = (), restored: Sequence[str] = ()
) -> HttpResponse:
    """Go back to the list as it was, with a strip for the tags that are gone."""
    given = page.request.POST.get("back", "")[:BACK_MAX_LENGTH]
    query = _kept(QueryDict(given))
    query.setlist("deleted", list(deleted))
    query.setlist("restored", list(restored))
    return redirect(f"{page.address('tags')}?{query.urlencode()}")


def _kept(query: QueryDict) -> QueryDict:
    """Return what names the list as it is, without what was just done to it."""
    kept = query.copy()
    for name in [name for name in kept if name not in KEPT]:
        del kept[name]
    return kept
