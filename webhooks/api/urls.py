"""The same routes in three places: a repository, a namespace, the site.

They come before those of repositories, whose names may hold slashes.
"""

from typing import Any

from django.urls import URLPattern, path, re_path

from webhooks.api import views

PLACES = {
    "repository": r"repositories/(?P<namespace>[^/]+)/(?P<name>.+?)/",
    "organization": r"organizations/(?P<organization>[^/]+)/",
    "site": r"",
}
WEBHOOK = r"/(?P<webhook>[0-9]{1,18})"
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
DELIVERY = rf"{WEBHOOK}/deliveries/(?P<delivery>{UUID})"
ROUTES: list[tuple[str, Any, str]] = [
    (rf"{DELIVERY}/redeliver", views.RedeliverView, "webhook-delivery-redeliver"),
    (DELIVERY, views.DeliveryView, "webhook-delivery"),
    (rf"{WEBHOOK}/deliveries", views.DeliveriesView, "webhook-deliveries"),
    (rf"{WEBHOOK}/redeliver", views.RedeliverFailedView, "webhook-redeliver"),
    (rf"{WEBHOOK}/test", views.TestView, "webhook-test"),
    (WEBHOOK, views.WebhookView, "webhook"),
    (r"/preview", views.PreviewView, "webhook-preview"),
    (r"", views.WebhooksView, "webhooks"),
]

urlpatterns: list[URLPattern] = [
    path("callbacks/<str:token>", views.CallbackView.as_view(), name="callback"),
    *(
        re_path(f"^{place}webhooks{route}$", view.as_view(), name=f"{kind}-{name}")
        for kind, place in PLACES.items()
        for route, view, name in ROUTES
    ),
]
exact_urlpatterns = [  # as in api/repositories/urls.py
    re_path(
        f"^{PLACES['repository']}-/webhooks{route}$",
        view.as_view(),
        name=f"repository-{name}",
    )
    for route, view, name in ROUTES
]
