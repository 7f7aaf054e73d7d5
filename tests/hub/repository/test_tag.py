"""The page of one tag, and of one manifest."""

import json
from typing import Any

import pytest

from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.hub.repository.conftest import Browse
from tests.images import Image, artifact, image, index
from tests.pages import flat, title_of
from tests.registry_client import RegistryClient

ABSENT = "sha256:" + "0" * 64


def config(architecture: str, **members: Any) -> bytes:
    return json.dumps({"os": "linux", "architecture": architecture, **members}).encode()


def rich(layers: int = 2) -> Image:
    settings = {
        "Entrypoint": ["/srv/serve"],
        "Cmd": ["--port", "8080"],
        "User": "10001",
        "WorkingDir": "/srv",
        "ExposedPorts": {"8080/tcp": {}},
        "Volumes": {"/data": {}},
        "Env": ["PATH=/bin", "EMPTY"],
        "StopSignal": "SIGQUIT",
        "Labels": {"com.example.team": "platform"},
    }
    history = [
        {"created_by": "/bin/sh -c #(nop) ADD file:1 in / "},
        {"created_by": "ENV PATH=/bin", "empty_layer": True},
        {"created_by": "RUN /bin/sh -c make install # buildkit"},
    ]
    contents = [bytes([number]) * 1000 for number in range(layers)]
    return image(
        *contents,
        config=config("amd64", config=settings, history=history),
        annotations={"org.opencontainers.image.version": "1.2.3"},
    )


