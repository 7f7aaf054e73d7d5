from django.db import migrations, models


class Migration(migrations.Migration):
    """What happened before there were webhooks is told to none: it counts as relayed."""

    dependencies = [
        ('repositories', '0004_pulls'),
    ]

    operations = [
        migrations.AddField(
            model_name='event',
            name='is_relayed',
            field=models.BooleanField(db_default=True, default=True, editable=False),
        ),
        migrations.AlterField(
            model_name='event',
            name='is_relayed',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('is_relayed', False)), fields=['id'], name='event_unrelayed'),
        ),
    ]
