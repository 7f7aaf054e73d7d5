from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from api.kit.description import send_description
from api.repositories.urls import exact_urlpatterns as exact_repositories
from hub.account.invitations import invitation_page
from hub.drawing.assets import serve_asset
from hub.search.explore_page import show_explore
from hub.urls import account_pages
from hub.urls import pages as pages_of_hub
from registry_site import api_reference, docs_pages, health, metrics, pages, status_page
from registry_site.kept_forms import SignInView
from registry_site.mail_check import queue_test_mail
from webhooks.api.urls import exact_urlpatterns as exact_webhooks

# The administration has the sign-in of all pages, with its second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

handler400 = "registry_site.pages.bad_request"
handler403 = "registry_site.pages.forbidden"
handler404 = "registry_site.pages.not_found"
handler500 = "registry_site.pages.server_error"

urlpatterns = [
    path("", show_explore, name="home"),
    path("-/docs/", docs_pages.show_doc, name="docs"),
    path("-/docs/<slug:name>", docs_pages.show_doc, name="docs-page"),
    path("-/admin/site/", status_page.show_state, name="site-state"),
    path("-/admin/site/test-mail", queue_test_mail, name="test-mail"),
    path(
        "-/admin/site/collection/",
        status_page.confirm_held_collection,
        name="site-collection",
    ),
    path("-/admin/", admin.site.urls),
    path("-/assets/<str:name>", serve_asset, name="asset"),
    path("favicon.ico", pages.favicon),
    path("robots.txt", pages.robots),
    path(
        ".well-known/change-password",  # as browsers' password managers ask
        RedirectView.as_view(pattern_name="account_change_password"),
    ),
    path("invitations/<str:secret>", invitation_page, name="invitation-page"),
    path("api/v1/", include("api.accounts.urls")),
    path("api/v1/", include("notifications.api.urls")),
    # Before names with slashes; the exact form of a name before all others.
    path("api/v1/", include(([*exact_webhooks, *exact_repositories], "exact"))),
    path("api/v1/", include("webhooks.api.urls")),
    path("api/v1/", include("api.repositories.urls")),
    path("api/v1/<path:rest>", pages.api_not_found),
    path("api/schema/", send_description, name="schema"),
    path("api/docs/", api_reference.show_reference, name="api-docs"),
    path("healthz", health.live),
    path("readyz", health.ready),
    path("readyz/pulls", health.ready_for_pulls),
    path("metrics", metrics.metrics, name="metrics"),
    # Our page of passwords and second factors stands for allauth's.
    path("accounts/2fa/", RedirectView.as_view(pattern_name="accounts:security")),
    path("accounts/login/", SignInView.as_view(), name="account_login"),
    path("accounts/", include("allauth.urls")),
    # Granian never gets here with these (registry_site/wsgi.py); reverse() does.
    path("", include("distribution.urls")),
    path("", include("distribution.page_urls")),
    path("", include("webhooks.urls")),
    path("", include("notifications.urls")),
    path("", include(account_pages)),
    # The last: an image's name is its address, so /<namespace>/<name> is a page.
    path("", include(pages_of_hub)),
]
