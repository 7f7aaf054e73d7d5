"""Small images of a demo, made on the spot, that every client can pull.

The layers are noise, and the same noise for the same name: what images share is stored
once. Everything goes the way of a push: blobs into the store, then the manifest.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import F
from django.http import HttpRequest
from django.utils import timezone

from accounts.actors import Actor
from distribution.bodies import Body, receive
from distribution.manifests import put_manifest
from distribution.uploads.requests import push_whole_blob
from repositories.models import Manifest, RepositoryFacts
from repositories.oci import media_types
from repositories.oci.digests import digest_of
from repositories.oci.documents import parse_manifest

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
LONG_AGO = datetime(2024, 1, 1, tzinfo=timezone.get_fixed_timezone(0))
BASE_BYTES, PACKAGES_BYTES, OWN_BYTES = 96_000, 34_000, 14_000

Platform = tuple[str, str, str]


class DemoPusher:
    """Pushes images to one repository, and each blob once."""

    def __init__(self, repository: RepositoryFacts, actor: Actor) -> None:
        self.repository = repository
        self.actor = actor
        self._pushed: set[str] = set()

    def push_image(
        self,
        *,
        tag: str,
        version: str,
        platforms: Sequence[Platform],
        made_at: datetime,
    ) -> str:
        """Push an image for each platform, and an index of several; return a digest."""
        pushed = []
        for platform in platforms:
            payload = self._push_platform(version, platform, made_at)
            only = len(platforms) == 1
            digest = self._put(payload, media_types.OCI_MANIFEST, tag if only else "")
            system, architecture, variant = platform
            described = {"os": system, "architecture": architecture, "variant": variant}
            pushed.append(
                {
                    **_descriptor(payload, media_types.OCI_MANIFEST),
                    "platform": {
                        name: text for name, text in described.items() if text
                    },
                }
            )
        if len(platforms) == 1:
            return digest
        index = {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": pushed,
        }
        return self._put(_json(index), media_types.OCI_INDEX, tag)

    def attach(self, digest: str) -> None:
        """Push an SBOM and something like a signature that refer to an image."""
        subject = {
            "digest": digest,
            **Manifest.objects.values(
                mediaType=F("media_type"), size=F("size_bytes")
            ).get(repository=self.repository.id, digest=digest),
        }
        name = self.repository.full_name
        sbom = _json({"spdxVersion": "SPDX-2.3", "name": name})
        signature = _json({"critical": {"image": {"docker-manifest-digest": digest}}})
        for kind, content, title in (
            ("application/spdx+json", sbom, "SBOM"),
            (
                "application/vnd.dev.cosign.simplesigning.v1+json",
                signature,
                "signature",
            ),
        ):
            for blob in (b"{}", content):
                self._push_blob(blob)
            payload = _json(
                {
                    "schemaVersion": 2,
                    "mediaType": media_types.OCI_MANIFEST,
                    "artifactType": kind,
                    "config": _descriptor(b"{}", media_types.OCI_EMPTY),
                    "layers": [_descriptor(content, kind)],
                    "subject": subject,
                    "annotations": {"org.opencontainers.image.title": title},
                }
            )
            self._put(payload, media_types.OCI_MANIFEST, "")

    def _push_platform(
        self, version: str, platform: Platform, made_at: datetime
    ) -> bytes:
        """Push the blobs of one image and return its manifest."""
        name = self.repository.name
        where = "/".join(filter(None, platform))
        layers = [
            _layer({"etc/os-release": f"NAME=Demo\nPLATFORM={where}\n"}, BASE_BYTES),
            _layer({f"usr/lib/{name}/{where}": ""}, PACKAGES_BYTES),
            _layer({f"opt/{name}/VERSION": f"{version} {where}\n"}, OWN_BYTES),
        ]
        config = _json(self._config(version, platform, made_at, layers))
        for blob in (config, *layers):
            self._push_blob(blob)
        return _json(
            {
                "schemaVersion": 2,
                "mediaType": media_types.OCI_MANIFEST,
                "config": _descriptor(config, CONFIG_TYPE),
                "layers": [_descriptor(layer, LAYER_TYPE) for layer in layers],
            }
        )

    def _config(
        self,
        version: str,
        platform: Platform,
        made_at: datetime,
        layers: Sequence[bytes],
    ) -> dict[str, Any]:
        name, full_name = self.repository.name, self.repository.full_name
        system, architecture, variant = platform
        home = f"/opt/{name}"
        source = f"https://git.example.com/{full_name}"
        steps = [
            ("ADD rootfs.tar.gz /", True),
            ("RUN apk add --no-cache ca-certificates tzdata", True),
            (f"ENV HOME={home}", False),
            (f"WORKDIR {home}", False),
            (f"COPY --chown=10001:10001 build {home}", True),
            ("USER 10001", False),
            ("EXPOSE 8080/tcp", False),
            (f'ENTRYPOINT ["{home}/run"]', False),
        ]
        return {
            "created": made_at.isoformat(timespec="seconds"),
            "os": system,
            "architecture": architecture,
            **({"variant": variant} if variant else {}),
            "config": {
                "User": "10001",
                "WorkingDir": home,
                "Env": ["PATH=/usr/local/bin:/usr/bin:/bin", f"HOME={home}"],
                "ExposedPorts": {"8080/tcp": {}},
                "Entrypoint": [f"{home}/run"],
                "Labels": {
                    "org.opencontainers.image.title": name,
                    "org.opencontainers.image.version": version,
                    "org.opencontainers.image.vendor": self.repository.namespace_name,
                    "org.opencontainers.image.licenses": "Apache-2.0",
                    "org.opencontainers.image.source": source,
                    "org.opencontainers.image.documentation": f"{source}/docs",
                },
            },
            "rootfs": {
                "type": "layers",
                "diff_ids": [str(digest_of(gzip.decompress(one))) for one in layers],
            },
            "history": [
                {"created_by": text, **({} if has_layer else {"empty_layer": True})}
                for text, has_layer in steps
            ],
        }

    def _put(self, payload: bytes, media_type: str, tag: str) -> str:
        digest = digest_of(payload)
        put_manifest(
            repository=self.repository,
            digest=digest,
            payload=payload,
            document=parse_manifest(payload, media_type),
            tags=[tag] if tag else [],
            actor=self.actor,
        )
        return str(digest)

    def _push_blob(self, content: bytes) -> None:
        digest = digest_of(content)
        if str(digest) in self._pushed:
            return
        request = HttpRequest()
        request.META = {"CONTENT_LENGTH": str(len(content))}
        receiving = push_whole_blob(
            repository=self.repository,
            body=Body(request),
            digest=digest,
            actor=self.actor,
        )
        receive(receiving, io.BytesIO(content).read)
        self._pushed.add(str(digest))


def _layer(files: dict[str, str], size_bytes: int) -> bytes:
    """Return a layer of these files and of noise, which no compression makes smaller.

    The same files are always the same bytes.
    """
    buffer = io.BytesIO()
    noise = hashlib.shake_128(json.dumps(files).encode()).digest(size_bytes)
    contents = {name: text.encode() for name, text in files.items()} | {
        f"{name}.data": noise for name in files
    }
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o644
            entry.mtime = int(LONG_AGO.timestamp())
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {
        "mediaType": media_type,
        "digest": str(digest_of(content)),
        "size": len(content),
    }


def _json(body: dict[str, Any]) -> bytes:
    return json.dumps(body, indent=2).encode()
