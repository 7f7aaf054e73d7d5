"""A registry client, such as docker's or skopeo's: challenged, it fetches a token.

    alice.push(f"{api}:v1", image)           HEAD, POST, PATCH, PUT blobs; PUT manifest
    alice.pull(f"{api}:v1")                  the image, every digest checked
    alice.get(f"/v2/{api}/tags/list")        one request; 401 -> token -> once more
    alice.token(f"repository:{api}:pull")    a registry token by hand
    alice.get(path, token=...)               with a token by hand; "" sends none at all

Every answer to every request of every test is held against the rules that bind all
answers (check_answer), so no test has to repeat them.
"""

import base64
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.client import HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.images import OCI_INDEX, Image, digest_of

TIMEOUT_SECONDS = 60  # a machine may be slow; a test never waits for it to pass
MANIFEST_PATH = re.compile(r"^/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)$")
REPOSITORY_PATH = re.compile(
    r"^/v2/(?P<name>.+)/(?:blobs|manifests|tags|referrers)(?:/|$)"
)
INDEX_TYPES = {
    OCI_INDEX,
    "application/vnd.docker.distribution.manifest.list.v2+json",
}
_FROM_CHALLENGE = "challenge"  # the default of token=


class TokenRefused(Exception):
    """The token endpoint answered something other than 200."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"{response.status_code}: {response.text}")
        self.response = response


@dataclass(frozen=True)
class Challenge:
    """A parsed WWW-Authenticate header."""

    scheme: str
    parameters: dict[str, str]

    @property
    def scopes(self) -> list[str]:
        return self.parameters.get("scope", "").split()


def parse_challenge(response: httpx.Response) -> Challenge:
    """Read the one challenge of a 401 as strictly as the strictest client."""
    [header] = response.headers.get_list("WWW-Authenticate")
    scheme, _, rest = header.partition(" ")
    assert re.fullmatch(r'\w+="[^"]*"(?:, ?\w+="[^"]*")*', rest), header
    pairs = re.findall(r'(\w+)="([^"]*)"', rest)
    assert len(dict(pairs)) == len(pairs), f"a parameter is repeated: {header}"
    return Challenge(scheme, dict(pairs))


@dataclass
class RegistryClient:
    """One login (or none) at one registry."""

    http: httpx.Client
    url: str
    username: str = ""
    secret: str = ""
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    # --- single requests

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = _FROM_CHALLENGE,
        content: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        params: Any = None,
        expect_5xx: bool = False,
    ) -> httpx.Response:
        """Send a request; on 401 fetch the token that is asked for and send it again.

        A list of pieces as content goes out with chunked transfer encoding. Nothing is
        fetched when the test gives a token of its own.
        """
        by_hand = token != _FROM_CHALLENGE
        repository = repository_of(path)
        kind = (repository, _kind_of(method))
        if not by_hand:
            token = self.tokens.get(kind, "")
        response = self._send(method, path, token, content, headers, params)
        if not by_hand and response.status_code == 401:
            challenge = parse_challenge(response)
            scopes = challenge.scopes
            self.tokens[kind] = self.token(*scopes)
            response = self._send(
                method, path, self.tokens[kind], content, headers, params
            )
        check_answer(response, expect_5xx=expect_5xx)
        return response

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def head(self, path: str, **options: Any) -> httpx.Response:
        return self.request("HEAD", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def put(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PUT", path, **options)

    def patch(self, path: str, **options: Any) -> httpx.Response:
        return self.request("PATCH", path, **options)

    def delete(self, path: str, **options: Any) -> httpx.Response:
        return self.request("DELETE", path, **options)

    def _send(
        self,
        method: str,
        path: str,
        token: str | None,
        content: bytes | Iterable[bytes] | None,
        headers: dict[str, str] | list[tuple[str, str]] | None,
        params: Any,
    ) -> httpx.Response:
        sent = httpx.Headers(headers)
        if token:
            sent["Authorization"] = f"Bearer {token}"
        if content is not None and not isinstance(content, bytes):
            content = iter(list(content))  # goes out chunked
        return self.http.request(
            method, self.url + path, headers=sent, content=content, params=params
        )

    # --- tokens

    @property
    def basic(self) -> dict[str, str]:
        """The Authorization header of this login."""
        return basic_header(self.username, self.secret)

    def token_answer(self, *scopes: str, **query: str) -> httpx.Response:
        """Ask the token endpoint as docker does (AUTH-10): Basic, repeated scope."""
        pairs: list[tuple[str, Any]] = [
            ("service", urlsplit(self.url).netloc),
            *query.items(),
        ]
        pairs += [("scope", scope) for scope in scopes]
        response = self.http.get(
            f"{self.url}/v2/token",
            params=pairs,
            headers=self.basic if self.username else {},
        )
        check_answer(response)
        return response

    def token(self, *scopes: str) -> str:
        """Return a registry token for these scopes, or for as much as is granted."""
        response = self.token_answer(*scopes)
        if response.status_code != 200:
            raise TokenRefused(response)
        return str(response.json()["token"])

    def token_for(self, name: str, method: str) -> str:
        """Return the token that this client last used for such a request."""
        return self.tokens[name, _kind_of(method)]

    # --- blobs

    def start_upload(self, name: str) -> str:
        """Begin an upload and return its location."""
        response = self.post(f"/v2/{name}/blobs/uploads/")
        assert response.status_code == 202, response.text
        return str(response.headers["Location"])

    def push_blob(self, name: str, content: bytes, *, algorithm: str = "sha256") -> str:
        """Upload bytes with POST and PUT and return their digest."""
        digest = digest_of(content, algorithm)
        location = self.start_upload(name)
        response = self.put(with_digest(location, digest), content=content)
        assert response.status_code == 201, response.text
        return digest

    def push_blob_like_docker(self, name: str, content: bytes) -> str:
        """Upload bytes as docker does: HEAD, POST, one streamed PATCH, an empty PUT."""
        digest = digest_of(content)
        if self.head(f"/v2/{name}/blobs/{digest}").status_code == 200:
            return digest
        location = self.start_upload(name)
        response = self.patch(location, content=[content])
        assert response.status_code == 202, response.text
        response = self.put(with_digest(response.headers["Location"], digest))
        assert response.status_code == 201, response.text
        return digest

    def pull_blob(self, name: str, digest: str) -> bytes:
        """Download a blob and check it against its digest."""
        response = self.get(f"/v2/{name}/blobs/{digest}")
        assert response.status_code == 200, response.text
        assert digest_of(response.content, digest.partition(":")[0]) == digest
        return response.content

    # --- manifests and whole images

    def put_manifest(
        self, name: str, reference: str, image: Image, **options: Any
    ) -> httpx.Response:
        """Upload only the manifest; the answer is the test's to judge."""
        headers = {"Content-Type": image.media_type, **options.pop("headers", {})}
        return self.put(
            f"/v2/{name}/manifests/{reference}",
            content=image.payload,
            headers=headers,
            **options,
        )

    def push_blobs(self, name: str, image: Image) -> None:
        """Upload what an image names, but not the image."""
        for blob in image.blobs:
            self.push_blob(name, blob)

    def push(self, reference: str, image: Image) -> str:
        """Upload an image with all that it names and return its digest.

        The reference is name:tag, name@digest, or a bare name, which pushes by digest.
        """
        name, tag_or_digest = split_reference(reference, image.digest)
        for blob in image.blobs:
            self.push_blob_like_docker(name, blob)
        for child in image.children:
            self.push(name, child)
        response = self.put_manifest(name, tag_or_digest, image)
        assert response.status_code == 201, response.text
        assert response.headers["Docker-Content-Digest"] == image.digest
        return image.digest

    def pull(self, reference: str) -> Image:
        """Download an image with all that it names and check every digest."""
        name, tag_or_digest = split_reference(reference, "latest")
        response = self.get(f"/v2/{name}/manifests/{tag_or_digest}")
        assert response.status_code == 200, response.text
        digest = response.headers["Docker-Content-Digest"]
        assert digest_of(response.content, digest.partition(":")[0]) == digest
        media_type = response.headers["Content-Type"]
        body = response.json()
        if media_type in INDEX_TYPES:
            children = tuple(
                self.pull(f"{name}@{child['digest']}") for child in body["manifests"]
            )
            return Image(response.content, media_type, (), children)
        blobs = tuple(
            self.pull_blob(name, blob["digest"])
            for blob in [body["config"], *body["layers"]]
        )
        return Image(response.content, media_type, blobs)

    def tags(self, name: str) -> list[str]:
        """List the tags, following Link as long as there is one."""
        return follow_links(self.get, f"/v2/{name}/tags/list", "tags")

    def referrers(self, name: str, digest: str) -> list[dict[str, Any]]:
        """List the referrers of a digest."""
        response = self.get(f"/v2/{name}/referrers/{digest}")
        assert response.status_code == 200, response.text
        manifests: list[dict[str, Any]] = response.json()["manifests"]
        return manifests


