"""Wires the apps together: settings, addresses, server and worker."""

from registry_site.celery import app as celery_app

__all__ = ["celery_app"]
