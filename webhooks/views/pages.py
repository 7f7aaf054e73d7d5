"""Webhooks of a repository, a namespace or the site: list, make, change, delete."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rates import take
from accounts.requests import actor_of_page
from hub.kit.pages import (
    Pages,
    confirmation_page,
    number_in,
    show_toast,
    was_sent_before,
)
from webhooks.access import Place, find_delivery, find_webhook, place_of_page
from webhooks.delivery.backlog import backlog_of
from webhooks.forms import FormatForm, SinceForm, WebhookForm
from webhooks.models import Delivery, Webhook
from webhooks.registration import (
    TooManyWebhooks,
    WebhookInvalid,
    change_webhook,
    create_webhook,
    delete_webhook,
    preview_payload,
    rotate_secret,
)
from webhooks.sealing import SealBroken
from webhooks.views.frame import PlacePage, open_place
from webhooks.views.log import (
    badge_of_webhook,
    counts_of,
    exchange_of,
    newest_of_each,
    row_of,
    rows_of,
)

PAGE_SIZE = 20


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show_webhooks(
    request: HttpRequest, namespace: str | None = None, name: str | None = None
) -> HttpResponse:
    """List the webhooks and make one; only that answer has its secret."""
    here = open_place(request, namespace, name)
    actor, place = here.actor, here.place
    if request.method != "POST":
        return _render_list(here, WebhookForm())
    if "preview" in request.POST:
        return _render_list(here, _as_typed(request), **_preview(request, place))
    form = WebhookForm(request.POST)
    if form.is_valid():
        if was_sent_before(request):
            return redirect(place.url)
        try:
            webhook, secret = create_webhook(
                repository=place.repository,
                namespace=place.namespace,
                actor=actor,
                **form.settings,
            )
        except WebhookInvalid as error:
            form.refuse(error)
        except TooManyWebhooks as error:
            form.add_error(None, _("No room for another: %s.") % error)
        else:
            return _render_webhook(here, webhook, secret=secret)
    return _render_list(here, form, status=422)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show_webhook(
    request: HttpRequest,
    webhook_id: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Show a webhook with its log; a POST changes its settings, or previews them."""
    here = open_place(request, namespace, name)
    actor, place = here.actor, here.place
    webhook = find_webhook(place, int(webhook_id))
    if request.method != "POST":
        return _render_webhook(here, webhook)
    if "preview" in request.POST:
        form = _as_typed(request, webhook)
        shown = _preview(request, place)
        return _render_webhook(here, webhook, form=form, **shown)
    form = WebhookForm(request.POST, webhook=webhook)
    if form.is_valid():
        try:
            change_webhook(webhook=webhook, actor=actor, **form.settings)
        except WebhookInvalid as error:
            form.refuse(error)
        else:
            show_toast(
                request,
                _("%(name)s saved.") % {"name": form.settings["name"] or webhook},
            )
            return redirect(address(place, webhook))
    return _render_webhook(here, webhook, form=form, status=422)


