"""Activity of a repository, newest first."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.actions import Action
from hub.activity.sentences import activity_items
from hub.kit.pages import number_in
from hub.repository.page import RepositoryPage, open_page
from repositories.models import Event, TagMove

PAGE_EVENTS = 50


@require_safe
def show_activity(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """List events; who may grant also sees who may what, and from where it was done."""
    page = open_page(request, namespace, name)
    events = Event.objects.of_repository(page.repository.pk).order_by("-pk")
    is_audit = page.may(Action.GRANT)
    events = events.with_token() if is_audit else events.for_everybody()
    before = number_in(request.GET.get("before", ""))
    if before is not None:
        events = events.filter(pk__lt=before)
    listed = list(events[: PAGE_EVENTS + 1])
    has_more = len(listed) > PAGE_EVENTS
    listed = listed[:PAGE_EVENTS]
    return page.render(
        "repositories/activity.html",
        "activity",
        {
            "lines": activity_items(page.repository, listed),
            "restorable": _restorable(page, listed),
            "is_audit": is_audit,
            "next_url": f"?before={listed[-1].pk}" if has_more else "",
        },
    )


def _restorable(page: RepositoryPage, events: list[Event]) -> set[int]:
    """Return which of these deletions of tags the actor can undo. One query.

    Of a tag that was deleted several times it is the last one.
    """
    deletions: dict[object, Event] = {}
    for event in events:
        if event.kind == Event.Kind.TAG_DELETED and isinstance(event.detail, dict):
            deletions.setdefault(event.detail.get("tag"), event)
    if not deletions or not page.may(Action.PUSH):
        return set()
    moves = TagMove.objects.filter(repository=page.repository, name__in=deletions)
    return {
        deletions[move.name].pk
        for move in moves.restorable()
        if deletions[move.name].detail.get("digest") == move.previous_digest
        and page.may_to_tag(Action.PUSH, move.name)
    }
