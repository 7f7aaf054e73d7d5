"""The request that pages and the API get: UTF-8, whatever is declared.

Django reads parameters by the charset that a client declares, before any middleware,
and some charsets are no text ("zlib_codec"). Forms and links of today are UTF-8.
PostgreSQL takes no NUL in a parameter: pages read parameters without it, and the API
refuses it by name (api/kit/views.py).
"""

from typing import Any

from django.core.exceptions import BadRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import QueryDict
from django.utils.functional import cached_property
from django.utils.http import parse_header_parameters


class PageRequest(WSGIRequest):
    """Django's, for clients that declare what they like."""

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]  # as Django does
        """Return the parameters; the API gets NUL characters too, and refuses them."""
        sent: QueryDict = super().GET
        if self.path_info.startswith("/api/"):
            return sent
        read = QueryDict(mutable=True)
        for name, values in sent.lists():
            clean = [value.replace("\0", "") for value in values]
            read.setlist(name.replace("\0", ""), clean)
        read._mutable = False
        return read

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        try:
            parsed = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        except (LookupError, ValueError):
            parsed = ("", {})
        self.content_type, self.content_params = parsed

    def _load_post_and_files(self) -> None:
        try:
            super()._load_post_and_files()
        except LookupError as error:  # a part of a form declares a charset, too
            self._mark_post_parse_error()  # type: ignore[attr-defined]
            raise BadRequest("the form declares an unknown charset") from error
