"""The Celery application; its settings are those of Django that begin with CELERY_."""

import os
import sys
import warnings
from pathlib import Path

from celery import Celery
from celery.exceptions import SecurityWarning
from kombu.transport import TRANSPORT_ALIASES

from registry_site.private_files import keep_new_files_private

if Path(sys.argv[0]).name == "celery":  # the worker or the scheduler
    keep_new_files_private()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")

# Messages are JSON, so that root as the worker's user is no more than root as Berth's.
warnings.simplefilter("ignore", SecurityWarning)

TRANSPORT_ALIASES["folder"] = "registry_site.broker:Transport"

app = Celery("berth")
app.set_default()  # for every thread of the server, not only the one that imports this
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
