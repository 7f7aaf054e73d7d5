"""Call a webhook that Berth stops disabled, as the pages do."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

PROBLEMS = [
    ("name", "the host name cannot be resolved"),
    ("forbidden", "webhooks cannot be sent to this address"),
    ("refused", "connection refused"),
    ("unreachable", "the network is unreachable"),
    ("tls", "the TLS connection failed"),
    ("timeout", "the response took too long"),
    ("broken", "the connection was lost, or the response was not HTTP"),
    ("redirect", "the receiver redirected the request"),
    ("status", "the receiver returned an error"),
    ("gone", "the receiver unsubscribed (410)"),
    ("interrupted", "the worker was stopped before the response arrived"),
    ("settings", "the webhook's settings cannot be used"),
    ("payload", "the payload cannot be rendered"),
    ("disabled", "the webhook is disabled"),
    ("fault", "an internal error in Berth"),
]


def rename_stored_words(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for model in ("Delivery", "Attempt"):
        rows = apps.get_model("webhooks", model).objects.filter(problem="switched-off")
        rows.update(problem="disabled")
    events = apps.get_model("repositories", "Event").objects
    events.filter(kind="webhook.switched_off").update(kind="webhook.disabled")
    events.filter(kind="user.deactivated").update(kind="user.suspended")


class Migration(migrations.Migration):
    dependencies = [
        ("repositories", "0014_clear_text"),
        ("webhooks", "0008_failure_words"),
    ]

    operations = [
        migrations.RenameField("webhook", "switched_off_reason", "disabled_reason"),
        *(
            migrations.AlterField(
                model_name=model,
                name="problem",
                field=models.CharField(blank=True, choices=PROBLEMS, max_length=20),
            )
            for model in ("attempt", "delivery")
        ),
        migrations.RunPython(rename_stored_words, migrations.RunPython.noop),
    ]
