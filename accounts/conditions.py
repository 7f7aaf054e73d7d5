"""Conditional requests: If-Match and its kin (RFC 9110 §13).

    conditions = Conditions.read(request.META)
    conditions.judge('"sha256:…"', is_read=True)   PROCEED, NOT_MODIFIED or FAILED

The order is that of RFC 9110 §13.2.2:

    1  If-Match             no listed tag is the current one, strongly      FAILED
    2  If-Unmodified-Since  without 1: changed since that date              FAILED
    3  If-None-Match        a listed tag is the current one, also weakly    NOT_MODIFIED
    4  If-Modified-Since    without 3, reads only: not changed since        NOT_MODIFIED

NOT_MODIFIED is 304 for GET and HEAD; any other method gets FAILED, which is 412. A
request that would fail anyway is answered as if it had no condition (§13.2.1), so views
look for the resource and for the rights first. If-Range belongs to ranges.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from django.utils.http import parse_http_date_safe

_HEADERS = (
    "HTTP_IF_MATCH",
    "HTTP_IF_NONE_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_UNMODIFIED_SINCE",
)
# Possessive, since a header may have as many spaces as its sender likes.
_MEMBER = re.compile(
    r'[ \t]*+(?:(?P<weak>W/)?"(?P<opaque>[^"\x00-\x20\x7f]*+)"|(?P<bare>[^",\s]*+))'
    r"[ \t]*+(?:,|\Z)"
)


class Verdict(Enum):
    """The outcome of the conditions of a request."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The value of If-Match or If-None-Match: any, or a list of tags.

    Tags are kept without quotes. A bare digest counts as a strong tag, since some
    clients leave out the quotes (MAN-11). Malformed members match nothing.
    """

    is_any: bool
    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, header: str) -> "EntityTags":
        if header.strip(" \t") == "*":
            return cls(is_any=True)
        strong: set[str] = set()
        weak: set[str] = set()
        position = 0
        while position < len(header):
            match = _MEMBER.match(header, position)
            if match is None:  # malformed: continue behind the next comma
                position = header.find(",", position) + 1 or len(header)
                continue
            position = match.end()
            opaque = match["opaque"] if match["bare"] is None else match["bare"]
            if match["bare"] in ("", "*"):
                continue
            (weak if match["weak"] else strong).add(opaque)
        return cls(False, frozenset(strong), frozenset(weak))

    def has_strong(self, etag: str | None) -> bool:
        """Compare strongly, for If-Match: a weak tag is never the same."""
        if self.is_any:
            return etag is not None
        return etag is not None and not _is_weak(etag) and _opaque(etag) in self.strong

    def has_weak(self, etag: str | None) -> bool:
        """Compare weakly, for If-None-Match: weak and strong are the same."""
        if self.is_any:
            return etag is not None
        return etag is not None and _opaque(etag) in self.strong | self.weak


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions of one request; without any, everything proceeds."""

    match: EntityTags | None = None
    none_match: EntityTags | None = None
    modified_since: int | None = None  # seconds since 1970
    unmodified_since: int | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Conditions":
        """Read the headers; a date that is not one is ignored."""
        match, none_match, modified_since, unmodified_since = map(environ.get, _HEADERS)
        return cls(
            None if match is None else EntityTags.parse(match),
            None if none_match is None else EntityTags.parse(none_match),
            None if modified_since is None else parse_http_date_safe(modified_since),
            None
            if unmodified_since is None
            else parse_http_date_safe(unmodified_since),
        )

    def judge(
        self, etag: str | None, *, is_read: bool, modified_at: int | None = None
    ) -> Verdict:
        """Decide for a resource with this quoted entity tag; None if it is not there.

        Dates count only where the resource has one.
        """
        if self.match is not None:
            is_wanted = self.match.has_strong(etag)
        else:
            is_wanted = not _is_later(modified_at, self.unmodified_since)
        if not is_wanted:
            return Verdict.FAILED
        if self.none_match is not None:
            is_known = self.none_match.has_weak(etag)
        else:
            is_known = is_read and _is_later(
                self.modified_since, modified_at, or_same=True
            )
        if is_known:
            return Verdict.NOT_MODIFIED if is_read else Verdict.FAILED
        return Verdict.PROCEED


UNCONDITIONAL = Conditions()


def _is_later(date: int | None, other: int | None, *, or_same: bool = False) -> bool:
    """Compare two dates; False if either is absent."""
    if date is None or other is None:
        return False
    return date >= other if or_same else date > other


def _is_weak(etag: str) -> bool:
    return etag.startswith("W/")


def _opaque(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')
