"""Shows READMEs: rendered once for each text, within a budget, and plain beyond it.

Rendering is a function of the text, of the image proxy and of the image's source, so
the result is cached under the hash of all three. It happens in a process of its own
that is stopped when a text costs too much (hub/drawing/markdown_process.py): no other
request waits for it. Such a text is shown as it was written, with a note.
"""

import hashlib

from django.conf import settings
from django.core.cache import cache
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from hub.drawing.markdown_process import Busy, TooCostly, renderer
from hub.drawing.sources import SourceFiles
from repositories.models.repositories import README_MAX_LENGTH

VERSION = 4  # of what hub/drawing/markdown.py makes of a text
CACHE_SECONDS = 7 * 24 * 3600
TOO_COSTLY = "0"  # in the cache, and no HTML


def render_readme(text: str, source: SourceFiles | None = None) -> SafeString:
    """Return the HTML of a README; made once per text and source."""
    text = text[:README_MAX_LENGTH].encode("utf-8", "replace").decode()
    proxy = settings.BERTH_IMAGE_PROXY
    name = hashlib.sha256(f"{proxy}\0{source}\0{text}".encode())
    key = f"readme:{VERSION}:{name.hexdigest()}"
    html: str | None = cache.get(key)
    if html is None:
        try:
            html = renderer.render(text, image_proxy=proxy, source=source)
        except Busy:
            return _plain(text, _("Too many READMEs are being rendered right now."))
        except TooCostly:
            html = TOO_COSTLY
        cache.set(key, html, CACHE_SECONDS)
    if html == TOO_COSTLY:
        return _plain(text, _("This README takes too long to render."))
    return mark_safe(html)  # noqa: S308 - cleaned by nh3


def _plain(text: str, reason: str) -> SafeString:
    return format_html(
        '<p class="muted">{} {}</p>\n'
        '<div class="code"><pre tabindex="0" dir="auto"><code>{}</code></pre></div>\n',
        reason,
        _("It is shown as plain text."),
        text,
    )
