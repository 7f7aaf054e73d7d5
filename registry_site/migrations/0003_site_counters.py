from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry_site", "0002_task_runs"),
    ]

    operations = [
        migrations.CreateModel(
            name="SiteCounter",
            fields=[
                (
                    "name",
                    models.CharField(max_length=60, primary_key=True, serialize=False),
                ),
                ("total", models.BigIntegerField(default=0)),
            ],
        ),
    ]
