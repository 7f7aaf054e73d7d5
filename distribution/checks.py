"""A route without a declared action stops the start."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.urls import URLPattern


@register()
def check_every_route_declares_its_action(**kwargs: Any) -> list[CheckMessage]:
    """Report protocol routes whose view did not come through the gate."""
    # Here, so that commands which check nothing start without any view.
    from distribution import urls
    from distribution.endpoints import Resource

    return [
        Error(
            f"the route '{pattern.pattern}' does not declare who may use it",
            hint="wrap its functions in @endpoint(...) and a Resource",
            id="distribution.E001",
        )
        for pattern in urls.urlpatterns
        if not (
            isinstance(pattern, URLPattern) and isinstance(pattern.callback, Resource)
        )
    ]
