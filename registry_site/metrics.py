"""Metrics for Prometheus at /metrics: the state of the site, and the work of this node.

The state is read from the database and the broker at each scrape, so every node reports
the same. Requests, operations of the blob store and disks are those of the node that
answers (registry_site/server/request_metrics.py). docs/metrics.md has a row for each.
"""

import hmac
import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from accounts.authentication import AuthenticationFailed, authenticate_token
from accounts.liveness import live_user
from accounts.models import Organization, User
from accounts.site_rights import may_administer_site
from distribution.models import Blob, Upload
from registry_site.disks import written_disks
from registry_site.health import UNAVAILABLE, store_part
from registry_site.heartbeats import SCHEDULER, last_heartbeats
from registry_site.queues import waiting_messages
from registry_site.server.request_metrics import request_metrics
from registry_site.site_counters import (
    GARBAGE_BYTES,
    GARBAGE_OBJECTS,
    OUTCOMES,
    name_of_outcome,
    read_site_counters,
)
from registry_site.task_health import list_tasks
from repositories.models import Manifest, Repository, Tag
from webhooks.delivery.backlog import waiting_since
from webhooks.models import Delivery

BEARER = "bearer "


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer site administrators and the holder of BERTH_METRICS_TOKEN."""
    if not _may_read(request):
        response = HttpResponse("metrics are for administrators\n", status=401)
        response["WWW-Authenticate"] = 'Bearer realm="metrics"'
        response["Content-Type"] = "text/plain; charset=utf-8"
        return response
    registry = CollectorRegistry(auto_describe=False)
    registry.register(SiteCollector())
    registry.register(NodeCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _may_read(request: HttpRequest) -> bool:
    header = request.headers.get("Authorization", "")
    if not header.lower().startswith(BEARER):
        return request.user.is_active and request.user.is_superuser
    secret = header[len(BEARER) :].strip()
    expected = settings.BERTH_METRICS_TOKEN
    if expected and hmac.compare_digest(secret.encode(), expected.encode()):
        return True
    try:
        actor = authenticate_token(secret)
    except AuthenticationFailed:
        return False
    return bool(may_administer_site(actor))


class SiteCollector(Collector):
    """Counts rows and waiting messages; a constant number of queries."""

    def collect(self) -> Iterator[Metric]:
        """Yield every family once."""
        info = GaugeMetricFamily(
            "berth_info", "The running version.", labels=["version"]
        )
        info.add_metric([settings.BERTH_VERSION], 1)
        yield info
        yield _gauge("berth_users", "Active users.", User.objects.filter(live_user()))
        yield _gauge(
            "berth_organizations", "Organizations.", Organization.objects.all()
        )
        yield self.repositories()
        yield _gauge("berth_tags", "Tags.", Tag.objects.all())
        yield _gauge("berth_manifests", "Manifests.", Manifest.objects.all())
        yield _gauge("berth_uploads", "Open upload sessions.", Upload.objects.all())
        blobs = Blob.objects.aggregate(count=Count("pk"), size=Sum("size_bytes"))
        yield GaugeMetricFamily("berth_blobs", "Stored blobs.", value=blobs["count"])
        yield GaugeMetricFamily(
            "berth_blob_bytes", "Bytes of the stored blobs.", value=blobs["size"] or 0
        )
        yield _gauge(
            "berth_webhook_deliveries",
            "Deliveries of webhooks that have not arrived yet.",
            Delivery.objects.filter(status__in=Delivery.OPEN),
        )
        waiting = waiting_since()
        yield GaugeMetricFamily(
            "berth_webhook_wait_seconds",
            "Seconds that the oldest event or delivery that is due has waited.",
            value=0 if waiting is None else _seconds_since(waiting),
        )
        yield from self.counters()
        yield self.queues()
        yield from self.heartbeats()
        yield from self.tasks()

    def repositories(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "berth_repositories", "Repositories.", labels=["visibility"]
        )
        rows = Repository.objects.filter(deleted_at=None).values_list("visibility")
        counts = dict(rows.annotate(count=Count("pk")).order_by())
        for visibility in Repository.Visibility.values:
            family.add_metric([visibility], counts.get(visibility, 0))
        return family

    def counters(self) -> Iterator[CounterMetricFamily]:
        """Yield the totals that workers and commands have written."""
        totals = read_site_counters()
        attempts = CounterMetricFamily(
            "berth_webhook_attempts",
            "Attempts to deliver a webhook that have ended.",
            labels=["outcome"],
        )
        for outcome in OUTCOMES:
            attempts.add_metric([outcome], totals.get(name_of_outcome(outcome), 0))
        yield attempts
        for name, what, counter in (
            ("objects", "Objects that the collection has deleted.", GARBAGE_OBJECTS),
            ("bytes", "Bytes of the objects that it has deleted.", GARBAGE_BYTES),
        ):
            yield CounterMetricFamily(
                f"berth_garbage_deleted_{name}", what, value=totals.get(counter, 0)
            )

    def queues(self) -> GaugeMetricFamily:
        """Return how many messages wait in each queue; none if the broker is away."""
        family = GaugeMetricFamily(
            "berth_queue_messages", "Messages waiting for a worker.", labels=["queue"]
        )
        for queue, count in waiting_messages().items():
            family.add_metric([queue], count)
        return family

    def tasks(self) -> Iterator[GaugeMetricFamily]:
        """Yield when each task last succeeded (+Inf: never), and whether it is late."""
        family = GaugeMetricFamily(
            "berth_task_last_success_age_seconds",
            "Seconds since the last success of the task.",
            labels=["task"],
        )
        late = GaugeMetricFamily(
            "berth_task_late",
            "Whether the next run of the task was due a while ago.",
            labels=["task"],
        )
        for task in list_tasks():
            family.add_metric([task.task], _seconds_since(task.succeeded_at))
            late.add_metric([task.task], task.is_late)
        yield family
        yield late

    def heartbeats(self) -> Iterator[GaugeMetricFamily]:
        """Yield the ages of the last heartbeats; +Inf if there was none."""
        worker = GaugeMetricFamily(
            "berth_worker_last_heartbeat_age_seconds",
            "Seconds since the last heartbeat of a worker of the queue.",
            labels=["queue"],
        )
        heard = {name: _seconds_since(at) for name, at in last_heartbeats().items()}
        scheduler = heard.pop(SCHEDULER)
        for queue, seconds in heard.items():
            worker.add_metric([queue], seconds)
        yield worker
        yield GaugeMetricFamily(
            "berth_scheduler_last_heartbeat_age_seconds",
            "Seconds since the last heartbeat of the scheduler.",
            value=scheduler,
        )


class NodeCollector(Collector):
    """Reports what the workers of this node have counted, and its disks."""

    def collect(self) -> Iterator[Metric]:
        """Yield every family once."""
        yield from request_metrics()
        free = GaugeMetricFamily(
            "berth_disk_free_bytes", "Bytes that can be written.", labels=["disk"]
        )
        size = GaugeMetricFamily(
            "berth_disk_size_bytes", "Size of the file system.", labels=["disk"]
        )
        for disk in written_disks(with_blobs=store_part.state() != UNAVAILABLE):
            if (space := disk.space()) is not None:
                free.add_metric([disk.name], space.free_bytes)
                size.add_metric([disk.name], space.size_bytes)
        yield free
        yield size


def _seconds_since(at: datetime | None) -> float:
    if at is None:
        return math.inf
    return max((timezone.now() - at) / timedelta(seconds=1), 0.0)


def _gauge(name: str, what: str, rows: QuerySet[Any]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=rows.count())
