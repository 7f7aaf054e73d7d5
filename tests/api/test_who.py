"""Who can do it here, over the API (…/who)."""

from collections.abc import Callable

import pytest

from repositories.models import Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast

Api = Callable[[str], ApiClient]


def test_the_api_lists_who_can_push_and_why(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    path = f"/repositories/{private_api.full_name}"
    answer = api_of("alice").get(f"{path}/who?action=push").json()
    assert answer["next"] is None
    assert answer["anyone"] is False
    found = {row["who"]: row for row in answer["results"]}
    assert set(found) == {
        cast.alice.username,
        cast.bob.username,
        cast.robby.username,
    }
    assert found[cast.robby.username]["kind"] == "robot"
    assert found[cast.bob.username]["kind"] == "user"
    assert f"team *{cast.backend.name}*" in found[cast.bob.username]["reason"]
    for who, row in found.items():
        quoted = who.replace("+", "%2B")
        one = api_of("alice").get(f"{path}/access?who={quoted}&action=push").json()
        assert one == {"allowed": True, "reason": row["reason"]}


def test_a_tag_narrows_the_list(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    make.grant(private_api, cast.dave, "write", tags="release-*")
    path = f"/repositories/{private_api.full_name}/who?action=push"

    def who(query: str) -> set[str]:
        return {r["who"] for r in api_of("alice").get(path + query).json()["results"]}

    assert cast.dave.username in who("")
    assert cast.dave.username in who("&tag=release-1")
    assert cast.dave.username not in who("&tag=main")


def test_of_a_public_repository_it_says_that_anyone_pulls(
    api_of: Api, cast: Cast, public_api: Repository
) -> None:
    path = f"/repositories/{public_api.full_name}/who"
    pull = api_of("alice").get(f"{path}?action=pull").json()
    assert pull["anyone"] is True
    assert cast.carol.username in [row["who"] for row in pull["results"]]
    assert api_of("alice").get(f"{path}?action=push").json()["anyone"] is False


def test_a_long_list_has_pages(api_of: Api, private_api: Repository) -> None:
    for _ in range(5):
        make.grant(private_api, make.user("p"), "write")
    path = f"/repositories/{private_api.full_name}/who?action=push"
    whole = [row["who"] for row in api_of("alice").everything(path)]
    assert len(whole) == 8
    first = api_of("alice").get(f"{path}&page_size=3").json()
    assert len(first["results"]) == 3
    paged = api_of("alice").everything(f"{path}&page_size=3")
    assert [row["who"] for row in paged] == whole == sorted(whole)


@pytest.mark.parametrize(
    "query", ["", "?action=fly", "?action=push&page_size=0", "?action=push&tag=%00"]
)
def test_a_question_that_is_none_is_refused(
    api_of: Api, private_api: Repository, query: str
) -> None:
    path = f"/repositories/{private_api.full_name}/who{query}"
    assert api_of("alice").get(path).status_code == 400
