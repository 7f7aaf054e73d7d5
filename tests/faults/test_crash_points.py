"""Killed at a named point, restarted, and nothing acknowledged is lost (C01 - C32).

Each test: bring a repository of its own to where the request begins, start a server
with the point armed on its data, send the request that dies, kill what is left, and
look through a server without the point.

It holds P1, DB7 of reliability.md, too.
"""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests import images, make
from tests.faults.conftest import MakeServer, admin_of
from tests.faults.oracle import assert_sound, rows, staged_bytes
from tests.images import digest_of, some_bytes
from tests.registry_client import RegistryClient, error_codes, with_digest
from tests.servers import START_TIMEOUT_SECONDS, LoadedServer, free_port

SERVING = ("registry_site.server.exchange", "registry_site.urls")
FIRST, REST = some_bytes(300_000), some_bytes(200_000)


class Mortal:
    """A registry of two servers on the same data: one stays, one dies at a point."""

    def __init__(self, steady: LoadedServer, admin: RegistryClient) -> None:
        self.steady = steady
        self.client = admin
        self.name = ""

    def new_repository(self) -> str:
        self.name = make.unique("admin/mortal")
        return self.name

    def die(self, point: str, method: str, path: str, **request: Any) -> None:
        """Send the request that reaches the point; afterwards nothing of it runs."""
        scope = f"repository:{self.name}:pull,push,delete"
        request.setdefault("token", self.client.token(scope))
        with self.doomed(point) as url:
            dying = replace(self.client, url=url)
            with pytest.raises(httpx.TransportError):
                dying.request(method, path, **request)
        assert_sound(self.steady)

    @contextmanager
    def doomed(self, point: str) -> Iterator[str]:
        """Serve the same data at another address, with the point armed.

        Both servers think that they are the steady one, or its tokens would not do.
        """
        port = free_port()
        url = f"http://localhost:{port}"
        process = self.steady.loaded.start(
            "serve",
            log_path=self.steady.data_folder / "doomed.log",
            BERTH_LISTEN=("127.0.0.1", port),
            BERTH_CRASH_AT=point,
        )
        try:
            deadline = time.monotonic() + START_TIMEOUT_SECONDS
            while not _answers(url):
                assert process.poll() is None, "it ended at once"
                assert time.monotonic() < deadline, "it does not serve"
                time.sleep(0.02)
            yield url
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    # --- what a client sees afterwards

    def received(self, location: str) -> int:
        """Return how many bytes the session says have arrived."""
        response = self.client.get(location, token=self.push_token())
        assert response.status_code == 204, response.text
        first, _, last = response.headers["Range"].partition("-")
        assert first == "0"
        [(offset,)] = rows(self.steady, "SELECT offset_bytes FROM distribution_upload")
        assert int(last) == max(offset - 1, 0)
        return int(offset)

    def push_token(self) -> str:
        return self.client.token(f"repository:{self.name}:pull,push")

    def has_blob(self, digest: str) -> bool:
        response = self.client.head(f"/v2/{self.name}/blobs/{digest}")
        assert response.status_code in {200, 404}
        return response.status_code == 200

    def retry_naively(self, content: bytes) -> None:
        """Push the blob from the start, as a client does that knows nothing."""
        digest = self.client.push_blob_like_docker(self.name, content)
        assert self.client.pull_blob(self.name, digest) == content


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/healthz").status_code == 200
    return False


@pytest.fixture(scope="module")
def server(make_server: MakeServer) -> LoadedServer:
    made = make_server()
    made.modules = SERVING
    made.manage("prepare")
    made.start()
    return made


@pytest.fixture
def mortal(server: LoadedServer, http: httpx.Client) -> Iterator[Mortal]:
    mortal = Mortal(server, admin_of(server, http))
    mortal.new_repository()
    mortal.client.push_blob(mortal.name, b"{}")  # so that it exists
    yield mortal
    for (session,) in rows(server, "SELECT uuid FROM distribution_upload"):
        location = f"/v2/{mortal.name}/blobs/uploads/{session}"
        mortal.client.delete(location, token=mortal.push_token())


# --- POST, PATCH


