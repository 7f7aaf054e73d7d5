"""Names that end like a path of the API: nothing acts on what was not named."""

from collections.abc import Callable
from uuid import UUID

import pytest
from django.urls import resolve
from drf_spectacular.generators import SchemaGenerator

from accounts.authentication import actor_of
from api.repositories.readings import RepositoryPathView
from api.repositories.urls import IN_REPOSITORY, exact_urlpatterns
from repositories.lifecycle import delete_repository, purge_repository
from repositories.models import Event, Repository, Star
from tests import make
from tests.api.conftest import ApiClient
from tests.api.test_routes import api_patterns
from tests.conftest import Cast
from tests.images import image
from tests.registry_client import RegistryClient
from webhooks.api.urls import ROUTES
from webhooks.api.urls import exact_urlpatterns as exact_webhooks

Api = Callable[[str], ApiClient]
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
DELIVERY = f"webhooks/1/deliveries/{UUID(int=0)}"
# What may follow a repository in a path, and may also be the end of a name.
TAILS = [
    *("grants", "grants/1", "access", "who", "star", "watch", "statistics"),
    *("events", "events/export", "tags", "tags/v1", "tags/v1/restore"),
    *("tags/v1/history", "tags/grants", "webhooks", "webhooks/preview", "webhooks/1"),
    *("webhooks/1/test", "webhooks/1/redeliver", "webhooks/1/deliveries", DELIVERY),
    f"{DELIVERY}/redeliver",
]


@pytest.fixture
def short(cast: Cast) -> Repository:
    return make.repository(cast.acme.namespace, make.unique("short"))


def test_every_path_below_a_name_is_in_the_list() -> None:
    """Without manifests: no name has the colon of a digest."""
    named = {resolve(f"/api/v1/repositories/a/b/-/{tail}").url_name for tail in TAILS}
    there_are = {name for _, _, name in IN_REPOSITORY}
    there_are |= {f"repository-{name}" for _, _, name in ROUTES}
    assert named == there_are - {"manifest", "repository"}


def test_every_path_below_a_name_has_its_exact_form_and_is_read_carefully() -> None:
    below = [p for p in api_patterns() if "(?P<name>" in str(p.pattern)]
    exact = {p.name for p in (*exact_urlpatterns, *exact_webhooks)}
    assert {p.name for p in below} == exact
    for pattern in below:
        view = pattern.callback.view_class  # type: ignore[attr-defined]
        assert issubclass(view, RepositoryPathView), pattern


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("method", METHODS)
def test_a_path_that_may_mean_two_is_refused(
    api_of: Api, short: Repository, tail: str, method: str
) -> None:
    long = make.repository(short.namespace, f"{short.name}/{tail}")
    before = state_of(short, long)
    refused = api_of("alice").request(method, f"/repositories/{long.full_name}", {})
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error["code"] == "ambiguous_path"
    for path in (f"{long.full_name}/-", f"{short.full_name}/-/{tail}"):
        assert f"/api/v1/repositories/{path}" in error["message"].split()
    assert state_of(short, long) == before


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("method", METHODS)
def test_the_exact_form_acts_on_what_it_names(
    api_of: Api, short: Repository, tail: str, method: str
) -> None:
    long = make.repository(short.namespace, f"{short.name}/{tail}")
    owner = api_of("alice")
    before = state_of(long)
    owner.request(method, f"/repositories/{short.full_name}/-/{tail}", {})
    assert state_of(long) == before
    before = state_of(short)
    body = {"description": "told"} if method == "PATCH" else None
    answer = owner.request(method, f"/repositories/{long.full_name}/-", body)
    assert answer.status_code == {"GET": 200, "PATCH": 200, "DELETE": 204}.get(
        method, 405
    )
    if answer.status_code == 200:
        assert answer.json()["full_name"] == long.full_name
    assert state_of(short) == before
    long.refresh_from_db()
    assert (long.description == "told") == (method == "PATCH")
    assert (long.deleted_at is not None) == (method == "DELETE")


