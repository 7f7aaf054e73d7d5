"""Mark the blobs that stay as long as a manifest that names them by shape."""

from django.db import migrations
from django.db.models import Exists, OuterRef


def require_present_blobs(apps, schema_editor):
    ManifestReference = apps.get_model("repositories", "ManifestReference")
    BlobLink = apps.get_model("distribution", "BlobLink")
    linked = BlobLink.objects.filter(
        repository=OuterRef("repository"), blob__digest=OuterRef("digest")
    )
    ManifestReference.objects.filter(
        Exists(linked), kind="other", is_required=False
    ).update(is_required=True)


class Migration(migrations.Migration):
    dependencies = [
        ("distribution", "0002_who_linked_a_blob"),
        ("repositories", "0011_read_manifests_again"),
    ]

    operations = [
        migrations.RunPython(require_present_blobs, migrations.RunPython.noop),
    ]
