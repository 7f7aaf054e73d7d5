from typing import Any

from django.db import migrations

from accounts.migrations._repair import repair_columns


def repair(apps: Any, schema_editor: Any) -> None:
    repair_columns(
        apps,
        "webhooks",
        {"Webhook": ["name"]},
    )


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0005_rendered_later")]

    operations = [migrations.RunPython(repair, migrations.RunPython.noop)]
