"""Stars: one for each user and repository, counted exactly (L6)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from repositories import stars
from repositories.models import Repository, SearchEntry, Star
from tests import make
from tests.api.conftest import ApiClient, api_of  # noqa: F401
from tests.conftest import Cast


def star_count(repository: Repository) -> tuple[int, int, int]:
    """Return what the repository says, what the search says, and what there is."""
    return (
        Repository.objects.get(pk=repository.pk).star_count,
        SearchEntry.objects.get(pk=repository.pk).star_count,
        Star.objects.filter(repository=repository).count(),
    )


def test_a_star_counts_once(database: None, cast: Cast, public_api: Repository) -> None:
    for _ in range(2):
        assert stars.star(repository=public_api, user=cast.dave) == 1
    assert stars.star(repository=public_api, user=cast.bob) == 2
    assert star_count(public_api) == (2, 2, 2)
    for _ in range(2):
        assert stars.unstar(repository=public_api, user=cast.dave) == 1
    assert star_count(public_api) == (1, 1, 1)


def test_stars_at_the_same_moment_are_all_counted(
    database: None, public_api: Repository
) -> None:
    people = [make.user("fan") for _ in range(6)]

    def change(place: int) -> None:
        person = people[place % len(people)]
        try:
            stars.star(repository=public_api, user=person)
            if place % 3 == 0:
                stars.unstar(repository=public_api, user=person)
                stars.star(repository=public_api, user=person)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(change, range(24)))
    assert len(set(star_count(public_api))) == 1
    assert star_count(public_api)[0] == len(people)


@pytest.mark.parametrize(
    ("who", "status"),
    [("alice", 200), ("carol", 200), ("dave", 404), ("robby", 403), ("anonymous", 401)],
)
def test_who_may_star_through_the_api(
    api_of: Callable[[str], ApiClient],  # noqa: F811
    private_api: Repository,
    who: str,
    status: int,
) -> None:
    client = api_of(who)
    path = f"/repositories/{private_api.full_name}/star"
    response = client.put(path)
    assert response.status_code == status
    if status == 200:
        assert response.json() == {"starred": True, "star_count": 1}
        mine = [r["full_name"] for r in client.everything("/user/stars")]
        assert private_api.full_name in mine
        assert client.delete(path).json() == {"starred": False, "star_count": 0}
    assert star_count(private_api) == (0, 0, 0)


def test_a_star_on_what_one_may_no_longer_see_is_not_listed(
    api_of: Callable[[str], ApiClient],  # noqa: F811
    cast: Cast,
    private_api: Repository,
) -> None:
    stars.star(repository=private_api, user=cast.dave)
    mine = api_of("dave").everything("/user/stars")
    assert private_api.full_name not in [r["full_name"] for r in mine]


def test_a_token_that_reads_does_not_star(
    api_of: Callable[[str], ApiClient],  # noqa: F811
    cast: Cast,
    public_api: Repository,
) -> None:
    client = api_of(make.access_token(cast.dave, "read"))
    assert client.put(f"/repositories/{public_api.full_name}/star").status_code == 403
