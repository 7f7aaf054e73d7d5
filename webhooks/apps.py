from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "webhooks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from repositories.events import event_recorded
        from webhooks.nudges import nudge_event

        event_recorded.connect(nudge_event, dispatch_uid="webhooks")
