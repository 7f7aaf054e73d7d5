"""The Celery application; its settings are those of Django that begin with CELERY_."""

import os
import sys
import warnings
from pathlib import Path
from typing import Any

from celery import Celery
from celery.exceptions import SecurityWarning
from celery.schedules import crontab
from celery.signals import worker_init
from kombu.transport import TRANSPORT_ALIASES

from database.waits import limit_waits
from registry_site.private_files import keep_new_files_private

if Path(sys.argv[0]).name == "celery":  # Celery's own command, without manage.py
    keep_new_files_private()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")
# Django's checks load every view; `manage.py serve` runs them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

# Messages are JSON, so that root as the worker's user is no more than root as Berth's.
warnings.simplefilter("ignore", SecurityWarning)

TRANSPORT_ALIASES["folder"] = "registry_site.broker:Transport"

app = Celery("berth", task_cls="registry_site.run_limits:LimitedTask")
app.set_default()  # for every thread of the server, not only the one that imports this
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _limit_waits(**signal: Any) -> None:
    limit_waits(is_web=False)


# What the scheduler sends, and when (UTC).
app.conf.beat_schedule = {
    "purge repositories": {
        "task": "repositories.tasks.purge_repositories",
        "schedule": crontab(hour=3, minute=30),
    },
    "sweep webhooks": {
        "task": "webhooks.tasks.sweep",
        "schedule": 5.0,  # seconds
        "options": {"expires": 5},  # those that no one heard do not pile up
    },
    "expire deliveries": {
        "task": "webhooks.tasks.expire_deliveries",
        "schedule": crontab(hour=4, minute=20),
    },
    "send queued mail": {
        "task": "accounts.tasks.send_queued_mail",
        "schedule": 5.0,  # seconds
        "options": {"expires": 5},
    },
    "send mails": {
        "task": "notifications.tasks.send_mails",
        "schedule": 60.0,  # seconds: what comes together goes together
        "options": {"expires": 60},
    },
    "expire notifications": {
        "task": "notifications.tasks.expire_notifications",
        "schedule": crontab(hour=4, minute=30),
    },
    "forget attempts": {
        "task": "accounts.tasks.forget_attempts",
        "schedule": crontab(hour=3, minute=20),
    },
    "remind of expiry": {
        "task": "accounts.tasks.remind_of_expiry",
        "schedule": crontab(minute=40),
    },
    "forget invitations": {
        "task": "accounts.tasks.forget_invitations",
        "schedule": crontab(hour=3, minute=25),
    },
    "expire events": {
        "task": "repositories.tasks.expire_events",
        "schedule": crontab(hour=3, minute=30),
    },
    "expire uploads": {
        "task": "distribution.tasks.expire_uploads",
        "schedule": crontab(minute=20),
    },
    "count abandoned pulls": {
        "task": "distribution.tasks.count_abandoned_pulls",
        "schedule": crontab(),
    },
    "recount pulls": {
        "task": "repositories.tasks.recount_pulls",
        "schedule": crontab(hour=3, minute=50),
    },
    "thin out pulls": {
        "task": "repositories.tasks.thin_out_pulls",
        "schedule": crontab(hour=4, minute=10),
    },
    "collect garbage": {
        "task": "distribution.tasks.collect_garbage",
        "schedule": crontab(hour=3, minute=40),
    },
    "refresh search": {
        "task": "search.tasks.refresh_search",
        "schedule": crontab(minute=10),
    },
}
