from django.contrib import admin
from django.urls import include, path

from registry_site import health, pages

handler404 = "registry_site.pages.not_found"
handler500 = "registry_site.pages.server_error"

urlpatterns = [
    path("", pages.home, name="home"),
    path("-/admin/", admin.site.urls),
    path("healthz", health.live),
    path("readyz", health.ready),
    # Granian never gets here with these (registry_site/wsgi.py); reverse() does.
    path("", include("distribution.urls")),
]
