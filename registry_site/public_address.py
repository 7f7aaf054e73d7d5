"""Answer every request as BERTH_URL, and keep private answers out of caches.

Absolute URLs (of API lists, mails, callbacks of other sign-ins) are made of BERTH_URL
and never of the Host header or of X-Forwarded-Proto: behind a proxy both may be wrong,
and a stranger can choose them. A request with an unknown host gets a page that names
this registry.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import iri_to_uri

from registry_site.pages import unknown_host

log = logging.getLogger(__name__)

Answer = Callable[[HttpRequest], HttpResponse]

# Probes and scrapers call a machine by its address.
PATHS_FOR_MACHINES = {"/healthz", "/readyz", "/readyz/pulls", "/metrics"}
LOG_PAUSE_SECONDS = 60.0  # scanners send one unknown host after the other

_quiet_until = 0.0


def answer_as_public_address(get_response: Answer) -> Answer:
    """Refuse unknown hosts; let all else see BERTH_URL as the address asked for."""

    def answer(request: HttpRequest) -> HttpResponse:
        request.META["wsgi.url_scheme"] = urlsplit(settings.BERTH_URL).scheme
        request.build_absolute_uri = partial(  # type: ignore[method-assign]
            public_url_of, request
        )
        try:
            request.get_host()
        except DisallowedHost:
            if request.path_info not in PATHS_FOR_MACHINES:
                _log_unknown_host(request.META.get("HTTP_HOST", ""))
                return unknown_host(request)
            request.META["HTTP_HOST"] = settings.BERTH_SERVICE
        return get_response(request)

    return answer


def public_url_of(request: HttpRequest, location: str | None = None) -> str:
    """Return the absolute URL of a location, or of the request itself."""
    if location is None:
        return f"{settings.BERTH_URL}{request.get_full_path()}"
    base = f"{settings.BERTH_URL}{request.path}"
    return iri_to_uri(urljoin(base, str(location)))


def _log_unknown_host(host: str) -> None:
    global _quiet_until
    now = time.monotonic()
    if now < _quiet_until:
        return
    _quiet_until = now + LOG_PAUSE_SECONDS
    log.warning(
        "a request for the unknown host %.100r was refused: this registry is %s "
        "(BERTH_URL). Further ones are not logged for a minute",
        host,
        settings.BERTH_URL,
    )


def keep_private_answers(get_response: Answer) -> Answer:
    """Keep answers to people out of caches, and browsers on TLS.

    Whatever is answered to a session or to credentials may be private, and pages whose
    address holds a secret are. Files with a fingerprint say themselves how long they
    may be kept.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_personal = (
            settings.SESSION_COOKIE_NAME in request.COOKIES
            or settings.SESSION_COOKIE_NAME in response.cookies
            or "HTTP_AUTHORIZATION" in request.META
            or request.path_info.startswith(("/accounts/", "/invitations/"))
        )
        if is_personal and not response.has_header("Cache-Control"):
            response["Cache-Control"] = "no-store"
        if settings.BERTH_HSTS_SECONDS and settings.BERTH_URL.startswith("https:"):
            response["Strict-Transport-Security"] = (
                f"max-age={settings.BERTH_HSTS_SECONDS}"
            )
        return response

    return answer
