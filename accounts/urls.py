"""Pages of one's own account, of people and of organizations."""

from django.urls import path
from django.views.generic import RedirectView

from accounts.views import organizations, own_account

app_name = "accounts"

urlpatterns = [
    path("settings", RedirectView.as_view(pattern_name="accounts:profile")),
    path("settings/profile", own_account.profile, name="profile"),
    path("settings/first-sign-in", own_account.first_sign_in, name="first-sign-in"),
    path("settings/security", own_account.security, name="security"),
    path(
        "organizations/new",
        organizations.new_organization,
        name="new-organization",
    ),
]
