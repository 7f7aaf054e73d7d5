from django.apps import AppConfig


class RegistrySiteConfig(AppConfig):
    name = "registry_site"

    def ready(self) -> None:
        # They register themselves, which takes models.
        from registry_site import checks, heartbeats, task_deadlines, task_health  # noqa: F401
