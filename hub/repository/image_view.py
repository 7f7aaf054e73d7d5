"""The content of tags and manifests, as pages show it.

A page names many images and asks the database a fixed number of times: everything is
fetched for all of them at once. Nothing here asks who may see it.
"""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, Window
from django.db.models.functions import RowNumber

from hub.drawing.charts import HUES, Segment, bar_segments
from hub.drawing.cutting import Cut, cut, cut_pairs, cut_text, cut_texts
from hub.drawing.sources import SourceFiles, source_files
from repositories.models import (
    ImageConfig,
    Manifest,
    ManifestReference,
    Repository,
    Tag,
    TagMove,
)
from repositories.oci.annotations import About, about, annotations_of
from repositories.oci.artifacts import (
    ArtifactKind,
    cosign_tags,
    kind_of,
    read_artifacts,
)
from repositories.oci.documents import (
    Descriptor,
    ReferenceKind,
    find_attestations,
    is_platform,
    read_manifest,
)
from repositories.oci.history import Layer, Step, steps_of
from repositories.oci.image_config import is_build_time

ALSO_SHOWN = 5  # other names of the same image
IMAGES_LISTED = 10  # of an index, in a list of tags
IMAGES_SHOWN = 100  # on its own page
STEPS_SHOWN = 200
ATTACHMENTS_SHOWN = 50
KINDS_SHOWN = 5  # of one attachment
ATTACHED_LOOKED_AT = 2000  # kinds of attachments of all images in a list
READ_MAX_BYTES = 64 * 1024  # of an attachment whose layers say more than its type
MOVES_SHOWN = 20
ANNOTATED_MAX_BYTES = 256 * 1024  # of a manifest that is read for its annotations


@dataclass(frozen=True, slots=True)
class ShownImage:
    """One image of a tag, or of an index."""

    digest: str
    platform: str
    size_bytes: int
    is_here: bool = True


@dataclass(frozen=True, slots=True)
class ShownTag:
    """A tag with all that its block in a list says."""

    tag: Tag
    images: list[ShownImage]
    more_images: int
    also: list[str]  # other tags of the same manifest
    more_also: int
    attached: list[ArtifactKind]


def describe_tags(repository: Repository, tags: Sequence[Tag]) -> list[ShownTag]:
    """Return what a list says of tags that came ``with_content``. Two queries."""
    children, attached = _children_and_attached(
        repository,
        children={
            reference.digest
            for tag in tags
            if tag.manifest.is_index
            for reference in _first_references(tag)
        },
        others={tag.manifest.digest for tag in tags},
    )
    named = _names_by_manifest(repository, {tag.manifest_id for tag in tags})
    images = {tag.pk: _images_of(tag, children) for tag in tags}
    described = []
    for tag in tags:
        first_names, name_count = named.get(tag.manifest_id, ([], 1))
        names = [name for name in first_names if name != tag.name]
        kinds = set(attached[tag.manifest.digest])
        for image in images[tag.pk]:
            kinds |= attached[image.digest]
        described.append(
            ShownTag(
                tag=tag,
                images=images[tag.pk],
                more_images=max(0, tag.manifest.reference_count - IMAGES_LISTED)
                if tag.manifest.is_index
                else 0,
                also=names[:ALSO_SHOWN],
                more_also=max(0, name_count - 1 - ALSO_SHOWN),
                attached=[kind for kind in ArtifactKind if kind in kinds],
            )
        )
    return described


def _images_of(tag: Tag, children: dict[str, Manifest]) -> list[ShownImage]:
    manifest = tag.manifest
    if not manifest.is_index:
        platform = manifest.image_config.platform if manifest.image_config else ""
        return [ShownImage(manifest.digest, platform, tag.content_bytes)]
    return list(_entries(_first_references(tag), children))


def _first_references(tag: Tag) -> list[ManifestReference]:
    references = tag.manifest.references.all()
    return sorted(references, key=lambda row: row.position)[:IMAGES_LISTED]


