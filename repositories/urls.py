"""Pages of repositories; the last of all, since an image's name is its address."""

from django.urls import path

from repositories import converters as converters  # makes the words below known
from repositories.views import (
    access,
    activity,
    new,
    overview,
    search,
    settings,
    stars,
    tag,
    tags,
    tokens,
)

app_name = "repositories"

HERE = "<namespace:namespace>/<repository:name>"

urlpatterns = [
    path("search", search.show_results, name="search"),
    path("search/suggestions", search.suggest_images, name="suggestions"),
    path("new", new.new_repository, name="new"),
    path("new/check", new.check_name, name="check-name"),
    path("settings/tokens", tokens.access_tokens, name="access-tokens"),
    path(
        "settings/tokens/<int:token_id>/revoke",
        tokens.revoke_token,
        name="revoke-token",
    ),
    path(HERE, overview.show_overview, name="overview"),
    path(f"{HERE}:<tag:tag>", tag.show_tag, name="tag"),
    path(f"{HERE}@<digest:digest>", tag.show_manifest, name="manifest"),
    path(f"{HERE}/-/star", stars.change_star, name="star"),
    path(f"{HERE}/-/tags", tags.show_tags, name="tags"),
    path(f"{HERE}/-/tags/delete", tags.delete_tags, name="delete-tags"),
    path(f"{HERE}/-/tags/restore", tags.restore_tags, name="restore-tags"),
    path(f"{HERE}/-/tags/put", tag.put_tag, name="put-tag"),
    path(f"{HERE}/-/manifests/<digest:digest>", tag.send_manifest, name="raw"),
    path(
        f"{HERE}/-/manifests/<digest:digest>/delete",
        tag.delete_manifest,
        name="delete-manifest",
    ),
    path(f"{HERE}/-/activity", activity.show_activity, name="activity"),
    path(f"{HERE}/-/access", access.show_access, name="access"),
    path(f"{HERE}/-/access/<int:grant>", access.change_access, name="change-access"),
    path(f"{HERE}/-/settings", settings.show_settings, name="settings"),
    path(f"{HERE}/-/settings/readme", settings.edit_readme, name="edit-readme"),
    path(f"{HERE}/-/settings/visibility", settings.set_visibility, name="visibility"),
    path(f"{HERE}/-/settings/name", settings.rename, name="rename"),
    path(f"{HERE}/-/settings/transfer", settings.transfer, name="transfer"),
    path(f"{HERE}/-/restore", settings.restore, name="restore"),
    path(f"{HERE}/-/settings/delete", settings.delete, name="delete"),
]
