"""Repositories, grants, tags and their history over the API."""

import json
from collections.abc import Callable

import pytest

from accounts.authentication import actor_of
from accounts.models.namespaces import NameReserved
from repositories.models import Event, Repository
from tests import make
from tests.api.conftest import ApiClient
from tests.conftest import Cast
from tests.images import Image, image, index
from tests.registry_client import RegistryClient

ARM = b'{"os": "linux", "architecture": "arm64"}'
Api = Callable[[str], ApiClient]


def test_a_repository_has_the_promised_fields(api_of: Api, api: str) -> None:
    answer = api_of("carol").get(f"/repositories/{api}").json()
    promised = (
        *("namespace", "name", "full_name", "visibility", "description"),
        *("is_official", "is_verified", "star_count", "pull_count", "size_bytes"),
        *("pushed_at", "created_at"),
    )
    assert set(promised) <= set(answer)
    assert f"{answer['namespace']}/{answer['name']}" == answer["full_name"] == api


def test_visibility_counts_at_once(
    api_of: Api, private_api: Repository, anonymous: RegistryClient
) -> None:
    path = f"/repositories/{private_api.full_name}"
    tags = f"/v2/{private_api.full_name}/tags/list"
    assert api_of("dave").get(path).status_code == 404
    assert api_of("alice").patch(path, {"visibility": "public"}).status_code == 200
    assert api_of("dave").get(path).status_code == 200
    assert anonymous.get(tags).status_code == 200
    api_of("alice").patch(path, {"visibility": "private"})
    assert anonymous.get(tags).status_code == 401
    kinds = [e["kind"] for e in api_of("alice").everything(f"{path}/events")]
    assert kinds.count("repository.visibility") == 2


def test_a_name_with_slashes_is_one_repository(api_of: Api, cast: Cast) -> None:
    name = f"charts/{make.unique('deep')}/tags/list"
    body = {
        "namespace": cast.acme.namespace.name,
        "name": name,
        "visibility": "private",
    }
    assert api_of("alice").post("/repositories", body).status_code == 201
    found = api_of("alice").get(f"/repositories?namespace={cast.acme.namespace.name}")
    assert found.status_code == 200


@pytest.mark.parametrize(
    "name", ["", "UPPER", "a//b", "a/", "/a", "a b", "-a", "a" * 300, "a\n", "../x"]
)
def test_a_bad_name_is_refused_by_field(api_of: Api, cast: Cast, name: str) -> None:
    body = {
        "namespace": cast.acme.namespace.name,
        "name": name,
        "visibility": "private",
    }
    refused = api_of("alice").post("/repositories", body)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "name"


def test_grants_are_given_changed_and_taken(
    api_of: Api, api: str, cast: Cast, dave: RegistryClient, alice: RegistryClient
) -> None:
    alice.push(f"{api}:v1", image())
    path, owner = f"/repositories/{api}/grants", api_of("alice")
    subject = {"kind": "user", "name": cast.dave.username}
    assert dave.get(f"/v2/{api}/manifests/v1").status_code == 401
    made = owner.post(path, {"subject": subject, "role": "read"})
    assert made.status_code == 201
    assert owner.post(path, {"subject": subject, "role": "read"}).status_code == 409
    assert dave.get(f"/v2/{api}/manifests/v1").status_code == 200
    grant = f"{path}/{made.json()['id']}"
    changed = owner.patch(grant, {"role": "write", "tags": "release-*"})
    assert changed.json()["tags"] == "release-*"
    pushed = image()
    dave.push(f"{api}:release-1", pushed)
    refused = dave.put_manifest(api, "main", pushed)
    assert refused.status_code == 403
    assert "release-*" in refused.json()["errors"][0]["message"]
    assert owner.delete(grant).status_code == 204
    assert dave.get(f"/v2/{api}/manifests/v1").status_code == 401
    kinds = [event["kind"] for event in owner.everything(f"/repositories/{api}/events")]
    assert kinds.count("grant.set") == 2
    assert kinds.count("grant.removed") == 1
    seen = [
        e["kind"] for e in api_of("carol").everything(f"/repositories/{api}/events")
    ]
    assert not {"grant.set", "grant.removed"} & set(seen)


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "user", "name": "nobody-at-all"},
        {"kind": "team", "name": "nobody-at-all"},
        {"kind": "robot", "name": "other+robot"},
        {"kind": "site", "name": "x"},
    ],
)
def test_a_grant_wants_somebody(api_of: Api, api: str, subject: dict[str, str]) -> None:
    refused = api_of("alice").post(
        f"/repositories/{api}/grants", {"subject": subject, "role": "read"}
    )
    assert refused.status_code == 400