def _entries(
    references: Iterable[ManifestReference | Descriptor],
    children: dict[str, Manifest],
) -> Iterable[ShownImage]:
    """Yield the images of an index, without the attestations of BuildKit."""
    for reference in references:
        platform = reference.platform
        child = children.get(str(reference.digest))
        if platform and not is_platform(platform):
            continue
        if not platform and child is not None and child.image_config is not None:
            platform = child.image_config.platform
        yield ShownImage(
            digest=str(reference.digest),
            platform=platform,
            size_bytes=child.content_bytes if child is not None else 0,
            is_here=child is not None,
        )


def _children_of(
    repository: Repository, digests: Collection[str]
) -> dict[str, Manifest]:
    found = Manifest.objects.with_content().filter(
        repository=repository, digest__in=digests
    )
    return {manifest.digest: manifest for manifest in found}


def _names_by_manifest(
    repository: Repository, manifest_ids: Collection[int]
) -> dict[int, tuple[list[str], int]]:
    """Return the first names of each manifest, and how many it has. One query.

    One name more than a list shows: the tag that the others are named beside is one.
    """
    found: dict[int, tuple[list[str], int]] = {}
    named = (
        Tag.objects.filter(repository=repository, manifest__in=manifest_ids)
        .annotate(
            place=Window(RowNumber(), partition_by="manifest", order_by="name"),
            count=Window(Count("pk"), partition_by="manifest"),
        )
        .filter(place__lte=ALSO_SHOWN + 1)
        .order_by("name")
    )
    for manifest_id, name, count in named.values_list("manifest_id", "name", "count"):
        found.setdefault(manifest_id, ([], count))[0].append(name)
    return found


def _children_and_attached(
    repository: Repository, *, children: Collection[str], others: Collection[str]
) -> tuple[dict[str, Manifest], dict[str, set[ArtifactKind]]]:
    """Return the children that are here, and what is attached to them and to others.

    One query. Of thousands of attachments of one kind to an image it reads one.
    """
    found: dict[str, Manifest] = {}
    kinds: dict[str, set[ArtifactKind]] = defaultdict(set)
    about = {*children, *others}
    here = Manifest.objects.filter(repository=repository)
    attached = here.filter(subject_digest__in=about).order_by()
    by_kind = attached.values("subject_digest", "artifact_type")
    one_of_each = by_kind.annotate(first=Min("pk")).values("first")[:ATTACHED_LOOKED_AT]
    for row in here.with_content().filter(
        Q(digest__in=children) | Q(pk__in=one_of_each)
    ):
        if row.digest in children:
            found[row.digest] = row
        if row.subject_digest in about:
            kinds[row.subject_digest].add(kind_of(row.artifact_type))
    return found, kinds


# --- one image


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A line of the history; a step that made a layer has a part of the bar."""

    step: Step
    segment: Segment | None = None
    hue: int = 0


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something that was attached to an image."""

    kind: ArtifactKind
    type: str
    digest: str
    size_bytes: int
    attached_at: datetime


