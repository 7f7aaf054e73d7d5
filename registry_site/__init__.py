"""Wires the rooms together: settings, addresses, server, worker, supervisor."""

from registry_site.celery import app as celery_app

__all__ = ["celery_app"]
