"""Pages of one's own account, of people and of organizations."""

from django.urls import path
from django.views.generic import RedirectView

from accounts.views import organizations, own_account

app_name = "accounts"

urlpatterns = [
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
]
