"""Names that change, and lead on: organizations and repositories, in the API."""

from collections.abc import Callable

import pytest

from accounts.actors import ANONYMOUS
from accounts.models import FormerNamespaceName, Organization, User
from accounts.users import create_user
from repositories.models import Event, FormerRepositoryName, Grant, Repository, Star
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast

Api = Callable[[str], ApiClient]


@pytest.fixture
def owner(database: None) -> User:
    return make.user("olga")


@pytest.fixture
def organization(owner: User) -> Organization:
    return make.organization(owner=owner, name="before")


@pytest.fixture
def client(api_of: Api, owner: User) -> ApiClient:
    return api_of(make.access_token(owner))


def rename(client: ApiClient, old: str, new: str) -> None:
    answer = client.patch(f"/organizations/{old}", {"name": new})
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == new


# --- organizations


def test_a_renamed_organization_is_found_by_every_name_it_had(
    client: ApiClient, organization: Organization
) -> None:
    first = organization.namespace.name
    second, third = make.unique("second"), make.unique("third")
    api = make.repository(organization.namespace, "api")
    rename(client, first, second)
    rename(client, second, third)
    for old in (first, second):
        answer = client.get(f"/organizations/{old}/teams?page_size=5")
        assert answer.status_code == 308
        location = f"/api/v1/organizations/{third}/teams?page_size=5"
        assert answer.headers["Location"] == location
        answer = client.get(f"/repositories/{old}/{api.name}/tags")
        assert answer.headers["Location"] == f"/api/v1/repositories/{third}/api/tags"
        listed = client.get(f"/repositories?namespace={old}").json()["results"]
        assert [r["full_name"] for r in listed] == [f"{third}/api"]
    events = Event.objects.filter(
        namespace=organization.namespace, kind__contains="ren"
    )
    assert [(e.kind, e.detail) for e in events.order_by("pk")] == [
        ("organization.renamed", {"from": first, "to": second}),
        ("repository.renamed", {"from": f"{first}/api", "to": f"{second}/api"}),
        ("organization.renamed", {"from": second, "to": third}),
        ("repository.renamed", {"from": f"{second}/api", "to": f"{third}/api"}),
    ]


def test_an_organization_takes_its_old_name_back(
    client: ApiClient, organization: Organization
) -> None:
    first, second = organization.namespace.name, make.unique("second")
    rename(client, first, second)
    rename(client, second, first)
    assert client.get(f"/organizations/{first}").status_code == 200
    assert client.get(f"/organizations/{second}").status_code == 308
    assert not FormerNamespaceName.objects.filter(name=first).exists()


@pytest.mark.parametrize("by", ["user", "organization", "rename"])
def test_a_name_leads_nowhere_once_it_is_taken(
    client: ApiClient, owner: User, organization: Organization, by: str
) -> None:
    old = organization.namespace.name
    rename(client, old, make.unique("after"))
    if by == "user":
        create_user(username=old, password=None, actor=ANONYMOUS)
        assert client.get(f"/organizations/{old}").status_code == 404
    else:
        if by == "organization":
            made = client.post("/organizations", {"name": old})
            assert made.status_code == 201
        else:
            other = make.organization(owner=owner)
            rename(client, other.namespace.name, old)
        assert client.get(f"/organizations/{old}").json()["name"] == old
    assert not FormerNamespaceName.objects.filter(name=old).exists()


def test_a_taken_or_impossible_name_is_refused(
    client: ApiClient, cast: Cast, organization: Organization
) -> None:
    path = f"/organizations/{organization.namespace.name}"
    for taken in (cast.dave.username, cast.acme.namespace.name):
        body = {"name": taken, "display_name": "changed"}
        assert client.patch(path, body).status_code == 409
    for wrong in ("Upper", "a", "settings", "a/b", ""):
        answer = client.patch(path, {"name": wrong})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "name"
    assert client.get(path).json()["display_name"] == ""


def test_only_who_administers_it_renames_an_organization(
    api_of: Api, cast: Cast
) -> None:
    name = cast.acme.namespace.name
    for who in ("bob", "dave", "robby"):
        body = {"name": make.unique("mine")}
        assert api_of(who).patch(f"/organizations/{name}", body).status_code == 403


def test_an_organization_goes_with_what_could_still_be_restored(
    client: ApiClient, organization: Organization
) -> None:
    name = organization.namespace.name
    api = make.repository(organization.namespace, "api")
    refused = client.delete(f"/organizations/{name}")
    assert refused.status_code == 409
    assert "still has repositories" in refused.json()["errors"][0]["message"]
    assert client.delete(f"/repositories/{name}/api").status_code == 204
    assert client.delete(f"/organizations/{name}").status_code == 204
    assert not Repository.objects.filter(pk=api.pk).exists()
    kinds = Event.objects.filter(namespace_name=name).values_list("kind", flat=True)
    assert {"organization.deleted", "repository.purged"} <= set(kinds)
    assert client.post("/organizations", {"name": name}).status_code == 201


# --- repositories


def test_a_renamed_repository_is_found_by_every_name_it_had(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    alice, first = api_of("alice"), private_api.full_name
    second = f"{first}-b"
    for new in ("b", "b-c"):
        path = f"/repositories/{Repository.objects.get(pk=private_api.pk)}"
        changed = alice.patch(path, {"name": f"{private_api.name}-{new}"})
        assert changed.status_code == 200, changed.text
        assert changed.json()["full_name"] == f"{first}-{new}"
    for old in (first, second):
        for method, path in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("GET", "/tags/v1/history?page_size=3"),
            ("PUT", "/tags/v1"),
            ("GET", "/grants"),
        ):
            answer = alice.request(method, f"/repositories/{old}{path}", {})
            assert answer.status_code == 308
            assert answer.headers["Location"] == (
                f"/api/v1/repositories/{first}-b-c{path}"
            )
    renames = Event.objects.filter(repository=private_api, kind="repository.renamed")
    assert [e.detail for e in renames.order_by("pk")] == [
        {"from": first, "to": second},
        {"from": second, "to": f"{first}-b-c"},
    ]


