"""The Celery application; its settings are those of Django that begin with CELERY_."""

import os
import warnings

from celery import Celery
from celery.exceptions import SecurityWarning

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "registry_site.settings")

# Messages are JSON, so that root as the worker's user is no more than root as Berth's.
warnings.simplefilter("ignore", SecurityWarning)

app = Celery("berth")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