def state_of(*repositories: Repository) -> list[object]:
    """Return all that a request could have changed."""
    ids = [repository.pk for repository in repositories]
    return [
        list(Repository.objects.filter(pk__in=ids).order_by("pk").values()),
        Event.objects.filter(repository__in=ids).count(),
        Star.objects.filter(repository__in=ids).count(),
    ]


def test_who_takes_a_star_away_deletes_nothing(api_of: Api, short: Repository) -> None:
    long = make.repository(short.namespace, f"{short.name}/star")
    owner, path = api_of("alice"), f"/repositories/{long.full_name}"
    star = f"/repositories/{short.full_name}/-/star"
    assert owner.put(star).json() == {"starred": True, "star_count": 1}
    assert owner.delete(path).status_code == 400
    assert owner.get(f"{path}/-").json()["star_count"] == 0
    assert owner.put(f"{path}/-/star").json()["star_count"] == 1
    assert owner.delete(star).json() == {"starred": False, "star_count": 0}


def test_a_pushed_image_of_such_a_name_is_reached(
    api_of: Api, cast: Cast, alice: RegistryClient
) -> None:
    name = f"{cast.acme.namespace.name}/{make.unique('tools')}/tags"
    alice.push(f"{name}:grants", image())
    owner = api_of("alice")
    listed = owner.everything(f"/repositories/{name}/-/tags")
    assert [tag["name"] for tag in listed] == ["grants"]
    tag = owner.get(f"/repositories/{name}/-/tags/grants")
    assert tag.json()["name"] == "grants"


def test_it_is_refused_also_while_a_deleted_one_may_come_back(
    api_of: Api, cast: Cast, short: Repository
) -> None:
    """Who says DELETE twice does not take a tag away from another repository."""
    long = make.repository(short.namespace, f"{short.name}/star")
    owner, path = api_of("alice"), f"/repositories/{long.full_name}"
    delete_repository(repository=long, actor=actor_of(cast.alice))
    assert owner.delete(path).status_code == 400
    long.refresh_from_db()
    purge_repository(repository=long, actor=actor_of(cast.alice))
    assert owner.delete(path).json()["starred"] is False


def test_it_is_refused_also_for_a_name_that_leads_elsewhere_now(
    api_of: Api, short: Repository
) -> None:
    long = make.repository(short.namespace, f"{short.name}/star")
    owner, path = api_of("alice"), f"/repositories/{long.full_name}"
    new = f"{short.name}/other"
    assert owner.patch(f"{path}/-", {"name": new}).status_code == 200
    assert owner.delete(path).status_code == 400
    moved = owner.get(f"{path}/-")
    assert moved.status_code == 308
    there = f"/api/v1/repositories/{short.namespace.name}/{new}/-"
    assert moved.headers["Location"] == there


def test_what_one_may_not_see_is_in_nobodys_way(
    api_of: Api, public_api: Repository
) -> None:
    make.repository(public_api.namespace, f"{public_api.name}/tags")
    path = f"/repositories/{public_api.full_name}/tags"
    assert api_of("alice").get(path).status_code == 400
    for person in ("dave", "anonymous"):
        assert api_of(person).get(path).json()["results"] == []


@pytest.mark.parametrize(
    "path", ["a/-/b", "a/-/b/tags", "-", "-/tags", "a/-/-", "a/-/"]
)
def test_no_name_has_a_dash_alone(api_of: Api, cast: Cast, path: str) -> None:
    namespace = cast.acme.namespace.name
    found = api_of("alice").get(f"/repositories/{namespace}/{path}")
    assert found.status_code == 404


def test_the_schema_has_each_path_once() -> None:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    assert "/api/v1/repositories/{namespace}/{name}/star" in schema["paths"]
    assert not [path for path in schema["paths"] if "/-" in path]
