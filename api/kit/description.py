"""Serves the OpenAPI document: made once in a process, and sent with an ETag.

Making it takes seconds of processor time. It depends on the code alone, so it is made
for the first request and kept; of requests at the same time, one makes it.
"""

import hashlib
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer

from accounts.conditions import Conditions, Verdict

MAX_AGE_SECONDS = 300
_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Description:
    """The document in one format."""

    content: bytes
    content_type: str
    etag: str


@require_safe
def send_description(request: HttpRequest) -> HttpResponse:
    """Send the document, as YAML unless JSON is asked for."""
    found = _described("json" if _wants_json(request) else "yaml")
    verdict = Conditions.read(request.META).judge(found.etag, is_read=True)
    if verdict is not Verdict.PROCEED:
        response = HttpResponse(status=304 if verdict is Verdict.NOT_MODIFIED else 412)
    else:
        response = HttpResponse(
            b"" if request.method == "HEAD" else found.content,
            content_type=found.content_type,
        )
    response["ETag"] = found.etag
    response["Vary"] = "Accept, Accept-Encoding"  # of a 304 as well, see Compression
    response["Cache-Control"] = f"public, max-age={MAX_AGE_SECONDS}"
    return response


def _wants_json(request: HttpRequest) -> bool:
    asked = request.GET.get("format")
    if asked:
        return asked == "json"
    accepted = request.headers.get("Accept", "")
    return "json" in accepted and "yaml" not in accepted


def api_document() -> dict[str, Any]:
    """Return the document itself, which no one may change."""
    with _making:
        return _document()


def _described(format_name: str) -> Description:
    with _making:
        return _make(format_name)


@lru_cache(maxsize=2)
def _make(format_name: str) -> Description:
    renderer = OpenApiJsonRenderer() if format_name == "json" else OpenApiYamlRenderer()
    content = renderer.render(_document(), renderer_context={})
    digest = hashlib.sha256(content).hexdigest()
    return Description(content, renderer.media_type, f'"{digest[:32]}"')


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    with translation.override("en"):
        generator = SchemaGenerator()  # type: ignore[no-untyped-call]
        document: dict[str, Any] = generator.get_schema(  # type: ignore[no-untyped-call]
            public=True
        )
    return document
