"""Resolves a path of the API to a repository when its name may end like a path.

    /repositories/acme/a/star      the star on acme/a, or the repository acme/a/star
    /repositories/acme/a/-/star    the star on acme/a
    /repositories/acme/a/star/-    the repository acme/a/star

Images are pushed by any name that the protocol allows, so both may be there. The first
form is for names that have no other reading; the exact ones, with ``/-`` behind the
name, are always right. No component of a name is a dash alone.
"""

import re
from typing import Any

from django.http import HttpRequest
from django.urls import Resolver404, resolve
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from api.kit.views import ApiView
from api.repositories.serializers import NAME_PATTERN
from repositories.rights.access import knows_any

DEEPEST = 5  # components behind a name: webhooks/<id>/deliveries/<id>/redeliver
EXACT = "exact"  # how registry_site/urls.py calls the exact forms


class RepositoryPathView(ApiView):
    """A view below the name of a repository; it acts on none that was not named."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if "name" not in kwargs:
            return
        readings = readings_of(request._request)
        others = readings.keys() - {kwargs["name"]}
        if others and knows_any(self.actor, kwargs["namespace"], others):
            raise ValidationError(
                f"this path has more than one meaning; write which one you mean: "
                f"{' or '.join(sorted(readings.values()))}",
                code="ambiguous_path",
            )


def readings_of(request: HttpRequest) -> dict[str, str]:
    """Return every name that a path may be about, and the exact path for each."""
    match = request.resolver_match
    assert match is not None, "a view is asked"
    if EXACT in match.namespaces:
        return {}
    namespace = match.kwargs["namespace"]
    start, _, rest = request.path_info.partition(f"/repositories/{namespace}/")
    parts = rest.split("/")
    readings = {}
    for length in range(max(1, len(parts) - DEEPEST), len(parts) + 1):
        name, behind = "/".join(parts[:length]), parts[length:]
        path = "/".join([f"{start}/repositories/{namespace}/{name}/-", *behind])
        if re.match(NAME_PATTERN, name) and _is_route(path):
            readings[name] = path
    return readings


def _is_route(path: str) -> bool:
    try:
        return EXACT in resolve(path).namespaces
    except Resolver404:
        return False
