"""The text and the filters of a search, parsed once. Pure: no Django, no database.

    java jdk "class based"          words; quotes keep some together
    is:official is:verified         in a marked namespace; of both, either will do
    is:starred                      starred by the searcher
    user:acme                       in this namespace (also org:)
    os:linux arch:arm64             an image of that platform
    category:databases              in that category
    label:vendor=Acme label:vendor  an image has that label
    php:8.3 acme/api@sha256:…       one image, by itself: the page goes there

A page says the same with parameters (type, os, arch, category, sort, page), and both
count. Whatever cannot be understood is a word like any other; nothing here fails.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from repositories.oci.platforms import architecture_named, system_named
from repositories.oci.references import (
    NameMalformed,
    RepositoryName,
    is_tag,
    parse_repository_name,
)

QUERY_MAX_LENGTH = 200
WORDS_MAX = 10
VALUES_MAX = 20  # of one filter
PAGE_SIZE = 25
RESULTS_MAX = 10_000  # no one pages further, and nothing is counted further


class Sort(StrEnum):
    """In which order; BEST is by name, then marks, stars and pulls."""

    BEST = "best"
    UPDATED = "updated"
    PULLS = "pulls"
    STARS = "stars"


@dataclass(frozen=True, slots=True)
class ImageReference:
    """A word that names one image: by tag, or by digest."""

    name: RepositoryName
    reference: str

    @property
    def is_digest(self) -> bool:
        return ":" in self.reference


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """A search as everyone who searches asks it; empty means: no such limit."""

    text: str = ""  # as it was written
    words: tuple[str, ...] = ()  # lower case
    is_official: bool = False
    is_verified: bool = False
    is_starred: bool = False
    namespaces: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    image: ImageReference | None = None
    sort: Sort = Sort.BEST
    page: int = 1

    @property
    def has_filters(self) -> bool:
        """Return whether something that a page has boxes for limits what is found."""
        return replace(self, page=1) != self.without_filters()

    def without_filters(self) -> "SearchQuery":
        """Return the first page of the same words, namespaces and labels.

        These say where is searched, and are in the search field only.
        """
        return SearchQuery(
            self.text,
            self.words,
            namespaces=self.namespaces,
            labels=self.labels,
            image=self.image,
            sort=self.sort,
        )

    @property
    def plain_text(self) -> str:
        """Return the text that searches the same without filters."""
        labels = [
            f"label:{_quoted(name if value is None else f'{name}={value}')}"
            for name, value in self.labels
        ]
        names = [f"user:{name}" for name in self.namespaces]
        return " ".join([*map(_quoted, self.words), *names, *labels])

    @property
    def unknown_filters(self) -> list[str]:
        """Return the words that look like filters but are not: is:private, os:."""
        return [
            word
            for word in self.words
            if ":" in word and word.partition(":")[0] in _KEYS
        ]


# A key, a colon, and a value that may be quoted; or quoted words; or a word.
_token = re.compile(r'(\w+):"([^"]*)"|"([^"]*)"|(\S+)')
_KEYS = {"is", "user", "org", "os", "arch", "category", "label"}
_SHORT = re.compile(r"[\x21-\x7e]{1,2}\Z")


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def is_short(word: str) -> bool:
    """Return whether a word is only searched for in names, from their beginning.

    One or two ASCII characters are in nearly every text, and no index has them.
    """
    return _SHORT.match(word) is not None


def parse_query(text: str, parameters: Mapping[str, list[str]] = {}) -> SearchQuery:
    """Read the words of a search and, if given, a page's other parameters."""
    text = _clean(text)
    query = SearchQuery(text=text, image=_image_named(text))
    if query.image is not None:
        query = replace(query, words=(query.image.name.text,))
    else:
        for match in list(_token.finditer(text))[: WORDS_MAX * 2]:
            key, quoted_value, phrase, word = match.groups()
            query = _with_token(query, key, quoted_value, phrase, word)
    return _with_parameters(query, parameters)


def _clean(text: str) -> str:
    printable = "".join(c if c.isprintable() else " " for c in text[:QUERY_MAX_LENGTH])
    return " ".join(printable.split())


def _image_named(text: str) -> ImageReference | None:
    """Return the image that the whole text names, with its tag or digest."""
    for mark in ("@", ":"):
        name, found, reference = text.partition(mark)
        if not found or (mark == ":" and (name in _KEYS or not is_tag(reference))):
            continue
        if mark == "@" and not re.fullmatch(r"[a-z0-9]+:[a-f0-9]{32,128}", reference):
            continue
        try:
            return ImageReference(parse_repository_name(name), reference)
        except NameMalformed:
            return None
    return None


def _with_token(
    query: SearchQuery,
    key: str | None,
    quoted_value: str | None,
    phrase: str | None,
    word: str | None,
) -> SearchQuery:
    if key is not None:
        value = quoted_value or ""
        word = f"{key}:{value}"
    elif word is not None:
        key, _, value = word.partition(":")
    else:
        return _with_word(query, phrase or "")
    limited = _with_filter(query, key.lower(), value) if value else None
    if limited is not None:
        return limited
    return _with_word(query, word)


def _with_word(query: SearchQuery, word: str) -> SearchQuery:
    word = word.strip().strip('"').lower()
    if not word or len(query.words) >= WORDS_MAX:
        return query
    return replace(query, words=(*query.words, word))


def _with_filter(query: SearchQuery, key: str, value: str) -> SearchQuery | None:
    """Return the query limited so; None for what is no filter."""
    match key, value.lower():
        case "is", "official":
            return replace(query, is_official=True)
        case "is", "verified":
            return replace(query, is_verified=True)
        case "is", "starred":
            return replace(query, is_starred=True)
        case (("user" | "org"), name):
            return replace(query, namespaces=_add(query.namespaces, [name]))
        case "os", name:
            return replace(query, systems=_add(query.systems, [system_named(name)]))
        case "arch", name:
            named = architecture_named(name)
            return replace(query, architectures=_add(query.architectures, [named]))
        case "category", slug:
            return replace(query, categories=_add(query.categories, [slug]))
        case "label", _:  # their keys and values keep their case
            name, equals, wanted = value.partition("=")
            label = (name, wanted if equals else None)
            return replace(query, labels=(*query.labels, label)[:VALUES_MAX])
    return None


def _add(there: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*there, *more]))[:VALUES_MAX]


def _with_parameters(
    query: SearchQuery, parameters: Mapping[str, list[str]]
) -> SearchQuery:
    def given(name: str) -> list[str]:
        return [v.lower() for v in map(_clean, parameters.get(name, [])) if v]

    types = given("type")
    sort = next((s for s in given("sort") if s in set(Sort)), query.sort)
    return replace(
        query,
        is_official=query.is_official or "official" in types,
        is_verified=query.is_verified or "verified" in types,
        is_starred=query.is_starred or "starred" in types,
        systems=_add(query.systems, map(system_named, given("os"))),
        architectures=_add(query.architectures, map(architecture_named, given("arch"))),
        categories=_add(query.categories, given("category")),
        sort=Sort(sort),
        page=_page_number(given("page")),
    )


def _page_number(given: list[str]) -> int:
    """Read the number of a page; the first one for what is no number."""
    text = given[0] if given else "1"
    if not (text.isascii() and text.isdigit()):
        return 1
    return min(max(int(text[:9]), 1), RESULTS_MAX)
