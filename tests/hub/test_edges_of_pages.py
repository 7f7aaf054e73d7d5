"""Numbers of pages, pasted image names and dates: one answer everywhere."""

from datetime import UTC, datetime

import httpx
import pytest

from hub.kit.pages import Pages
from repositories.models import Repository
from repositories.oci.image_config import parse_image_config
from tests.servers import BerthServer
from webhooks.targets import TargetInvalid, parse_target


@pytest.mark.parametrize("number", ["0", "-1", "", "x", "\u0661", "1e3", "00", None])
def test_a_page_that_is_no_page_is_the_first(number: str | None) -> None:
    """Not the last one, which is as far away as can be (D19)."""
    assert Pages(range(100), 10).get_page(number).number == 1


@pytest.mark.parametrize("number", ["3", "03", "10", "99", "9" * 5000])
def test_a_page_beyond_the_last_is_the_last(number: str) -> None:
    found = Pages(range(100), 10).get_page(number).number
    assert found == (3 if number in {"3", "03"} else 10)


def test_a_pasted_image_name_is_found_by_page_api_and_docker(
    registry: BerthServer, http: httpx.Client, public_api: Repository
) -> None:
    """With the registry's host in front, as docker pull takes it (D19)."""
    host = registry.url.partition("://")[2]
    name = public_api.full_name
    for text in (f"{host}/{name}", f"docker pull {host}/{name}"):
        asked = {"q": text}
        page = http.get(f"{registry.url}/search", params=asked)
        found = http.get(f"{registry.url}/api/v1/search", params=asked).json()
        docker = http.get(f"{registry.url}/v1/search", params=asked).json()
        assert f'href="/{name}"' in page.text
        assert [row["name"] for row in found["results"]] == [public_api.name]
        assert [row["name"] for row in docker["results"]] == [name]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("1970-01-01T00:00:00Z", None),  # reproducible builds
        ("1980-01-01T00:00:01Z", None),  # buildpacks
        ("0001-01-01T00:00:00Z", None),
        ("2026-11-29T10:00:00Z", datetime(2026, 11, 29, 10, tzinfo=UTC)),
        ("2028-02-29T23:59:59Z", datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)),
        ("2038-01-19T03:14:08Z", datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC)),
    ],
)
def test_a_time_that_stands_for_none_is_left_out(
    written: str, read: datetime | None
) -> None:
    """An image of yesterday is not 56 years old (D19, K3)."""
    config = parse_image_config(f'{{"created": "{written}"}}'.encode())
    assert config is not None
    assert config.created_at == read


@pytest.mark.parametrize(
    "url",
    [
        *("http://xn--/", "http://xn--a/", "https://xn--zzzzzz\u0661/", "http://[::1/"),
        *("http://\u2488/", "http://a..b/", "http://" + "a" * 64 + "." * 3, "http://"),
        *("http://-\u00ad/", "http://[v1.x]/", "http://\ud800/"),
    ],
)
def test_a_host_that_is_none_is_refused_in_words(url: str) -> None:
    """Hosts are decoded, and some cannot be (D19)."""
    try:
        _, host = parse_target(url)
    except TargetInvalid as error:
        assert str(error)
    else:  # what DNS would refuse later
        assert host
