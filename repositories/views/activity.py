"""What happened in a repository, newest first."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from accounts.actions import Action
from repositories.activity import tell_events
from repositories.models import Event
from repositories.views.page import ID_MAX, open_page

PAGE_EVENTS = 50


@require_safe
def show_activity(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """List events; who may grant also sees who may what, and from where it was done."""
    page = open_page(request, namespace, name)
    events = Event.objects.of_repository(page.repository.pk).order_by("-pk")
    is_audit = page.may(Action.GRANT)
    events = events.with_token() if is_audit else events.for_everybody()
    before = request.GET.get("before", "")
    if before.isascii() and before.isdigit() and int(before) <= ID_MAX:
        events = events.filter(pk__lt=int(before))
    listed = list(events[: PAGE_EVENTS + 1])
    has_more = len(listed) > PAGE_EVENTS
    listed = listed[:PAGE_EVENTS]
    return page.render(
        "repositories/activity.html",
        "activity",
        {
            "lines": tell_events(page.repository, listed),
            "is_audit": is_audit,
            "next_url": f"?before={listed[-1].pk}" if has_more else "",
        },
    )
