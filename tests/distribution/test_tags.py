"""Listing tags: sorted by bytes, by pages, and only ever tags (§7)."""

import pytest
from django.utils import timezone

from repositories.models import Manifest, Repository, Tag, TagMove
from tests import images
from tests.registry_client import RegistryClient, error_codes, next_link

# In byte order, which no locale has: digits, upper case, underscore, lower case.
NAMES = ["0", "1.10", "1.9", "V1", "Z", "_x", "a", "a-b", "a.b", "a_b", "ab", "z"]


def make_tags(repository: Repository, names: list[str]) -> None:
    """Make many tags at once, all on one manifest, with the history that they have."""
    manifest = Manifest.objects.filter(repository=repository)[0]
    now = timezone.now()
    Tag.objects.bulk_create(
        Tag(repository=repository, name=name, manifest=manifest, moved_at=now)
        for name in names
    )
    TagMove.objects.bulk_create(
        TagMove(repository=repository, name=name, digest=manifest.digest, moved_at=now)
        for name in names
    )


@pytest.fixture
def tagged(bob: RegistryClient, private_api: Repository) -> str:
    """The path of the tags of a repository that has all of NAMES."""
    bob.push(private_api.full_name, images.image())
    make_tags(private_api, NAMES[::-1])
    return f"/v2/{private_api.full_name}/tags/list"


def test_all_tags_in_byte_order(bob: RegistryClient, tagged: str, api: str) -> None:
    """TAG-1, TAG-2, TAG-3, D-7, R-46."""
    response = bob.get(tagged)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.json() == {"name": api, "tags": NAMES}
    assert sorted(NAMES, key=str.encode) == NAMES
    assert "Link" not in response.headers


@pytest.mark.parametrize("size", [1, 2, 5, 11, 12, 13, 1000, 10**9, 10**30])
def test_pages_of_every_size_make_the_whole(
    bob: RegistryClient, tagged: str, size: int
) -> None:
    """TAG-3, TAG-4, R-28: fewer than asked for only at the end."""
    found: list[str] = []
    path: str | None = f"{tagged}?n={size}"
    while path is not None:
        response = bob.get(path)
        page = response.json()["tags"]
        found += page
        path = next_link(response)
        assert len(page) == size or path is None
    assert found == NAMES


@pytest.mark.parametrize("n", ["", "&n=3"])
@pytest.mark.parametrize(
    ("last", "following"),
    [
        ("", NAMES),
        ("a", NAMES[7:]),
        ("a-c", NAMES[8:]),  # no such tag, and yet a place in the order
        ("0", NAMES[1:]),
        ("z", []),
        ("zzz", []),
        ("%00", NAMES),
        ("~" * 500, []),
        ("%C3%A4", []),
        ("%27%20OR%201=1", NAMES),
    ],
)
def test_last_is_where_the_page_begins(
    bob: RegistryClient, tagged: str, n: str, last: str, following: list[str]
) -> None:
    """TAG-3, R-28: exclusive, with n and without, though the tag be gone."""
    response = bob.get(f"{tagged}?last={last}{n}")
    assert response.status_code == 200
    assert response.json()["tags"] == (following[:3] if n else following)
    assert (next_link(response) is not None) == (n != "" and len(following) > 3)


def test_n_of_zero_is_an_empty_page(bob: RegistryClient, tagged: str) -> None:
    """TAG-3, R-44: without Link, or a client would go round in a circle."""
    response = bob.get(f"{tagged}?n=0")
    assert response.json()["tags"] == []
    assert "Link" not in response.headers


@pytest.mark.parametrize("n", ["-1", "1.5", "x", "1e3", "%C2%B2", "0x10", "+5"])
def test_n_that_is_no_number_is_refused(
    bob: RegistryClient, tagged: str, n: str
) -> None:
    """TAG-3, E-2."""
    response = bob.get(f"{tagged}?n={n}")
    assert response.status_code == 400
    assert error_codes(response) == ["PAGINATION_NUMBER_INVALID"]


@pytest.mark.parametrize("query", ["", "?n=100000"])
def test_more_than_a_thousand_tags_are_paged(
    bob: RegistryClient, private_api: Repository, query: str
) -> None:
    """TAG-3, TAG-4: nobody's memory is filled, and nothing is lost."""
    bob.push(private_api.full_name, images.image())
    names = [f"v{n:05}" for n in range(1001)]
    make_tags(private_api, names)
    response = bob.get(f"/v2/{private_api.full_name}/tags/list{query}")
    assert response.json()["tags"] == names[:1000]
    link = next_link(response)
    assert link is not None
    assert bob.get(link).json()["tags"] == names[1000:]


def test_a_repository_without_tags_has_an_empty_list(
    bob: RegistryClient, api: str
) -> None:
    """TAG-5, TAG-1, R-27: never null, and not unknown when the last one has gone."""
    path = f"/v2/{api}/tags/list"
    assert bob.get(path).json() == {"name": api, "tags": []}
    digest = bob.push(f"{api}:v1", images.image())
    bob.push(f"{api}:v2", images.image())
    assert bob.delete(f"/v2/{api}/manifests/v2").status_code == 202
    assert bob.delete(f"/v2/{api}/manifests/{digest}").status_code == 202
    assert bob.get(path).json() == {"name": api, "tags": []}


def test_an_unknown_repository_is_told_to_be_so(alice: RegistryClient) -> None:
    """TAG-5."""
    response = alice.get(f"/v2/{alice.username}/absent/tags/list")
    assert response.status_code == 404
    assert error_codes(response) == ["NAME_UNKNOWN"]


def test_only_tags_are_listed(bob: RegistryClient, api: str) -> None:
    """TAG-1, R-12, R-46: no digests, and none twice."""
    image = images.image()
    bob.push(api, image)
    bob.push(f"{api}:v1", images.index(image))
    bob.push(f"{api}:v1", images.image())
    assert bob.tags(api) == ["v1"]


def test_tags_of_others_are_not_listed(
    bob: RegistryClient, api: str, other: str
) -> None:
    """TAG-1."""
    bob.push(f"{other}:elsewhere", images.image())
    assert bob.tags(api) == []
