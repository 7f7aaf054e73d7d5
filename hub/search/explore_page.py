"""The first page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.requests import actor_of_page
from hub.search.explore import explore

# Icons of the categories that most sites have; any other gets the last one.
CATEGORY_ICONS = {
    "base-images": "layers",
    "programming-languages": "braces",
    "databases": "database",
    "application-infrastructure": "server",
    "networking": "network",
    "monitoring": "activity",
    "security": "shield-check",
    "data-science": "chart-no-axes-column",
}
OTHER_ICON = "boxes"


def show_explore(request: HttpRequest) -> HttpResponse:
    """Show what there is to find; on an empty site, how to push the first image."""
    explored = explore(actor_of_page(request))
    categories = [
        (category, CATEGORY_ICONS.get(category.slug, OTHER_ICON))
        for category in explored.categories
    ]
    return render(
        request,
        "repositories/explore.html",
        {"explored": explored, "categories": categories},
    )