def test_a_private_repository_is_not_told_by_its_old_name(
    api_of: Api, private_api: Repository
) -> None:
    old = private_api.full_name
    api_of("alice").patch(f"/repositories/{old}", {"name": f"{private_api.name}-b"})
    for who in ("dave", "anonymous"):
        client = api_of(who)
        absent = client.get(f"/repositories/{private_api.namespace}/absent")
        answer = client.get(f"/repositories/{old}")
        assert answer.status_code == absent.status_code == 404
        assert answer.json() == absent.json()
        assert "Location" not in answer.headers
    assert api_of("carol").get(f"/repositories/{old}").status_code == 308


def test_a_repository_that_is_made_on_purpose_takes_the_name(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    alice, old = api_of("alice"), private_api.full_name
    alice.patch(f"/repositories/{old}", {"name": f"{private_api.name}-b"})
    namespace = cast.acme.namespace.name
    body = {"namespace": namespace, "name": private_api.name, "visibility": "private"}
    assert alice.post("/repositories", body).status_code == 201
    assert alice.get(f"/repositories/{old}").json()["full_name"] == old
    assert not FormerRepositoryName.objects.filter(repository=private_api).exists()


def test_a_name_that_is_taken_stays_with_who_has_it(
    api_of: Api, private_api: Repository, public_api: Repository
) -> None:
    path = f"/repositories/{private_api.full_name}"
    body = {"name": public_api.name, "description": "changed"}
    refused = api_of("alice").patch(path, body)
    assert refused.status_code == 409
    assert public_api.full_name in refused.json()["errors"][0]["message"]
    private_api.refresh_from_db()
    assert private_api.description == ""
    assert api_of("alice").patch(path, {"name": "Not a name"}).status_code == 400


@pytest.mark.parametrize("who", ["bob", "carol", "robby"])
def test_renaming_takes_the_right_to_configure(
    api_of: Api, cast: Cast, private_api: Repository, who: str
) -> None:
    path = f"/repositories/{private_api.full_name}"
    assert api_of(who).patch(path, {"name": "mine"}).status_code == 403
    body = {"namespace": cast.bob.username}
    assert api_of(who).patch(path, body).status_code == 403


def test_a_transfer_takes_along_what_is_a_repositorys_own(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    """Stars, counts and the grants of people; not those of the old teams and robots."""
    old = private_api.full_name
    Repository.objects.filter(pk=private_api.pk).update(star_count=1, pull_count=9)
    Star.objects.create(user=cast.carol, repository=private_api)
    target = make.organization(owner=cast.alice, name="target")
    make.team(target, cast.dave)
    new = f"{target.namespace.name}/moved"
    body = {"namespace": target.namespace.name, "name": "moved"}
    answer = api_of("alice").patch(f"/repositories/{old}", body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["full_name"] == new
    assert (answer.json()["star_count"], answer.json()["pull_count"]) == (1, 9)
    assert Star.objects.filter(repository=private_api).count() == 1
    grants = Grant.objects.with_subjects().filter(repository=private_api)
    assert {(g.subject_name, g.role) for g in grants} == {
        (cast.carol.username, "read"),
        (cast.alice.username, "admin"),
    }
    assert api_of("carol").get(f"/repositories/{old}").headers["Location"].endswith(new)
    for who in ("bob", "robby", "dave"):
        assert api_of(who).get(f"/repositories/{old}").status_code == 404
        assert api_of(who).get(f"/repositories/{new}").status_code == 404
    moves = Event.objects.filter(kind="repository.transferred", detail__to=new)
    arrived, left = moves.order_by("pk")
    assert (arrived.namespace, arrived.repository) == (target.namespace, private_api)
    assert (left.namespace, left.repository) == (cast.acme.namespace, None)
    assert [grant["name"] for grant in left.detail["dropped_grants"]] == [
        cast.backend.name,
        cast.robby.username,
    ]
    removed = Event.objects.filter(kind="grant.removed", repository=private_api)
    assert removed.count() == 2


def test_a_transfer_takes_rights_on_both_sides(
    api_of: Api, cast: Cast, private_api: Repository
) -> None:
    path = f"/repositories/{private_api.full_name}"
    not_mine = {"namespace": cast.dave.username}
    assert api_of("alice").patch(path, not_mine).status_code == 403
    assert (
        api_of("alice").patch(path, {"namespace": "nobody-at-all"}).status_code == 403
    )
    # Who may configure all of acme by a token for it does not reach the target.
    secret = make.access_token(cast.alice, namespace_ids=[cast.acme.namespace.pk])
    to_me = {"namespace": cast.alice.username}
    assert api_of(secret).patch(path, to_me).status_code == 403
    assert api_of("alice").patch(path, to_me).status_code == 200


def test_a_token_is_made_for_a_repository_by_its_old_name(
    api_of: Api, private_api: Repository
) -> None:
    alice, old = api_of("alice"), private_api.full_name
    alice.patch(f"/repositories/{old}", {"name": f"{private_api.name}-b"})
    body = {"name": "ci", "actions": "read", "repositories": [old]}
    secret = alice.post("/user/tokens", body).json()["token"]
    found = api_of(secret).get(f"/repositories/{old}-b")
    assert found.json()["full_name"] == f"{old}-b"
