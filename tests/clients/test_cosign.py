"""cosign signs and verifies with a key of its own, without anything on the internet."""

import json
from pathlib import Path

import pytest

from accounts.models import Robot, User
from tests.clients.command import As, Command
from tests.conftest import Cast
from tests.images import Image
from tests.registry_client import RegistryClient

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
# No transparency log and no list of services: both are on the internet.
OFFLINE_SIGN = (
    "--yes", "--allow-http-registry", "--tlog-upload=false",
    "--use-signing-config=false",
)  # fmt: skip
OFFLINE_VERIFY = ("--allow-http-registry", "--insecure-ignore-tlog")


@pytest.fixture
def cosign_as(tmp_path: Path, host: str, cast: Cast) -> As:
    """Hand out cosign logged in as someone, with a key pair."""

    def log_in(who: User | Robot) -> Command:
        home = tmp_path / who.username
        cosign = Command(
            "cosign", home,
            DOCKER_CONFIG=str(home),
            COSIGN_PASSWORD="the key's own",
            COSIGN_EXPERIMENTAL="0",
            TUF_ROOT=str(home / "tuf"),
        )  # fmt: skip
        cosign(
            "login", host, "-u", who.username, "--password-stdin",
            stdin=cast.secrets[who.username],
        )  # fmt: skip
        cosign("generate-key-pair")
        return cosign

    return log_in


def sign(cosign: Command, name: str, *options: str) -> None:
    cosign("sign", "--key=cosign.key", *OFFLINE_SIGN, *options, name)


def test_signature_is_kept_as_a_referrer_and_verified(
    cosign_as: As, host: str, api: str, cast: Cast, image: Image, bob: RegistryClient
) -> None:
    """REF-1, REF-5, R-06, R-19: no tag is made for it."""
    bob.push(f"{api}:v1", image)
    cosign, name = cosign_as(cast.bob), f"{host}/{api}@{image.digest}"
    sign(cosign, name)
    [referrer] = bob.referrers(api, image.digest)
    assert referrer["artifactType"] == BUNDLE_TYPE
    assert bob.tags(api) == ["v1"]
    said = cosign.told("verify", "--key=cosign.pub", *OFFLINE_VERIFY, name)
    assert "signatures were verified against the specified public key" in said


def test_signature_is_kept_under_a_tag_and_verified(
    cosign_as: As, host: str, api: str, cast: Cast, image: Image, bob: RegistryClient
) -> None:
    """R-06, R-47: the way of cosign before referrers, sha256-<hex>.sig."""
    bob.push(f"{api}:v1", image)
    cosign, name = cosign_as(cast.bob), f"{host}/{api}@{image.digest}"
    sign(cosign, name, "--new-bundle-format=false")
    assert bob.tags(api) == [f"{image.digest.replace(':', '-')}.sig", "v1"]
    said = cosign(
        "verify", "--key=cosign.pub", "--new-bundle-format=false", *OFFLINE_VERIFY, name
    )
    [verified] = json.loads(said)
    assert verified["critical"]["image"]["docker-manifest-digest"] == image.digest


def test_image_without_a_signature_is_not_verified(
    cosign_as: As, host: str, api: str, cast: Cast, image: Image, bob: RegistryClient
) -> None:
    """REF-1: an empty list of referrers, and no 404."""
    bob.push(f"{api}:v1", image)
    said = cosign_as(cast.bob).refused(
        "verify", "--key=cosign.pub", *OFFLINE_VERIFY, f"{host}/{api}@{image.digest}"
    )
    assert "no signatures found" in said


def test_attestation_is_attached_and_verified(
    cosign_as: As, host: str, api: str, cast: Cast, image: Image, bob: RegistryClient
) -> None:
    """REF-1, REF-5."""
    bob.push(f"{api}:v1", image)
    cosign, name = cosign_as(cast.bob), f"{host}/{api}@{image.digest}"
    (cosign.folder / "claim.json").write_text('{"cargo": "checked"}')
    cosign("attest", "--key=cosign.key", "--predicate=claim.json", *OFFLINE_SIGN, name)
    cosign("verify-attestation", "--key=cosign.pub", *OFFLINE_VERIFY, name)
    assert len(bob.referrers(api, image.digest)) == 1


def test_reader_may_verify_but_not_sign(
    cosign_as: As, host: str, api: str, cast: Cast, image: Image, bob: RegistryClient
) -> None:
    """AUTH-4."""
    bob.push(f"{api}:v1", image)
    writer, reader = cosign_as(cast.bob), cosign_as(cast.carol)
    name = f"{host}/{api}@{image.digest}"
    sign(writer, name)
    key = writer.folder / "cosign.pub"
    reader("verify", f"--key={key}", *OFFLINE_VERIFY, name)
    said = reader.refused("sign", "--key=cosign.key", *OFFLINE_SIGN, name)
    assert "UNAUTHORIZED" in said
    assert len(bob.referrers(api, image.digest)) == 1
