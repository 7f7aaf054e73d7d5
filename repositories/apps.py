from django.apps import AppConfig


class RepositoriesConfig(AppConfig):
    name = "repositories"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They listen to what accounts tells.
        from repositories import former_names, lifecycle  # noqa: F401
        from repositories.events import recording  # noqa: F401
        from repositories.rights import defaults, grants  # noqa: F401
