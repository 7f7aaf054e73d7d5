from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register when apps are ready.
        from accounts import sessions  # noqa: F401
        from accounts.api import schema  # noqa: F401
