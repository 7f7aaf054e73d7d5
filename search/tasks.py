"""Tasks of the search, by the timetable in registry_site/celery.py."""

from celery import shared_task

from search import trends


@shared_task
def refresh_search() -> None:
    """Bring pulls and trends of the search up to date."""
    trends.refresh()
