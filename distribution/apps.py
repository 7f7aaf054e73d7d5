from django.apps import AppConfig


class DistributionConfig(AppConfig):
    name = "distribution"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register, or listen to what accounts tells.
        from distribution import checks  # noqa: F401
        from distribution.uploads import sessions  # noqa: F401