def test_it_explains_itself(api_of: Api, api: str, cast: Cast) -> None:
    path, owner = f"/repositories/{api}/access", api_of("alice")
    answer = owner.get(f"{path}?who={cast.bob.username}&action=push").json()
    assert answer["allowed"] is True
    assert f"team *{cast.backend.name}*" in answer["reason"]
    answer = owner.get(f"{path}?who={cast.carol.username}&action=push").json()
    assert answer == {
        "allowed": False,
        "reason": f"push: refused, because {cast.carol.username} has "
        f"*read* on *{api}*; *push* needs *write*",
    }
    robot = cast.robby.username.replace("+", "%2B")
    assert owner.get(f"{path}?who={robot}&action=push").json()["allowed"] is True
    assert owner.get(f"{path}?who=anonymous&action=pull").json()["allowed"] is False
    assert owner.get(f"{path}?who=no-such-user&action=pull").status_code == 400
    assert owner.get(f"{path}?who=x&action=fly").status_code == 400


def test_tags_say_what_a_pull_would_bring(
    api_of: Api, api: str, alice: RegistryClient, cast: Cast
) -> None:
    one, two = image(b"x" * 1000), image(b"y" * 2000)
    both = index(one, two)
    alice.push(f"{api}:one", one)
    alice.push(f"{api}:both", both)
    tags = {
        t["name"]: t for t in api_of("carol").everything(f"/repositories/{api}/tags")
    }
    assert tags["one"]["digest"] == one.digest
    assert tags["one"]["size_bytes"] == sum(map(len, one.blobs))
    assert tags["both"]["size_bytes"] == sum(map(len, (*one.blobs, *two.blobs)))
    assert tags["both"]["platforms"] == ["linux/amd64", "linux/arm64"]
    assert tags["both"]["pushed_by"] == cast.alice.username
    found = api_of("carol").get(f"/repositories/{api}/tags?q=ot&sort=name").json()
    assert [t["name"] for t in found["results"]] == ["both"]


def test_the_api_shows_what_a_tag_runs_on(
    api_of: Api, api: str, alice: RegistryClient
) -> None:
    """BuildKit's attestations are entries of the index and no platforms."""
    one, two, attested = image(config=ARM), image(), image()
    body = index(one, two).body
    body["manifests"].append(
        attested.descriptor(
            platform={"os": "unknown", "architecture": "unknown"},
            annotations={
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": one.digest,
            },
        )
    )
    both = Image(
        json.dumps(body).encode(), index().media_type, (), (one, two, attested)
    )
    alice.push(f"{api}:one", one)
    alice.push(f"{api}:both", both)
    tags = {
        tag["name"]: tag["platforms"]
        for tag in api_of("carol").everything(f"/repositories/{api}/tags")
    }
    assert tags == {"one": ["linux/arm64"], "both": ["linux/amd64", "linux/arm64"]}