def basic_header(username: str, secret: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication."""
    words = base64.b64encode(f"{username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {words}"}


def repository_of(path: str) -> str:
    """Return the repository that a path is about, "" if none."""
    match = REPOSITORY_PATH.match(urlsplit(path).path)
    return match["name"] if match else ""


def split_reference(reference: str, default: str) -> tuple[str, str]:
    """Split name:tag or name@digest."""
    name, at, digest = reference.partition("@")
    if at:
        return name, digest
    name, colon, tag = reference.rpartition(":")
    return (name, tag) if colon else (reference, default)


def with_digest(location: str, digest: str) -> str:
    """Append the digest to an upload's location, as the last request needs it."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def next_link(response: httpx.Response) -> str | None:
    """Return the path of the next page; other forms of Link break clients (R-28)."""
    link = response.headers.get("Link")
    if link is None:
        return None
    match = re.fullmatch(r'<(/v2/[^<>"\s]+)>; ?rel="next"', link)
    assert match, f"not a relative link of the same origin: {link}"
    return match[1]


def follow_links(
    get: Callable[[str], httpx.Response], path: str, member: str
) -> list[Any]:
    """Collect a member of every page of a listing."""
    found: list[Any] = []
    pages = 0
    following: str | None = path
    while following is not None:
        response = get(following)
        assert response.status_code == 200, response.text
        found += response.json()[member]
        following = next_link(response)
        pages += 1
        assert pages < 10_000, "the links go round in a circle"
    return found


def _kind_of(method: str) -> str:
    return {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(method, "push")


# --- what binds every answer


def check_answer(response: httpx.Response, *, expect_5xx: bool = False) -> None:
    """Hold an answer of the protocol against the rules that bind them all (§1.3, §1.4).

    H-1 version header, H-2 no cookies and no encoding, H-7 explicit zero length, E-1
    errors as JSON of the OCI shape; and nothing may ever be a redirect for a slash or a
    failure of the server's.
    """
    request, headers, status = response.request, response.headers, response.status_code
    where = f"{request.method} {request.url.raw_path.decode()} -> {status}"
    if expect_5xx:
        assert status >= 500, f"{where}: {response.text}"
    else:
        assert status < 500, f"{where}: {response.text}"
    path = request.url.path
    if not path.startswith(("/v2", "/v1")):
        return
    if path == "/v2" or path.startswith("/v2/"):
        version = headers.get("Docker-Distribution-Api-Version")
        assert version == "registry/2.0", where
    for unwanted in ("Set-Cookie", "Content-Encoding", "Content-Language"):
        assert unwanted not in headers, f"{where}: {unwanted}"
    vary = headers.get("Vary", "").lower()
    assert "cookie" not in vary and "accept-language" not in vary, where
    assert status not in {301, 302, 303, 308}, f"{where}: {headers.get('Location')}"
    if status in {201, 202}:
        assert headers.get("Content-Length") == "0", where
    if "Location" in headers:
        assert headers["Location"].startswith("/v2/"), where  # H-6, D-6
    if status >= 400 and request.method != "HEAD":
        check_error_body(response)
    if status == 401:
        parse_challenge(response)
    if status in {429, 503}:
        assert int(headers["Retry-After"]) >= 0, where


def check_error_body(response: httpx.Response) -> None:
    """Hold a refusal's body against the OCI shape (E-1, E-4)."""
    where = f"{response.request.method} {response.request.url}: {response.text[:500]}"
    assert response.headers["Content-Type"] == "application/json", where
    assert len(response.content) <= 64 * 1024, where  # E-3
    body = response.json()
    assert list(body) == ["errors"] and body["errors"], where
    for error in body["errors"]:
        assert re.fullmatch(r"[A-Z][A-Z_]+", error["code"]), where
        assert error["message"], where
        assert set(error) <= {"code", "message", "detail"}, where


def error_codes(response: httpx.Response) -> list[str]:
    """Return the codes of a refusal."""
    return [error["code"] for error in response.json()["errors"]]


# --- below HTTP clients: bytes on a socket


@dataclass(frozen=True)
class RawAnswer:
    """What came back on a raw connection."""

    status: int
    headers: httpx.Headers
    body: bytes


class RawConnection:
    """A TCP connection for what no HTTP library would send: half and broken bodies."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        self.host = parts.netloc
        self.socket = socket.create_connection(
            (parts.hostname, parts.port), TIMEOUT_SECONDS
        )

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send_head(self, method: str, target: str, **headers: str | None) -> None:
        """Send a request line and headers; underscores in names become hyphens."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host}"]
        lines += [
            f"{name.replace('_', '-')}: {value}"
            for name, value in headers.items()
            if value is not None
        ]
        self.send("\r\n".join([*lines, "", ""]).encode())

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def send_chunk(self, content: bytes) -> None:
        """Send one chunk of a chunked body; an empty one ends it."""
        self.send(b"%x\r\n%s\r\n" % (len(content), content))

    def receive(self, method: str = "GET") -> RawAnswer:
        """Wait for one answer and read it whole."""
        answer = HTTPResponse(self.socket, method=method)
        answer.begin()
        body = answer.read()
        headers = httpx.Headers(answer.getheaders())
        return RawAnswer(answer.status, headers, body)

    def reset(self) -> None:
        """Cut the connection off with a reset, as a killed client does."""
        linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.socket.close()
