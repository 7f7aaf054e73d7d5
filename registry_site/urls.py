from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from registry_site import health, metrics, pages

handler404 = "registry_site.pages.not_found"
handler500 = "registry_site.pages.server_error"

urlpatterns = [
    path("", pages.home, name="home"),
    path("-/admin/", admin.site.urls),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("repositories.api.urls")),
    path("api/v1/<path:rest>", pages.api_not_found),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(), name="api-docs"),
    path("healthz", health.live),
    path("readyz", health.ready),
    path("metrics", metrics.metrics, name="metrics"),
    # Granian never gets here with these (registry_site/wsgi.py); reverse() does.
    path("", include("distribution.urls")),
]
