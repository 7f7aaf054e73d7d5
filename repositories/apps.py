from django.apps import AppConfig


class RepositoriesConfig(AppConfig):
    name = "repositories"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They listen to what accounts tells.
        from repositories import (  # noqa: F401
            defaults,
            events,
            former_names,
            grants,
            lifecycle,
        )
