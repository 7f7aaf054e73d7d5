"""Fill what is recorded of manifests since this version.

References that are found by their shape are kept by the garbage collection; before,
manifests of unknown types had none. The annotations of referrers are what a list of
referrers shows. A manifest that cannot be read keeps what is recorded of it.
"""

from django.db import migrations

from repositories.oci.documents import ManifestMalformed, read_manifest

BATCH = 50  # manifests in memory at once, of up to 4 MiB each


def read_manifests_again(apps, schema_editor):
    Manifest = apps.get_model("repositories", "Manifest")
    last = 0
    while True:
        batch = list(Manifest.objects.filter(pk__gt=last).order_by("pk")[:BATCH])
        for manifest in batch:
            try:
                document = read_manifest(bytes(manifest.payload), manifest.media_type)
            except ManifestMalformed:
                continue  # fsck_registry reports it
            _add_references(apps, manifest, document)
            if document.referrer_annotations:
                Manifest.objects.filter(pk=manifest.pk).update(
                    referrer_annotations=document.referrer_annotations,
                    referrer_annotations_bytes=len(
                        document.referrer_annotations.encode()
                    ),
                )
        if len(batch) < BATCH:
            return
        last = batch[-1].pk


def _add_references(apps, manifest, document):
    """Add the references behind those that are recorded, in the document's order."""
    ManifestReference = apps.get_model("repositories", "ManifestReference")
    recorded = ManifestReference.objects.filter(manifest=manifest).count()
    ManifestReference.objects.bulk_create(
        [
            ManifestReference(
                manifest=manifest,
                repository_id=manifest.repository_id,
                position=position,
                kind=descriptor.kind.value,
                digest=str(descriptor.digest),
                media_type=descriptor.media_type,
                size_bytes=descriptor.size_bytes,
                platform=descriptor.platform,
                is_required=False,  # distribution, which has the blobs, sets it
            )
            for position, descriptor in enumerate(document.descriptors)
            if position >= recorded
        ]
    )


class Migration(migrations.Migration):
    dependencies = [
        ("repositories", "0010_annotations_of_referrers"),
    ]

    operations = [
        migrations.RunPython(read_manifests_again, migrations.RunPython.noop),
    ]
