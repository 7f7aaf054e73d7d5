"""Middleware of the pages and the API; the protocol goes past it."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

Answer = Callable[[HttpRequest], HttpResponse]


def tell_of_unread_body(get_response: Answer) -> Answer:
    """Say that the connection ends when a request was answered without its body.

    The server hangs up then, and a client that is not told would send its next request
    into a closed connection.
    """

    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        has_body = (
            request.META.get("CONTENT_LENGTH") not in {None, "", "0"}
            or "HTTP_TRANSFER_ENCODING" in request.META
        )
        if has_body and not getattr(request, "_read_started", True):
            response["Connection"] = "close"
        return response

    return answer
