from django.apps import AppConfig
from django.db.models.signals import post_migrate, post_save, pre_migrate


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
        from repositories.models import ImageConfig
        from repositories.search_index import (
            install_after_migrations,
            make_way_for_migrations,
            note_new_image,
        )

        pre_migrate.connect(make_way_for_migrations, sender=self)
        post_migrate.connect(install_after_migrations, sender=self)
        post_save.connect(note_new_image, sender=ImageConfig)
