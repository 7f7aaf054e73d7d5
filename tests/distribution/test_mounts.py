"""Mounting a blob of another repository instead of sending it again (§5)."""

from urllib.parse import quote

import httpx
import pytest

from tests import images, make
from tests.conftest import Cast
from tests.images import ABSENT_DIGEST, digest_of, some_bytes
from tests.registry_client import RegistryClient, parse_challenge, with_digest


def mount(
    client: RegistryClient,
    name: str,
    digest: str,
    source: str | None = None,
    token: str | None = None,
) -> httpx.Response:
    query = f"?mount={digest}" + ("" if source is None else f"&from={source}")
    path = f"/v2/{name}/blobs/uploads/{query}"
    return client.post(path) if token is None else client.post(path, token=token)


def assert_session(client: RegistryClient, name: str, response: httpx.Response) -> None:
    """Show that the answer is an ordinary session, which takes the blob after all."""
    assert response.status_code == 202
    assert response.headers["Range"] == "0-0"
    location = response.headers["Location"]
    uuid = response.headers["Docker-Upload-UUID"]
    assert location == f"/v2/{name}/blobs/uploads/{uuid}"
    assert "Docker-Content-Digest" not in response.headers
    content = some_bytes()
    closing = with_digest(location, digest_of(content))
    assert client.put(closing, content=content).status_code == 201


@pytest.mark.parametrize("escape", [lambda name: name, lambda n: quote(n, safe="")])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_of_another_repository_is_mounted(
    bob: RegistryClient, api: str, other: str, escape: object, algorithm: str
) -> None:
    """MNT-1, MNT-5: containerd sends slashes as they are."""
    assert callable(escape)
    content = some_bytes()
    digest = bob.push_blob(other, content, algorithm=algorithm)
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404
    response = mount(bob, api, digest, escape(other))
    assert response.status_code == 201
    assert response.headers["Location"] == f"/v2/{api}/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == digest
    assert bob.pull_blob(api, digest) == content


def test_a_mount_into_a_new_repository_makes_it(
    alice: RegistryClient, other: str
) -> None:
    """MNT-1."""
    digest = alice.push_blob(other, some_bytes())
    name = f"{alice.username}/{make.unique('copy')}"
    assert mount(alice, name, digest, other).status_code == 201
    assert alice.head(f"/v2/{name}/blobs/{digest}").status_code == 200


@pytest.mark.parametrize(
    "source",
    ["no/such-repository", "{own}/absent", "NOT/a-name", "", "a" * 300, "{other}"],
)
def test_what_is_not_there_gives_a_session(
    bob: RegistryClient, api: str, other: str, source: str
) -> None:
    """MNT-2, R-13, R-18: never a refusal, on which containerd would give up."""
    source = source.format(own=bob.username, other=other)
    assert_session(bob, api, mount(bob, api, ABSENT_DIGEST, source))


def test_a_source_that_may_not_be_read_gives_the_same_session(
    bob: RegistryClient, dave: RegistryClient, api: str
) -> None:
    """MNT-2, MNT-7, R-09, R-14: 202 as if nothing were there, and no blob."""
    secret_name = f"{dave.username}/{make.unique('secret')}"
    digest = dave.push_blob(secret_name, some_bytes())
    forbidden = mount(bob, api, digest, secret_name)
    absent = mount(bob, api, digest, f"{dave.username}/absent")
    assert set(forbidden.headers) == set(absent.headers)
    assert_session(bob, api, forbidden)
    assert_session(bob, api, absent)
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404


def test_a_token_without_the_source_is_sent_for_one_with_it(
    bob: RegistryClient, api: str, other: str
) -> None:
    """MNT-3, D-1: both scopes in one challenge, and then it is mounted."""
    digest = bob.push_blob(other, some_bytes())
    narrow = bob.token(f"repository:{api}:pull,push")
    response = mount(bob, api, digest, other, token=narrow)
    assert response.status_code == 401
    parameters = parse_challenge(response).parameters
    assert parameters["scope"] == f"repository:{api}:pull,push repository:{other}:pull"
    assert parameters["error"] == "insufficient_scope"
    wide = bob.token(*parameters["scope"].split())
    assert mount(bob, api, digest, other, token=wide).status_code == 201


def test_basic_credentials_need_no_scope(
    bob: RegistryClient, api: str, other: str
) -> None:
    """MNT-3, AUTH-6."""
    digest = bob.push_blob(other, some_bytes())
    path = f"/v2/{api}/blobs/uploads/?mount={digest}&from={other}"
    response = bob.post(path, token="", headers=bob.basic)
    assert response.status_code == 201


