"""Pulls and pushes by a name that a repository, or its organization, had before."""

import base64
import json
from typing import Any

import pytest

from accounts.actors import ANONYMOUS
from accounts.authentication import actor_of
from accounts.models import Organization
from accounts.organizations import rename_organization
from repositories.lifecycle import rename_repository, transfer_repository
from repositories.models import Repository
from repositories.rights.access import moved_repository
from tests import images, make
from tests.conftest import Cast
from tests.distribution.test_query_counts import ask
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, TokenRefused, with_digest

pytestmark = pytest.mark.usefixtures("database", "registry")


def rename(repository: Repository, cast: Cast, suffix: str = "b") -> tuple[str, str]:
    """Rename a repository and return both full names."""
    old = repository.full_name
    rename_repository(
        repository=repository,
        name=f"{repository.name}-{suffix}",
        actor=actor_of(cast.alice),
    )
    return old, repository.full_name


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return found


# --- pulls


@pytest.mark.parametrize("who", ["alice", "bob", "carol", "robby"])
def test_everything_is_pulled_by_the_old_name(
    request: pytest.FixtureRequest,
    alice: RegistryClient,
    cast: Cast,
    private_api: Repository,
    who: str,
) -> None:
    """By tag and by digest, blobs too; answers repeat the name that was asked for."""
    image = images.image()
    alice.push(f"{private_api.full_name}:v1", image)
    old, new = rename(private_api, cast)
    client: RegistryClient = request.getfixturevalue(who)
    for name in (old, new):
        assert client.pull(f"{name}:v1") == image
        assert client.pull(f"{name}@{image.digest}") == image
        head = client.head(f"/v2/{name}/manifests/v1")
        assert head.headers["Docker-Content-Digest"] == image.digest
        layer = digest_of(image.blobs[1])
        assert client.head(f"/v2/{name}/blobs/{layer}").status_code == 200
        listed = client.get(f"/v2/{name}/tags/list").json()
        assert listed == {"name": name, "tags": ["v1"]}
        assert client.referrers(name, image.digest) == []


