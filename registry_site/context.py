"""What every template knows of the site and of who looks at it."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from accounts.adapters import may_sign_up
from accounts.models import Namespace
from accounts.views.base import actor_of_page

SHOWN_ORGANIZATIONS = 6  # in the account menu; the rest is on the profile


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the registry's name as clients say it, and the visitor's organizations.

    ``my_organizations`` are namespaces; they cost a query only where a template looks.
    """
    return {
        "registry": settings.BERTH_SERVICE,
        "version": settings.BERTH_VERSION,
        "social_providers": bool(settings.SOCIALACCOUNT_PROVIDERS),
        "signup_is_open": SimpleLazyObject(lambda: may_sign_up(request)),
        "my_organizations": SimpleLazyObject(lambda: _organizations(request)),
    }


def _organizations(request: HttpRequest) -> list[Namespace]:
    actor = actor_of_page(request)
    if actor.user_id is None:
        return []
    return list(
        Namespace.objects.filter(organization__teams__memberships__user=actor.user_id)
        .distinct()
        .order_by("name")[:SHOWN_ORGANIZATIONS]
    )
