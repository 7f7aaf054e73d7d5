from typing import Any

from django.db import migrations

from accounts.migrations._repair import repair_columns


def repair(apps: Any, schema_editor: Any) -> None:
    repair_columns(
        apps,
        "accounts",
        {"AccessToken": ["name"], "Organization": ["display_name", "description"], "Robot": ["description"], "Team": ["description"], "User": ["display_name"]},
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0007_email_addresses_by_confirmation")]

    operations = [migrations.RunPython(repair, migrations.RunPython.noop)]
