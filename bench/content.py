"""Content to push and pull, made before the clock runs."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from bench.wire import LAST_CHUNK, as_chunk

MIB = 1024 * 1024
CHUNK_BYTES = 32 * 1024  # docker's client writes its bodies in pieces of this size
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class LargeBlob:
    """A blob that is one random block again and again, so that it needs no memory."""

    block: bytes
    count: int
    digest: str

    @property
    def size_bytes(self) -> int:
        return len(self.block) * self.count

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it stands on the wire with a Content-Length."""
        for _ in range(self.count):
            yield self.block

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it stands on the wire when it is chunked."""
        starts = range(0, len(self.block), CHUNK_BYTES)
        block = b"".join(as_chunk(self.block[s : s + CHUNK_BYTES]) for s in starts)
        for _ in range(self.count):
            yield block
        yield LAST_CHUNK


def large_blob(size_mib: int) -> LargeBlob:
    """Make a blob that no registry has seen."""
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    for _ in range(size_mib):
        digest.update(block)
    return LargeBlob(block, size_mib, f"sha256:{digest.hexdigest()}")


@dataclass(frozen=True)
class SmallImage:
    """An image of a config and some small layers, none of them seen before."""

    blobs: tuple[tuple[str, bytes], ...]  # digest and content; the config comes last
    manifest: bytes


def small_image(*, layer_count: int = 1, layer_bytes: int = 1024) -> SmallImage:
    layers = [os.urandom(layer_bytes) for _ in range(layer_count)]
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest_of(x) for x in layers]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(config, CONFIG_TYPE),
        "layers": [_descriptor(layer, LAYER_TYPE) for layer in layers],
    }
    return SmallImage(
        blobs=tuple((digest_of(blob), blob) for blob in [*layers, config]),
        manifest=json.dumps(manifest).encode(),
    )


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {
        "mediaType": media_type,
        "digest": digest_of(content),
        "size": len(content),
    }
