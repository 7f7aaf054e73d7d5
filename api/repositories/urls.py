"""Names may hold slashes: everything is anchored at the end, longest first.

A name may also end like a path, ``acme/a/tags``; ``/-`` behind it separates them, and
what may mean two repositories without it is refused (api/repositories/readings.py).
"""

from typing import Any

from django.urls import URLPattern, path, re_path

from api.repositories import (
    defaults,
    events,
    former_names,
    grants,
    repositories,
    robots,
    search,
    statistics,
    tags,
    tokens,
    watches,
)

NAME = r"repositories/(?P<namespace>[^/]+)/(?P<name>.+?)"
DELETED = r"deleted-repositories/(?P<repository>[0-9]{1,18})"
TAG = r"/tags/(?P<tag>[^/]+)"
IN_REPOSITORY: list[tuple[str, Any, str]] = [
    (r"/grants", grants.GrantsView, "grants"),
    (r"/grants/(?P<grant>[0-9]{1,18})", grants.GrantView, "grant"),
    (r"/access", grants.AccessView, "access"),
    (r"/who", grants.HoldersView, "who"),
    (r"/star", search.StarView, "star"),
    (r"/watch", watches.WatchView, "watch"),
    (r"/statistics", statistics.StatisticsView, "statistics"),
    (r"/events", events.RepositoryEventsView, "events"),
    (r"/events/export", events.RepositoryExportView, "export"),
    (r"/tags", tags.TagsView, "tags"),
    (TAG, tags.TagView, "tag"),
    (rf"{TAG}/restore", tags.TagRestoreView, "tag-restore"),
    (rf"{TAG}/history", tags.TagHistoryView, "tag-history"),
    (r"/manifests/(?P<digest>[^/]+:[^/]+)", tags.ManifestView, "manifest"),
    (r"", repositories.RepositoryView, "repository"),
]

urlpatterns: list[URLPattern] = [
    path("user/tokens", tokens.TokensView.as_view(), name="tokens"),
    path("user/tokens/<int:token>", tokens.TokenView.as_view(), name="token"),
    path("former-names", former_names.FormerNamesView.as_view(), name="former-names"),
    path(
        "former-names/<path:name>",
        former_names.FormerNameView.as_view(),
        name="former-name",
    ),
    path("user/events", events.OwnEventsView.as_view(), name="own-events"),
    path("user/events/export", events.OwnExportView.as_view(), name="own-export"),
    path("events", events.SiteEventsView.as_view(), name="site-events"),
    path("events/export", events.SiteExportView.as_view(), name="site-export"),
    path(
        "organizations/<str:organization>/events",
        events.OrganizationEventsView.as_view(),
        name="organization-events",
    ),
    path(
        "organizations/<str:organization>/events/export",
        events.OrganizationExportView.as_view(),
        name="organization-export",
    ),
    path(
        "organizations/<str:organization>/robots/<str:robot>",
        robots.RobotView.as_view(),
        name="robot",
    ),
    path("user/robots/<str:robot>", robots.RobotView.as_view(), name="own-robot"),
    path(
        "organizations/<str:organization>/defaults",
        defaults.DefaultsView.as_view(),
        name="defaults",
    ),
    path(
        "organizations/<str:organization>/defaults/<int:default>",
        defaults.DefaultView.as_view(),
        name="default",
    ),
    path("user/stars", search.StarredView.as_view(), name="stars"),
    path("user/watches", watches.WatchedView.as_view(), name="watches"),
    path("search", search.SearchView.as_view(), name="search"),
    path("repositories", repositories.RepositoriesView.as_view(), name="repositories"),
    path(
        "deleted-repositories",
        repositories.DeletedRepositoriesView.as_view(),
        name="deleted-repositories",
    ),
    re_path(
        rf"^{DELETED}$",
        repositories.DeletedRepositoryView.as_view(),
        name="deleted-repository",
    ),
    re_path(
        rf"^{DELETED}/restore$",
        repositories.RestoredRepositoryView.as_view(),
        name="restored-repository",
    ),
    *(
        re_path(f"^{NAME}{route}$", view.as_view(), name=name)
        for route, view, name in IN_REPOSITORY
    ),
]
# The exact form: ``/-`` ends the name, whatever it is.
exact_urlpatterns = [
    re_path(f"^{NAME}/-{route}$", view.as_view(), name=name)
    for route, view, name in IN_REPOSITORY
]