def test_the_ceiling_of_an_access_token_holds_for_the_source(
    bob: RegistryClient, cast: Cast, api: str, other: str, private_api: object
) -> None:
    """MNT-7, D-1: bob may read the source, and this token of bob's may not."""
    digest = bob.push_blob(other, some_bytes())
    secret = make.access_token(cast.bob, repository_ids=[getattr(private_api, "pk", 0)])
    narrow = RegistryClient(bob.http, bob.url, bob.username, secret)
    assert_session(narrow, api, mount(narrow, api, digest, other))
    assert_session(narrow, api, mount(narrow, api, digest))


def test_without_source_any_readable_one_will_do(
    bob: RegistryClient, api: str, other: str
) -> None:
    """MNT-4, R-16: regclient tries it before every blob."""
    digest = bob.push_blob(other, some_bytes())
    response = mount(bob, api, digest)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 200


def test_without_source_only_readable_ones_will_do(
    bob: RegistryClient, dave: RegistryClient, api: str
) -> None:
    """MNT-4, MNT-7: knowing a digest opens nothing."""
    secret_name = f"{dave.username}/{make.unique('secret')}"
    digest = dave.push_blob(secret_name, some_bytes())
    assert_session(bob, api, mount(bob, api, digest))
    assert bob.head(f"/v2/{api}/blobs/{digest}").status_code == 404


def test_a_public_source_is_everybodys(
    alice: RegistryClient, dave: RegistryClient, public_api: object
) -> None:
    """MNT-4, MNT-1."""
    digest = alice.push_blob(str(public_api), some_bytes())
    name = f"{dave.username}/{make.unique('copy')}"
    assert mount(dave, name, digest).status_code == 201
    assert mount(dave, f"{name}-2", digest, str(public_api)).status_code == 201


def test_a_blob_that_is_there_already_is_mounted_from_anywhere(
    bob: RegistryClient, api: str
) -> None:
    """MNT-1: the answer tells what the client wants to know."""
    digest = bob.push_blob(api, some_bytes())
    for source in (None, api, "no/such-repository"):
        assert mount(bob, api, digest, source).status_code == 201


@pytest.mark.parametrize("deleted_first", ["source", "target"])
def test_source_and_target_are_independent(
    bob: RegistryClient, api: str, other: str, deleted_first: str
) -> None:
    """MNT-6."""
    content = some_bytes()
    digest = bob.push_blob(other, content)
    assert mount(bob, api, digest, other).status_code == 201
    gone, left = (other, api) if deleted_first == "source" else (api, other)
    assert bob.delete(f"/v2/{gone}/blobs/{digest}").status_code == 202
    assert bob.head(f"/v2/{gone}/blobs/{digest}").status_code == 404
    assert bob.pull_blob(left, digest) == content


def test_one_who_may_not_push_may_not_mount(
    carol: RegistryClient, alice: RegistryClient, api: str, other: str
) -> None:
    """MNT-7, R-09."""
    digest = alice.push_blob(other, some_bytes())
    assert mount(carol, api, digest, other).status_code == 401
    assert alice.head(f"/v2/{api}/blobs/{digest}").status_code == 404


def test_an_image_can_be_pushed_by_mounts_alone(
    bob: RegistryClient, api: str, other: str
) -> None:
    """MNT-1, MNT-6."""
    image = images.image(some_bytes(), some_bytes())
    bob.push(f"{other}:v1", image)
    for blob in image.blobs:
        assert mount(bob, api, digest_of(blob), other).status_code == 201
    assert bob.put_manifest(api, "v1", image).status_code == 201
    assert bob.pull(f"{api}:v1") == image


@pytest.mark.parametrize("source", ["{other}", "no/such-repository"])
def test_the_first_challenge_asks_for_both_at_once(
    anonymous: RegistryClient, api: str, other: str, source: str
) -> None:
    """AUTH-4, AUTH-2: one scope parameter, whatever is there or not."""
    source = source.format(other=other)
    response = mount(anonymous, api, ABSENT_DIGEST, source, token="")
    parameters = parse_challenge(response).parameters
    assert parameters["scope"] == f"repository:{api}:pull,push repository:{source}:pull"
    assert "error" not in parameters


def test_a_malformed_source_is_not_in_the_challenge(
    anonymous: RegistryClient, api: str
) -> None:
    """AUTH-2: nothing of a request gets into a header unread."""
    response = mount(anonymous, api, ABSENT_DIGEST, "x%22,error=%22y", token="")
    assert parse_challenge(response).scopes == [f"repository:{api}:pull,push"]
