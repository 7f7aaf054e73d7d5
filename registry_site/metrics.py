"""Metrics for Prometheus at /metrics: the state of the site, read at each scrape.

The numbers come from the database and the broker and not from this process, since every
worker of every node has to give the same answer.
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
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from accounts.authentication import AuthenticationFailed, authenticate_token
from accounts.liveness import live_user
from accounts.models import Organization, User
from accounts.site_rights import may_administer_site
from distribution.models import Blob, Upload
from registry_site.heartbeats import SCHEDULER, last_heartbeats
from registry_site.queues import waiting_messages
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

    def collect(self) -> Iterator[GaugeMetricFamily]:
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
        yield self.queues()
        yield from self.heartbeats()
        yield self.tasks()

    def repositories(self) -> GaugeMetricFamily:
        family = GaugeMetricFamily(
            "berth_repositories", "Repositories.", labels=["visibility"]
        )
        rows = Repository.objects.filter(deleted_at=None).values_list("visibility")
        counts = dict(rows.annotate(count=Count("pk")).order_by())
        for visibility in Repository.Visibility.values:
            family.add_metric([visibility], counts.get(visibility, 0))
        return family

    def queues(self) -> GaugeMetricFamily:
        """Return how many messages wait in each queue; none if the broker is away."""
        family = GaugeMetricFamily(
            "berth_queue_messages", "Messages waiting for a worker.", labels=["queue"]
        )
        for queue, count in waiting_messages().items():
            family.add_metric([queue], count)
        return family

    def tasks(self) -> GaugeMetricFamily:
        """Return the age of each task's last success; +Inf if none."""
        family = GaugeMetricFamily(
            "berth_task_last_success_age_seconds",
            "Seconds since the last success of the task.",
            labels=["task"],
        )
        for task in list_tasks():
            family.add_metric([task.task], _seconds_since(task.succeeded_at))
        return family

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


def _seconds_since(at: datetime | None) -> float:
    if at is None:
        return math.inf
    return max((timezone.now() - at) / timedelta(seconds=1), 0.0)


def _gauge(name: str, what: str, rows: QuerySet[Any]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, value=rows.count())
