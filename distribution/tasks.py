"""What the worker does for the registry, by the table in registry_site/settings.py."""

from celery import shared_task

from distribution import garbage


@shared_task
def expire_uploads() -> None:
    """End the sessions that nobody went on with."""
    garbage.expire_uploads()


@shared_task
def collect_garbage() -> None:
    """Give back the space of blobs that nothing needs."""
    garbage.collect_garbage()
