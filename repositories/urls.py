"""Pages of repositories; the last of all, since an image's name is its address."""

from django.urls import URLPattern, URLResolver

app_name = "repositories"

urlpatterns: list[URLPattern | URLResolver] = []
