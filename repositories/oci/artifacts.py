"""Recognizes attachments of images: signatures, SBOMs, provenance. Pure.

    referrers     a manifest that names the image as its subject; its artifact type or
                  its layers' media types say what it is (distribution-spec, referrers)
    BuildKit      an entry of the image's index, marked as attesting another entry; its
                  layers are in-toto statements that name their predicate
    cosign        before there were referrers, tags made of the image's digest:
                  sha256-<hex>.sig, .att and .sbom

Nothing is verified here: that something is attached says not that it is true.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

PREDICATE_ANNOTATIONS = (
    "in-toto.io/predicate-type",
    "predicateType",
    "dev.sigstore.bundle.predicateType",
)
IN_TOTO = "in-toto"


class ArtifactKind(StrEnum):
    """The kind of an artifact that is attached to an image."""

    SIGNATURE = "signature"
    SBOM = "sbom"
    PROVENANCE = "provenance"
    ATTESTATION = "attestation"  # a statement of another kind
    OTHER = "other"


# The first that is found in a media type or a predicate's type; lowercase.
_WORDS = (
    ("spdx", ArtifactKind.SBOM),
    ("cyclonedx", ArtifactKind.SBOM),
    ("sbom", ArtifactKind.SBOM),
    ("syft", ArtifactKind.SBOM),
    ("provenance", ArtifactKind.PROVENANCE),
    ("slsa", ArtifactKind.PROVENANCE),
    ("simplesigning", ArtifactKind.SIGNATURE),
    ("cosign.artifact.sig", ArtifactKind.SIGNATURE),
    ("notary.signature", ArtifactKind.SIGNATURE),
    ("signature", ArtifactKind.SIGNATURE),
    ("predicate/sign", ArtifactKind.SIGNATURE),  # cosign's, in a sigstore bundle
    (IN_TOTO, ArtifactKind.ATTESTATION),
    ("dsse", ArtifactKind.ATTESTATION),
    ("sigstore.bundle", ArtifactKind.SIGNATURE),
)
_COSIGN_SUFFIXES = {
    "sig": ArtifactKind.SIGNATURE,
    "att": ArtifactKind.ATTESTATION,
    "sbom": ArtifactKind.SBOM,
}
# Also for databases, which have fewer words for patterns.
ATTACHMENT_TAG_PATTERN = r"^sha(256|512)-[0-9a-f]{64,128}(\.(sig|att|sbom))?$"


@dataclass(frozen=True, slots=True)
class Artifact:
    """One thing that a manifest attaches: its kind, and the type it goes by."""

    kind: ArtifactKind
    type: str


def kind_of(*types: str) -> ArtifactKind:
    """Return the kind that media types or predicate types stand for."""
    for type_ in types:
        for word, kind in _WORDS:
            if word in type_.lower():
                return kind
    return ArtifactKind.OTHER


def read_artifacts(payload: bytes, artifact_type: str) -> list[Artifact]:
    """Return what a manifest that was taken before attaches; at least one thing.

    An in-toto statement goes by its predicate's type, as far as the manifest names it.
    """
    body = json.loads(payload)
    own = _predicate_of(body)
    found = []
    layers = body.get("layers")
    for layer in layers if isinstance(layers, list) else []:
        if not isinstance(layer, dict):
            continue  # of a manifest whose type is not known
        predicate = _predicate_of(layer) or own
        media_type = str(layer.get("mediaType", ""))
        kind = kind_of(predicate, media_type)
        if kind is not ArtifactKind.OTHER:
            found.append(Artifact(kind, predicate or media_type))
    kinds = {artifact.kind for artifact in found}
    if not found or kinds == {ArtifactKind.ATTESTATION}:
        kind = kind_of(own, artifact_type)
        if kind is not ArtifactKind.OTHER or not found:
            return [Artifact(kind, own or artifact_type)]
    return list(dict.fromkeys(found))


def cosign_tags(digest: str) -> dict[str, ArtifactKind]:
    """Return the tags under which cosign attaches to a digest, and what each means."""
    stem = digest.replace(":", "-")
    return {f"{stem}.{suffix}": kind for suffix, kind in _COSIGN_SUFFIXES.items()}


def _predicate_of(value: Any) -> str:
    annotations = value.get("annotations") if isinstance(value, dict) else None
    if not isinstance(annotations, dict):
        return ""
    named = (annotations.get(name) for name in PREDICATE_ANNOTATIONS)
    return next((text for text in named if isinstance(text, str) and text), "")
