"""Images that strict clients take: real layers, true diff ids, an OCI layout on disk.

tests/images.py is enough for our own client; real ones unpack what they carry.
"""

import gzip
import io
import json
import platform
import tarfile
from pathlib import Path

from tests.clients.greeting import greeting_program
from tests.images import Image, digest_of, image, some_bytes

GREETING = "Ahoy from the harbour.\n"
GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def greeting_image(architecture: str | None = None) -> Image:
    """Build an image that greets when it is run, unlike every other image.

    For another architecture than this machine's it is only good for carrying around.
    """
    layers = [
        tar_archive("greet", greeting_program(GREETING)),
        tar_archive("cargo", some_bytes(5000)),
    ]
    config = {
        "architecture": architecture or machine_architecture(),
        "os": "linux",
        "config": {"Cmd": ["/greet"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar) for tar in layers]},
    }
    return image(
        *(gzip.compress(layer, mtime=0) for layer in layers),
        config=json.dumps(config).encode(),
    )


def machine_architecture() -> str:
    """Return what Go calls this machine's architecture."""
    machine = platform.machine()
    return GO_ARCHITECTURES.get(machine, machine)


def tar_archive(name: str, content: bytes) -> bytes:
    """Write a tar archive of one executable file."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o755
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        writer.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def write_oci_layout(folder: Path, image: Image, tag: str = "v1") -> Path:
    """Write the image with all that it names (image-spec image-layout.md)."""
    _write_blobs(folder / "blobs" / "sha256", image)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    name = {"org.opencontainers.image.ref.name": tag}
    index = {"schemaVersion": 2, "manifests": [image.descriptor(annotations=name)]}
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def _write_blobs(folder: Path, image: Image) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for content in (image.payload, *image.blobs):
        (folder / digest_of(content).partition(":")[2]).write_bytes(content)
    for child in image.children:
        _write_blobs(folder, child)
