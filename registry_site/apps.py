import gc

from django.apps import AppConfig


class RegistrySiteConfig(AppConfig):
    name = "registry_site"

    def ready(self) -> None:
        # They register themselves, which takes models.
        from registry_site import (  # noqa: F401
            checks,
            heartbeats,
            pulse,
            site_counters,
            task_deadlines,
            task_health,
        )

        gc.freeze()  # what is loaded stays, so that no garbage is looked for in it
        gc.enable()  # manage.py has disabled it for the start
