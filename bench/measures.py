"""Measurements: each function takes a running registry and returns one number.

More is better, except for the wall clock of docker.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import content
from bench.content import MANIFEST_TYPE, LargeBlob, SmallImage
from bench.load import download, in_threads, requests_per_second
from bench.registries import REPOSITORY, Berth, Registry
from bench.wire import Connection


@dataclass(frozen=True)
class Sizes:
    """How long and how large."""

    seconds: float = 4
    download_mib: int = 200
    download_times: int = 5  # by each connection
    upload_mib: int = 1024
    image_seconds: float = 5


QUICK = Sizes(1, 32, 2, 64, 1.5)


@dataclass(frozen=True)
class Measure:
    """One line of the table."""

    name: str
    title: str
    unit: str
    run: Callable[[Registry, Sizes], float]
    ours_only: bool = False


@dataclass
class Fixture:
    """Fill a registry with what it holds before anything is measured."""

    image: SmallImage = field(
        default_factory=lambda: content.small_image(layer_count=8)
    )
    mebibyte: LargeBlob = field(default_factory=lambda: content.large_blob(1))
    large: LargeBlob | None = None

    @property
    def manifest_digest(self) -> str:
        return content.digest_of(self.image.manifest)


_fixture = Fixture()


def prepare(registry: Registry, sizes: Sizes) -> None:
    """Push what is read afterwards."""
    if _fixture.large is None:
        _fixture.large = content.large_blob(sizes.download_mib)
    with registry.connect() as connection:
        push_image(connection, _fixture.image, "hot")
        put_large(connection, _fixture.mebibyte, chunked=False)
        put_large(connection, _fixture.large, chunked=False)


# --- pushing, as clients do


def push_image(connection: Connection, image: SmallImage, tag: str) -> None:
    """Push as docker does: for each blob HEAD, POST, PATCH, PUT; then the manifest."""
    for digest, blob in image.blobs:
        connection.request("HEAD", f"/v2/{REPOSITORY}/blobs/{digest}", expect=404)
        location = _start(connection)
        answer = connection.request(
            "PATCH", location, body=blob, chunked=True, expect=202, headers=_OCTETS
        )
        location = _with_digest(answer.location, digest)
        connection.request("PUT", location, expect=201)
    connection.request(
        "PUT",
        f"/v2/{REPOSITORY}/manifests/{tag}",
        body=image.manifest,
        headers={"Content-Type": MANIFEST_TYPE},
        expect=201,
    )


def put_large(connection: Connection, blob: LargeBlob, *, chunked: bool) -> None:
    """Push one blob: as a chunked PATCH and an empty PUT, or as a PUT with a length."""
    location = _start(connection)
    if not chunked:
        connection.stream(
            "PUT",
            _with_digest(location, blob.digest),
            blob.pieces(),
            headers={**_OCTETS, "Content-Length": str(blob.size_bytes)},
            expect=201,
        )
        return
    answer = connection.stream(
        "PATCH",
        location,
        blob.chunks(),
        headers={**_OCTETS, "Transfer-Encoding": "chunked"},
        expect=202,
    )
    target = _with_digest(answer.location, blob.digest)
    connection.request("PUT", target, expect=201)


_OCTETS = {"Content-Type": "application/octet-stream"}


def _start(connection: Connection) -> str:
    path = f"/v2/{REPOSITORY}/blobs/uploads/"
    return connection.request("POST", path, expect=202).location


def _with_digest(location: str, digest: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


# --- the lines


def _bearer(registry: Registry) -> dict[str, str]:
    token = registry.token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _challenge(registry: Registry, sizes: Sizes) -> float:
    return requests_per_second(
        port=registry.port,
        method="GET",
        target="/v2/",
        headers={},
        expect=401 if isinstance(registry, Berth) else 200,
        seconds=sizes.seconds,
    )


def _token(registry: Registry, sizes: Sizes) -> float:
    assert isinstance(registry, Berth), "the others run without authentication"
    return requests_per_second(
        port=registry.port,
        method="GET",
        target=registry.token_path,
        headers={"Authorization": registry.basic},
        expect=200,
        seconds=sizes.seconds,
    )


def _manifest(method: str, *, by_tag: bool) -> Callable[[Registry, Sizes], float]:
    def run(registry: Registry, sizes: Sizes) -> float:
        reference = "hot" if by_tag else _fixture.manifest_digest
        return requests_per_second(
            port=registry.port,
            method=method,
            target=f"/v2/{REPOSITORY}/manifests/{reference}",
            headers={**_bearer(registry), "Accept": MANIFEST_TYPE},
            expect=200,
            seconds=sizes.seconds,
        )

    return run


def _mebibytes(registry: Registry, sizes: Sizes) -> float:
    return requests_per_second(
        port=registry.port,
        method="GET",
        target=f"/v2/{REPOSITORY}/blobs/{_fixture.mebibyte.digest}",
        headers=_bearer(registry),
        expect=200,
        seconds=sizes.seconds,
    )


def _download(registry: Registry, sizes: Sizes) -> float:
    assert _fixture.large is not None, "prepare() made it"
    target = f"/v2/{REPOSITORY}/blobs/{_fixture.large.digest}"
    rate = download(registry.connect, target, clients=4, times=sizes.download_times)
    return rate / 1e9


def _upload(*, chunked: bool) -> Callable[[Registry, Sizes], float]:
    def run(registry: Registry, sizes: Sizes) -> float:
        blob = content.large_blob(sizes.upload_mib)
        with registry.connect() as connection:
            started = time.perf_counter()
            put_large(connection, blob, chunked=chunked)
            return blob.size_bytes / 1e9 / (time.perf_counter() - started)

    return run


def _images(clients: int) -> Callable[[Registry, Sizes], float]:
    def run(registry: Registry, sizes: Sizes) -> float:
        pushed = [0] * clients
        deadline = time.perf_counter() + sizes.image_seconds

        def work(number: int) -> None:
            with registry.connect() as connection:
                while time.perf_counter() < deadline:
                    push_image(connection, content.small_image(), f"client-{number}")
                    pushed[number] += 1

        seconds = in_threads(clients, work)
        return sum(pushed) / seconds

    return run


MEASURES = [
    Measure("challenge", "401 challenge (peers: 200 on /v2/)", "/s", _challenge),
    Measure("token", "token from an access token", "/s", _token, ours_only=True),
    *(
        Measure(
            f"manifest-{method.lower()}-{'tag' if by_tag else 'digest'}",
            f"manifest {method} by {'tag' if by_tag else 'digest'}",
            "/s",
            _manifest(method, by_tag=by_tag),
        )
        for method in ("GET", "HEAD")
        for by_tag in (True, False)
    ),
    Measure("blob-1mib", "1 MiB blob GET", "/s", _mebibytes),
    Measure("download", "large blob GET, 4 connections", "GB/s", _download),
    Measure("upload-patch", "large push, chunked PATCH", "GB/s", _upload(chunked=True)),
    Measure(
        "upload-put", "large push, PUT with length", "GB/s", _upload(chunked=False)
    ),
    Measure("images-1", "small images, 1 client", "/s", _images(1)),
    Measure("images-8", "small images, 8 clients", "/s", _images(8)),
]


@contextmanager
def prepared(registry: Registry, sizes: Sizes) -> Iterator[Registry]:
    """Fill a registry and stop it at the end."""
    try:
        prepare(registry, sizes)
        yield registry
    finally:
        registry.stop()