def test_it_shows_layers_history_and_config(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    pushed = rich()
    alice.push(f"{api}:v1", pushed)
    page = browse("carol").get(f"/{api}:v1")
    assert title_of(page) == f"{api}:v1 · Berth"
    for text in (
        *('<span class="k">ADD</span> file:1 in /', 'id="layer-2"', 'class="hue-2"'),
        *('<span class="k">RUN</span> make install', "empty", "2.0 kB"),
        *("/srv/serve", "[&quot;--port&quot;, &quot;8080&quot;]", "10001", "8080/tcp"),
        *("/data", "SIGQUIT", "EMPTY", "com.example.team", "platform", "1.2.3"),
        *("linux/amd64", pushed.digest, "Nothing attached", "cosign sign"),
    ):
        assert text in flat(page), text


def test_layers_are_shown_when_the_history_does_not_fit(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    alice.push(f"{api}:v1", rich(layers=3))
    page = browse("carol").get(f"/{api}:v1").text
    assert 'id="layer-3"' in page
    assert "make install" not in page


def test_each_platform_has_its_own_address(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    one, two = image(config=config("amd64")), image(config=config("arm64"))
    attested = image(
        config=b"{}",
        layer_type="application/vnd.in-toto+json",
    )
    body = index(one, two).body
    body["manifests"].append(
        attested.descriptor(
            platform={"os": "unknown", "architecture": "unknown"},
            annotations={
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": two.digest,
            },
        )
    )
    both = Image(
        json.dumps(body).encode(), index().media_type, (), (one, two, attested)
    )
    alice.push(f"{api}:v1", both)
    page = browse("carol").get(f"/{api}:v1").text
    assert f'href="/{api}:v1?platform=linux/arm64"' in page
    assert "unknown" not in page
    assert "Attestation" not in page
    assert one.digest in page
    arm = browse("carol").get(f"/{api}:v1?platform=linux/arm64").text
    assert two.digest in arm
    assert "Attestation" in arm
    assert attested.digest in arm
    assert one.digest in browse("carol").get(f"/{api}:v1?platform=nonsense").text


def test_what_is_attached_is_told_by_its_kind(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    sbom = artifact(pushed, artifact_type="application/spdx+json")
    alice.push(api, sbom)
    old_style = image(layer_type="application/vnd.dev.cosign.simplesigning.v1+json")
    alice.push(f"{api}:{pushed.digest.replace(':', '-')}.sig", old_style)
    page = browse("carol").get(f"/{api}:v1").text
    assert "SBOM" in page
    assert "Signature" in page
    assert f"/{api}@{sbom.digest}" in page
    subject = browse("carol").get(f"/{api}@{sbom.digest}").text
    assert f"/{api}@{pushed.digest}" in subject


def test_a_manifest_is_had_as_it_is(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    page = browse("carol").get(f"/{api}@{pushed.digest}")
    assert title_of(page) == f"{api}@{pushed.digest} · Berth"
    assert f"/{api}:v1" in page.text
    raw = browse("carol").get(f"/{api}/-/manifests/{pushed.digest}")
    assert raw.content == pushed.payload
    assert raw.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize("rest", [":absent", f"@{ABSENT}", f"/-/manifests/{ABSENT}"])
def test_what_is_not_there_is_not_found(
    browse: Browse, api: str, alice: RegistryClient, rest: str
) -> None:
    alice.push(f"{api}:v1", image())
    assert browse("alice").get(f"/{api}{rest}").status_code == 404


def test_a_tag_goes_back_to_what_it_was(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    old, new = image(), image()
    alice.push(f"{api}:v1", old)
    alice.push(f"{api}:v1", new)
    client = browse("bob")
    page = client.get(f"/{api}:v1")
    assert page.text.count("Go back to this") == 1
    assert "Go back to this" not in browse("carol").get(f"/{api}:v1").text
    fields = {"name": "v1", "digest": old.digest}
    done = client.post(f"/{api}/-/tags/put", fields, page)
    assert done.headers["Location"] == f"/{api}:v1"
    assert alice.pull(f"{api}:v1").digest == old.digest
    absent = client.post(f"/{api}/-/tags/put", {"name": "v1", "digest": ABSENT}, page)
    assert absent.status_code == 404


def test_another_tag_is_added_and_a_bad_name_refused(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    client = browse("bob")
    page = client.get(f"/{api}:v1")
    fields = {"name": "stable", "digest": pushed.digest}
    assert client.post(f"/{api}/-/tags/put", fields, page).status_code == 302
    assert alice.pull(f"{api}:stable").digest == pushed.digest
    refused = client.post(f"/{api}/-/tags/put", {**fields, "name": "-x"}, page)
    assert refused.status_code == 422
    assert "One thing to fix" in refused.text
    assert "first is no dot or dash" in refused.text


def test_rights_for_some_tags_count_here(browse: Browse, cast: Cast) -> None:
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    make.grant(repository, cast.carol, "write", tags="dev-*")
    manifest = repository.manifests.create(
        digest=ABSENT,
        media_type="application/x+json",
        payload=b'{"schemaVersion": 2}',
        size_bytes=2,
    )
    repository.tags.create(name="prod", manifest=manifest, moved_at=manifest.pushed_at)
    client, path = browse("carol"), repository.get_absolute_url()
    page = client.get(f"{path}:prod")
    put = f"{path}/-/tags/put"
    fields = {"digest": ABSENT}
    assert client.post(put, {**fields, "name": "dev-1"}, page).status_code == 302
    refused = client.post(put, {**fields, "name": "prod"}, page)
    assert refused.status_code == 403
    assert "<b>" in refused.text or "dev-*" in refused.text
    gone = client.post(f"{path}/-/manifests/{ABSENT}/delete", {}, page)
    assert gone.headers["Location"] == f"{path}@{ABSENT}"
    assert Repository.objects.get(pk=repository.pk).manifests.count() == 1
    repository.delete()  # fsck_registry would not pass it


def test_a_manifest_is_deleted_with_its_tags(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    client = browse("bob")
    page = client.get(f"/{api}@{pushed.digest}")
    done = client.post(f"/{api}/-/manifests/{pushed.digest}/delete", {}, page)
    assert done.headers["Location"] == f"/{api}/-/tags"
    assert alice.get(f"/v2/{api}/manifests/v1").status_code == 404
    assert alice.get(f"/v2/{api}/manifests/{pushed.digest}").status_code == 404


def test_an_index_whose_images_are_gone_still_has_its_page(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    one = image()
    alice.push(f"{api}:v1", index(one))
    alice.delete(f"/v2/{api}/manifests/{one.digest}")
    assert (
        "None of this index\u2019s images are stored here"
        in browse("carol").get(f"/{api}:v1").text
    )
    assert "not here" in browse("carol").get(f"/{api}/-/tags").text
