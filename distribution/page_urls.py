"""The pages beside the protocol; its own routes are in urls.py."""

from django.urls import path

from distribution import pages

app_name = "distribution"

urlpatterns = [path("settings/logins", pages.show_logins, name="logins")]
