"""The Celery application; its settings are those of Django that begin with CELERY_."""

import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")

# Messages are JSON, so that root as the worker's user is no more than root as Berth's.
warnings.simplefilter("ignore", SecurityWarning)

TRANSPORT_ALIASES["folder"] = "registry_site.broker:Transport"

app = Celery("berth")
app.set_default()  # for every thread of the server, not only the one that imports this
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
