"""The list of tags: find, sort, delete, bring back."""

import html
import re
from urllib.parse import urljoin

import httpx
import pytest

from repositories.models import Manifest, Repository, Tag
from tests import make
from tests.conftest import Cast
from tests.distribution.test_tags import make_tags as make_tag_rows
from tests.hub.repository.conftest import Browse
from tests.images import OCI_INDEX, artifact, digest_of, image, index
from tests.pages import PageClient
from tests.registry_client import RegistryClient

NOTHING = b'{"schemaVersion": 2, "manifests": []}'
HTMX = {"HX-Request": "true"}


def make_tags(repository: Repository, names: list[str]) -> None:
    """Make tags, all on one manifest, of nothing."""
    Manifest.objects.create(
        repository=repository,
        digest=digest_of(NOTHING),
        media_type=OCI_INDEX,
        payload=NOTHING,
        size_bytes=len(NOTHING),
    )
    make_tag_rows(repository, names)


def names(page: httpx.Response) -> list[str]:
    """Return the tags of a list, in its order."""
    return re.findall(r'<article class="tag panel" aria-label="([^"]*)"', page.text)


def test_a_tag_says_what_is_in_it(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    one, two = image(), image()
    both = index(one, two)
    alice.push(f"{api}:both", both)
    alice.push(f"{api}:same", both)
    alice.push(api, artifact(one, artifact_type="application/vnd.x.signature.v1"))
    alice.push(api, artifact(both, artifact_type="application/spdx+json"))
    alice.get(f"/v2/{api}/manifests/both")
    page = browse("carol").get(f"/{api}/-/tags")
    assert names(page) == ["same", "both"]
    for word in ("linux/amd64", "linux/arm64", one.digest, two.digest, "SBOM"):
        assert page.text.count(word) >= 2, word
    assert page.text.count("Signature") >= 2
    assert f'<a href="/{api}:same"><code>same</code></a>' in page.text
    size = sum(map(len, one.blobs))
    assert f'<data value="{size}">' in page.text
    assert "Select both" not in page.text
    assert "Select both" in browse("bob").get(f"/{api}/-/tags").text


def test_tags_are_filtered_and_sorted(browse: Browse, private_api: Repository) -> None:
    make_tags(private_api, ["1.9", "1.10", "latest", "1.10-rc1", "1.2_x", "V1.1"])
    client, path = browse("carol"), f"{private_api.get_absolute_url()}/-/tags"
    assert names(client.get(f"{path}?sort=name&q=1.1")) == ["1.10", "1.10-rc1", "V1.1"]
    versions = ["1.10", "1.10-rc1", "1.9", "1.2_x", "V1.1", "latest"]
    assert names(client.get(f"{path}?sort=version")) == versions
    assert set(names(client.get(f"{path}?sort=nonsense&page=zero"))) == set(versions)
    assert names(client.get(f"{path}?q=%25")) == []
    assert "No tag matches" in client.get(f"{path}?q=none").text
    for sort in ("pushed", "pulled", "size"):
        assert len(names(client.get(f"{path}?sort={sort}"))) == 6


@pytest.mark.parametrize("sort", ["pushed", "version", "size", "pulled", "name"])
def test_pages_show_every_tag_once(
    browse: Browse, private_api: Repository, sort: str
) -> None:
    made = [f"v{number}" for number in range(60)]
    make_tags(private_api, made)
    client = browse("carol")
    seen: list[str] = []
    address: str | None = f"{private_api.get_absolute_url()}/-/tags?sort={sort}"
    for _ in range(3):
        assert address is not None, f"{len(seen)} tags, and no next page"
        page = client.get(address)
        seen += names(page)
        following = re.search(r'href="([^"]+)"\s+rel="next"', page.text)
        address = following and urljoin(address, html.unescape(following[1]))
    assert address is None, "there is nothing after the third page"
    assert sorted(seen) == sorted(made)


def test_tags_of_signatures_are_shown_when_asked_for(
    browse: Browse, private_api: Repository
) -> None:
    signature = f"sha256-{'ab' * 32}.sig"
    make_tags(private_api, ["v1", signature])
    path = f"{private_api.get_absolute_url()}/-/tags"
    assert names(browse("carol").get(path)) == ["v1"]
    assert set(names(browse("carol").get(f"{path}?attached=on"))) == {"v1", signature}


def test_a_deleted_tag_leaves_a_strip_that_brings_it_back(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    pushed = image()
    alice.push(f"{api}:v1", pushed)
    alice.push(f"{api}:v2", image())
    client, path = browse("bob"), f"/{api}/-/tags"
    back = {"back": "q=v&sort=name&deleted=x&evil=1"}
    page = client.get(path)
    done = client.post(f"{path}/delete", {"only": "v1", **back}, page)
    assert done.headers["Location"] == f"{path}?q=v&sort=name&deleted=v1"
    assert alice.get(f"/v2/{api}/manifests/v1").status_code == 404
    after = client.get(done.headers["Location"])
    assert names(after) == ["v2"]
    assert '<b class="mono">v1</b> deleted' in after.text
    undone = client.post(f"{path}/restore", {"only": "v1"}, after)
    assert undone.status_code == 302
    assert names(client.get(path)) == ["v2", "v1"], "it is as old as it was"
    assert alice.pull(f"{api}:v1").digest == pushed.digest
    again = client.post(f"{path}/restore", {"only": "v1"}, client.get(path))
    assert "there is a tag" in client.get(again.headers["Location"]).text


def test_many_are_deleted_at_once(browse: Browse, private_api: Repository) -> None:
    make_tags(private_api, ["v1", "v2", "v3"])
    client, path = browse("bob"), f"{private_api.get_absolute_url()}/-/tags"
    chosen = {"tag": ["v1", "v3", "absent", "-", "v1"]}
    done = client.post(f"{path}/delete", chosen, client.get(path))
    assert done.headers["Location"] == f"{path}?deleted=v1&deleted=v3"
    assert names(client.get(path)) == ["v2"]


def test_what_may_not_be_deleted_stays_and_it_is_said(
    browse: Browse, cast: Cast
) -> None:
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    make.grant(repository, cast.carol, "write", tags="dev-*")
    make_tags(repository, ["dev-1", "prod"])
    client, path = browse("carol"), f"{repository.get_absolute_url()}/-/tags"
    page = client.get(path)
    done = client.post(f"{path}/delete", {"tag": ["dev-1", "prod"]}, page)
    after = client.get(done.headers["Location"])
    assert names(after) == ["prod"]
    assert "only for tags like" in after.text
    refused = client.post(f"{path}/delete", {"only": "prod"}, page)
    assert refused.status_code == 403
    assert Tag.objects.filter(repository=repository, name="prod").exists()


def test_what_happens_to_tags_is_told_without_a_reload(
    browse: Browse, api: str, alice: RegistryClient, cast: Cast
) -> None:
    """Also what comes from another page, or by the API."""
    first = image()
    alice.push(f"{api}:v1", first)
    client, deleter = browse("carol"), browse("bob")
    page = client.get(f"/{api}/-/tags?q=v")
    for change, expected in (
        (lambda: alice.push(f"{api}:v2", image()), ["v2", "v1"]),
        (lambda: delete_by_page(deleter, api, "v2"), ["v1"]),
        (lambda: alice.delete(f"/v2/{api}/manifests/v1"), []),
    ):
        match = re.search(r'hx-get="([^"]*since=[^"]*)" hx-trigger="every', page.text)
        assert match
        ask = match[1].replace("&amp;", "&")
        assert client.get(ask, headers=HTMX).status_code == 204
        change()
        page = client.get(ask, headers=HTMX)
        assert page.status_code == 200
        assert names(page) == expected


def delete_by_page(client: PageClient, api: str, tag: str) -> None:
    path = f"/{api}/-/tags"
    done = client.post(f"{path}/delete", {"only": tag}, client.get(path))
    assert done.status_code == 302, done.text


def restorable(page: httpx.Response) -> list[str]:
    """Return what the block at the end of the page offers to bring back."""
    _list, _heading, block = page.text.partition('id="h-deleted"')
    return re.findall(r'name="only" value="([^"]*)"', block)


def test_a_deletion_can_still_be_undone_after_it_was_told(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    lost = image()
    alice.push(f"{api}:lost", lost)
    for tag in ("v1", "v2", "again"):
        alice.push(f"{api}:{tag}", image())
    for tag in ("v1", "again", "v2"):
        alice.delete(f"/v2/{api}/manifests/{tag}")
    alice.push(f"{api}:again", image())
    alice.delete(f"/v2/{api}/manifests/{lost.digest}")
    client, path = browse("bob"), f"/{api}/-/tags"
    page = client.get(path)
    assert restorable(page) == ["v2", "v1"]
    assert restorable(client.get(f"{path}?q=1")) == ["v1"]
    assert restorable(client.get(f"{path}?deleted=v2")) == ["v1"], "v2 has its strip"
    done = client.post(f"{path}/restore", {"only": "v1"}, page)
    assert done.headers["Location"] == f"{path}?restored=v1"
    assert restorable(client.get(path)) == ["v2"]
    assert "Deleted tags" not in browse("carol").get(path).text


def test_a_tag_that_one_may_not_push_is_not_offered(
    browse: Browse, cast: Cast, alice: RegistryClient
) -> None:
    repository = make.repository(cast.acme.namespace, make.unique("api"))
    make.grant(repository, cast.carol, "write", tags="dev-*")
    for tag in ("dev-1", "prod"):
        alice.push(f"{repository.full_name}:{tag}", image())
        alice.delete(f"/v2/{repository.full_name}/manifests/{tag}")
    path = f"{repository.get_absolute_url()}/-/tags"
    assert restorable(browse("carol").get(path)) == ["dev-1"]
    assert restorable(browse("alice").get(path)) == ["prod", "dev-1"]


def test_the_strip_stays_while_others_push_and_while_one_filters(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    for tag in ("v1", "v2", "v3"):
        alice.push(f"{api}:{tag}", image())
    client, path = browse("bob"), f"/{api}/-/tags"
    page = client.get(path)
    done = client.post(f"{path}/delete", {"tag": ["v1", "v2"]}, page)
    after = client.get(done.headers["Location"])
    for name in ("v1", "v2"):
        assert f'<input type="hidden" name="deleted" value="{name}">' in after.text
    alice.push(f"{api}:v4", image())
    match = re.search(r'hx-get="([^"]*since=[^"]*)" hx-trigger="every', after.text)
    assert match
    told = client.get(match[1].replace("&amp;", "&"), headers=HTMX)
    assert names(told) == ["v4", "v3"]
    assert "2 tags deleted." in told.text
    one = {"only": "v1", "tag": ["v1", "v2"]}
    undone = client.post(f"{path}/restore", one, after)
    assert undone.headers["Location"] == f"{path}?deleted=v2&restored=v1"
    assert (
        '<b class="mono">v2</b> deleted' in client.get(undone.headers["Location"]).text
    )


def test_one_undo_restores_all_tags_of_one_deletion(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    """A deletion of many tags has one strip and one Undo, at any length (F3)."""
    pushed = image()
    tags = [f"{'long-' * 18}{number:02}" for number in range(25)]
    for tag in tags:
        alice.push(f"{api}:{tag}", pushed)
    client, path = browse("bob"), f"/{api}/-/tags"
    page = client.get(f"{path}?sort=name")
    fields = {"tag": tags, "back": "sort=name"}
    done = client.post(f"{path}/delete", fields, page)
    after = client.get(done.headers["Location"])
    assert names(after) == []
    assert after.text.count("data-undo") == 1
    assert "25 tags deleted." in after.text
    # The form of the strip, as a browser sends it.
    form = after.text.partition('id="restore"')[2].partition("</form>")[0]
    assert re.findall(r'name="tag" value="([^"]*)"', form) == tags
    (kept,) = re.findall(r'name="back" value="([^"]*)"', form)
    fields = {"tag": tags, "back": kept.replace("&amp;", "&")}
    undone = client.post(f"{path}/restore", fields, after)
    again = client.get(undone.headers["Location"])
    assert names(again) == tags
    assert "25 tags restored." in again.text
    assert "data-undo" not in again.text
