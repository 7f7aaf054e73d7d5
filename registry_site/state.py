"""The site's state on one page, for its administrators."""

import platform
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import django
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, Q, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from kombu.exceptions import OperationalError

from accounts.models import Organization, Robot, User
from accounts.views.base import signed_in_user
from distribution.models import Blob, Upload
from registry_site.celery import app
from repositories.models import Event, Manifest, Repository, Tag
from repositories.search_index import has_trigrams


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the page; ``size_bytes`` instead of ``text`` for an amount."""

    title: str
    text: str = ""
    size_bytes: int | None = None


def show_state(request: HttpRequest) -> HttpResponse:
    """Show how much there is, what waits, and which versions run."""
    if not signed_in_user(request).is_superuser:
        raise PermissionDenied(_("only administrators of the site see its state"))
    groups = [
        (_("People"), _people()),
        (_("Images"), _images()),
        (_("At work"), _work()),
        (_("Versions"), _versions()),
    ]
    return render(request, "site_state.html", {"groups": groups})


def _people() -> list[Fact]:
    users = User.objects.aggregate(
        all=Count("pk"), active=Count("pk", filter=Q(is_active=True))
    )
    active, everybody = f"{users['active']:,}", f"{users['all']:,}"
    return [
        Fact(
            _("Users"),
            _("%(active)s of %(all)s active") % {"active": active, "all": everybody},
        ),
        Fact(_("Organizations"), f"{Organization.objects.count():,}"),
        Fact(_("Robots"), f"{Robot.objects.count():,}"),
    ]


def _images() -> list[Fact]:
    repositories = Repository.objects.filter(deleted_at=None).aggregate(
        all=Count("pk"), public=Count("pk", filter=Q(visibility="public"))
    )
    blobs = Blob.objects.aggregate(count=Count("pk"), size=Sum("size_bytes"))
    return [
        Fact(
            _("Repositories"),
            _("%(all)s, %(public)s of them public")
            % {name: f"{count:,}" for name, count in repositories.items()},
        ),
        Fact(_("Tags"), f"{Tag.objects.count():,}"),
        Fact(_("Manifests"), f"{Manifest.objects.count():,}"),
        Fact(_("Blobs"), f"{blobs['count']:,}"),
        Fact(_("Stored"), size_bytes=blobs["size"] or 0),
    ]


def _work() -> list[Fact]:
    waiting = _waiting_tasks()
    newest = Event.objects.order_by("-pk").values_list("at", flat=True).first()
    return [
        Fact(
            _("Tasks that wait"),
            _("the broker does not answer") if waiting is None else f"{waiting:,}",
        ),
        Fact(_("Uploads going on"), f"{Upload.objects.count():,}"),
        Fact(_("Last event"), f"{newest:%Y-%m-%d %H:%M} UTC" if newest else _("none")),
        Fact(
            _("Search"),
            _("with an index of trigrams")
            if has_trigrams()
            else _("slow: the extension pg_trgm is missing"),
        ),
    ]


def _waiting_tasks() -> int | None:
    """Count what the broker keeps for the worker; None if it cannot be asked."""
    folder = getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}).get(
        "data_folder_out"
    )
    if folder:
        path = Path(folder)
        return sum(1 for _ in path.iterdir()) if path.is_dir() else 0
    try:
        with app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=1, timeout=2)
            with broker.SimpleQueue(app.conf.task_default_queue) as queue:
                return int(queue.qsize())
    except OperationalError:
        return None


def _versions() -> list[Fact]:
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        number = connection.pg_version  # type: ignore[attr-defined]
        database = f"PostgreSQL {number // 10000}.{number % 10000}"
    else:
        database = f"SQLite {sqlite3.sqlite_version}"
    return [
        Fact("Berth", settings.BERTH_VERSION),
        Fact("Django", django.get_version()),
        Fact("Python", platform.python_version()),
        Fact(_("Database"), database),
        Fact(_("Blob store"), settings.BERTH_BLOBS),
        Fact(_("Broker"), _("files") if not settings.REDIS_URL else "Redis"),
    ]
