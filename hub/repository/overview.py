"""The first page of a repository: what it is and how to pull it."""

from dataclasses import dataclass

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from accounts.actions import Action
from accounts.former_names import Moved
from accounts.requests import actor_of_page
from hub.drawing.charts import spark
from hub.drawing.cutting import cut_texts
from hub.drawing.readme import render_readme
from hub.repository.image_view import featured_config, labels_of, readme_source
from hub.repository.page import RepositoryPage, open_page
from hub.repository.settings import show_deleted
from repositories.models import Repository, Tag
from repositories.oci.annotations import about
from repositories.pulls.statistics import DayOfPulls, pulls_per_day

LATEST_TAGS = 5
DAYS = 30
CLIENTS = ("docker", "podman", "Dockerfile")


@dataclass(frozen=True, slots=True)
class PullCommand:
    """How to pull a tag, as one of the clients wants it."""

    tag: str
    client: str
    text: str

    @property
    def is_plain(self) -> bool:
        return self.client == "Dockerfile"


@dataclass(frozen=True, slots=True)
class Growth:
    """How pulls of the last days compare with those before."""

    percent: int
    is_more: bool


@require_safe
def show_overview(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Show README, pull command and latest tags; before the first push, how to push.

    What was deleted is shown to those who may restore it.

    The page of an empty repository asks every few seconds whether it still is. A
    question that is answered at once costs less than a stream for each reader, which
    would hold a thread of the server.
    """
    try:
        page = open_page(request, namespace, name)
    except Moved:
        raise
    except Http404:
        deleted = (
            Repository.objects.restorable_by(actor_of_page(request))
            .with_full_name()
            .filter(namespace__name=namespace, name=name)
            .order_by("-deleted_at")
            .first()
        )
        if deleted is None:
            raise
        return show_deleted(request, deleted)
    repository = page.repository
    if "waiting" in request.GET and "HX-Request" in request.headers:
        if repository.pushed_at is None:
            return HttpResponse(status=204)
        return HttpResponse(headers={"HX-Redirect": page.address("tags")})
    if repository.pushed_at is None and page.may(Action.PUSH):
        return page.render("repositories/first_push.html", "overview", {})
    tags = list(
        repository.tags.with_content()
        .of_images()
        .order_by("-moved_at", "name")[:LATEST_TAGS]
    )
    config = featured_config(repository, tags[0]) if tags else None
    twice = pulls_per_day(repository, days=2 * DAYS)
    days = twice[DAYS:]
    platforms = {platform for tag in tags for platform in tag.manifest.platforms}
    return page.render(
        "repositories/overview.html",
        "overview",
        {
            "readme": render_readme(repository.readme, readme_source(tags, config))
            if repository.readme
            else "",
            "latest_tags": tags,
            "pull": _pull_command(page, tags),
            "clients": CLIENTS,
            "platforms": cut_texts(sorted(platforms)),
            "about": about(labels_of(config)),
            "days": days,
            "pulls_lately": sum(day.pull_count for day in days),
            "spark": spark([day.pull_count for day in days]),
            "trend": _trend(days),
            "growth": _growth(twice[:DAYS], days),
        },
    )


def _pull_command(page: RepositoryPage, tags: list[Tag]) -> PullCommand | None:
    if not tags:
        return None
    wanted = page.request.GET.get("tag", "")
    by_name = {tag.name: tag for tag in tags}
    tag = by_name.get(wanted) or by_name.get("latest") or tags[0]
    client = page.request.GET.get("client", "")
    if client not in CLIENTS:
        client = CLIENTS[0]
    reference = f"{settings.BERTH_SERVICE}/{page.repository.full_name}:{tag.name}"
    words = "FROM" if client == "Dockerfile" else f"{client} pull"
    return PullCommand(tag.name, client, f"{words} {reference}")


def _growth(before: list[DayOfPulls], lately: list[DayOfPulls]) -> Growth | None:
    """Compare two spans of days; None where there is too little to compare."""
    first = sum(day.pull_count for day in before)
    second = sum(day.pull_count for day in lately)
    # Days of which most were quiet say nothing of what is usual.
    is_young = sum(day.pull_count > 0 for day in before) < len(before) / 2
    percent = round(100 * abs(second - first) / first) if first else 0
    if is_young or not percent:
        return None
    return Growth(percent, is_more=second > first)


def _trend(days: list[DayOfPulls]) -> str:
    """Describe in words what the picture shows, for those who do not see it."""
    if not days:
        return ""
    total = sum(day.pull_count for day in days)
    most = max(days, key=lambda day: day.pull_count)
    words = ngettext(
        "%(total)s pull in %(days)s days, at most %(most)s on one day",
        "%(total)s pulls in %(days)s days, at most %(most)s on one day",
        total,
    )
    return words % {
        "total": f"{total:,}",
        "days": len(days),
        "most": f"{most.pull_count:,}",
    }
