"""The pages that belong to no app, those of errors among them."""

import logging

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.encoding import iri_to_uri
from django.utils.http import escape_leading_slashes, urlencode
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from accounts.views.base import actor_of_page
from registry_site.context import Topbar
from registry_site.kept_forms import (
    ask_to_sign_in_and_keep,
    is_form_of_a_person,
    page_of,
)
from repositories.official import official_address

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
    """Say what this registry is called, to a request that calls it otherwise."""
    if is_for_program(request):
        message = f"this registry is {settings.BERTH_URL} (the setting BERTH_URL)"
        return api_error(400, "unknown_host", message)
    return render(request, "unknown_host.html", {"url": settings.BERTH_URL}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say why; a view that refuses gives the reason (accounts/views/base.py)."""
    return render(request, "403.html", {"reason": str(exception)}, status=403)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that a form came without its token: from elsewhere, or too late."""
    log.warning("%s %s: %s", request.method, request.path, reason)
    return render(request, "403_csrf.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say so, unless it was nearly right: a slash too much, or a client's name.

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
    """Say that Berth failed; without a query, for the database may be what failed."""
    if is_for_program(request):
        return api_error(500, "error", "Berth failed; its log says why")
    return render(
        request, "500.html", {"topbar": Topbar([], 0), "kept_form": None}, status=500
    )


def is_for_program(request: HttpRequest) -> bool:
    return request.path.startswith("/api/v1/")


@csrf_exempt  # nothing is changed, and a program shall read why
def api_not_found(request: HttpRequest, rest: str = "") -> JsonResponse:
    """Tell a program what a page would tell a person, in the API's shape."""
    return api_error(404, "not_found", f"there is nothing at {request.path}")


def api_error(status: int, code: str, message: str) -> JsonResponse:
    error = {"code": code, "message": message, "field": None}
    return JsonResponse({"errors": [error]}, status=status)
