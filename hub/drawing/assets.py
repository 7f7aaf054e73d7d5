"""The stylesheet, the script and the icons, each made of many small files.

They are joined when the server first wants them, so there is nothing to build, and a
page asks for one file of each. The address carries a fingerprint of the content, so
browsers may keep it for ever.

    berth.css    static/css/*, in the order of STYLES
    berth.js     static/js/*, except theme.js, which has to run before the first paint
    icons.svg    hub/drawing/icons.py
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from hub.drawing.icons import sprite

FINGERPRINT_LENGTH = 12
STATIC_FOLDER: Path = settings.BASE_DIR / "static"
STYLES = (  # of rules with the same weight, the later one wins
    *("tokens", "base", "layout", "navigation", "text", "panels", "controls"),
    *("forms", "lists", "tables", "badges", "pictures", "feedback"),
    *("explore", "repository", "account"),  # of single pages
    "utilities",
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it goes out."""

    content: bytes
    content_type: str
    fingerprint: str


def _stylesheet() -> str:
    paths = (STATIC_FOLDER / "css" / f"{name}.css" for name in STYLES)
    return "\n".join(path.read_text() for path in paths)


def _script() -> str:
    paths = sorted((STATIC_FOLDER / "js").glob("*.js"), key=lambda path: path.stem)
    return "\n".join(path.read_text() for path in paths if path.stem != "theme")


_MAKERS: dict[str, tuple[Callable[[], str], str]] = {
    "berth.css": (_stylesheet, "text/css; charset=utf-8"),
    "berth.js": (_script, "text/javascript; charset=utf-8"),
    "icons.svg": (sprite, "image/svg+xml"),
}


@cache
def asset(name: str) -> Asset:
    """Return the file of that name, joined once per process."""
    make, content_type = _MAKERS[name]
    content = make().encode()
    return Asset(content, content_type, _fingerprint(content))


@cache
def asset_url(name: str) -> str:
    """Return the address of the file as it is now."""
    return f"{reverse('asset', args=[name])}?v={asset(name).fingerprint}"


def serve_asset(request: HttpRequest, name: str) -> HttpResponse:
    if name not in _MAKERS:
        raise Http404
    found = asset(name)
    response = HttpResponse(found.content, content_type=found.content_type)
    is_this = request.GET.get("v") == found.fingerprint
    response["Cache-Control"] = (
        "public, max-age=31536000, immutable" if is_this else "public, max-age=60"
    )
    return response


class FingerprintedStorage(StaticFilesStorage):
    """Static files whose addresses change with their content, without a build step."""

    def url(self, name: str | None) -> str:
        assert name, "a static file has a name"
        address = super().url(name)
        fingerprint = _fingerprint_of(name)
        return f"{address}?v={fingerprint}" if fingerprint else address


@cache
def _fingerprint_of(name: str) -> str:
    path = finders.find(name)
    return _fingerprint(Path(path).read_bytes()) if path else ""


def _fingerprint(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:FINGERPRINT_LENGTH]
