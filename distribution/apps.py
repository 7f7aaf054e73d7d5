from django.apps import AppConfig


class DistributionConfig(AppConfig):
    name = "distribution"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Imported for what they register: checks, and listeners of accounts' signals.
        from distribution import checks  # noqa: F401
        from distribution.uploads import sessions  # noqa: F401