def test_pages_go_on_under_the_old_name(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    image = images.image()
    for tag in "abc":
        alice.push(f"{private_api.full_name}:{tag}", image)
    old, _ = rename(private_api, cast)
    page = alice.get(f"/v2/{old}/tags/list?n=2")
    assert page.headers["Link"] == f'</v2/{old}/tags/list?n=2&last=b>; rel="next"'


def test_names_in_a_chain_all_lead_to_the_last_one(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    """Of repositories and of organizations, and of both at once."""
    owner = make.user("olga")
    organization = make.organization(owner=owner, name="chain")
    first = organization.namespace.name
    api = make.repository(organization.namespace, "one", visibility="public")
    names = [f"{first}/one"]
    for namespace, name in (("second", "two"), ("third", "three")):
        rename_repository(repository=api, name=name, actor=actor_of(owner))
        rename_organization(
            organization=organization,
            name=make.unique(namespace),
            actor=actor_of(owner),
        )
        names.append(f"{organization.namespace.name}/{name}")
    client = RegistryClient(
        alice.http, alice.url, owner.username, make.access_token(owner)
    )
    image = images.image()
    client.push(f"{names[0]}:v1", image)
    mixed = f"{first}/three"
    for name in (*names, mixed):
        assert client.pull(f"{name}:v1") == image
    assert Repository.objects.filter(namespace=organization.namespace).count() == 1


def test_a_pull_by_the_old_name_asks_once_more(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    alice.push(f"{private_api.full_name}:v1", images.image())
    old, new = rename(private_api, cast)
    for name, most in ((new, 3), (old, 4)):
        token = alice.token(f"repository:{name}:pull")
        status, queries, _ = ask("GET", f"/v2/{name}/manifests/v1", token)
        assert status == "200 OK"
        assert len(queries) <= most, queries


# --- pushes


def test_a_push_by_the_old_name_goes_to_the_moved_repository(
    bob: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    old, new = rename(private_api, cast)
    image = images.index(images.image(), images.image())
    bob.push(f"{old}:v1", image)
    assert bob.pull(f"{new}:v1") == image
    assert Repository.objects.filter(pk=private_api.pk).count() == 1
    namespace, _, name = old.partition("/")
    assert not Repository.objects.filter(namespace__name=namespace, name=name).exists()


def test_an_upload_goes_on_under_both_names(
    bob: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    """Begun before the rename; Location repeats the name that was asked for."""
    content = some_bytes(1000)
    begun = bob.start_upload(private_api.full_name)
    old, new = rename(private_api, cast)
    going_on = bob.patch(begun, content=content[:400])
    assert going_on.status_code == 202
    assert going_on.headers["Location"].startswith(f"/v2/{old}/blobs/uploads/")
    renamed = going_on.headers["Location"].replace(old, new)
    answer = bob.patch(renamed, content=content[400:])
    assert answer.headers["Location"].startswith(f"/v2/{new}/blobs/uploads/")
    digest = digest_of(content)
    back = answer.headers["Location"].replace(new, old)
    done = bob.put(with_digest(back, digest))
    assert done.status_code == 201
    assert done.headers["Location"] == f"/v2/{old}/blobs/{digest}"
    assert bob.pull_blob(new, digest) == content


def test_a_blob_is_mounted_from_the_old_name(
    bob: RegistryClient, cast: Cast, private_api: Repository, other: str
) -> None:
    digest = bob.push_blob(private_api.full_name, some_bytes())
    old, _ = rename(private_api, cast)
    answer = bob.post(f"/v2/{other}/blobs/uploads/?mount={digest}&from={old}")
    assert answer.status_code == 201
    assert bob.head(f"/v2/{other}/blobs/{digest}").status_code == 200


def test_only_a_repository_made_on_purpose_takes_the_name(
    alice: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    """And a token for the one that had it does not open the one that has it."""
    image = images.image()
    alice.push(f"{private_api.full_name}:v1", image)
    old, new = rename(private_api, cast)
    token = alice.token(f"repository:{old}:pull,push")
    assert alice.get(f"/v2/{old}/manifests/v1", token=token).status_code == 200
    name = old.partition("/")[2]
    make.repository(cast.acme.namespace, name, actor=actor_of(cast.alice))
    refused = alice.get(f"/v2/{old}/manifests/v1", token=token)
    assert refused.status_code == 401
    assert "invalid_token" in refused.headers["WWW-Authenticate"]
    assert alice.get(f"/v2/{old}/manifests/v1").status_code == 404
    assert alice.pull(f"{new}:v1") == image


# --- rights and tokens


def test_a_token_keeps_the_name_that_was_asked_for(
    bob: RegistryClient, cast: Cast, private_api: Repository
) -> None:
    old, _ = rename(private_api, cast)
    [entry] = claims(bob.token(f"repository:{old}:pull,push,delete"))["access"]
    assert entry == {
        "type": "repository",
        "name": old,
        "actions": ["pull", "push", "delete"],
        "id": private_api.pk,
    }


@pytest.mark.parametrize("who", ["dave", "anonymous"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_an_old_name_and_an_absent_one_answer_alike(
    request: pytest.FixtureRequest,
    cast: Cast,
    private_api: Repository,
    who: str,
    method: str,
) -> None:
    """D-2: who may not see the repository does not learn that it was there."""
    old, _ = rename(private_api, cast)
    absent = f"{cast.acme.namespace.name}/{make.unique('absent')}"
    client: RegistryClient = request.getfixturevalue(who)
    answers = []
    for name in (old, absent):
        scope = f"repository:{name}:pull,push,delete"
        token = client.token(scope)
        assert claims(token)["access"] == []
        response = client.request(method, f"/v2/{name}/manifests/v1", token=token)
        shown = [response.text, response.headers["WWW-Authenticate"]]
        answers.append([response.status_code, *(s.replace(name, "") for s in shown)])
    assert answers[0] == answers[1]
    namespace, _, name = old.partition("/")
    stranger = ANONYMOUS if who == "anonymous" else actor_of(cast.dave)
    assert moved_repository(stranger, namespace, name) is None
    carols = moved_repository(actor_of(cast.carol), namespace, name)
    assert carols == private_api.full_name


def test_who_may_create_does_not_take_the_name_by_a_push(
    alice: RegistryClient, cast: Cast
) -> None:
    """The repository left for a place where the old colleague has no rights."""
    creator = make.user("chris")
    make.team(cast.acme, creator, standing="creator")
    moved = make.repository(cast.acme.namespace, make.unique("left"))
    old = moved.full_name
    transfer_repository(
        repository=moved, namespace=cast.alice.namespace, actor=actor_of(cast.alice)
    )
    client = RegistryClient(
        alice.http, alice.url, creator.username, make.access_token(creator)
    )
    answer = client.post(f"/v2/{old}/blobs/uploads/")
    assert answer.status_code == 401
    namespace, _, name = old.partition("/")
    assert not Repository.objects.filter(namespace__name=namespace, name=name).exists()
    alice.push(f"{old}:v1", images.image())
    assert alice.tags(f"{cast.alice.username}/{name}") == ["v1"]


# --- organizations


@pytest.fixture
def organization(cast: Cast) -> Organization:
    return make.organization(owner=cast.alice, name="before")


def test_a_renamed_organization_is_pushed_to_by_its_old_name(
    alice: RegistryClient, cast: Cast, organization: Organization
) -> None:
    """What is there is found, and what is new is made in the organization."""
    old, image = organization.namespace.name, images.image()
    alice.push(f"{old}/api:v1", image)
    new = make.unique("after")
    rename_organization(organization=organization, name=new, actor=actor_of(cast.alice))
    assert alice.pull(f"{old}/api:v1") == alice.pull(f"{new}/api:v1") == image
    alice.push(f"{old}/fresh:v1", image)
    assert alice.pull(f"{new}/fresh:v1") == image
    names = Repository.objects.filter(namespace=organization.namespace)
    assert {r.full_name for r in names} == {f"{new}/api", f"{new}/fresh"}


def test_a_robot_signs_in_by_its_organizations_old_name(
    alice: RegistryClient, cast: Cast, organization: Organization
) -> None:
    """Until somebody else takes the name."""
    old = organization.namespace.name
    robot, secret = make.robot(organization.namespace)
    make.team(organization, robot, standing="creator")
    login = robot.username
    rename_organization(
        organization=organization,
        name=make.unique("after"),
        actor=actor_of(cast.alice),
    )
    client = RegistryClient(alice.http, alice.url, login, secret)
    client.push(f"{old}/api:v1", images.image())
    other = make.organization(owner=cast.alice)
    rename_organization(organization=other, name=old, actor=actor_of(cast.alice))
    with pytest.raises(TokenRefused):
        client.token()
