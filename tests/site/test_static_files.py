"""Static files: conditions and ranges as RFC 9110 has them, on what has a date."""

import httpx
import pytest

from tests.servers import BerthServer

pytestmark = pytest.mark.once  # files, and no rows

PATH = "/static/favicon.svg"
BEFORE = "Tue, 15 Nov 1994 12:45:26 GMT"
AFTER = "Fri, 31 Dec 2100 23:59:59 GMT"

TABLE: list[tuple[dict[str, str], int]] = [
    ({}, 200),
    ({"If-None-Match": "{etag}"}, 304),
    ({"If-None-Match": "W/{etag}"}, 304),
    ({"If-None-Match": '"x", W/{etag}'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"x", "y"'}, 200),
    ({"If-Modified-Since": "{date}"}, 304),
    ({"If-Modified-Since": AFTER}, 304),
    ({"If-Modified-Since": BEFORE}, 200),
    ({"If-Modified-Since": "tomorrow"}, 200),
    ({"If-Modified-Since": AFTER, "If-None-Match": '"x"'}, 200),
    ({"If-Match": "{etag}"}, 200),
    ({"If-Match": '"x", {etag}'}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": "W/{etag}"}, 412),
    ({"If-Match": '"x"'}, 412),
    ({"If-Unmodified-Since": "{date}"}, 200),
    ({"If-Unmodified-Since": BEFORE}, 412),
    ({"If-Unmodified-Since": BEFORE, "If-Match": "{etag}"}, 200),
]
RANGES: list[tuple[dict[str, str], int]] = [
    ({"Range": "bytes=0-0"}, 206),
    ({"Range": "bytes=0-"}, 206),
    ({"Range": "bytes=-1"}, 206),
    ({"Range": "bytes=0-4,3-9"}, 206),
    ({"Range": "bytes=0-4", "If-Range": "{etag}"}, 206),
    ({"Range": "bytes=0-4", "If-Range": "W/{etag}"}, 200),
    ({"Range": "bytes=0-4", "If-Range": '"x"'}, 200),
    ({"Range": "bytes=0-4", "If-Range": BEFORE}, 200),
    ({"Range": "bytes=0-0,4-4"}, 200),
    ({"Range": "bytes=x"}, 200),
    ({"Range": "bytes=99999999-"}, 416),
    ({"Range": "bytes=0-4", "If-None-Match": "{etag}"}, 304),
]


def test_conditions_and_ranges(registry: BerthServer, http: httpx.Client) -> None:
    """Lists, weak tags, dates and ranges, in the order of §13.2.2 (C1, C6)."""
    plain = http.get(registry.url + PATH, headers={"Accept-Encoding": "identity"})
    etag, date = plain.headers["ETag"], plain.headers["Last-Modified"]
    assert plain.status_code == 200 and etag.startswith('"')
    for table, methods in ((TABLE, ("GET", "HEAD")), (RANGES, ("GET",))):
        for headers, status in table:
            sent = {k: v.format(etag=etag, date=date) for k, v in headers.items()}
            sent["Accept-Encoding"] = "identity"
            for method in methods:
                response = http.request(method, registry.url + PATH, headers=sent)
                assert response.status_code == status, (method, sent)
                if status == 304:
                    for name in ("ETag", "Cache-Control", "Vary"):
                        assert response.headers[name] == plain.headers[name]
                    assert response.content == b""
                if status == 206:
                    check_part(response, plain.content)
                if status == 416:
                    size = len(plain.content)
                    assert response.headers["Content-Range"] == f"bytes */{size}"


def check_part(response: httpx.Response, content: bytes) -> None:
    span, _, size = (
        response.headers["Content-Range"].removeprefix("bytes ").partition("/")
    )
    first, last = map(int, span.split("-"))
    assert int(size) == len(content)
    assert response.content == content[first : last + 1]
    assert response.headers["Content-Length"] == str(last - first + 1)


def test_a_compressed_file_is_fetched_once(
    registry: BerthServer, http: httpx.Client
) -> None:
    """Compression makes the entity tag weak, and a browser sends it so (C6)."""
    path = registry.url + "/static/js/theme.js"
    first = http.get(path, headers={"Accept-Encoding": "gzip"})
    assert first.headers["Content-Encoding"] == "gzip"
    again = {"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]}
    assert http.get(path, headers=again).status_code == 304
    # Part of it is part of the file, never of what was compressed.
    part = http.get(path, headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert part.status_code == 206 and "Content-Encoding" not in part.headers
    assert part.content == first.content[:10]
