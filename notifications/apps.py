from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from notifications.recipients import notify
        from repositories.events.outbox import events_relayed

        events_relayed.connect(notify, dispatch_uid="notifications")
