"""Pages of webhooks: the same below a repository, below a namespace and of the site.

They come before those of repositories, whose names may hold slashes.
"""

from typing import Any

from django.urls import URLPattern, re_path

from accounts.names import NAMESPACE_PATTERN
from repositories.oci.references import COMPONENT_PATTERN
from webhooks.views import deliveries, pages

app_name = "webhooks"

NAMESPACE = rf"(?P<namespace>{NAMESPACE_PATTERN})"
NAME = rf"(?P<name>{COMPONENT_PATTERN}(?:/{COMPONENT_PATTERN})*)"
PLACES = {
    "site": r"-/webhooks",
    "namespace": rf"{NAMESPACE}/-/webhooks",
    "repository": rf"{NAMESPACE}/{NAME}/-/webhooks",
}
WEBHOOK = r"/(?P<webhook_id>[0-9]{1,18})"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ROUTES: list[tuple[str, Any, str]] = [
    ("", pages.show_webhooks, "list"),
    (WEBHOOK, pages.show_webhook, "webhook"),
    (rf"{WEBHOOK}/secret", pages.replace_secret, "secret"),
    (rf"{WEBHOOK}/active", pages.set_active, "active"),
    (rf"{WEBHOOK}/delete", pages.delete, "delete"),
    (rf"{WEBHOOK}/test", deliveries.test, "test"),
    (rf"{WEBHOOK}/redeliver", deliveries.send_failed_again, "redeliver-failed"),
    (
        rf"{WEBHOOK}/deliveries/(?P<delivery>{UUID})/redeliver",
        deliveries.send_again,
        "redeliver",
    ),
]

urlpatterns: list[URLPattern] = [
    re_path(f"^{place}{route}$", view, name=f"{kind}-{name}")
    for kind, place in PLACES.items()
    for route, view, name in ROUTES
]
