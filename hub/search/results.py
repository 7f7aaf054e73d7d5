"""The page of search results; its filters are one GET form, so each state is a link."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.rates import take
from accounts.requests import actor_of_page
from hub.kit.pages import Pages
from repositories.models import Manifest, Tag
from repositories.oci.platforms import ARCHITECTURE_TITLES, SYSTEM_TITLES
from repositories.rights.access import visible_repository
from search.query import PAGE_SIZE, ImageReference, SearchQuery, Sort
from search.results import Facets, read_query, search_with_counts, suggest

SHOWN_CHOICES = 8  # of a filter; those that are chosen are always there


@dataclass(frozen=True, slots=True)
class Choice:
    """A box of a filter."""

    value: str
    title: str
    count: int
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """A group of boxes: values of one parameter."""

    name: str
    title: str
    choices: list[Choice]


def show_results(request: HttpRequest) -> HttpResponse:
    """List what was found; a word that names an image goes to that image."""
    actor = actor_of_page(request)
    query = read_query(request.GET.get("q", ""), dict(request.GET.lists()))
    if query.image is not None and (address := _address_of(actor, query.image)):
        return redirect(address)
    take("searches", actor)
    results, count, facets = search_with_counts(actor, query)
    is_limited = query.has_filters
    page = Pages(range(count.value), PAGE_SIZE).get_page(results.query.page)
    filters = _filters(query, facets, actor)
    response = render(
        request,
        "repositories/search_results.html"
        if request.headers.get("HX-Target") == "results"
        else "repositories/search.html",
        {
            "query": query,
            "search_text": query.text,
            "results": results,
            "count": count,
            "page": page,
            "facets": facets,
            "filters": filters,
            "chosen": _chosen(request, filters),
            "is_limited": is_limited,
            "plain_address": f"/search?{urlencode({'q': query.plain_text})}",
            "unlimited_count": facets.total if is_limited else None,
            "sorts": _sorts(),
        },
    )
    patch_vary_headers(response, ["HX-Target"])
    return response


def _address_of(actor: Actor, image: ImageReference) -> str | None:
    """Return the page of an image that is there and that the actor may see."""
    try:
        repository = visible_repository(actor, image.name.namespace, image.name.name)
    except Http404:
        return None
    if image.is_digest:
        manifests = Manifest.objects.filter(repository=repository)
        is_there = manifests.filter(digest=image.reference).exists()
    else:
        tags = Tag.objects.filter(repository=repository)
        is_there = tags.filter(name=image.reference).exists()
    mark = "@" if image.is_digest else ":"
    name = f"/{image.name.full_name}"
    return f"{name}{mark}{image.reference}" if is_there else None


def _filters(query: SearchQuery, facets: Facets, actor: Actor) -> list[Filter]:
    kinds = [
        Choice("official", _("Official"), facets.official, query.is_official),
        Choice("verified", _("Verified publisher"), facets.verified, query.is_verified),
    ]
    if actor.user_id is not None:
        starred = Choice(
            "starred", _("Starred by me"), facets.starred, query.is_starred
        )
        kinds.append(starred)
    categories = [
        Choice(category.slug, category.name, count, category.slug in query.categories)
        for category, count in facets.categories
        if count or category.slug in query.categories
    ]
    filters = [
        Filter("type", _("Images"), kinds),
        Filter(
            "os",
            _("Operating systems"),
            _choices(query.systems, facets.systems.get, SYSTEM_TITLES),
        ),
        Filter(
            "arch",
            _("Architectures"),
            _choices(
                query.architectures, facets.architectures.get, ARCHITECTURE_TITLES
            ),
        ),
        Filter("category", _("Categories"), categories),
    ]
    return [filter_ for filter_ in filters if filter_.choices]


def _choices(
    chosen: tuple[str, ...],
    count_of: Callable[[str], int | None],
    titles: dict[str, str],
) -> list[Choice]:
    """Return the values that most of the results have, and those that are chosen."""
    counts = {value: count_of(value) or 0 for value in titles}
    common = sorted((v for v in titles if counts[v]), key=lambda v: -counts[v])
    shown = {*common[:SHOWN_CHOICES], *(v for v in chosen if v in titles)}
    return [
        Choice(value, titles[value], counts[value], value in chosen)
        for value in titles
        if value in shown
    ]


def _chosen(request: HttpRequest, filters: list[Filter]) -> list[tuple[str, str]]:
    """Return title and address without it of each box that is ticked."""
    chosen = []
    for filter_ in filters:
        given = request.GET.getlist(filter_.name)
        for choice in filter_.choices:
            if choice.value not in given:
                continue  # said by a word, which is in the search field
            words = request.GET.copy()
            words.setlist(filter_.name, [v for v in given if v != choice.value])
            words.pop("page", None)
            chosen.append((choice.title, f"?{words.urlencode()}"))
    return chosen


def _sorts() -> list[tuple[str, str]]:
    return [
        (Sort.BEST, _("Best match")),
        (Sort.UPDATED, _("Recently updated")),
        (Sort.PULLS, _("Most pulled")),
        (Sort.STARS, _("Most starred")),
    ]


def suggest_images(request: HttpRequest) -> HttpResponse:
    """List what the words in the search field may mean, for its datalist."""
    actor = actor_of_page(request)
    take("searches", actor)
    found = suggest(actor, request.GET.get("q", ""))
    return render(request, "repositories/suggestions.html", {"repositories": found})
