from typing import Any

from django.db import migrations

from accounts.migrations._repair import repair_columns


def repair(apps: Any, schema_editor: Any) -> None:
    repair_columns(
        apps,
        "repositories",
        {"Category": ["name", "description"], "Repository": ["description"]},
    )


class Migration(migrations.Migration):
    dependencies = [("repositories", "0013_manifest_totals")]

    operations = [migrations.RunPython(repair, migrations.RunPython.noop)]
