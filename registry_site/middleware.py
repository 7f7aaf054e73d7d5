"""Middleware of the pages and the API; the protocol goes past it."""

import json
import json.decoder
import traceback
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware
from django.shortcuts import render, resolve_url
from django.template.loader import render_to_string

from accounts.former_names import Moved
from accounts.hashing import HashingBusy
from accounts.requests import SignInNeeded
from accounts.signin_limits import TooManyAttempts
from registry_site.kept_forms import (
    ask_to_sign_in_and_keep,
    is_form_of_a_person,
    page_of,
)
from registry_site.pages import api_error, bad_request, outage
from registry_site.public_address import PATHS_FOR_MACHINES

# What the page of a new password needs, and the way out.
OPEN_TO_ONE_TIME_PASSWORDS = (
    "/settings/first-sign-in",
    "/accounts/logout/",
    "/-/assets/",
)

Answer = Callable[[HttpRequest], HttpResponse]


def close_after_unread_body(get_response: Answer) -> Answer:
    """Announce that the connection closes when a request was answered without its body.

    The server hangs up then, and a client without notice would send its next request
    into a closed connection.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        has_body = (
            request.META.get("CONTENT_LENGTH") not in {None, "", "0"}
            or "HTTP_TRANSFER_ENCODING" in request.META
        )
        is_left = not request.META.get("berth.body_is_whole")
        if has_body and is_left and not getattr(request, "_read_started", True):
            response["Connection"] = "close"
        return response

    return answer


def refuse_unknown_methods(get_response: Answer) -> Answer:
    """Answer 501 to a method in lower case: methods are case-sensitive (RFC 9110 §9.1).

    Django writes them in upper case, and would answer ``get`` like ``GET``.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        method = request.META["REQUEST_METHOD"]
        if method != request.method:
            return HttpResponse(
                f"Method {method[:20]!a} is not implemented. Methods are uppercase.",
                content_type="text/plain",
                status=501,
            )
        return get_response(request)

    return answer


def refuse_null_characters(get_response: Answer) -> Answer:
    """Answer 404 to a path with a NUL: nothing has such a name.

    PostgreSQL takes none in a parameter, which would be a failure of ours.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        if "\0" in request.path_info:
            raise Http404
        return get_response(request)

    return answer


class Compression(GZipMiddleware):
    """Django's, which hides lengths (BREACH), for whole answers only.

    Part of a file is sent as it is, since ranges count its bytes; so is a stream of
    events, which a buffer would hold back.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        is_stream = response.get("Content-Type", "").startswith("text/event-stream")
        if response.has_header("Content-Range") or is_stream:
            return response
        return super().process_response(request, response)


class Refusals:
    """Turn what views raise into pages: sign in first, wait, try again later."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code == 429:  # allauth's limits, which are by the minute
            response.headers.setdefault("Retry-After", "60")
        return response

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponse | None:
        match exception:
            case SignInNeeded():
                return ask_to_sign_in(request)
            case Moved():
                return send_on(request, exception)
            case HashingBusy():
                response = render(request, "busy.html", status=503)
                response["Retry-After"] = str(exception.retry_after_seconds)
                return response
            case RecursionError() if _is_of_json(exception):
                return bad_request(request, exception)
            case TooManyAttempts():
                response = render(
                    request,
                    "429.html",
                    {"minutes": -(-exception.retry_after_seconds // 60)},
                    status=429,
                )
                response["Retry-After"] = str(exception.retry_after_seconds)
                return response
        return outage(request, exception)


def _is_of_json(error: BaseException) -> bool:
    """Return whether JSON in a form was nested too deeply: a passkey's, for example."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename == json.decoder.__file__


def send_on(request: HttpRequest, moved: Moved) -> HttpResponse | None:
    """Redirect to the same page under today's name, temporarily: it may be taken."""
    location = moved.location(request)
    if location is None:
        return None
    return HttpResponse(status=307, headers={"Location": location})


def ask_for_own_password(get_response: Answer) -> Answer:
    """Lead who signed in with a one-time password to the page that replaces it."""

    def answer(request: HttpRequest) -> HttpResponse:
        if (
            settings.SESSION_COOKIE_NAME not in request.COOKIES
            or request.path_info in PATHS_FOR_MACHINES
            or request.path_info.startswith(OPEN_TO_ONE_TIME_PASSWORDS)
            or not getattr(request.user, "must_change_password", False)
        ):
            return get_response(request)
        page = resolve_url("accounts:first-sign-in")
        if request.path_info.startswith("/api/"):
            message = f"choose your own password first: {settings.BERTH_URL}{page}"
            return api_error(403, "password_change_required", message)
        response: HttpResponse = redirect_to_login(page_of(request), page)
        if "HX-Request" in request.headers:
            response = HttpResponse(headers={"HX-Redirect": response["Location"]})
        return response

    return answer


def ask_to_sign_in(request: HttpRequest) -> HttpResponse:
    """Send to the sign-in and from there back; a form is kept (kept_forms.py).

    What htmx sends has no page of its own: static/js/page.js sends its form again as a
    browser does.
    """
    is_htmx = "HX-Request" in request.headers
    if is_form_of_a_person(request):
        if is_htmx:
            return HttpResponse(status=401)
        return ask_to_sign_in_and_keep(request, status=401)
    response: HttpResponse = redirect_to_login(
        page_of(request), resolve_url(settings.LOGIN_URL)
    )
    if is_htmx:
        response = HttpResponse(headers={"HX-Redirect": response["Location"]})
    return response


def bring_toasts(get_response: Answer) -> Answer:
    """Put messages beside what htmx swaps in; a whole page shows them by itself."""

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if (
            "HX-Request" in request.headers
            and response.status_code == 200
            and not response.streaming
            and not {"HX-Redirect", "HX-Refresh"} & set(response.headers)
            and response.get("Content-Type", "").startswith("text/html")
            and (told := list(messages.get_messages(request)))
        ):
            response.write(
                render_to_string(
                    "components/toasts.html",
                    {"messages": told, "is_fragment": True},
                    request,
                )
            )
        return response

    return answer
