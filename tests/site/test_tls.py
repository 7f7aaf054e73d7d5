"""Berth serves TLS by itself when it is given a certificate."""

import datetime
import ipaddress
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.registry_client import RegistryClient, parse_challenge
from tests.servers import BerthServer, free_port

pytestmark = pytest.mark.own_database


def write_certificate(folder: Path, *, days: int = 1) -> tuple[Path, Path]:
    """Write a certificate for localhost that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.DNSName("localhost"),
                    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / "chain.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate_path, key_path


def test_it_serves_tls_with_a_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-5: then the realm is https too."""
    certificate, key = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    port = free_port()
    server = BerthServer(
        data_folder=tmp_path / "data",
        port=port,
        BERTH_URL=f"https://localhost:{port}",
        BERTH_TLS_CERT=str(certificate),
        BERTH_TLS_KEY=str(key),
        BERTH_WORKERS="1",
    )
    server.url = f"https://localhost:{port}"
    server.manage("prepare")
    with server, httpx.Client(timeout=60) as http:
        client = RegistryClient(http, server.url)
        challenge = parse_challenge(client.get("/v2/", token=""))
        assert challenge.parameters["realm"] == f"{server.url}/v2/token"
        assert client.get("/v2/", token=client.token()).status_code == 200


def test_a_certificate_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    server = BerthServer(
        data_folder=tmp_path,
        BERTH_TLS_CERT=str(tmp_path / "chain.pem"),
        BERTH_TLS_KEY=str(tmp_path / "key.pem"),
    )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for command in ("run", "serve"):
        with pytest.raises(RuntimeError, match="BERTH_TLS_CERT: cannot read"):
            server.manage(command)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
