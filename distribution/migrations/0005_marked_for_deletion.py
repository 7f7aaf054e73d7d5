from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("distribution", "0004_installation")]

    operations = [
        migrations.RenameField("bloblink", "condemned_at", "marked_at"),
        migrations.RenameField("condemnedobject", "condemned_at", "marked_at"),
        migrations.RenameModel("CondemnedObject", "ObjectToDelete"),
    ]
