"""The deleted repositories of a namespace: list, restore, another name, purge."""

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from django.conf import settings
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.authentication import actor_of
from accounts.models import Organization
from repositories.lifecycle import delete_repository
from repositories.models import Event, Repository
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient, count_queries, flat
from tests.servers import BerthServer


@pytest.fixture
def guild(cast: Cast) -> Organization:
    return make.organization(owner=cast.alice, name="guild")


@pytest.fixture
def alice(registry: BerthServer, cast: Cast) -> Iterator[PageClient]:
    with PageClient(registry.url, cast.alice) as client:
        yield client


def deleted_in(guild: Organization, cast: Cast, name: str = "api") -> Repository:
    repository = make.repository(guild.namespace, name)
    delete_repository(repository=repository, actor=actor_of(cast.alice))
    return repository


def list_of(guild: Organization) -> str:
    return f"/{guild.namespace.name}/-/deleted"


def restore(client: PageClient, page: httpx.Response, **fields: object) -> str:
    namespace, _, name = str(fields.pop("full_name")).partition("/")
    path = f"/{namespace}/{name}/-/restore"
    answer = client.post(path, {"name": name, **fields}, page)
    assert answer.status_code == 302, answer.text
    return answer.headers["Location"]


def test_the_page_of_the_namespace_leads_to_what_was_deleted(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    home = f"/{guild.namespace.name}"
    assert "Deleted repositories" not in alice.get(home).text
    repository = deleted_in(guild, cast)
    assert f'<a href="{home}/-/deleted">Deleted repositories (1)</a>' in (
        flat(alice.get(home))
    )
    page = alice.get(list_of(guild))
    assert f"Deleted by {cast.alice.username}" in page.text
    assert "can be restored until" in page.text
    location = restore(
        alice, page, full_name=repository.full_name, repository=repository.pk
    )
    assert alice.get(location).status_code == 200
    assert "Nothing was deleted" in alice.get(list_of(guild)).text


def test_one_whose_name_is_taken_comes_back_under_another(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    repository = deleted_in(guild, cast)
    taker = make.repository(guild.namespace, "api")
    page = alice.get(list_of(guild))
    assert "Its name is taken" in page.text
    here = f"{list_of(guild)}/{repository.pk}"
    assert f'href="{here}"' in page.text
    form = alice.get(here)
    assert "Another repository has its name now" in form.text
    assert 'value="api-restored"' in form.text
    path = f"/{repository.full_name}/-/restore"
    fields = {"repository": repository.pk, "name": "api"}
    assert alice.post(path, fields, form).status_code == 422
    done = alice.post(path, {**fields, "name": "api-restored"}, form)
    assert done.headers["Location"] == f"{taker.get_absolute_url()}-restored"
    assert alice.get(done.headers["Location"]).status_code == 200


def test_a_purge_is_asked_for_and_then_done(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    repository = deleted_in(guild, cast)
    path = f"{list_of(guild)}/{repository.pk}/purge"
    page = alice.get(path)
    assert f"Delete {repository.full_name} permanently?" in page.text
    assert Repository.objects.filter(pk=repository.pk).exists()
    assert alice.post(path, {}, page).headers["Location"] == list_of(guild)
    assert not Repository.objects.filter(pk=repository.pk).exists()
    event = Event.objects.get(
        kind="repository.purged", repository_name=repository.full_name
    )
    assert event.actor_name == cast.alice.username
    assert alice.get(path).status_code == 404


def test_nobody_else_learns_of_it(
    registry: BerthServer, cast: Cast, guild: Organization
) -> None:
    repository = deleted_in(guild, cast, "secret-project")
    make.grant(repository, cast.bob, "write")
    make.grant(repository, cast.carol, "admin")
    others = make.repository(cast.acme.namespace, make.unique("other"))
    delete_repository(repository=others, actor=SYSTEM)
    for user, sees in ((cast.bob, False), (cast.dave, False), (cast.carol, True)):
        with PageClient(registry.url, user) as client:
            home = client.get(f"/{guild.namespace.name}").text
            assert ("Deleted repositories" in home) is sees, user
            listed = client.get(list_of(guild)).text
            assert ("secret-project" in listed) is sees, user
            assert others.name not in listed
            for rest in ("", "/purge"):
                path = f"{list_of(guild)}/{repository.pk}{rest}"
                assert client.get(path).status_code == (200 if sees else 404), user
    with PageClient(registry.url, cast.alice) as client:
        for key in (others.pk, 10**30):
            for rest in ("", "/purge"):
                path = f"{list_of(guild)}/{key}{rest}"
                assert client.get(path).status_code == 404


def test_what_is_too_old_is_not_offered(
    alice: PageClient, cast: Cast, guild: Organization
) -> None:
    repository = deleted_in(guild, cast)
    over = timezone.now() - timedelta(days=settings.BERTH_RESTORE_DAYS + 1)
    Repository.objects.filter(pk=repository.pk).update(deleted_at=over)
    assert "Nothing was deleted" in alice.get(list_of(guild)).text
    assert alice.get(f"{list_of(guild)}/{repository.pk}").status_code == 404


def test_twenty_rows_ask_no_more_than_ten(cast: Cast, guild: Organization) -> None:
    counts = []
    for _round in range(2):
        for _row in range(10):
            deleted_in(guild, cast, make.unique("gone"))
        counts.append(count_queries(list_of(guild), cast.alice))
    assert counts[0] == counts[1] <= 12
