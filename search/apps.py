from django.apps import AppConfig, apps
from django.db.models.signals import post_migrate, post_save, pre_migrate


class SearchConfig(AppConfig):
    name = "search"

    def ready(self) -> None:
        from repositories.models import ImageConfig
        from search.index import index_new_image
        from search.triggers import install_after_migrations, make_way_for_migrations

        # The entries, and most of the tables with triggers, are of that app.
        owner = apps.get_app_config("repositories")
        pre_migrate.connect(make_way_for_migrations, sender=owner)
        post_migrate.connect(install_after_migrations, sender=owner)
        post_save.connect(index_new_image, sender=ImageConfig)
