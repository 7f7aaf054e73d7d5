"""What an image's config says is kept when its manifest is pushed."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from distribution.models import Blob
from distribution.storage import blob_store
from repositories.models import ImageConfig, Repository
from tests.images import (
    DOCKER_CONFIG,
    OCI_EMPTY,
    Image,
    artifact,
    digest_of,
    docker_image,
    image,
)
from tests.registry_client import RegistryClient


def config(**members: Any) -> bytes:
    return json.dumps({"os": "linux", "architecture": "arm64", **members}).encode()


def kept(pushed: Image) -> ImageConfig | None:
    return ImageConfig.objects.filter(manifest__digest=pushed.digest).first()


@pytest.mark.parametrize("is_docker", [False, True])
def test_a_push_keeps_platform_and_labels(
    alice: RegistryClient, api: str, is_docker: bool
) -> None:
    labels = {"org.opencontainers.image.title": "api", "of": api}
    content = config(variant="v8", config={"Labels": labels})
    pushed = image(
        config=content, **({"config_type": DOCKER_CONFIG} if is_docker else {})
    )
    alice.push(f"{api}:v1", pushed)
    found = kept(pushed)
    assert found is not None
    assert found.platform == "linux/arm64/v8"
    assert found.document["config"]["Labels"] == labels
    alice.push(f"{api}:v2", pushed)
    assert ImageConfig.objects.filter(manifest__digest=pushed.digest).count() == 1


@pytest.mark.parametrize(
    "content", [b"nonsense", b"[]", b"", config(config={"Labels": {"\ud800": "\0"}})]
)
def test_a_config_of_another_shape_is_no_reason_to_refuse(
    alice: RegistryClient, api: str, content: bytes
) -> None:
    pushed = image(config=content, layer_type=f"x/{api.replace('/', '.')}")
    alice.push(f"{api}:v1", pushed)
    assert alice.pull(f"{api}:v1").payload == pushed.payload


def test_what_is_no_image_has_no_config(alice: RegistryClient, api: str) -> None:
    chart = image(config=config(), config_type="application/vnd.cncf.helm.config.v1+j")
    sbom = artifact(image())
    alice.push(f"{api}:chart", chart)
    alice.push(api, sbom)
    assert json.loads(sbom.payload)["config"]["mediaType"] == OCI_EMPTY
    assert kept(chart) is None
    assert kept(sbom) is None


@pytest.mark.usefixtures("unsound_api")
def test_a_config_whose_bytes_are_lost_is_no_reason_to_refuse(
    alice: RegistryClient, api: str
) -> None:
    content = config(labels=api)
    alice.push_blob(api, content)
    blob = Blob.objects.get(digest=digest_of(content))
    blob_store().delete(blob.storage_key)
    pushed = image(config=content)
    for layer in pushed.blobs[1:]:
        alice.push_blob(api, layer)
    assert alice.put_manifest(api, "v1", pushed).status_code == 201
    assert kept(pushed) is None
    Repository.objects.filter(tags__manifest__digest=pushed.digest).delete()
    blob.delete()


def test_older_images_get_theirs_by_a_command(alice: RegistryClient, api: str) -> None:
    first, second = image(config=config(n=api)), docker_image()
    alice.push(f"{api}:first", first)
    alice.push(f"{api}:second", second)
    ImageConfig.objects.filter(manifest__repository__name=api.split("/")[1]).delete()
    assert kept(first) is None
    alice.push(f"{api}:again", second)  # so does a push of what is there
    assert kept(second) is not None
    call_command("read_image_configs", stdout=StringIO())
    found = kept(first)
    assert found is not None
    assert found.platform == "linux/arm64"
