"""Images, indexes and artifacts as a client would build them: bytes and their digests.

Nothing here is shared with the code under test: the tests keep their own idea of what
a manifest looks like (image-spec manifest.md, image-index.md).
"""

import hashlib
import itertools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"

EMPTY_BLOB = b""
EMPTY_OBJECT = b"{}"
ABSENT_DIGEST = "sha256:" + "0" * 64

_serial = itertools.count(1)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest that names these bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def some_bytes(length: int = 100) -> bytes:
    """Return bytes that no other test uses."""
    return hashlib.shake_128(f"test content {next(_serial)}".encode()).digest(length)


def descriptor(
    content: bytes, media_type: str, *, algorithm: str = "sha256", **members: Any
) -> dict[str, Any]:
    """Return the descriptor of some bytes (image-spec descriptor.md)."""
    return {
        "mediaType": media_type,
        "digest": digest_of(content, algorithm),
        "size": len(content),
        **members,
    }


@dataclass(frozen=True)
class Image:
    """A manifest as bytes, with the blobs and manifests that it names."""

    payload: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    children: "tuple[Image, ...]" = ()

    @property
    def digest(self) -> str:
        return digest_of(self.payload)

    @property
    def body(self) -> Any:
        return json.loads(self.payload)

    @property
    def size_bytes(self) -> int:
        return len(self.payload)

    def descriptor(self, **members: Any) -> dict[str, Any]:
        return descriptor(self.payload, self.media_type, **members)


def image(
    *layers: bytes,
    config: bytes | None = None,
    config_type: str = OCI_CONFIG,
    layer_type: str = OCI_LAYER,
    media_type: str = OCI_MANIFEST,
    algorithm: str = "sha256",
    **members: Any,
) -> Image:
    """Build an image of these layers, else of one layer that no other test uses.

    Further members, such as annotations or subject, are written as they are given;
    one that is None is left out.
    """
    layers = layers or (some_bytes(),)
    if config is None:
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "serial": next(_serial)}
        ).encode()
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, config_type, algorithm=algorithm),
        "layers": [
            descriptor(layer, layer_type, algorithm=algorithm) for layer in layers
        ],
        **members,
    }
    return Image(as_json(body), media_type, (config, *layers))


def docker_image(*layers: bytes) -> Image:
    """Build an image as docker pushes it (schema 2)."""
    return image(
        *layers,
        config_type=DOCKER_CONFIG,
        layer_type=DOCKER_LAYER,
        media_type=DOCKER_MANIFEST,
    )


def index(*children: Image, media_type: str = OCI_INDEX, **members: Any) -> Image:
    """Build an index of images; none given, an empty one."""
    platforms = itertools.cycle(["amd64", "arm64", "s390x", "riscv64"])
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [
            child.descriptor(platform={"os": "linux", "architecture": next(platforms)})
            for child in children
        ],
        **members,
    }
    return Image(as_json(body), media_type, (), children)


def artifact(
    subject: Image | None = None,
    *,
    artifact_type: str | None = "application/vnd.example.sbom.v1+json",
    content: bytes | None = None,
    **members: Any,
) -> Image:
    """Build an artifact, usually one that refers to a subject."""
    return image(
        some_bytes() if content is None else content,
        config=EMPTY_OBJECT,
        config_type=OCI_EMPTY,
        artifactType=artifact_type,
        subject=None if subject is None else subject.descriptor(),
        **members,
    )


def as_json(body: dict[str, Any]) -> bytes:
    """Write a manifest's bytes; members that are None are left out."""
    members = {name: value for name, value in body.items() if value is not None}
    return json.dumps(members, indent=3).encode()


def partitions(content: bytes, *lengths: int) -> Iterable[bytes]:
    """Cut bytes into pieces of these lengths; the last one takes the rest."""
    start = 0
    for length in lengths:
        yield content[start : start + length]
        start += length
    yield content[start:]
