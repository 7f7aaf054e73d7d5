from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0006_clear_text")]

    operations = [
        migrations.RenameField(
            model_name="delivery", old_name="nudged_at", new_name="dispatched_at"
        ),
    ]