@never_cache
@require_POST
def replace_secret(
    request: HttpRequest,
    webhook_id: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Make a new secret; only this answer has it."""
    here = open_place(request, namespace, name)
    actor, place = here.actor, here.place
    webhook = find_webhook(place, int(webhook_id))
    if was_sent_before(request):
        return redirect(address(place, webhook))
    secret = rotate_secret(webhook=webhook, actor=actor)
    webhook.refresh_from_db()
    return _render_webhook(here, webhook, secret=secret)


@require_POST
def set_active(
    request: HttpRequest,
    webhook_id: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Enable a webhook, or pause it."""
    actor = actor_of_page(request)
    place = place_of_page(actor, namespace, name)
    webhook = find_webhook(place, int(webhook_id))
    is_active = request.POST.get("active") == "1"
    change_webhook(webhook=webhook, actor=actor, is_active=is_active)
    said = _("%(name)s enabled.") if is_active else _("%(name)s paused.")
    show_toast(request, said % {"name": webhook})
    return redirect(address(place, webhook))


@require_http_methods(["GET", "HEAD", "POST"])
def delete(
    request: HttpRequest,
    webhook_id: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Confirm, then delete a webhook with its log."""
    here = open_place(request, namespace, name)
    actor, place = here.actor, here.place
    webhook = find_webhook(place, int(webhook_id))
    if request.method == "POST":
        delete_webhook(webhook=webhook, actor=actor)
        show_toast(request, _("%(name)s deleted.") % {"name": webhook})
        return redirect(place.url)
    return confirmation_page(
        request,
        question=_("Delete webhook %(name)s?") % {"name": webhook},
        consequence=_(
            "%(host)s gets no more events. Queued deliveries are dropped and the log "
            "is deleted. This cannot be undone; to stop it for a while, pause it."
        )
        % {"host": webhook.host},
        action=_("Delete webhook"),
        back_url=address(place, webhook),
    )


def address(place: Place, webhook: Webhook, delivery: Delivery | None = None) -> str:
    """Return the page of a webhook, with one of its deliveries opened."""
    page = f"{place.url}/{webhook.pk}"
    return page if delivery is None else f"{page}?delivery={delivery.uuid}#delivery"


def _as_typed(request: HttpRequest, webhook: Webhook | None = None) -> WebhookForm:
    """Return the form as it was typed, without judging it."""
    typed: dict[str, Any] = dict(request.POST.items())
    typed["events"] = request.POST.getlist("events")
    return WebhookForm(initial=typed, webhook=webhook)


def _preview(request: HttpRequest, place: Place) -> dict[str, Any]:
    """Return what would be sent of the last event, or what is wrong, and the status."""
    form = FormatForm(request.POST)
    if form.is_valid():
        take("previews", actor_of_page(request))
        try:
            content_type, body = preview_payload(
                repository=place.repository,
                namespace=place.namespace,
                **form.format_settings,
            )
        except WebhookInvalid as error:
            form.refuse(error)
        else:
            return {"preview": body, "preview_type": content_type}
    return {"preview_form": form, "status": 422}


def _render_list(
    here: PlacePage,
    form: WebhookForm,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    webhooks = list(here.place.webhooks.order_by("pk"))
    newest = newest_of_each(webhooks)
    return render(
        here.request,
        "webhooks/webhooks.html",
        {
            **here.context,
            "webhooks": [
                (webhook, badge_of_webhook(webhook, newest.get(webhook.pk)))
                for webhook in webhooks
            ],
            "form": form,
            "has_more": _has_more(form),
            **context,
        },
        status=status,
    )


def _render_webhook(
    here: PlacePage,
    webhook: Webhook,
    form: WebhookForm | None = None,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    request, place = here.request, here.place
    form = form or WebhookForm(webhook=webhook)
    counts = counts_of(webhook)
    only_failed = request.GET.get("status") == "failed"
    deliveries = rows_of(webhook.deliveries.all())
    if only_failed:
        deliveries = deliveries.filter(status=Delivery.Status.FAILED)
    pages = Pages(deliveries, PAGE_SIZE)
    pages.count = counts["failed" if only_failed else "all"]  # known already
    page = pages.get_page(request.GET.get("page"))
    try:
        is_readable = bool(webhook.url)
    except SealBroken:
        is_readable = False
    now = timezone.now()
    return render(
        request,
        "webhooks/webhook.html",
        {
            **here.context,
            "webhook": webhook,
            "address": address(place, webhook),
            "badge": badge_of_webhook(
                webhook, newest_of_each([webhook]).get(webhook.pk)
            ),
            "is_readable": is_readable,
            "former_secret_until": webhook.former_secret_until(now),
            "backlog": backlog_of(webhook),
            "counts": counts,
            "only_failed": only_failed,
            "page": page,
            "rows": [row_of(delivery) for delivery in page],
            "exchange": _opened(request, webhook),
            "since_form": SinceForm(),
            "form": form,
            "has_more": _has_more(form),
            **context,
        },
        status=status,
    )


def _opened(request: HttpRequest, webhook: Webhook) -> Any:
    """Return the delivery that the address names, or None."""
    uuid = request.GET.get("delivery", "")
    if not uuid:
        return None
    try:
        delivery = find_delivery(webhook, UUID(uuid))
    except ValueError as error:
        raise Http404 from error
    return exchange_of(delivery, number_in(request.GET.get("attempt", "")))


def _has_more(form: WebhookForm) -> bool:
    """Return whether the folded part of the form has something to see."""
    names = ("template", "headers")
    return form["format"].value() == "custom" or any(
        form[name].value() or form[name].errors for name in names
    )
