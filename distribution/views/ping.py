from django.http import HttpRequest, HttpResponse

from accounts.actors import Actor
from distribution.endpoints import signed_in, text_response


@signed_in()
def ping(request: HttpRequest, actor: Actor) -> HttpResponse:
    """Answer that this is a registry, and that the credentials are good (end-1)."""
    return text_response(b"{}", "application/json")
