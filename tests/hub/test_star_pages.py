"""Stars on pages: everybody sees how many, and one's own are found again."""

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.utils import timezone

from repositories import stars
from repositories.models import DailyPulls, Repository
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient
from tests.servers import BerthServer


@pytest.fixture
def nobody(registry: BerthServer) -> Iterator[PageClient]:
    with PageClient(registry.url) as client:
        yield client


@pytest.fixture
def daves(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, cast.dave) as client:
        yield client


def test_everybody_sees_the_stars_and_is_led_to_the_sign_in(
    nobody: PageClient, cast: Cast, public_api: Repository
) -> None:
    for user in (cast.bob, cast.carol):
        stars.star(repository=public_api, user=user)
    for rest in ("", "/-/tags", "/-/tags?q=v&sort=name"):
        path = f"/{public_api.full_name}{rest}"
        text = nobody.get(path).text
        assert '<data value="2" title="2 stars">2</data>' in text
        assert f"sign in to star {public_api.full_name}" in text
        link = f"/accounts/login/?next={quote(path, safe='')}"
        assert f'<a class="btn btn-sm" href="{link}">' in text
        assert "/-/star" not in text


@pytest.mark.parametrize(("number", "said"), [(1, ""), (2, "s")])
def test_one_is_not_many(
    nobody: PageClient,
    daves: PageClient,
    public_api: Repository,
    number: int,
    said: str,
) -> None:
    now = timezone.now()
    Repository.objects.filter(pk=public_api.pk).update(
        star_count=number, pull_count=number, pushed_at=now
    )
    DailyPulls.objects.create(
        repository=public_api, day=now.date(), pull_count=number, client="docker"
    )
    here, space = f"/{public_api.full_name}", f"/{public_api.namespace.name}"
    stars_of = f'<data value="{number}" title="{number} star{said}">{number}</data>'
    pulls_of = f'<data value="{number}" title="{number} pull{said}">{number}</data>'
    for reader in (nobody, daves):
        assert stars_of in reader.get(here).text
        found = reader.get(f"/search?q={public_api.name}").text
        assert stars_of in found
        assert f"<b>{pulls_of}</b> pull{said}</span>" in found
        row = reader.get(f"{space}?q={public_api.name}").text
        assert f'{stars_of}<span class="visually-hidden"> star{said}</span>' in row
        assert f"<b>{pulls_of}</b> pull{said}</span>" in row
    overview = nobody.get(here).text
    assert pulls_of in overview
    assert f"{number} pull{said} in 30 days, at most {number} on one day" in overview


def test_ones_own_stars_are_in_the_menu(
    registry: BerthServer, public_api: Repository
) -> None:
    fan = make.user("fan")
    stars.star(repository=public_api, user=fan)
    with PageClient(registry.url, fan) as fans:
        home = fans.get("/").text
        link = re.search(r'<a href="([^"]*)"><svg[^\n]*</svg> Your stars</a>', home)
        assert link
        assert public_api.full_name in fans.get(link[1]).text
