from typing import Any

from django.db import migrations, models

# Of all that was pushed before. A total that 2,000 manifests cannot add up is cut.
TOTAL_BYTES_MAX = 2**52
BLOBS = f"""
UPDATE repositories_manifest SET
  reference_count = (
    SELECT count(*) FROM repositories_manifestreference r
    WHERE r.manifest_id = repositories_manifest.id),
  blob_bytes = (
    SELECT CASE WHEN coalesce(sum(1.0 * r.size_bytes), 0) < {TOTAL_BYTES_MAX}
           THEN CAST(coalesce(sum(1.0 * r.size_bytes), 0) AS bigint)
           ELSE {TOTAL_BYTES_MAX} END
    FROM repositories_manifestreference r
    WHERE r.manifest_id = repositories_manifest.id AND r.kind <> 'child')"""
OWN = "UPDATE repositories_manifest SET content_bytes = blob_bytes"
LISTED = f"""
UPDATE repositories_manifest SET content_bytes = (
    SELECT CASE WHEN coalesce(sum(c.blob_bytes), 0) < {TOTAL_BYTES_MAX}
           THEN coalesce(sum(c.blob_bytes), 0) ELSE {TOTAL_BYTES_MAX} END
    FROM repositories_manifest c
    WHERE c.repository_id = repositories_manifest.repository_id AND c.digest IN (
      SELECT r.digest FROM repositories_manifestreference r
      WHERE r.manifest_id = repositories_manifest.id AND r.kind = 'child'))
WHERE media_type IN (
    'application/vnd.oci.image.index.v1+json',
    'application/vnd.docker.distribution.manifest.list.v2+json')"""


def count(apps: Any, schema_editor: Any) -> None:
    for statement in (BLOBS, OWN, LISTED):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("repositories", "0012_reserved_names")]

    operations = [
        migrations.AddField(
            "manifest",
            "reference_count",
            models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            "manifest",
            "blob_bytes",
            models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            "manifest",
            "content_bytes",
            models.PositiveBigIntegerField(db_default=0, default=0),
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
