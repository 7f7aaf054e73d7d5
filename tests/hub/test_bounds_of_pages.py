"""What an image contains is as long as its pusher likes; pages and answers are not."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from hub.drawing.cutting import CHARACTERS_MAX, cut, cut_pairs, cut_text
from hub.repository import image_view
from repositories.manifests import _add_to_indexes
from repositories.models import Repository, Tag
from repositories.models.manifests import LISTED_PLATFORMS_MAX_BYTES
from tests import images
from tests.api.conftest import session_headers
from tests.conftest import Cast
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

PAGE_MAX_BYTES = 2 * 1024 * 1024
LONG = "\N{GRINNING FACE}<&\"'" * 200  # 1,000 characters, most of them an entity
MANY = 100


def huge_config() -> bytes:
    texts = {f"{number}{LONG[:500]}": LONG for number in range(MANY)}
    return json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "author": LONG,
            "config": {
                "Labels": texts,
                "Env": [f"E{number}={LONG}" for number in range(MANY)],
                "ExposedPorts": {f"{number}/tcp": {} for number in range(MANY)},
                "Volumes": {f"/{number}{LONG[:200]}": {} for number in range(MANY)},
                "Cmd": [LONG[:500]] * 20,
            },
            "history": [
                {"created_by": LONG, "empty_layer": number > 0}
                for number in range(MANY)
            ],
        },
        ensure_ascii=False,
    ).encode()


@pytest.fixture
def huge(alice: RegistryClient, private_api: Repository) -> Repository:
    """Push an image and an index that are as long as they can be."""
    name = private_api.full_name
    annotations = {f"org.example.{number}": LONG for number in range(200)}
    image = images.image(
        *[b"the same layer"] * 300, config=huge_config(), annotations=annotations
    )
    alice.push(f"{name}:image", image)
    child = images.image()
    entries = [
        child.descriptor(platform={"os": f"{number}\N{GRINNING FACE}<&" * 9})
        for number in range(2000)
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI_INDEX, "manifests": entries}
    payload = json.dumps(body, ensure_ascii=False).encode()
    index = images.Image(payload, images.OCI_INDEX, (), (child,))
    for number in range(12):
        alice.push(f"{name}:index-{number}", index)
    return private_api


def test_a_page_is_no_larger_than_it_has_room_for(
    registry: BerthServer, http: httpx.Client, cast: Cast, huge: Repository
) -> None:
    """The rest is counted, and one link away (kind 2)."""
    headers = session_headers(cast.alice)
    name = huge.full_name
    for path in (
        *(f"/{name}", f"/{name}:image", f"/{name}:index-0", f"/{name}/-/tags"),
        *(f"/{name}/-/activity", f"/{name}:index-0?platform=none", "/"),
        f"/{name}/-/tags?sort=size",
    ):
        page = http.get(f"{registry.url}{path}", headers=headers)
        assert page.status_code == 200
        assert len(page.content) < PAGE_MAX_BYTES, path
    for path, more in ((":index-0", 1900), ("/-/tags", 1990)):
        page = http.get(f"{registry.url}/{name}{path}", headers=headers)
        text = page.text.replace(",", "")
        assert f"and {more} more" in text


def test_an_answer_of_the_api_is_no_larger(
    api_of_alice: Callable[[str], Any], huge: Repository
) -> None:
    answer = api_of_alice(f"/repositories/{huge.full_name}/tags?page_size=200")
    # As few bytes for each tag that a page of 200 is within the bound.
    assert len(answer.content) < PAGE_MAX_BYTES / 200 * len(answer.json()["results"])
    [*tags] = [tag for tag in answer.json()["results"] if tag["name"] == "index-0"]
    listed = tags[0]["platforms"]
    assert listed
    assert len(json.dumps(listed)) < 1.1 * LISTED_PLATFORMS_MAX_BYTES
    assert len(listed) + tags[0]["more_platform_count"] == 2000


@pytest.fixture
def api_of_alice(
    registry: BerthServer, http: httpx.Client, cast: Cast
) -> Callable[[str], Any]:
    secret = cast.secrets[cast.alice.username]
    headers = {"Authorization": f"Bearer {secret}"}
    return lambda path: http.get(f"{registry.url}/api/v1{path}", headers=headers)


def test_the_list_of_tags_reads_a_bounded_number_of_rows(huge: Repository) -> None:
    """Of an index of 2,000 entries it reads the first hundred."""
    tags = list(Tag.objects.with_content().filter(repository=huge).order_by("name"))
    with CaptureQueriesContext(connection) as queries:
        shown = image_view.describe_tags(huge, tags)
    assert len(queries) <= 2
    read = sum(len(tag.manifest.references.all()) for tag in tags)
    assert read <= 13 * 101
    index = next(row for row in shown if row.tag.name == "index-0")
    assert len(index.images) + index.more_images == 2000
    assert index.tag.content_bytes > 0


def test_a_list_is_cut_by_number_and_by_text() -> None:
    assert cut(range(150)).rows == list(range(100))
    assert cut(range(150)).more == 50
    texts = cut_pairs([("name", LONG)] * 300)
    assert sum(len(name) + len(value) for name, value in texts.rows) <= CHARACTERS_MAX
    assert texts.count == 300
    assert cut_text("a" * 5000).endswith("…") and len(cut_text("a" * 5000)) == 1000


def test_what_comes_and_goes_is_counted_in_its_index(
    alice: RegistryClient, private_api: Repository
) -> None:
    """An index is as large as its images that are here."""
    name = private_api.full_name
    first, second = images.image(), images.image()
    alice.push(f"{name}:index", images.index(first, second))

    def size() -> int:
        return Tag.objects.with_content().get(repository=private_api).content_bytes

    def own(image: images.Image) -> int:
        return private_api.manifests.get(digest=image.digest).blob_bytes

    both = size()
    assert both == own(first) + own(second) > 0
    assert alice.delete(f"/v2/{name}/manifests/{first.digest}").status_code == 202
    assert size() == own(second) < both
    alice.push(f"{name}@{first.digest}", first)
    assert size() == both


def test_an_image_of_no_index_updates_no_index(
    alice: RegistryClient, private_api: Repository
) -> None:
    """Most pushes are of such images, so they only ask."""
    image = images.image()
    alice.push(f"{private_api.full_name}:alone", image)
    manifest = private_api.manifests.get(digest=image.digest)
    with CaptureQueriesContext(connection) as queries:
        _add_to_indexes(manifest, 1000)
    assert [query["sql"].split()[0] for query in queries] == ["SELECT"]
