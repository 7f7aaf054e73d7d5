"""Berth behind nginx and Caddy, with exactly the lines of docs/install.md."""

import base64
import json
import os
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.clients.command import python_for
from tests.clients.proxies import BUFFERED, documented_site, run_caddy, run_nginx
from tests.conftest import Cast
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, with_digest
from tests.servers import BerthServer, free_port
from tests.site.test_tls import write_certificate

MIB = 1024 * 1024
WAIT_SECONDS = 60
BERTH = "127.0.0.1:8000"  # as the page has it


def test_nginx_as_documented_streams(tmp_path: Path, cast: Cast, api: str) -> None:
    """A chunked PATCH reaches Berth as it is sent, and no file is made of it (C9)."""
    certificate, key = write_certificate(tmp_path)
    port = free_port()
    site = documented_site("server {")
    with behind(f"https://localhost:{port}") as berth:
        for documented, here in {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "registry.example.com": "localhost",
            "/etc/berth/chain.pem": str(certificate),
            "/etc/berth/key.pem": str(key),
            BERTH: f"127.0.0.1:{berth.port}",
        }.items():
            assert site.count(documented) == 1, documented
            site = site.replace(documented, here)
        with run_nginx(tmp_path, port, site) as log:
            trust = ssl.create_default_context(cafile=str(certificate))
            push_and_pull(f"https://localhost:{port}", trust, cast, api)
            push_with_dxf(tmp_path, f"localhost:{port}", certificate, cast, api)
            assert BUFFERED not in log.read_text()


def test_caddy_as_documented_streams(tmp_path: Path, cast: Cast, api: str) -> None:
    """The same through Caddy, without the certificate that it gets by itself (E14)."""
    port = free_port()
    site = documented_site("registry.example.com {")
    with behind(f"http://localhost:{port}") as berth:
        for documented, here in {
            "registry.example.com": f"http://localhost:{port}",
            BERTH: f"127.0.0.1:{berth.port}",
        }.items():
            assert site.count(documented) == 1, documented
            site = site.replace(documented, here)
        with run_caddy(tmp_path, port, site):
            push_and_pull(f"http://localhost:{port}", True, cast, api)


def behind(url: str) -> BerthServer:
    """The tests' data, served for a proxy with this address."""
    return BerthServer(
        data_folder=Path(os.environ["BERTH_DATA"]),
        database_url=os.environ.get("DATABASE_URL"),
        BERTH_URL=url,
        BERTH_TRUSTED_PROXIES="127.0.0.1",
    )


def push_and_pull(
    url: str, verify: ssl.SSLContext | bool, cast: Cast, name: str
) -> None:
    """Push a blob as docker does, watch it arrive, and read it back."""
    content = some_bytes(3 * MIB)
    digest = digest_of(content)
    with httpx.Client(verify=verify, timeout=120) as http:
        bob = RegistryClient(
            http, url, cast.bob.username, cast.secrets[cast.bob.username]
        )
        location = bob.start_upload(name)
        token = bob.token_for(name, "POST")
        pushed = http.patch(
            url + location,
            content=sent_when_arrived(content),
            headers={"Authorization": f"Bearer {token}"},
        )
        assert pushed.status_code == 202, pushed.text
        done = bob.put(with_digest(pushed.headers["Location"], digest))
        assert done.status_code == 201, done.text
        assert bob.pull_blob(name, digest) == content
        part = bob.get(
            f"/v2/{name}/blobs/{digest}", headers={"Range": "bytes=0-9,50-59"}
        )
        assert part.status_code == 206
        # Conditions pass the proxy as well.
        known = {"If-None-Match": f'"{digest}"'}
        found = bob.get(f"/v2/{name}/blobs/{digest}", headers=known)
        assert found.status_code == 304


def push_with_dxf(
    folder: Path, host: str, certificate: Path, cast: Cast, name: str
) -> None:
    """Let dxf, which wants TLS, push and pull with what docker login writes (C3)."""
    login = f"{cast.bob.username}:{cast.secrets[cast.bob.username]}".encode()
    auth = base64.b64encode(login).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    (folder / "cargo.bin").write_bytes(some_bytes(5000))
    dxf = python_for(folder, WITH_DXF)
    assert dxf(host, name, str(certificate)).endswith("the same\n")


WITH_DXF = """
import base64, json, pathlib, sys, dxf
host, name, certificate = sys.argv[1:]
logins = json.loads(pathlib.Path("config.json").read_text())["auths"]
username, _, password = base64.b64decode(logins[host]["auth"]).decode().partition(":")
client = dxf.DXF(
    host,
    name,
    lambda client, response: client.authenticate(username, password, response=response),
    tlsverify=certificate,
)
digest = client.push_blob("cargo.bin")
client.set_alias("by-dxf", digest)
[found] = client.get_alias("by-dxf")
back = b"".join(client.pull_blob(found))
print("the same" if back == pathlib.Path("cargo.bin").read_bytes() else "differs")
"""


def sent_when_arrived(content: bytes) -> Iterator[bytes]:
    """Return what yields two thirds, then one when Berth has stored as much.

    What is there before is looked at now: Berth makes the file of this upload when it
    has the headers, and a proxy passes those on before the first bytes.
    """
    staged = Path(os.environ["BERTH_DATA"]) / "blobs" / "uploads"
    before = {path.name for path in staged.iterdir()}

    def pieces() -> Iterator[bytes]:
        yield content[: 2 * MIB]
        deadline = time.monotonic() + WAIT_SECONDS
        while not any(
            path.stat().st_size >= MIB
            for path in staged.iterdir()
            if path.name not in before
        ):
            assert time.monotonic() < deadline, "the proxy holds the body back"
            time.sleep(0.05)
        yield content[2 * MIB :]

    return pieces()