@dataclass(frozen=True, slots=True)
class ShownManifest:
    """A manifest and, of an index, the one image that was asked for."""

    manifest: Manifest
    images: Cut[ShownImage]  # the platforms of an index
    image: Manifest | None  # whose layers and config are shown
    steps: Cut[ShownStep]
    layer_count: int
    size_bytes: int
    config: "ConfigFacts | None"
    labels: Cut[tuple[str, str]]
    about: About
    attachments: Cut[Attachment]
    annotations: Cut[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """The process that a container of the image starts."""

    platform: str
    created_at: datetime | None
    author: str
    entrypoint: str
    command: str
    user: str
    directory: str
    stop_signal: str
    ports: Cut[str]
    volumes: Cut[str]
    environment: Cut[tuple[str, str]]


def describe_manifest(
    repository: Repository, manifest: Manifest, platform: str
) -> ShownManifest:
    """Return what the page of a manifest says, for one platform of an index."""
    images: Cut[ShownImage] = Cut([])
    image: Manifest | None = manifest
    if manifest.is_index:
        every = _descriptors_of(manifest)
        entries = [
            entry
            for place, entry in enumerate(every)
            if place < IMAGES_SHOWN or platform in (entry.platform, str(entry.digest))
        ]
        children = _children_of(repository, {str(entry.digest) for entry in entries})
        shown = list(_entries(entries, children))
        images = Cut(shown[: IMAGES_SHOWN + 1], len(every) - len(entries))
        image = _chosen(shown, children, platform)
    config = image.image_config if image is not None else None
    layers = _layers_of(image) if image is not None else []
    labels = labels_of(config)
    annotations = annotations_of(bytes(manifest.payload))
    if image is not None and image.pk != manifest.pk:
        annotations |= annotations_of(bytes(image.payload))
    return ShownManifest(
        manifest=manifest,
        images=images,
        image=image,
        steps=cut(
            _shown_steps(layers, config),
            lambda shown: len(shown.step.text),
            most=STEPS_SHOWN,
        ),
        layer_count=len(layers),
        size_bytes=sum(layer.size_bytes for layer in layers),
        config=_config_facts(config),
        labels=cut_pairs(sorted(labels.items())),
        about=about(labels | annotations),
        attachments=_attachments(repository, manifest, image),
        annotations=cut_pairs(sorted(annotations.items())),
    )


def _descriptors_of(manifest: Manifest) -> tuple[Descriptor, ...]:
    return read_manifest(bytes(manifest.payload), manifest.media_type).descriptors


def _chosen(
    images: Iterable[ShownImage], children: dict[str, Manifest], platform: str
) -> Manifest | None:
    """Return the image of a platform, whole; else the first that is here."""
    here = [image for image in images if image.is_here]
    if not here:
        return None
    chosen = next(
        (image for image in here if platform in (image.platform, image.digest)), here[0]
    )
    return Manifest.objects.select_related("config").get(pk=children[chosen.digest].pk)


def _layers_of(image: Manifest) -> list[Layer]:
    layers = (ReferenceKind.LAYER, ReferenceKind.FOREIGN_LAYER)
    return [
        Layer(str(descriptor.digest), descriptor.size_bytes, descriptor.media_type)
        for descriptor in _descriptors_of(image)
        if descriptor.kind in layers
    ]


def _shown_steps(layers: list[Layer], config: ImageConfig | None) -> list[ShownStep]:
    history = config.document.get("history", []) if config is not None else []
    segments = iter(bar_segments([layer.size_bytes for layer in layers]))
    return [
        ShownStep(step, next(segments), (step.number - 1) % HUES + 1)
        if step.number is not None
        else ShownStep(step)
        for step in steps_of(layers, history)
    ]


def _settings_of(config: ImageConfig | None) -> dict[str, Any]:
    return config.document.get("config", {}) if config is not None else {}


def _config_facts(config: ImageConfig | None) -> ConfigFacts | None:
    if config is None:
        return None
    settings = _settings_of(config)
    return ConfigFacts(
        platform=config.platform,
        created_at=config.created_at
        if config.created_at and is_build_time(config.created_at)
        else None,
        author=cut_text(config.document.get("author", "")),
        entrypoint=cut_text(_command(settings.get("Entrypoint", []))),
        command=cut_text(_command(settings.get("Cmd", []))),
        user=cut_text(settings.get("User", "")),
        directory=cut_text(settings.get("WorkingDir", "")),
        stop_signal=cut_text(settings.get("StopSignal", "")),
        ports=cut_texts(settings.get("ExposedPorts", {})),
        volumes=cut_texts(settings.get("Volumes", {})),
        environment=cut_pairs(
            (name, value)
            for name, _, value in (
                line.partition("=") for line in settings.get("Env", [])
            )
        ),
    )


def _command(words: list[str]) -> str:
    """Write a command as a Dockerfile's exec form, one word as it is."""
    if len(words) == 1:
        return words[0]
    return json.dumps(words, ensure_ascii=False) if words else ""


def _attachments(
    repository: Repository, manifest: Manifest, image: Manifest | None
) -> Cut[Attachment]:
    """Return referrers, BuildKit's attestations and what cosign's tags point to."""
    subjects = {manifest.digest}
    attestations: list[str] = []
    if image is not None:
        subjects.add(image.digest)
        if manifest.is_index:
            found = find_attestations(bytes(manifest.payload))
            attestations = found.get(image.digest, [])
    tags = {name for digest in subjects for name in cosign_tags(digest)}
    rows = (
        Manifest.objects.filter(repository=repository)
        .filter(
            Q(subject_digest__in=subjects)
            | Q(digest__in=attestations)
            | Q(
                pk__in=Tag.objects.filter(repository=repository, name__in=tags).values(
                    "manifest"
                )
            )
        )
        .order_by("-pk")
    )
    newest = list(rows.defer("payload")[:ATTACHMENTS_SHOWN])
    small = [row.pk for row in newest if row.size_bytes <= READ_MAX_BYTES]
    payloads = dict(Manifest.objects.filter(pk__in=small).values_list("pk", "payload"))
    attached = [
        Attachment(
            artifact.kind,
            cut_text(artifact.type),
            row.digest,
            row.size_bytes,
            row.pushed_at,
        )
        for row in newest
        for artifact in read_artifacts(
            bytes(payloads.get(row.pk, b"{}")), row.artifact_type
        )[:KINDS_SHOWN]
    ]
    more = rows.count() - len(newest) if len(newest) == ATTACHMENTS_SHOWN else 0
    return Cut(attached, more)


# --- what became of a tag


@dataclass(frozen=True, slots=True)
class ShownMove:
    """A step in a tag's history; one that can be gone back to names its manifest."""

    move: TagMove
    is_current: bool
    is_restorable: bool


def describe_moves(
    repository: Repository, name: str, current_digest: str
) -> list[ShownMove]:
    """Return the newest steps of a tag, and which of them can be gone back to."""
    manifests = Manifest.objects.filter(
        repository=OuterRef("repository"), digest=OuterRef("digest")
    )
    moves = (
        TagMove.objects.filter(repository=repository, name=name)
        .annotate(is_here=Exists(manifests))  # type: ignore[no-redef]
        .order_by("-pk")[:MOVES_SHOWN]
    )
    seen_current = False
    shown = []
    for move in moves:
        is_current = move.digest == current_digest and not seen_current
        seen_current = seen_current or is_current
        restorable = move.is_here and move.digest != current_digest
        shown.append(ShownMove(move, is_current, restorable))
    return shown


def featured_config(repository: Repository, tag: Tag) -> ImageConfig | None:
    """Return the config of a tag that came ``with_content``, or of its first image."""
    digests = [tag.manifest.digest]
    digests += [reference.digest for reference in tag.manifest.references.all()]
    return (
        ImageConfig.objects.filter(
            manifest__repository=repository, manifest__digest__in=digests
        )
        .order_by("manifest")
        .first()
    )


def readme_source(
    tags: Sequence[Tag], config: ImageConfig | None
) -> SourceFiles | None:
    """Return where the files beside a README are, as the newest image declares it.

    By its config's labels, or else by the annotations of its manifest. At most one
    query.
    """
    declared = about(labels_of(config))
    if "source" not in declared.links and tags:
        newest = Manifest.objects.filter(
            pk=tags[0].manifest_id, size_bytes__lte=ANNOTATED_MAX_BYTES
        )
        payload = newest.values_list("payload", flat=True).first()
        declared = about(annotations_of(bytes(payload)) if payload else {})
    source = declared.links.get("source", "")
    return source_files(source, declared.facts.get("revision", ""))


def labels_of(config: ImageConfig | None) -> dict[str, str]:
    """Return an image's labels."""
    labels: dict[str, str] = _settings_of(config).get("Labels", {})
    return labels