def test_c01_before_commit_of_a_session_there_is_none(mortal: Mortal) -> None:
    """C01."""
    mortal.die("C01", "POST", f"/v2/{mortal.name}/blobs/uploads/")
    assert rows(mortal.steady, "SELECT uuid FROM distribution_upload") == []
    mortal.retry_naively(some_bytes())


def test_c02_a_session_that_nobody_heard_of_harms_nobody(mortal: Mortal) -> None:
    """C02."""
    mortal.die("C02", "POST", f"/v2/{mortal.name}/blobs/uploads/")
    [(session,)] = rows(mortal.steady, "SELECT uuid FROM distribution_upload")
    assert mortal.received(f"/v2/{mortal.name}/blobs/uploads/{session}") == 0
    assert staged_bytes(mortal.steady) == 0
    mortal.retry_naively(some_bytes())


@pytest.mark.parametrize(
    ("point", "arrived"),
    [("C03", b""), ("C03", FIRST), ("C04", FIRST)],
    ids=["C03 first chunk", "C03 later chunk", "C04 later chunk"],
)
def test_bytes_that_were_not_acknowledged_do_not_count(
    mortal: Mortal, point: str, arrived: bytes
) -> None:
    """C03, C04: never an offset beyond the file, and the rest gives the digest."""
    location = mortal.client.start_upload(mortal.name)
    if arrived:
        location = mortal.client.patch(location, content=arrived).headers["Location"]
    mortal.die(point, "PATCH", location, content=REST)
    assert mortal.received(location) == len(arrived)
    whole = arrived + REST
    response = mortal.client.patch(
        location,
        content=REST,
        headers={"Content-Range": f"{len(arrived)}-{len(whole) - 1}"},
    )
    assert response.status_code == 202
    digest = digest_of(whole)
    assert mortal.client.put(with_digest(location, digest)).status_code == 201
    assert mortal.client.pull_blob(mortal.name, digest) == whole
    assert_sound(mortal.steady)


def test_what_was_acknowledged_can_be_finished_without_the_rest(
    mortal: Mortal,
) -> None:
    """C04: what lies beyond the offset is not part of the blob."""
    first = some_bytes(100_000)
    location = mortal.client.start_upload(mortal.name)
    location = mortal.client.patch(location, content=first).headers["Location"]
    mortal.die("C04", "PATCH", location, content=REST)
    response = mortal.client.put(with_digest(location, digest_of(first)))
    assert response.status_code == 201
    assert mortal.client.pull_blob(mortal.name, digest_of(first)) == first


def test_c05_a_saved_chunk_is_not_taken_twice(mortal: Mortal) -> None:
    """C05: the client asks and goes on there; the chunk again is 416, not twice."""
    location = mortal.client.start_upload(mortal.name)
    location = mortal.client.patch(location, content=FIRST).headers["Location"]
    whole = FIRST + REST
    chunk = {"Content-Range": f"{len(FIRST)}-{len(whole) - 1}"}
    mortal.die("C05", "PATCH", location, content=REST, headers=chunk)
    assert mortal.received(location) == len(whole)
    again = mortal.client.patch(location, content=REST, headers=chunk)
    assert again.status_code == 416
    assert error_codes(again) == ["RANGE_INVALID"]
    assert again.headers["Range"] == f"0-{len(whole) - 1}"
    digest = digest_of(whole)
    assert mortal.client.put(with_digest(location, digest)).status_code == 201
    assert mortal.client.pull_blob(mortal.name, digest) == whole


# --- PUT of a blob


@pytest.mark.parametrize(
    ("point", "chunks"), [("C06", 1), ("C07", 2), ("C08", 0), ("C08", 1), ("C08", 2)]
)
def test_an_upload_that_died_before_commit_can_be_finished(
    mortal: Mortal, point: str, chunks: int
) -> None:
    """C06, C07, C08: invisible until the same PUT is sent again, which is 201."""
    content = some_bytes(200_000)
    cuts = {0: (), 1: (content,), 2: (content[:80_000], content[80_000:])}[chunks]
    location = mortal.client.start_upload(mortal.name)
    for chunk in cuts:
        location = mortal.client.patch(location, content=chunk).headers["Location"]
    target = with_digest(location, digest_of(content))
    body = b"" if chunks else content
    mortal.die(point, "PUT", target, content=body)
    assert not mortal.has_blob(digest_of(content))
    assert mortal.received(location) == (len(content) if chunks else 0)
    response = mortal.client.put(target, content=body)
    assert response.status_code == 201, response.text
    assert mortal.client.pull_blob(mortal.name, digest_of(content)) == content
    mortal.retry_naively(content)


