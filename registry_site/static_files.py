"""Static files with the conditions and ranges of RFC 9110.

WhiteNoise compares the whole of If-None-Match with its entity tag, so that neither a
list nor the weak tag of a compressed answer matches; it has no If-Match and no
If-Range, and takes the range of one byte for none. What it does well, it does here too:
it finds files, and writes their headers.
"""

from calendar import timegm
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import Response, SlicedFile, StaticFile

from accounts.conditions import Conditions, Verdict
from distribution.ranges import RangeUnsatisfiable, Span, ranges_of


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc] # it has no types
    """The middleware, with ConditionalFile for each file."""

    def get_static_file(self, *arguments: Any, **options: Any) -> "ConditionalFile":
        return ConditionalFile(super().get_static_file(*arguments, **options))

    def add_mime_headers(self, headers: Any, path: str, url: str) -> None:
        super().add_mime_headers(headers, path, url)
        headers["Vary"] = "Accept-Encoding"  # of a 304 as well, see Compression


class ConditionalFile:
    """One static file, asked for with conditions and ranges."""

    def __init__(self, file: StaticFile) -> None:
        self._file = file

    def get_response(self, method: str, environ: Mapping[str, str]) -> Response:
        """Return what WhiteNoise's middleware sends."""
        file = self._file
        if method not in {"GET", "HEAD"}:
            return file.get_response(method, {})
        verdict = Conditions.read(environ).judge(
            file.etag, is_read=True, modified_at=timegm(file.last_modified)
        )
        if verdict is Verdict.NOT_MODIFIED:
            return file.not_modified_response
        if verdict is Verdict.FAILED:
            return Response(HTTPStatus.PRECONDITION_FAILED, [("ETag", file.etag)], None)
        path, headers = file.get_path_and_headers(environ)
        if method == "GET":
            size_bytes = int(dict(headers)["Content-Length"])
            try:
                spans = ranges_of(environ, file.etag, size_bytes)
            except RangeUnsatisfiable:
                return file.get_range_not_satisfiable_response(None, size_bytes)
            if spans and len(spans) == 1:  # several are not worth it here
                return _part(path, headers, spans[0], size_bytes)
        return file.get_response(
            method, {"HTTP_ACCEPT_ENCODING": environ.get("HTTP_ACCEPT_ENCODING", "")}
        )


def _part(
    path: str, headers: list[tuple[str, str]], span: Span, size_bytes: int
) -> Response:
    changed = {
        **dict(headers),
        "Content-Length": str(span.length),
        "Content-Range": span.content_range(size_bytes),
    }
    opened = Path(path).open("rb")  # noqa: SIM115 (Django closes it with the answer)
    return Response(
        HTTPStatus.PARTIAL_CONTENT,
        list(changed.items()),
        SlicedFile(opened, span.start, span.end - 1),
    )
