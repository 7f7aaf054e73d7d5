"""The same requests to Berth and to the real nginx, which serves the same bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx
import pytest

from distribution.ranges import RANGES_MAX
from tests.clients.proxies import run_nginx
from tests.distribution.test_conditions import BEFORE, OTHER, TABLE
from tests.distribution.test_ranges import (
    CONTENT,
    IGNORED,
    SATISFIABLE,
    UNSATISFIABLE,
    read_ranges,
)
from tests.registry_client import RegistryClient
from tests.servers import free_port

# Where nginx answers another status, and why Berth does not follow it.
MALFORMED = "nginx refuses what is malformed; RFC 9110 §14.2 lets a server ignore it"
OVERLAPPING = "nginx does not merge ranges: it sends the whole for so many bytes"
NUMBERS = "nginx refuses numbers that it cannot count with"
LISTS = "nginx knows no empty members of lists"
BARE = "clients of registries leave out the quotes (MAN-11)"
DATED = "nginx has a date of its file, and Berth none of a blob"
NO_DATE = "nginx refuses a date that is not one; RFC 9110 §13.1.4 ignores it"


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[str]:
    """The address of nginx, with the content as the file blob."""
    (tmp_path / "blob").write_bytes(CONTENT)
    port = free_port()
    site = (
        f"server {{ listen 127.0.0.1:{port}; root {tmp_path}; max_ranges {RANGES_MAX};"
        " default_type application/octet-stream; }"
    )
    with run_nginx(tmp_path, port, site):
        yield f"http://127.0.0.1:{port}"


@dataclass
class Sides:
    """One blob at two servers."""

    bob: RegistryClient
    path: str
    nginx: str

    @cached_property
    def etags(self) -> tuple[str, str]:
        """Return Berth's and nginx's entity tag of the blob, which nothing changes."""
        heads = self.bob.head(self.path), self.bob.http.head(f"{self.nginx}/blob")
        tag, other = (head.headers["ETag"].strip('"') for head in heads)
        return tag, other

    def ask(
        self, method: str, headers: dict[str, str]
    ) -> tuple[httpx.Response, httpx.Response]:
        """Return Berth's and nginx's answers, each asked with its own entity tag."""
        berths, others = (
            {n: v.format(etag=etag, other=OTHER) for n, v in headers.items()}
            for etag in self.etags
        )
        return (
            self.bob.request(method, self.path, headers=berths),
            self.bob.http.request(method, f"{self.nginx}/blob", headers=others),
        )


@pytest.fixture
def sides(bob: RegistryClient, api: str, nginx: str) -> Sides:
    return Sides(bob, f"/v2/{api}/blobs/{bob.push_blob(api, CONTENT)}", nginx)


def test_ranges_are_answered_as_by_nginx(sides: Sides) -> None:
    """Berth and nginx send the same status, sizes and bytes (C1, C2)."""
    differing = {}
    for header in [*SATISFIABLE, *UNSATISFIABLE, *IGNORED]:
        berths, others = sides.ask("GET", {"Range": header})
        if berths.status_code != others.status_code:
            differing[header] = others.status_code
        elif berths.status_code == 206:
            assert covered(berths) == covered(others), header
        else:
            assert berths.headers.get("Content-Range") == others.headers.get(
                "Content-Range"
            ), header
    reasons = {header: why_ranges(header) for header in differing}
    assert all(reasons.values()), {
        h: differing[h] for h, why in reasons.items() if not why
    }


def why_ranges(header: str) -> str:
    """Return why nginx's status for a Range is another one; "" if it should not be."""
    if header in IGNORED:
        return MALFORMED
    if "9" * 40 in header or "0" * 40 in header:
        return NUMBERS
    if header.startswith(("bytes=,", "bytes= ,")) or header.endswith(","):
        return LISTS
    if header.count(",") and SATISFIABLE.get(header):
        return OVERLAPPING
    return ""


def covered(response: httpx.Response) -> dict[int, int]:
    """Return the bytes that an answer has, by their position."""
    return {
        start + offset: byte
        for start, content in read_ranges(response)
        for offset, byte in enumerate(content)
    }


def test_conditions_are_answered_as_by_nginx(sides: Sides) -> None:
    """Berth and nginx give the same verdict on the same conditions (C6)."""
    differing = []
    for headers, _, _ in TABLE:
        for method in ("GET", "HEAD"):
            berths, others = sides.ask(method, headers)
            if berths.status_code != others.status_code and not why(headers):
                differing.append((method, headers, others.status_code))
    assert differing == []


def why(headers: dict[str, str]) -> str:
    """Return why nginx's status for conditions is another one."""
    if "{etag}" in headers.values():
        return BARE
    if headers.get("If-Unmodified-Since") == "yesterday":
        return NO_DATE
    if headers.get("If-Unmodified-Since") == BEFORE or "If-Modified-Since" in headers:
        return DATED
    return ""


def test_if_range_is_answered_as_by_nginx(sides: Sides) -> None:
    """Berth and nginx send a range for the same entity tags (C1)."""
    for condition in ('"{etag}"', '"x"', 'W/"{etag}"', "*", BEFORE):
        for header in ("bytes=0-9", "bytes=0-9,50-59", "bytes=9999-"):
            headers = {"Range": header, "If-Range": condition}
            berths, others = sides.ask("GET", headers)
            assert berths.status_code == others.status_code, headers