@pytest.mark.parametrize("point", ["C08", "C10"])
def test_a_blob_of_one_request_can_be_sent_again(mortal: Mortal, point: str) -> None:
    """C08, C10 of end-4b, which has no session to come back to."""
    content = some_bytes(50_000)
    target = f"/v2/{mortal.name}/blobs/uploads/?digest={digest_of(content)}"
    mortal.die(point, "POST", target, content=content)
    assert mortal.has_blob(digest_of(content)) == (point == "C10")
    assert mortal.client.post(target, content=content).status_code == 201
    mortal.retry_naively(content)


@pytest.mark.parametrize("point", ["C09", "C10"])
def test_a_lost_answer_of_a_finished_upload_is_harmless(
    mortal: Mortal, point: str
) -> None:
    """C09, C10: the blob is there; the PUT again is 201, or 404 and HEAD says so."""
    content = some_bytes(50_000)
    location = mortal.client.start_upload(mortal.name)
    location = mortal.client.patch(location, content=content).headers["Location"]
    target = with_digest(location, digest_of(content))
    mortal.die(point, "PUT", target)
    assert mortal.has_blob(digest_of(content))
    assert mortal.client.pull_blob(mortal.name, digest_of(content)) == content
    assert mortal.client.put(target).status_code in {201, 404}
    mortal.retry_naively(content)


# --- manifests, tags, mounts


def _push_blobs(mortal: Mortal, image: images.Image) -> None:
    for blob in image.blobs:
        mortal.client.push_blob(mortal.name, blob)


@pytest.mark.parametrize("point", ["C11", "C12"])
def test_a_manifest_that_was_not_committed_is_not_there(
    mortal: Mortal, point: str
) -> None:
    """C11, C12: neither manifest nor tag; no lock is left; the same PUT is 201."""
    image = images.image()
    _push_blobs(mortal, image)
    path = f"/v2/{mortal.name}/manifests/v1"
    headers = {"Content-Type": image.media_type}
    mortal.die(point, "PUT", path, content=image.payload, headers=headers)
    assert mortal.client.head(path).status_code == 404
    by_digest = f"/v2/{mortal.name}/manifests/{image.digest}"
    assert mortal.client.head(by_digest).status_code == 404
    assert mortal.client.tags(mortal.name) == []
    mortal.client.push(f"{mortal.name}:v1", image)
    assert mortal.client.pull(f"{mortal.name}:v1") == image
    assert_sound(mortal.steady)


def test_c12_a_tag_that_is_being_moved_stays_where_it_was(mortal: Mortal) -> None:
    """C12, I3."""
    old, new = images.image(), images.image()
    mortal.client.push(f"{mortal.name}:v1", old)
    _push_blobs(mortal, new)
    path = f"/v2/{mortal.name}/manifests/v1"
    headers = {"Content-Type": new.media_type}
    mortal.die("C12", "PUT", path, content=new.payload, headers=headers)
    assert mortal.client.pull(f"{mortal.name}:v1") == old


