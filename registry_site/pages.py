"""The pages that belong to no app, those of errors among them."""

import logging
import sys

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import escape_leading_slashes, urlencode
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from requests import RequestException

from accounts.outages import RETRY_AFTER_SECONDS, is_disk_full, is_outage
from accounts.requests import actor_of_page
from distribution.storage.base import StoreError, StoreFull
from hub.kit.library_redirect import official_address
from registry_site.context import Topbar
from registry_site.kept_forms import (
    ask_to_sign_in_and_keep,
    is_form_of_a_person,
    page_of,
)

log = logging.getLogger(__name__)


def favicon(request: HttpRequest) -> HttpResponse:
    """Send those who ask for the old name to the picture."""
    return HttpResponseRedirect(staticfiles_storage.url("favicon.svg"))


ROBOTS = """User-agent: *
Disallow: /-/
Disallow: /accounts/
Disallow: /api/
Disallow: /invitations/
Disallow: /search
Disallow: /settings/
Disallow: /v1/
Disallow: /v2/
Disallow: /*/-/
"""


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Keep crawlers to the pages of images: searches and forms have no end."""
    response = HttpResponse(ROBOTS, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = "public, max-age=86400"
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_for_program(request):
        return api_error(400, "bad_request", "the request cannot be read")
    return render(request, "400.html", status=400)


def unknown_host(request: HttpRequest) -> HttpResponse:
    """Describe what this registry is called, to a request that calls it otherwise."""
    if is_for_program(request):
        message = f"this registry is {settings.BERTH_URL} (the setting BERTH_URL)"
        return api_error(400, "unknown_host", message)
    return render(request, "unknown_host.html", {"url": settings.BERTH_URL}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Show the reason, which the view that refuses gives (hub/kit/pages.py)."""
    return render(request, "403.html", {"reason": str(exception)}, status=403)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Report that a form came without its token: from elsewhere, or too late."""
    log.warning("%s %s: %s", request.method, request.path, reason)
    return render(request, "403_csrf.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404, unless it was nearly right: a slash too much, or a client's name.

    /java is /library/java, as it is for docker (D-13).
    """
    if is_for_program(request):
        return api_not_found(request)
    is_nobody = not getattr(request, "user", None) or request.user.is_anonymous
    is_htmx = "HX-Request" in request.headers
    # Private or nonexistent: both look like this once a session has ended.
    if is_nobody and is_form_of_a_person(request):
        if is_htmx:
            return HttpResponse(status=401)
        return ask_to_sign_in_and_keep(request, status=404)
    if is_nobody and is_htmx and settings.SESSION_COOKIE_NAME in request.COOKIES:
        query = urlencode({"next": page_of(request)})
        return HttpResponse(
            headers={"HX-Redirect": f"{reverse('account_login')}?{query}"}
        )
    if request.method == "GET":
        address = official_address(actor_of_page(request), request.path)
        address = address or _without_slash(request)
        if address is not None:
            return HttpResponseRedirect(address)
    return render(request, "404.html", status=404)


def _without_slash(request: HttpRequest) -> str | None:
    """Return the address of the page that has no slash at its end, if there is one."""
    path = request.path.rstrip("/")
    if path in {"", request.path}:
        return None
    try:
        resolve(path)
    except Resolver404:
        return None
    query = request.META.get("QUERY_STRING", "")
    return iri_to_uri(escape_leading_slashes(f"{path}?{query}" if query else path))


def server_error(request: HttpRequest) -> HttpResponse:
    """Report that Berth failed, without a query: perhaps the database failed."""
    response = outage(request, sys.exc_info()[1])
    if response is not None:
        return response
    if is_for_program(request):
        return api_error(500, "error", "internal error; see the log of Berth")
    return _render_without_queries(request, "500.html", {}, status=500)


def _render_without_queries(
    request: HttpRequest, template: str, context: dict[str, object], *, status: int
) -> HttpResponse:
    """Render a page as for a visitor; the session's rows may not be readable.

    The request keeps its session, else the session's cookie would be deleted.
    """
    kept = {name: getattr(request, name, None) for name in ("session", "user")}
    request.session = SessionStore()
    request.user = AnonymousUser()
    try:
        context = {**context, "topbar": Topbar([], 0), "kept_form": None}
        return render(request, template, context, status=status)
    finally:
        for name, value in kept.items():
            if value is not None:
                setattr(request, name, value)


def _reason_of(error: BaseException) -> str:
    """Return what to log of a failure; a request's address goes without its query."""
    if not isinstance(error, RequestException):
        return str(error).strip()
    if error.request is None:
        return "no request was sent"
    return f"no usable response from {str(error.request.url).partition('?')[0]}"


def outage(request: HttpRequest, error: BaseException | None) -> HttpResponse | None:
    """Answer a failure of the database, the blob store or a site of sign-ins.

    503 with Retry-After, or 507 when there is no space left; None for other failures.
    """
    is_elsewhere = isinstance(error, RequestException)  # django-allauth asked it
    if error is None or not (
        is_outage(error) or isinstance(error, StoreError) or is_elsewhere
    ):
        return None
    is_full = isinstance(error, StoreFull) or is_disk_full(error)
    status = 507 if is_full else 503
    if is_full:
        reason = _("This registry has no space left. Pulls and pages continue to work.")
    elif is_elsewhere:
        reason = _(
            "The site that you sign in with does not answer. Try again in a moment, or "
            "sign in with a password."
        )
    else:
        reason = _("A part of this registry does not answer. Try again in a moment.")
    log.error("%s: %s", type(error).__name__, _reason_of(error))
    if is_for_program(request):
        code = "full" if is_full else "unavailable"
        response: HttpResponse = api_error(status, code, str(reason))
    else:
        context = {"reason": reason, "is_full": is_full}
        response = _render_without_queries(request, "503.html", context, status=status)
    if not is_full:
        response["Retry-After"] = str(RETRY_AFTER_SECONDS)
    response._has_been_logged = True  # type: ignore[attr-defined]  # Django's own mark
    return response


def is_for_program(request: HttpRequest) -> bool:
    return request.path.startswith("/api/v1/")


@csrf_exempt  # nothing is changed, and a program shall read why
def api_not_found(request: HttpRequest, rest: str = "") -> JsonResponse:
    """Answer a program in the API's shape, with the message that a page shows."""
    return api_error(404, "not_found", f"there is nothing at {request.path}")


def api_error(status: int, code: str, message: str) -> JsonResponse:
    error = {"code": code, "message": message, "field": None}
    return JsonResponse({"errors": [error]}, status=status)
