"""Names may hold slashes: everything is anchored at the end, longest first."""

from django.urls import path, re_path

from repositories.api.views import (
    defaults,
    events,
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
TAG = rf"{NAME}/tags/(?P<tag>[^/]+)"

urlpatterns = [
    path("user/tokens", tokens.TokensView.as_view(), name="tokens"),
    path("user/tokens/<int:token>", tokens.TokenView.as_view(), name="token"),
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
    re_path(rf"^{NAME}/grants$", grants.GrantsView.as_view(), name="grants"),
    re_path(
        rf"^{NAME}/grants/(?P<grant>[0-9]{{1,18}})$",
        grants.GrantView.as_view(),
        name="grant",
    ),
    re_path(rf"^{NAME}/access$", grants.AccessView.as_view(), name="access"),
    re_path(rf"^{NAME}/who$", grants.HoldersView.as_view(), name="who"),
    re_path(rf"^{NAME}/star$", search.StarView.as_view(), name="star"),
    re_path(rf"^{NAME}/watch$", watches.WatchView.as_view(), name="watch"),
    re_path(
        rf"^{NAME}/statistics$", statistics.StatisticsView.as_view(), name="statistics"
    ),
    re_path(rf"^{NAME}/events$", events.RepositoryEventsView.as_view(), name="events"),
    re_path(
        rf"^{NAME}/events/export$",
        events.RepositoryExportView.as_view(),
        name="export",
    ),
    re_path(rf"^{NAME}/tags$", tags.TagsView.as_view(), name="tags"),
    re_path(rf"^{TAG}$", tags.TagView.as_view(), name="tag"),
    re_path(rf"^{TAG}/restore$", tags.TagRestoreView.as_view(), name="tag-restore"),
    re_path(rf"^{TAG}/history$", tags.TagHistoryView.as_view(), name="tag-history"),
    re_path(
        rf"^{NAME}/manifests/(?P<digest>[^/]+:[^/]+)$",
        tags.ManifestView.as_view(),
        name="manifest",
    ),
    re_path(rf"^{NAME}$", repositories.RepositoryView.as_view(), name="repository"),
]
