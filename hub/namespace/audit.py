"""The audit log of a namespace, with the filters and the files of the API."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from hub.kit.pages import number_in
from hub.namespace.page import NamespacePage, open_administered
from repositories.events.filters import KIND_CHOICES, EventFilter
from repositories.models import Event

PAGE_ROWS = 50


@require_safe
def show_audit(request: HttpRequest, namespace: str) -> HttpResponse:
    """List what happened, newest first."""
    page = open_administered(request, namespace)
    events = Event.objects.of_namespace(page.namespace).with_token()
    asked = request.GET.copy()
    for name, text in list(asked.items()):  # what a link from elsewhere brought, too
        if name not in EventFilter.base_filters or not text or "\0" in text:
            del asked[name]
    narrowed = EventFilter(asked, queryset=events)
    is_valid = narrowed.is_valid()
    found = narrowed.qs if is_valid else events.none()
    before = number_in(request.GET.get("before", ""))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found.order_by("-pk")[: PAGE_ROWS + 1])
    newest = asked.urlencode()
    older = asked.copy()
    older["before"] = str(rows[PAGE_ROWS - 1].pk) if len(rows) > PAGE_ROWS else ""
    return page.render(
        "audit.html",
        "audit",
        {
            "events": [(event, _details(event.detail)) for event in rows[:PAGE_ROWS]],
            "kinds": KIND_CHOICES,
            "asked": {name: asked.get(name, "") for name in EventFilter.base_filters},
            "is_valid": is_valid,
            "previous_url": f"?{newest}" if before else "",
            "next_url": f"?{older.urlencode()}" if older["before"] else "",
            "exports": [
                (kind.upper(), f"{_export_url(page)}?format={kind}&{newest}")
                for kind in ("csv", "jsonl")
            ],
        },
        status=200 if is_valid else 422,
    )


def _export_url(page: NamespacePage) -> str:
    name = page.namespace.name
    if page.namespace.organization_id is None:
        return reverse("own-export")
    return reverse("organization-export", args=[name])


def _details(detail: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Return what is kept of an event as words, and which of them are digests.

    What is nothing is not said.
    """
    return [
        (name, text := _say(value), text.startswith(("sha256:", "sha512:")))
        for name, value in detail.items()
        if value
    ]


def _say(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)
    return str(value)
