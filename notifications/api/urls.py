from django.urls import path

from notifications.api import views

urlpatterns = [
    path("user/notifications", views.NotificationsView.as_view(), name="notifications"),
    path(
        "user/notifications/read",
        views.ReadNotificationsView.as_view(),
        name="read-notifications",
    ),
    path(
        "user/notifications/preference",
        views.PreferenceView.as_view(),
        name="notification-preference",
    ),
]
