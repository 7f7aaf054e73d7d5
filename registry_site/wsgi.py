"""The WSGI application: the protocol goes to its views, pages to Django.

The protocol's answers need no session, no cookie, no CSRF check and no middleware, and
the hot reads are as quick as what is in their way is short (docs/performance.md).

`manage.py serve` calls both parts itself (registry_site/server/). ``application`` is
for tests and for other servers, which wait for slow clients in their threads.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")

answer_page = get_wsgi_application()  # sets Django up, which the next import wants

from distribution.wsgi import answer_protocol  # noqa: E402
from registry_site.requests import PageRequest  # noqa: E402

answer_page.request_class = PageRequest

PROTOCOL_PREFIXES = ("/v2/", "/v1/")


def is_protocol_path(path: str) -> bool:
    """Return whether a path belongs to the protocol routes."""
    return path.startswith(PROTOCOL_PREFIXES) or path == "/v2"


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """Answer one request (PEP 3333)."""
    if is_protocol_path(environ["PATH_INFO"]):
        return answer_protocol(environ, start_response)
    return answer_page(environ, start_response)
