"""Pages of repositories; the last of all, since an image's name is its address."""

from django.urls import path

from repositories.views import new, tokens

app_name = "repositories"

urlpatterns = [
    path("new", new.new_repository, name="new"),
    path("new/check", new.check_name, name="check-name"),
    path("settings/tokens", tokens.access_tokens, name="access-tokens"),
    path(
        "settings/tokens/<int:token_id>/revoke",
        tokens.revoke_token,
        name="revoke-token",
    ),
]
