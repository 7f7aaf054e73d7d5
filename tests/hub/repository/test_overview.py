"""The first page of a repository."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.actors import ANONYMOUS
from repositories.lifecycle import describe_repository
from repositories.models import DailyPulls, Repository
from tests.conftest import Cast
from tests.hub.repository.conftest import Browse
from tests.images import image
from tests.pages import title_of
from tests.registry_client import RegistryClient

LABELS = {
    "org.opencontainers.image.source": "https://git.example.com/acme/api",
    "org.opencontainers.image.url": "javascript:alert(1)",
    "org.opencontainers.image.licenses": "Apache-2.0",
}
CONFIG = json.dumps(
    {"os": "linux", "architecture": "s390x", "config": {"Labels": LABELS}}
).encode()
HTMX = {"HX-Request": "true"}


def test_it_says_how_to_pull(
    browse: Browse, api: str, alice: RegistryClient, registry: object
) -> None:
    alice.push(f"{api}:v1", image())
    alice.push(f"{api}:v2", image())
    host = alice.url.removeprefix("http://")
    page = browse("carol").get(f"/{api}")
    assert title_of(page) == f"{api} · Berth"
    assert f'data-copy="docker pull {host}/{api}:v2"' in page.text
    podman = browse("carol").get(f"/{api}?client=podman&tag=v1")
    assert f'data-copy="podman pull {host}/{api}:v1"' in podman.text
    dockerfile = browse("carol").get(f"/{api}?client=Dockerfile&tag=nonsense")
    assert f'data-copy="FROM {host}/{api}:v2"' in dockerfile.text


def test_the_latest_tag_is_pulled_if_there_is_one(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    alice.push(f"{api}:latest", image())
    alice.push(f"{api}:v2", image())
    assert f"/{api}:latest&quot;" not in browse("carol").get(f"/{api}").text
    assert f"{api}:latest</code>" in browse("carol").get(f"/{api}").text


def test_it_shows_readme_labels_platforms_and_pulls(
    browse: Browse, private_api: Repository, alice: RegistryClient
) -> None:
    describe_repository(
        repository=private_api, actor=ANONYMOUS, readme="# Hello\n\n**there**"
    )
    alice.push(f"{private_api.full_name}:v1", image(config=CONFIG))
    DailyPulls.objects.create(
        repository=private_api, day=timezone.now().date(), pull_count=1234
    )
    page = browse("carol").get(private_api.get_absolute_url()).text
    assert '<h2 id="readme-hello" dir="auto">Hello</h2>' in page
    assert "<strong>there</strong>" in page
    assert "linux/s390x" in page
    assert "Apache-2.0" in page
    assert 'href="https://git.example.com/acme/api" rel="nofollow noopener ugc"' in page
    assert "javascript:alert" not in page
    assert '<data value="1234"' in page
    assert "<polyline" in page
    assert "1,234 pulls in 30 days, at most 1,234 on one day" in page


@pytest.mark.parametrize(
    ("before", "lately", "said"),
    [
        (100, 108, "8% more than in the previous 30 days"),
        (100, 50, "50% fewer than in the previous 30 days"),
        (100, 100, None),
        (0, 100, None),
    ],
)
def test_it_compares_with_the_days_before(
    browse: Browse,
    private_api: Repository,
    alice: RegistryClient,
    before: int,
    lately: int,
    said: str | None,
) -> None:
    alice.push(f"{private_api.full_name}:v1", image())
    today = timezone.now().date()
    DailyPulls.objects.bulk_create(
        DailyPulls(
            repository=private_api,
            day=today - timedelta(days=ago),
            pull_count=lately if ago < 30 else before,
        )
        for ago in range(60)
    )
    page = browse("carol").get(private_api.get_absolute_url()).text
    assert (said in page) if said else ("previous 30 days" not in page)


def test_a_repository_without_readme_asks_who_may_write_one(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    alice.push(f"{api}:v1", image())
    assert "Write a README" in browse("alice").get(f"/{api}").text
    assert "Write a README" not in browse("bob").get(f"/{api}").text


def test_an_empty_repository_says_how_to_push(browse: Browse, api: str) -> None:
    page = browse("bob").get(f"/{api}")
    assert title_of(page) == f"{api}: first push · Berth"
    for command in ("docker login ", "docker tag ", "docker push "):
        assert f'data-copy="{command}' in page.text
    assert "docker push" not in browse("carol").get(f"/{api}").text


def test_the_first_push_turns_it_into_the_list_of_tags(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    client = browse("bob")
    waiting = client.get(f"/{api}?waiting", headers=HTMX)
    assert (waiting.status_code, waiting.content) == (204, b"")
    alice.push(f"{api}:v1", image())
    there = client.get(f"/{api}?waiting", headers=HTMX)
    assert there.headers["HX-Redirect"] == f"/{api}/-/tags"


@pytest.mark.parametrize("who", ["alice", "carol"])
def test_a_repository_whose_tags_are_all_gone_says_so(
    browse: Browse, cast: Cast, api: str, alice: RegistryClient, who: str
) -> None:
    alice.push(f"{api}:v1", image())
    alice.delete(f"/v2/{api}/manifests/v1")
    assert "No tags. Push one to see it here." in browse(who).get(f"/{api}").text
