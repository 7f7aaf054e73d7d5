"""A refusal comes before the body: nobody sends gigabytes to learn a no."""

import pytest

from tests import images
from tests.images import ABSENT_DIGEST
from tests.registry_client import RawAnswer, RawConnection, RegistryClient

HUGE = str(100 * 1024**3)  # announced, and never sent

PUSHES = [
    ("PUT", "manifests/v1"),
    ("PUT", f"manifests/{ABSENT_DIGEST}"),
    ("POST", "blobs/uploads/"),
    ("POST", f"blobs/uploads/?digest={ABSENT_DIGEST}"),
    ("PATCH", "{session}"),
    ("PUT", f"{{session}}?digest={ABSENT_DIGEST}"),
]
FRAMINGS = [{"Content_Length": HUGE}, {"Transfer_Encoding": "chunked"}]


def send_head_only(
    client: RegistryClient, method: str, target: str, **headers: str
) -> RawAnswer:
    """Send everything but the body, and wait for the answer."""
    with RawConnection(client.url) as connection:
        connection.send_head(method, target, **headers)
        answer = connection.receive(method)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    return answer


def target_of(owner: RegistryClient, name: str, path: str) -> str:
    session = owner.start_upload(name).removeprefix(f"/v2/{name}/")
    return f"/v2/{name}/{path.format(session=session)}"


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    "authorization", ["", "Basic bm9ib2R5OndldA==", "Bearer x.y.z"]
)
@pytest.mark.parametrize(("method", "path"), PUSHES)
def test_without_credentials_that_count_it_is_refused_at_once(
    alice: RegistryClient,
    api: str,
    method: str,
    path: str,
    authorization: str,
    framing: dict[str, str],
) -> None:
    """AUTH-2, AUTH-3, E-1."""
    headers = framing | ({"Authorization": authorization} if authorization else {})
    answer = send_head_only(alice, method, target_of(alice, api, path), **headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("who", ["carol", "dave"])
@pytest.mark.parametrize(("method", "path"), PUSHES)
def test_without_the_right_it_is_refused_at_once(
    request: pytest.FixtureRequest,
    alice: RegistryClient,
    api: str,
    who: str,
    method: str,
    path: str,
    framing: dict[str, str],
) -> None:
    """AUTH-2, D-2: a reader and a stranger, with the tokens that they can get."""
    client: RegistryClient = request.getfixturevalue(who)
    token = client.token(f"repository:{api}:pull,push")
    target = target_of(alice, api, path)
    headers = framing | {"Authorization": f"Bearer {token}"}
    assert send_head_only(client, method, target, **headers).status == 401


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "manifests/.bad", 400),
        ("PUT", "manifests/sha256:bad", 400),
        ("POST", "blobs/uploads/?digest=sha256:bad", 400),
        ("PUT", "{session}", 400),
        ("PUT", "{session}?digest=md5:x", 400),
        ("PATCH", "blobs/uploads/00000000-0000-4000-8000-000000000000", 404),
        ("PUT", f"blobs/uploads/x?digest={ABSENT_DIGEST}", 404),
        ("PUT", "tags/list", 405),
        ("PUT", "nothing/at/all", 404),
    ],
)
def test_what_the_head_makes_impossible_is_refused_at_once(
    alice: RegistryClient,
    api: str,
    method: str,
    path: str,
    status: int,
    framing: dict[str, str],
) -> None:
    """G-2, G-3, UP-3, E-1."""
    token = alice.token(f"repository:{api}:pull,push")
    target = target_of(alice, api, path)
    headers = framing | {"Authorization": f"Bearer {token}"}
    assert send_head_only(alice, method, target, **headers).status == status


def test_too_long_a_manifest_is_refused_by_its_length(
    alice: RegistryClient, api: str
) -> None:
    """MAN-6: 413."""
    token = alice.token(f"repository:{api}:pull,push")
    answer = send_head_only(
        alice,
        "PUT",
        f"/v2/{api}/manifests/v1",
        Authorization=f"Bearer {token}",
        Content_Type=images.OCI_MANIFEST,
        Content_Length=HUGE,
    )
    assert answer.status == 413


@pytest.mark.parametrize(
    ("content_range", "status"), [("5-9", 416), ("0-9", 400), ("x", 416)]
)
def test_a_chunk_that_does_not_fit_is_refused_by_its_range(
    alice: RegistryClient, api: str, content_range: str, status: int
) -> None:
    """UP-5."""
    token = alice.token(f"repository:{api}:pull,push")
    answer = send_head_only(
        alice,
        "PATCH",
        alice.start_upload(api),
        Authorization=f"Bearer {token}",
        Content_Range=content_range,
        Content_Length=HUGE,
    )
    assert answer.status == status


def test_a_body_is_not_asked_for_when_it_is_not_wanted(
    anonymous: RegistryClient, api: str
) -> None:
    """AUTH-2: curl waits for 100 Continue, and gets the refusal."""
    with RawConnection(anonymous.url) as connection:
        connection.send_head(
            "PUT",
            f"/v2/{api}/manifests/v1",
            Content_Length=HUGE,
            Expect="100-continue",
        )
        assert connection.socket.recv(12) == b"HTTP/1.1 401"
