"""Routes of the notifications and their settings."""

from django.urls import path

from notifications import views

app_name = "notifications"

urlpatterns = [
    path("settings/notifications", views.show_inbox, name="inbox"),
    path("settings/notifications/read", views.mark_read, name="read"),
    path("settings/notifications/mail", views.choose_mail, name="mail"),
    path(
        "settings/notifications/watches/<int:watch_id>/end",
        views.end_watch,
        name="end-watch",
    ),
    path(
        "settings/notifications/invitations/<int:invitation_id>",
        views.answer_invitation,
        name="invitation",
    ),
]
