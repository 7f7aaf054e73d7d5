"""How often a page of a repository asks the database."""

import itertools
import json

from repositories.models import Repository
from tests import make
from tests.conftest import Cast
from tests.images import artifact, image, index
from tests.pages import count_queries
from tests.registry_client import RegistryClient

MOST = 13  # one of them only where the bell may have something to count
MORE = 3  # pushes of each kind between two counts; no list is cut as early as that
_serial = itertools.count()


def add_content(
    client: RegistryClient, cast: Cast, repository: Repository, count: int
) -> None:
    name = repository.full_name
    for _ in range(count):
        number = next(_serial)
        one = image(
            config=json.dumps(
                {"os": "linux", "architecture": "arm64", "n": number}
            ).encode()
        )
        both = index(one, image())
        client.push(f"{name}:v{number}", both)
        client.push(f"{name}:also{number}", both)
        client.push(name, artifact(one))
        make.grant(repository, make.user(), "read")
        client.push(f"{name}:moving", one)


PATHS = (
    *("", ":moving", "/-/tags", "/-/tags?sort=version", "/-/tags?sort=size"),
    *("/-/tags?q=v&deleted=moving", "/-/activity", "/-/access", "/-/settings"),
    *("/-/access?who={bob}&action=push", "/-/access?who=&action=push"),
    "/-/settings/readme",
)


def test_longer_pages_ask_no_more(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    home = private_api.get_absolute_url()
    counts = []
    for _ in range(2):
        add_content(alice, cast, private_api, MORE)
        counts.append(
            {
                rest: count_queries(
                    home + rest.format(bob=cast.bob.username), cast.alice
                )
                for rest in PATHS
            }
        )
    assert counts[0] == counts[1]
    assert max(counts[0].values()) <= MOST


def test_an_index_asks_no_more_than_an_image(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    counts = []
    for images in (2, 20):
        many = index(*(image() for _ in range(images)))
        alice.push(f"{private_api.full_name}:many", many)
        path = f"{private_api.get_absolute_url()}:many"
        counts.append(count_queries(path, cast.alice))
    assert counts[0] == counts[1] <= MOST