def test_c13_a_manifest_whose_answer_was_lost_is_there_with_its_event(
    mortal: Mortal,
) -> None:
    """C13: one event, and not a second one for the PUT again."""
    image = images.image()
    _push_blobs(mortal, image)
    path = f"/v2/{mortal.name}/manifests/v1"
    headers = {"Content-Type": image.media_type}
    mortal.die("C13", "PUT", path, content=image.payload, headers=headers)
    assert mortal.client.pull(f"{mortal.name}:v1") == image
    again = mortal.client.put(path, content=image.payload, headers=headers)
    assert again.status_code == 201
    events = rows(
        mortal.steady,
        "SELECT kind FROM repositories_event WHERE kind = 'tag.pushed' "
        f"AND repository_name = '{mortal.name}'",
    )
    assert len(events) == 1


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_c14_a_deletion_happens_as_a_whole_or_not(mortal: Mortal, by: str) -> None:
    """C14: tags, manifest, history and events; the DELETE again is 202."""
    image = images.image()
    mortal.client.push(f"{mortal.name}:v1", image)
    mortal.client.push(f"{mortal.name}:v2", image)
    reference = "v1" if by == "tag" else image.digest
    path = f"/v2/{mortal.name}/manifests/{reference}"
    mortal.die("C14", "DELETE", path)
    assert mortal.client.pull(f"{mortal.name}:v1") == image
    assert mortal.client.tags(mortal.name) == ["v1", "v2"]
    deletions = (
        "SELECT kind FROM repositories_event WHERE kind LIKE '%.deleted' "
        f"AND repository_name = '{mortal.name}'"
    )
    assert rows(mortal.steady, deletions) == []
    assert mortal.client.delete(path).status_code == 202
    assert mortal.client.head(path).status_code == 404
    assert mortal.client.tags(mortal.name) == (["v2"] if by == "tag" else [])
    assert len(rows(mortal.steady, deletions)) == (1 if by == "tag" else 3)
    assert_sound(mortal.steady)


def test_c15_a_mount_that_was_not_committed_is_not_there(mortal: Mortal) -> None:
    """C15: no link; the same POST mounts."""
    content = some_bytes()
    source = mortal.name
    digest = mortal.client.push_blob(source, content)
    target = mortal.new_repository()
    mortal.client.push_blob(target, b"{}")
    path = f"/v2/{target}/blobs/uploads/?mount={digest}&from={source}"
    scopes = [f"repository:{target}:pull,push", f"repository:{source}:pull"]
    mortal.die("C15", "POST", path, token=mortal.client.token(*scopes))
    assert not mortal.has_blob(digest)
    again = mortal.client.post(path, token=mortal.client.token(*scopes))
    assert again.status_code == 201
    assert mortal.client.pull_blob(target, digest) == content
    assert_sound(mortal.steady)


# --- whole repositories


def test_c14_a_deleted_repository_is_there_or_can_be_restored(mortal: Mortal) -> None:
    """C14: killed in between, nothing happened; the DELETE again is 204."""
    image = images.image()
    mortal.client.push(f"{mortal.name}:v1", image)
    path = f"/api/v1/repositories/{mortal.name}"
    secret = mortal.client.secret
    mortal.die("C14", "DELETE", path, token=secret)
    assert mortal.client.pull(f"{mortal.name}:v1") == image
    assert events_of(mortal, "repository.deleted") == 0
    assert mortal.client.delete(path, token=secret).status_code == 204
    assert mortal.client.head(f"/v2/{mortal.name}/manifests/v1").status_code == 404
    assert events_of(mortal, "repository.deleted") == 1
    assert_sound(mortal.steady)


def test_c14_a_purge_happens_as_a_whole_or_not(mortal: Mortal) -> None:
    """C14: after the crash it can still be restored, with all its rows."""
    image = images.image()
    for tag in range(20):
        mortal.client.push(f"{mortal.name}:v{tag}", image)
    secret = mortal.client.secret
    api = "/api/v1/deleted-repositories"
    deleted = mortal.client.delete(f"/api/v1/repositories/{mortal.name}", token=secret)
    assert deleted.status_code == 204
    [row] = [
        row
        for row in mortal.client.get(api, token=secret).json()["results"]
        if row["full_name"] == mortal.name
    ]
    mortal.die("C14", "DELETE", f"{api}/{row['id']}", token=secret)
    assert events_of(mortal, "repository.purged") == 0
    restored = mortal.client.post(f"{api}/{row['id']}/restore", token=secret)
    assert restored.status_code == 200
    assert len(mortal.client.tags(mortal.name)) == 20
    assert mortal.client.pull(f"{mortal.name}:v7") == image

    mortal.client.delete(f"/api/v1/repositories/{mortal.name}", token=secret)
    purged = mortal.client.delete(f"{api}/{row['id']}", token=secret)
    assert purged.status_code == 204
    assert events_of(mortal, "repository.purged") == 1
    left = f"SELECT id FROM repositories_manifest WHERE repository_id = {row['id']}"
    assert rows(mortal.steady, left) == []
    assert_sound(mortal.steady)


