"""What is attached to an image goes by its name."""

import json
import re
from typing import Any

import pytest

from repositories.oci.artifacts import (
    ATTACHMENT_TAG_PATTERN,
    ArtifactKind,
    cosign_tags,
    kind_of,
    read_artifacts,
)

HEX = "ab" * 32


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("application/vnd.cncf.notary.signature", "signature"),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", "signature"),
        ("application/vnd.dev.cosign.simplesigning.v1+json", "signature"),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", "signature"),
        ("https://sigstore.dev/cosign/sign/v1", "other"),
        ("application/spdx+json", "sbom"),
        ("https://spdx.dev/Document", "sbom"),
        ("application/vnd.cyclonedx+json", "sbom"),
        ("https://slsa.dev/provenance/v1", "provenance"),
        ("application/vnd.in-toto+json", "attestation"),
        ("application/vnd.example+json", "other"),
        ("", "other"),
    ],
)
def test_a_type_stands_for_a_kind(type_: str, kind: str) -> None:
    assert kind_of(type_) == kind


def read(artifact_type: str = "", **body: Any) -> list[tuple[str, str]]:
    payload = json.dumps(body).encode()
    return [(a.kind.value, a.type) for a in read_artifacts(payload, artifact_type)]


def statement(predicate: str) -> dict[str, Any]:
    return {
        "mediaType": "application/vnd.in-toto+json",
        "annotations": {"in-toto.io/predicate-type": predicate},
    }


def test_buildkits_statements_go_by_their_predicates() -> None:
    slsa, spdx = "https://slsa.dev/provenance/v0.2", "https://spdx.dev/Document"
    layers = [statement(slsa), statement(spdx)]
    assert read(layers=layers) == [("provenance", slsa), ("sbom", spdx)]


def test_an_artifact_type_is_enough() -> None:
    layers = [{"mediaType": "application/octet-stream"}]
    found = read("application/spdx+json", layers=layers)
    assert found == [("sbom", "application/spdx+json")]
    assert read("application/x", layers=layers) == [("other", "application/x")]
    assert read("application/x") == [("other", "application/x")]


def test_a_bundle_says_what_it_is_about() -> None:
    bundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
    slsa = "https://slsa.dev/provenance/v1"
    annotations = {"dev.sigstore.bundle.predicateType": slsa}
    layers = [{"mediaType": bundle}]
    assert read(bundle, layers=layers) == [("signature", bundle)]
    found = read(bundle, layers=layers, annotations=annotations)
    assert found == [("provenance", slsa)]


@pytest.mark.parametrize("annotations", [None, [], {"predicateType": 3}])
def test_surprising_annotations_are_none(annotations: Any) -> None:
    layers = [{"mediaType": "application/x", "annotations": annotations}]
    assert read("application/y", layers=layers) == [("other", "application/y")]


def test_cosigns_tags() -> None:
    tags = cosign_tags(f"sha256:{HEX}")
    assert tags[f"sha256-{HEX}.sig"] is ArtifactKind.SIGNATURE
    for tag in (*tags, f"sha256-{HEX}"):
        assert re.search(ATTACHMENT_TAG_PATTERN, tag), tag
    for tag in ("v1", "sha256-abc.sig", f"sha256-{HEX}.exe", f"x-sha256-{HEX}.sig"):
        assert not re.search(ATTACHMENT_TAG_PATTERN, tag), tag
