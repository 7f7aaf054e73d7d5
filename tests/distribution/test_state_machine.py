"""Any sequence of pushes and deletions: what is visible is what a plain dict says.

Hypothesis makes up the steps against the live server. After each step the tags are
listed, and one thing after another is pulled, byte for byte.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import images, make
from tests.conftest import Cast
from tests.faults.oracle import assert_sound
from tests.images import Image, digest_of, some_bytes
from tests.programs import is_ci
from tests.registry_client import RegistryClient, error_codes
from tests.servers import BerthServer

TAGS = ("v1", "v1.0", "latest", "V1")
HERE, THERE = 0, 1


@dataclass
class Shelf:
    """What one repository must show."""

    name: str
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, Image] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def put(self, image: Image) -> None:
        self.manifests[image.digest] = image

    def needed_blobs(self) -> set[str]:
        return {
            digest_of(blob) for image in self.manifests.values() for blob in image.blobs
        }

    def referrers_of(self, digest: str) -> list[str]:
        return sorted(
            image.digest
            for image in self.manifests.values()
            if image.body.get("subject", {}).get("digest") == digest
        )


class RegistryMachine(RuleBasedStateMachine):
    """Two repositories of one client, and the model of both."""

    client: ClassVar[RegistryClient]
    cast: ClassVar[Cast]

    contents = Bundle("contents")
    made = Bundle("made")
    where = st.sampled_from([HERE, THERE])
    tag = st.sampled_from(TAGS)

    def __init__(self) -> None:
        super().__init__()
        namespace = self.cast.acme.namespace
        self.shelves = [
            Shelf(make.repository(namespace, make.unique("shelf")).full_name)
            for _ in (HERE, THERE)
        ]

    # --- blobs

    @rule(target=contents, size_bytes=st.sampled_from([0, 1, 100, 70_000]))
    def think_of_a_blob(self, size_bytes: int) -> bytes:
        return some_bytes(size_bytes)

    @rule(where=where, content=contents)
    def push_blob(self, where: int, content: bytes) -> None:
        shelf = self.shelves[where]
        self.client.push_blob(shelf.name, content)
        shelf.blobs[digest_of(content)] = content

    @rule(source=where, content=contents)
    def mount_blob(self, source: int, content: bytes) -> None:
        """Mount from one repository into the other; what is not there is uploaded."""
        origin, target = self.shelves[source], self.shelves[1 - source]
        digest = digest_of(content)
        token = self.client.token(
            f"repository:{target.name}:pull,push", f"repository:{origin.name}:pull"
        )
        response = self.client.post(
            f"/v2/{target.name}/blobs/uploads/?mount={digest}&from={origin.name}",
            token=token,
        )
        if digest in origin.blobs or digest in target.blobs:
            assert response.status_code == 201
            target.blobs[digest] = content
        else:
            assert response.status_code == 202

    @rule(where=where, content=contents)
    def delete_blob(self, where: int, content: bytes) -> None:
        shelf, digest = self.shelves[where], digest_of(content)
        response = self.client.delete(f"/v2/{shelf.name}/blobs/{digest}")
        if digest not in shelf.blobs:
            assert response.status_code == 404
        elif digest in shelf.needed_blobs():
            assert response.status_code == 405  # D-10
        else:
            assert response.status_code == 202
            del shelf.blobs[digest]

    # --- manifests

    @rule(target=made, layers=st.lists(contents, min_size=1, max_size=3))
    def build_image(self, layers: list[bytes]) -> Image:
        return images.image(*layers)

    @rule(target=made, children=st.lists(made, max_size=3))
    def build_index(self, children: list[Image]) -> Image:
        return images.index(*children)

    @rule(target=made, subject=made)
    def build_referrer(self, subject: Image) -> Image:
        return images.artifact(subject)

    @rule(where=where, image=made, tag=st.none() | tag)
    def push_whole(self, where: int, image: Image, tag: str | None) -> None:
        shelf = self.shelves[where]
        self._push(shelf, image)
        if tag is not None:
            self.client.push(f"{shelf.name}:{tag}", image)
            shelf.tags[tag] = image.digest

    def _push(self, shelf: Shelf, image: Image) -> None:
        for child in image.children:
            self._push(shelf, child)
        self.client.push(shelf.name, image)
        shelf.blobs |= {digest_of(blob): blob for blob in image.blobs}
        shelf.put(image)

    @rule(where=where, image=made, tag=tag)
    def push_manifest_only(self, where: int, image: Image, tag: str) -> None:
        """A manifest whose blobs are not there is refused and changes nothing."""
        shelf = self.shelves[where]
        response = self.client.put_manifest(shelf.name, tag, image)
        missing = {digest_of(blob) for blob in image.blobs} - set(shelf.blobs)
        if missing:
            assert response.status_code == 400
            assert set(error_codes(response)) == {"MANIFEST_BLOB_UNKNOWN"}
            assert len(error_codes(response)) == len(missing)
        else:
            assert response.status_code == 201
            shelf.put(image)
            shelf.tags[tag] = image.digest

    @rule(where=where, tag=tag)
    def delete_tag(self, where: int, tag: str) -> None:
        shelf = self.shelves[where]
        response = self.client.delete(f"/v2/{shelf.name}/manifests/{tag}")
        assert response.status_code == (202 if tag in shelf.tags else 404)
        shelf.tags.pop(tag, None)

    @rule(where=where, image=made)
    def delete_manifest(self, where: int, image: Image) -> None:
        shelf = self.shelves[where]
        response = self.client.delete(f"/v2/{shelf.name}/manifests/{image.digest}")
        known = shelf.manifests.pop(image.digest, None)
        assert response.status_code == (202 if known else 404)
        shelf.tags = {t: d for t, d in shelf.tags.items() if d != image.digest}

    # --- what is visible

    @rule(where=where, content=contents)
    def pull_blob(self, where: int, content: bytes) -> None:
        """I2: HEAD and GET agree, and with the model."""
        shelf, digest = self.shelves[where], digest_of(content)
        path = f"/v2/{shelf.name}/blobs/{digest}"
        head, whole = self.client.head(path), self.client.get(path)
        expected = 200 if digest in shelf.blobs else 404
        assert (head.status_code, whole.status_code) == (expected, expected)
        if expected == 200:
            assert whole.content == content
            assert head.headers["Content-Length"] == str(len(content))

    @rule(where=where, image=made)
    def pull_manifest(self, where: int, image: Image) -> None:
        shelf = self.shelves[where]
        path = f"/v2/{shelf.name}/manifests/{image.digest}"
        response = self.client.get(path)
        if image.digest in shelf.manifests:
            assert response.status_code == 200
            assert response.content == image.payload
        else:
            assert response.status_code == 404

    @rule(where=where, tag=tag)
    def pull_tag(self, where: int, tag: str) -> None:
        shelf = self.shelves[where]
        response = self.client.get(f"/v2/{shelf.name}/manifests/{tag}")
        if tag in shelf.tags:
            assert response.status_code == 200
            assert response.content == shelf.manifests[shelf.tags[tag]].payload
        else:
            assert response.status_code == 404

    @rule(where=where, image=made)
    def list_referrers(self, where: int, image: Image) -> None:
        shelf = self.shelves[where]
        found = self.client.referrers(shelf.name, image.digest)
        digests = sorted(descriptor["digest"] for descriptor in found)
        assert digests == shelf.referrers_of(image.digest)

    @precondition(lambda self: any(shelf.tags for shelf in self.shelves))
    @rule(where=where, n=st.integers(1, 5), last=tag)
    def list_tags_in_pages(self, where: int, n: int, last: str) -> None:
        shelf = self.shelves[where]
        response = self.client.get(f"/v2/{shelf.name}/tags/list?n={n}&last={last}")
        expected = sorted(name for name in shelf.tags if name > last)[:n]
        assert response.json()["tags"] == expected

    @invariant()
    def tags_are_listed_in_byte_order(self) -> None:
        for shelf in self.shelves:
            assert self.client.tags(shelf.name) == sorted(shelf.tags)


@pytest.mark.usefixtures("database")
def test_what_is_visible_is_what_was_pushed_and_not_deleted(
    alice: RegistryClient, cast: Cast, registry: BerthServer
) -> None:
    """I2, I3, I4, I16."""
    RegistryMachine.client, RegistryMachine.cast = alice, cast
    run_state_machine_as_test(
        RegistryMachine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            derandomize=is_ci(),
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert_sound(registry)
