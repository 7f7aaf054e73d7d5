"""What is asked for by a name that it had before, and how whoever asks is sent on.

The functions that fetch a row raise Moved; the API answers 308 (accounts/api/errors.py)
and pages 307 (registry_site/middleware.py), with the same path under today's name. A
page that has no such names in its path answers 404.
"""

from django.http import Http404, HttpRequest
from django.urls import reverse


class Moved(Http404):
    """It is there under another name; says what the parts of the path are now.

        raise Moved(namespace="acme-labs", name="api")

    The names are those of the URL's arguments. Only for those who may see it.
    """

    def __init__(self, **names: str) -> None:
        super().__init__()
        self.names = names

    def location(self, request: HttpRequest) -> str | None:
        """Return where the request would go now; None if its path has no such names."""
        match = request.resolver_match
        if match is None or not self.names.keys() <= match.kwargs.keys():
            return None
        path = reverse(
            match.view_name, args=match.args, kwargs={**match.kwargs, **self.names}
        )
        query = request.META.get("QUERY_STRING", "")
        return f"{path}?{query}" if query else path
