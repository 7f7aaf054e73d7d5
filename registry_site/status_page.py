"""The site's state on one page, for its administrators."""

import platform
import sqlite3
from dataclasses import dataclass
from datetime import datetime

import django
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.db.models import Count, Max, Min, Model, Q, Sum, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.liveness import live_user
from accounts.models import (
    Organization,
    QueuedMail,
    RefusedAddress,
    Robot,
    User,
)
from accounts.requests import actor_of_page, signed_in_user
from distribution.garbage import confirm_collection, held_collection
from distribution.models import Blob, Upload
from distribution.tasks import collect_garbage
from registry_site import health
from registry_site.disks import written_disks
from registry_site.heartbeats import SCHEDULER, is_silent, last_heartbeats
from registry_site.queues import waiting_messages
from registry_site.task_health import TaskHealth, list_tasks
from repositories.models import Event, Manifest, Repository, Tag
from search.triggers import has_trigrams
from webhooks.delivery.backlog import DELAYED_AFTER, waiting_since


@dataclass(frozen=True, slots=True)
class Fact:
    """A line of the page; an amount or a time, where there is one, beats the text."""

    title: str
    text: str = ""
    size_bytes: int | None = None
    at: datetime | None = None


def show_state(request: HttpRequest) -> HttpResponse:
    """Show how much there is, who is at work, what waits, and which versions run."""
    if not signed_in_user(request).is_superuser:
        raise PermissionDenied(_("only administrators of the site see its state"))
    now = timezone.now()
    counts = _counts(
        Organization, Robot, Tag, Manifest, Upload, QueuedMail, RefusedAddress
    )
    heard = last_heartbeats()
    waiting = waiting_messages()
    due_since = waiting_since()
    tasks = list_tasks(now)
    held = held_collection()
    store_state = health.store_part.state()
    groups = [
        (_("People"), _people(counts)),
        (_("Images"), _images(counts)),
        (_("Background jobs"), _work(heard, waiting, due_since, counts)),
        (_("Mail"), _mail(counts)),
        (_("Last success of each task"), _last_successes(tasks)),
        (_("Versions"), _versions()),
    ]
    warnings = [
        *_store_warnings(store_state),
        *_disk_warnings(store_state),
        *_warnings(heard, waiting, due_since, now),
        *_task_warnings(tasks, now),
    ]
    return render(
        request,
        "site_state.html",
        {"groups": groups, "warnings": warnings, "held": held},
    )


@require_POST
def confirm_held_collection(request: HttpRequest) -> HttpResponse:
    """Let the garbage collection run that waits for an administrator."""
    if not signed_in_user(request).is_superuser:
        raise PermissionDenied(_("only administrators of the site see its state"))
    if confirm_collection(actor=actor_of_page(request)):
        transaction.on_commit(collect_garbage.delay, robust=True)
        messages.success(request, _("The garbage collection starts in a moment."))
    else:
        messages.info(request, _("No garbage collection is on hold any more."))
    return redirect("site-state")


def _store_warnings(state: str) -> list[str]:
    if state == health.OK:
        return []
    problem = {"problem": health.store_part.problem}
    if state == health.READ_ONLY:
        return [_("Pushes are refused (%(problem)s).") % problem]
    return [_("Blobs are neither served nor accepted: %(problem)s.") % problem]


def _disk_warnings(store_state: str) -> list[str]:
    """Describe what a full disk stops, once for each disk."""
    stops = {
        "blobs": _("pushes are refused, and pulls continue"),
        "database": _("all changes are refused; pulls and pages continue"),
        "data": _("pulls are not counted, and restarts may fail"),
        "broker": _("the worker receives no messages, and tasks wait"),
        "temporary": _("large forms and downloads may fail"),
    }
    disks: dict[int, tuple[str, list[str]]] = {}
    for disk in written_disks(with_blobs=store_state != health.UNAVAILABLE):
        if disk.is_full:
            device = disk.folder.stat().st_dev
            disks.setdefault(device, (str(disk.folder), []))[1].append(stops[disk.name])
    return [
        _("The disk of %(folder)s is full: %(consequences)s.")
        % {"folder": folder, "consequences": "; ".join(consequences)}
        for folder, consequences in disks.values()
    ]


def _task_warnings(tasks: list[TaskHealth], now: datetime) -> list[str]:
    late = [task.title for task in tasks if task.is_late]
    said = []
    if late:
        said.append(
            _("Late tasks: %(tasks)s. Is the clock of the machine right?")
            % {"tasks": ", ".join(late)}
        )
    said += [
        _("The task '%(task)s' failed %(time)s ago: %(problem)s")
        % {
            "task": task.title,
            "time": timesince(task.failed_at, now, depth=1),
            "problem": task.problem,
        }
        for task in tasks
        if task.is_failing and task.failed_at is not None
    ]
    return said


def _last_successes(tasks: list[TaskHealth]) -> list[Fact]:
    return [
        Fact(task.title.capitalize(), _("not yet"), at=task.succeeded_at)
        for task in tasks
    ]