# --- names and accounts

MOVE = """
from accounts.actors import COMMAND_LINE
from accounts.models import Namespace
from repositories import lifecycle
from repositories.models import Repository
namespace, name, target = {old!r}.split("/") + [{target!r}]
row = Repository.objects.get(namespace__name=namespace, name=name)
lifecycle.transfer_repository(
    repository=row, namespace=Namespace.objects.get(name=target), name={new!r},
    actor=COMMAND_LINE,
)
"""
DELETE_ACCOUNT = """
from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.users import delete_user
delete_user(user=User.objects.get(username={name!r}), actor=COMMAND_LINE)
"""
MAKE_ACCOUNT = """
from repositories.models import Grant, Repository
from tests import make
namespace, name = {repository!r}.split("/")
row = Repository.objects.get(namespace__name=namespace, name=name)
user = make.user("leaver")
Grant.objects.create(repository=row, user=user, role="write")
print(user.username)
"""


def run_and_die(mortal: Mortal, point: str, code: str) -> None:
    status, printed = mortal.steady.loaded.run(
        "shell", "--no-imports", "-c", code, BERTH_CRASH_AT=point
    )
    assert status == -signal.SIGKILL, printed


@pytest.mark.parametrize("moves_to", ["admin", "organization"])
def test_c31_a_repository_has_its_old_name_or_the_new_one(
    mortal: Mortal, moves_to: str
) -> None:
    """C31: killed before the commit, and repeated; never both names or none."""
    image = images.image()
    mortal.client.push(f"{mortal.name}:v1", image)
    if moves_to != "admin":
        moves_to = make.unique("docks")
        made = mortal.client.post(
            "/api/v1/organizations",
            content=json.dumps({"name": moves_to}).encode(),
            headers={"Content-Type": "application/json"},
            token=mortal.client.secret,
        )
        assert made.status_code == 201, made.text
    name = make.unique("moved")
    new = f"{moves_to}/{name}"
    code = MOVE.format(old=mortal.name, target=moves_to, new=name)
    run_and_die(mortal, "C31", code)
    assert mortal.client.pull(f"{mortal.name}:v1") == image
    api = f"/api/v1/repositories/{new}"
    assert mortal.client.get(api, token=mortal.client.secret).status_code == 404
    mortal.steady.manage("shell", "--no-imports", "-c", code)
    assert mortal.client.pull(f"{new}:v1") == image
    mortal.name = new
    assert_sound(mortal.steady)


def test_c32_an_account_is_there_with_its_rights_or_gone_with_them(
    mortal: Mortal,
) -> None:
    """C32: no grant is left without a subject."""
    mortal.client.push(f"{mortal.name}:v1", images.image())
    make_account = MAKE_ACCOUNT.format(repository=mortal.name)
    name = mortal.steady.manage("shell", "--no-imports", "-c", make_account).split()[-1]
    code = DELETE_ACCOUNT.format(name=name)
    [(user_id,)] = rows(
        mortal.steady, f"SELECT id FROM accounts_user WHERE username = '{name}'"
    )
    grants = f"SELECT id FROM repositories_grant WHERE user_id = {user_id}"
    namespaces = f"SELECT id FROM accounts_namespace WHERE user_id = {user_id}"
    run_and_die(mortal, "C32", code)
    assert len(rows(mortal.steady, grants)) == len(rows(mortal.steady, namespaces)) == 1
    mortal.steady.manage("shell", "--no-imports", "-c", code)
    assert rows(mortal.steady, grants) == rows(mortal.steady, namespaces) == []
    assert_sound(mortal.steady)


def events_of(mortal: Mortal, kind: str) -> int:
    found = rows(
        mortal.steady,
        f"SELECT id FROM repositories_event WHERE kind = '{kind}' "
        f"AND repository_name = '{mortal.name}'",
    )
    return len(found)
