from typing import Any

from django.db import migrations, models


def keep_former_secrets(apps: Any, schema_editor: Any) -> None:
    rows = apps.get_model("webhooks", "Webhook").objects.exclude(
        former_secret_until=None
    )
    for row in rows:
        row.former_secrets = [
            [row.sealed_former_secret, row.former_secret_until.isoformat()]
        ]
        row.save(update_fields=["former_secrets"])


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="webhook",
            name="former_secrets",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.RunPython(keep_former_secrets, migrations.RunPython.noop),
        migrations.RemoveField(model_name="webhook", name="sealed_former_secret"),
        migrations.RemoveField(model_name="webhook", name="former_secret_until"),
    ]
