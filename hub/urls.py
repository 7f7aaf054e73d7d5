"""Addresses of the pages; the last of all, since an image's name is its address.

`{% url "accounts:profile" %}` and `{% url "repositories:overview" … %}`: each list has
the name of the app whose rows its pages show.
"""

from django.urls import path
from django.views.generic import RedirectView

from hub.account import (
    former_names,
    organizations,
    own_account,
    rename_and_delete,
    tokens,
)
from hub.kit import converters as converters  # makes the words below known
from hub.namespace import (
    audit,
    defaults,
    deleted,
    organization,
    people,
    profile,
    robots,
    teams,
)
from hub.repository import (
    access,
    activity,
    new,
    overview,
    settings,
    stars,
    tag,
    tags,
    watches,
)
from hub.search import results

SPACE = "<namespace:namespace>"
HERE = "<namespace:namespace>/<repository:name>"

account_pages = (
    [
        path("settings", RedirectView.as_view(pattern_name="accounts:profile")),
        path("settings/profile", own_account.profile, name="profile"),
        path("settings/first-sign-in", own_account.first_sign_in, name="first-sign-in"),
        path("settings/emails/remove", own_account.remove_email, name="remove-email"),
        path("settings/sessions/end", own_account.end_sessions, name="end-sessions"),
        path("settings/links/remove", own_account.remove_link, name="remove-link"),
        path("settings/security", own_account.security, name="security"),
        path(
            "organizations/new",
            organizations.new_organization,
            name="new-organization",
        ),
    ],
    "accounts",
)
pages = (
    [
        path("search", results.show_results, name="search"),
        path("search/suggestions", results.suggest_images, name="suggestions"),
        path("new", new.new_repository, name="new"),
        path("new/check", new.check_name, name="check-name"),
        path("settings/account", rename_and_delete.show_account, name="account"),
        path("settings/account/name", rename_and_delete.rename, name="rename-account"),
        path(
            "settings/account/delete", rename_and_delete.delete, name="delete-account"
        ),
        path(
            "settings/former-names",
            former_names.show_former_names,
            name="former-names",
        ),
        path("settings/tokens", tokens.access_tokens, name="access-tokens"),
        path(
            "settings/tokens/<int:token_id>/revoke",
            tokens.revoke_token,
            name="revoke-token",
        ),
        path(SPACE, profile.show_namespace, name="namespace"),
        path(f"{SPACE}/-/teams", teams.show_teams, name="teams"),
        path(f"{SPACE}/-/why", teams.ask_why, name="why"),
        path(f"{SPACE}/-/teams/<str:team>", teams.show_team, name="team"),
        path(f"{SPACE}/-/teams/<str:team>/join", teams.join_team, name="join-team"),
        path(f"{SPACE}/-/teams/<str:team>/leave", teams.leave_team, name="leave-team"),
        path(
            f"{SPACE}/-/teams/<str:team>/delete", teams.remove_team, name="delete-team"
        ),
        path(
            f"{SPACE}/-/invitations/<int:invitation>/withdraw",
            teams.withdraw_invitation,
            name="withdraw-invitation",
        ),
        path(f"{SPACE}/-/people", people.show_people, name="people"),
        path(f"{SPACE}/-/people/invite", teams.invite_person, name="invite"),
        path(f"{SPACE}/-/people/remove", people.remove_person, name="remove-person"),
        path(f"{SPACE}/-/robots", robots.show_robots, name="robots"),
        path(f"{SPACE}/-/robots/<str:robot>", robots.show_robot, name="robot"),
        path(
            f"{SPACE}/-/robots/<str:robot>/token",
            robots.renew_token,
            name="robot-token",
        ),
        path(
            f"{SPACE}/-/robots/<str:robot>/switch",
            robots.switch_robot,
            name="switch-robot",
        ),
        path(
            f"{SPACE}/-/robots/<str:robot>/expiry",
            robots.change_expiry,
            name="robot-expiry",
        ),
        path(
            f"{SPACE}/-/robots/<str:robot>/delete",
            robots.remove_robot,
            name="delete-robot",
        ),
        path(f"{SPACE}/-/defaults", defaults.show_defaults, name="defaults"),
        path(
            f"{SPACE}/-/defaults/<int:default>/remove",
            defaults.remove_rule,
            name="remove-default",
        ),
        path(f"{SPACE}/-/deleted", deleted.list_deleted, name="deleted"),
        path(
            f"{SPACE}/-/deleted/<int:repository>",
            deleted.show_one,
            name="deleted-repository",
        ),
        path(f"{SPACE}/-/deleted/<int:repository>/purge", deleted.purge, name="purge"),
        path(f"{SPACE}/-/audit", audit.show_audit, name="audit"),
        path(
            f"{SPACE}/-/settings",
            organization.show_settings,
            name="organization-settings",
        ),
        path(
            f"{SPACE}/-/settings/name", organization.rename, name="rename-organization"
        ),
        path(
            f"{SPACE}/-/settings/delete",
            organization.delete,
            name="delete-organization",
        ),
        path(HERE, overview.show_overview, name="overview"),
        path(f"{HERE}:<tag:tag>", tag.show_tag, name="tag"),
        path(f"{HERE}@<digest:digest>", tag.show_manifest, name="manifest"),
        path(f"{HERE}/-/star", stars.change_star, name="star"),
        path(f"{HERE}/-/watch", watches.change_watch, name="watch"),
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
        path(
            f"{HERE}/-/access/<int:grant>", access.change_access, name="change-access"
        ),
        path(f"{HERE}/-/settings", settings.show_settings, name="settings"),
        path(f"{HERE}/-/settings/readme", settings.edit_readme, name="edit-readme"),
        path(
            f"{HERE}/-/settings/visibility", settings.set_visibility, name="visibility"
        ),
        path(f"{HERE}/-/settings/name", settings.rename, name="rename"),
        path(f"{HERE}/-/settings/transfer", settings.transfer, name="transfer"),
        path(f"{HERE}/-/restore", settings.restore, name="restore"),
        path(f"{HERE}/-/settings/delete", settings.delete, name="delete"),
    ],
    "repositories",
)
