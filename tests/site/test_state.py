"""The page of the site's state: what it counts, and how often it asks."""

import re

from accounts.models import Organization, Robot, User
from distribution.models import Upload
from repositories.models import Manifest, Repository, Tag
from tests import make
from tests.conftest import Cast
from tests.images import image
from tests.pages import PageClient, count_queries
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

STATE = "/-/admin/site/"


def root() -> User:
    person: User = make.user("root", is_superuser=True, is_staff=True)
    return person


def test_it_counts_what_is_there(
    registry: BerthServer, cast: Cast, alice: RegistryClient, private_api: Repository
) -> None:
    alice.push(f"{private_api.full_name}:v1", image())
    with PageClient(registry.url, root()) as client:
        text = re.sub(r"<[^>]*>", "", client.get(STATE).text)
    for title, rows in (
        ("Organizations", Organization.objects.count()),
        ("Robots", Robot.objects.count()),
        ("Tags", Tag.objects.count()),
        ("Manifests", Manifest.objects.count()),
        ("Uploads going on", Upload.objects.count()),
    ):
        assert re.search(rf"{title}\s+{rows:,}\s", text), title


def test_it_asks_no_more_than_other_pages(cast: Cast) -> None:
    assert count_queries(STATE, root()) <= 12
