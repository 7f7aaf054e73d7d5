"""A new repository on its page (/new)."""

from collections.abc import Iterator

import pytest

from accounts.models import Namespace
from repositories.models import Event, Repository
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, title_of
from tests.servers import BerthServer


@pytest.fixture
def alice(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, cast.alice) as client:
        yield client


def fields(namespace: Namespace, **more: str) -> dict[str, str]:
    return {"namespace": namespace.name, "visibility": "private", **more}


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_a_repository_is_made(alice: PageClient, cast: Cast, visibility: str) -> None:
    name = make.unique("ledger")
    done = alice.post(
        "/new",
        fields(
            cast.acme.namespace,
            name=f"{name}/web",
            visibility=visibility,
            description="Books <b>",
        ),
    )
    full_name = f"{cast.acme.namespace.name}/{name}/web"
    assert done.status_code == 302
    assert done.headers["Location"] == f"/{full_name}"
    repository = Repository.objects.get(
        namespace=cast.acme.namespace, name=f"{name}/web"
    )
    assert repository.visibility == visibility
    assert repository.description == "Books <b>"
    assert Event.objects.filter(
        repository=repository.pk, kind=Event.Kind.REPOSITORY_CREATED
    ).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""},
        {"name": "Has Capitals"},
        {"name": "trailing-"},
        {"name": "a" * 260},
        {"name": "taken"},
        {"namespace": "library"},
        {"namespace": "nobody-at-all"},
        {"visibility": "secret"},
        {"description": "x" * 201},
    ],
)
def test_what_cannot_be_is_refused(
    alice: PageClient, cast: Cast, wrong: dict[str, str]
) -> None:
    if wrong.get("name") == "taken":
        wrong = {"name": make.repository(cast.acme.namespace, make.unique("api")).name}
    before = Repository.objects.count()
    sent = fields(cast.acme.namespace, name=make.unique("free")) | wrong
    done = alice.post("/new", sent)
    assert done.status_code == 422
    assert title_of(done) == "Error: New repository · Berth"
    assert Repository.objects.count() == before


def test_nobody_makes_one_where_they_may_not(registry: BerthServer, cast: Cast) -> None:
    with PageClient(registry.url, cast.dave) as dave:
        page = dave.get("/new")
        assert cast.acme.namespace.name not in page.text
        sent = fields(cast.acme.namespace, name=make.unique("mine"))
        assert dave.post("/new", sent, page).status_code == 422


def test_the_page_is_filled_in_by_its_address(alice: PageClient, cast: Cast) -> None:
    page = alice.get(f"/new?namespace={cast.acme.namespace.name}&name=ledger")
    assert f'value="{cast.acme.namespace.name}" selected' in page.text
    assert 'value="ledger"' in page.text


def test_a_name_is_checked_while_it_is_typed(alice: PageClient, cast: Cast) -> None:
    taken = make.repository(cast.acme.namespace, make.unique("api")).name
    for name, says in ((taken, "There is a repository"), ("free-name", "is available")):
        answer = alice.get(
            "/new/check", params={"namespace": cast.acme.namespace.name, "name": name}
        )
        assert answer.status_code == 200
        assert says in answer.text
        assert f"{cast.acme.namespace.name}/{name}" in answer.text
    canary = "<script>alert(1)</script>"
    answer = alice.get("/new/check", params={"namespace": canary, "name": canary})
    assert canary not in answer.text
