"""Tasks of the registry, by the timetable in registry_site/celery.py."""

from celery import shared_task

from distribution import garbage, pulls


@shared_task
def expire_uploads() -> None:
    """End the sessions that no one went on with."""
    garbage.expire_uploads()


@shared_task
def collect_garbage() -> None:
    """Give back the space of blobs that nothing needs."""
    garbage.collect_garbage()


@shared_task
def count_abandoned_pulls() -> None:
    """Count what servers that were killed had recorded."""
    pulls.count_abandoned()