def test_a_tag_goes_back_to_what_it_was(
    api_of: Api, api: str, alice: RegistryClient
) -> None:
    old, new = image(), image()
    alice.push(f"{api}:v1", old)
    alice.push(f"{api}:v1", new)
    path, writer = f"/repositories/{api}/tags/v1", api_of("bob")
    history = writer.everything(f"{path}/history")
    assert [step["digest"] for step in history] == [new.digest, old.digest]
    back = writer.put(path, {"digest": history[1]["digest"]})
    assert back.status_code == 200
    assert alice.pull(f"{api}:v1").digest == old.digest
    assert writer.put(path, {"digest": "sha256:" + "0" * 64}).status_code == 404
    assert writer.delete(path).status_code == 204
    assert alice.get(f"/v2/{api}/manifests/v1").status_code == 404
    assert alice.get(f"/v2/{api}/manifests/{old.digest}").status_code == 200


def test_a_deleted_repository_is_gone_and_old_tokens_open_no_new_one(
    api_of: Api, private_api: Repository, alice: RegistryClient, cast: Cast
) -> None:
    """G11, I15."""
    name = private_api.full_name
    alice.push(f"{name}:v1", image())
    token = alice.token(f"repository:{name}:pull,push")
    assert api_of("alice").delete(f"/repositories/{name}").status_code == 204
    assert alice.get(f"/v2/{name}/manifests/v1").status_code == 404
    assert api_of("carol").get(f"/repositories/{name}").status_code == 404
    with pytest.raises(NameReserved):  # its images were in use
        make.repository(cast.acme.namespace, private_api.name)
    owner = actor_of(cast.alice)
    make.repository(cast.acme.namespace, private_api.name, actor=owner)
    assert alice.get(f"/v2/{name}/tags/list", token=token).status_code == 401
    deleted = Event.objects.filter(
        repository_name=name, kind=Event.Kind.REPOSITORY_DELETED
    )
    assert deleted.get().actor_name == cast.alice.username


def test_search_is_that_of_docker(
    api_of: Api, public_api: Repository, private_api: Repository
) -> None:
    word = public_api.name
    found = api_of("dave").get(f"/search?q={word}").json()
    assert found["results"][0]["full_name"] == public_api.full_name
    hidden = api_of("dave").get(f"/search?q={private_api.name}").json()
    assert private_api.full_name not in [r["full_name"] for r in hidden["results"]]
    assert hidden["count"] == len(hidden["results"])
    own = api_of("carol").get(f"/search?q={private_api.name}").json()
    assert own["results"][0]["full_name"] == private_api.full_name


def test_lists_go_on_where_they_ended(api_of: Api, cast: Cast) -> None:
    owner = make.user("paula")
    for number in range(7):
        make.repository(owner.namespace, f"r{number}")
    client = api_of(make.access_token(owner))
    path = f"/repositories?namespace={owner.username}&page_size=3"
    first = client.get(path).json()
    assert [r["name"] for r in first["results"]] == ["r0", "r1", "r2"]
    names = [r["name"] for r in client.everything(path)]
    assert names == [f"r{number}" for number in range(7)]


def test_what_cannot_be_read_is_told_in_shape(api_of: Api, api: str) -> None:
    client = api_of("alice")
    raw = client.http.post(
        f"{client.url}/api/v1/repositories",
        content=b"{not json",
        headers={
            "Authorization": f"Bearer {client.token}",
            "Content-Type": "application/json",
        },
    )
    assert raw.status_code == 400
    assert raw.json()["errors"][0]["code"] == "parse_error"
    form = client.http.post(
        f"{client.url}/api/v1/repositories",
        data={"name": "x"},
        headers={"Authorization": f"Bearer {client.token}"},
    )
    assert form.status_code == 415
    assert client.get("/nothing/here").status_code == 404
    assert client.post(f"/repositories/{api}/events").status_code == 405


def test_the_schema_describes_every_path(api_of: Api) -> None:
    client = api_of("anonymous")
    schema = client.http.get(f"{client.url}/api/schema/?format=json").json()
    assert "/api/v1/repositories/{namespace}/{name}/grants" in schema["paths"]