def _counts(*models: type[Model]) -> dict[type[Model], str]:
    """Return how many rows each table has, for people. One query."""
    number_of_each = [
        model._default_manager.order_by()
        .annotate(place=Value(place))
        .values("place")
        .annotate(number=Count("pk"))
        .values_list("place", "number")
        for place, model in enumerate(models)
    ]
    first, *others = number_of_each
    found = dict(first.union(*others, all=True))
    return {model: f"{found.get(place, 0):,}" for place, model in enumerate(models)}


def _people(counts: dict[type[Model], str]) -> list[Fact]:
    users = User.objects.aggregate(
        all=Count("pk"), active=Count("pk", filter=live_user())
    )
    active, everybody = f"{users['active']:,}", f"{users['all']:,}"
    return [
        Fact(
            _("Users"),
            _("%(active)s of %(all)s active") % {"active": active, "all": everybody},
        ),
        Fact(_("Organizations"), counts[Organization]),
        Fact(_("Robots"), counts[Robot]),
    ]


def _images(counts: dict[type[Model], str]) -> list[Fact]:
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
        Fact(_("Tags"), counts[Tag]),
        Fact(_("Manifests"), counts[Manifest]),
        Fact(_("Blobs"), f"{blobs['count']:,}"),
        Fact(_("Stored"), size_bytes=blobs["size"] or 0),
    ]


def _warnings(
    heard: dict[str, datetime | None],
    waiting: dict[str, int],
    due_since: datetime | None,
    now: datetime,
) -> list[str]:
    """Describe in plain words what is wrong with those who work in the background."""
    words = {
        "deliveries": _("webhooks"),
        "statistics": _("statistics"),
        "upkeep": _("cleanup"),
    }
    silent = {name: at for name, at in heard.items() if is_silent(at, now)}
    said = []
    if SCHEDULER in silent:
        at = silent.pop(SCHEDULER)
        said.append(
            _(
                "No heartbeat from the scheduler %(time)s. Cleanup and missed "
                "deliveries are on hold."
            )
            % {"time": _for_how_long(at, now)}
        )
    # Those that one process took fell silent together, and are told of together.
    together: dict[str, list[str]] = {}
    for name, at in silent.items():
        together.setdefault(_for_how_long(at, now), []).append(words.get(name, name))
    for time, works in together.items():
        said.append(
            _("No heartbeat from the worker %(time)s; on hold: %(works)s.")
            % {"time": time, "works": _listed(works)}
        )
    if not waiting:
        said.append(
            _("The broker does not answer. Webhooks are delayed; pushes continue.")
        )
    if due_since is not None and now - due_since > DELAYED_AFTER:
        said.append(
            _("Webhooks are delayed: the oldest has waited for %s.")
            % timesince(due_since, now, depth=1)
        )
    return said


def _for_how_long(at: datetime | None, now: datetime) -> str:
    if at is None:
        return _("yet")
    return _("for %s") % timesince(at, now, depth=1)


def _listed(words: list[str]) -> str:
    *before, last = words
    if not before:
        return last
    return _("%(before)s and %(last)s") % {"before": ", ".join(before), "last": last}


def _work(
    heard: dict[str, datetime | None],
    waiting: dict[str, int],
    due_since: datetime | None,
    counts: dict[type[Model], str],
) -> list[Fact]:
    newest = Event.objects.order_by("-pk").values_list("at", flat=True).first()
    workers = [
        Fact(
            _("Scheduler, last heartbeat")
            if name == SCHEDULER
            else _("Worker for %(queue)s, last heartbeat") % {"queue": name},
            _("never"),
            at=at,
        )
        for name, at in heard.items()
    ]
    queues = [
        Fact(_("Queue: %(queue)s") % {"queue": name}, f"{count:,}")
        for name, count in waiting.items()
    ]
    return [
        *workers,
        *(queues or [Fact(_("Queued tasks"), _("the broker does not answer"))]),
        Fact(
            _("Oldest queued delivery"),
            _("none"),
            at=due_since,
        ),
        Fact(_("Uploads in progress"), counts[Upload]),
        Fact(_("Last event"), _("none"), at=newest),
        Fact(
            _("Search"),
            _("trigram index")
            if has_trigrams()
            else _("slow: the extension pg_trgm is missing"),
        ),
    ]


def _mail(counts: dict[type[Model], str]) -> list[Fact]:
    waiting = QueuedMail.objects.aggregate(since=Min("created_at"), why=Max("problem"))
    server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return [
        Fact(
            _("Mail server"),
            server if settings.BERTH_SENDS_MAIL else _("none (the setting EMAIL_URL)"),
        ),
        Fact(_("Queued mail"), counts[QueuedMail]),
        Fact(_("Oldest queued mail"), _("none"), at=waiting["since"]),
        Fact(_("Problem with queued mail"), waiting["why"] or _("no problem")),
        Fact(_("Addresses that refuse mail"), counts[RefusedAddress]),
    ]


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
