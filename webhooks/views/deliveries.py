"""Send a test, or again what was sent before."""

from datetime import timedelta
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.rates import take
from accounts.requests import actor_of_page
from hub.kit.pages import show_toast
from webhooks.access import find_delivery, find_webhook, place_of_page
from webhooks.delivery.redelivery import (
    WebhookIsOff,
    redeliver,
    redeliver_failed_since,
    send_test,
)
from webhooks.forms import SinceForm
from webhooks.views.pages import address


@require_POST
def test(
    request: HttpRequest,
    webhook_id: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Send the last event as a test and show what comes of it."""
    actor = actor_of_page(request)
    place = place_of_page(actor, namespace, name)
    webhook = find_webhook(place, int(webhook_id))
    take("webhook-tests", actor)
    return redirect(address(place, webhook, send_test(webhook=webhook)))


@require_POST
def send_again(
    request: HttpRequest,
    webhook_id: str,
    delivery: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Send one delivery again."""
    place = place_of_page(actor_of_page(request), namespace, name)
    webhook = find_webhook(place, int(webhook_id))
    row = find_delivery(webhook, UUID(delivery))
    take("redeliveries", actor_of_page(request))
    try:
        redeliver(delivery=row)
    except WebhookIsOff as error:
        messages.error(request, _("Nothing was sent: %s.") % error)
    else:
        show_toast(request, _("Redelivery started."))
    return redirect(address(place, webhook, row))


@require_POST
def send_failed_again(
    request: HttpRequest,
    webhook_id: str,
    namespace: str | None = None,
    name: str | None = None,
) -> HttpResponse:
    """Send again all that failed since then."""
    place = place_of_page(actor_of_page(request), namespace, name)
    webhook = find_webhook(place, int(webhook_id))
    form = SinceForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a time range. Nothing was sent."))
        return redirect(address(place, webhook))
    take("redeliveries", actor_of_page(request))
    since = timezone.now() - timedelta(hours=form.cleaned_data["hours"])
    try:
        count = redeliver_failed_since(webhook=webhook, since=since)
    except WebhookIsOff as error:
        messages.error(request, _("Nothing was sent: %s.") % error)
    else:
        said = ngettext(
            "Redelivering %(count)d delivery.",
            "Redelivering %(count)d deliveries.",
            count,
        )
        show_toast(request, said % {"count": count})
    return redirect(address(place, webhook))
