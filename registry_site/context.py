"""The variables that every template gets: the site and the visitor."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, IntegerField, OuterRef, Subquery
from django.db.models.functions import Lower
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from accounts.mail import refusals_of
from accounts.models import Invitation, RefusedAddress, User
from accounts.requests import actor_of_page
from distribution.refresh_tokens import has_login_page
from hub.account.adapters import may_sign_up
from notifications.models import Notification
from registry_site.kept_forms import page_of, take_kept_form

UNREAD_MAX = 99  # more are not counted on every page
SHOWN_ORGANIZATIONS = 6  # in the account menu; the rest is on the profile


@dataclass(frozen=True, slots=True)
class Topbar:
    """The visitor's part of the bar of every page."""

    organizations: list[str]
    unread_count: int  # notifications and invitations; each at most UNREAD_MAX + 1
    is_mail_refused: bool = False  # by the mail server, for the user's address


def site(request: HttpRequest) -> dict[str, Any]:
    """Return the registry's name as clients say it, and what the bar shows.

    ``topbar`` costs one query, two if something may be unread, and only where a
    template looks.
    """
    return {
        "registry": settings.BERTH_SERVICE,
        "version": settings.BERTH_VERSION,
        "csrf_cookie": settings.CSRF_COOKIE_NAME,  # static/js/page.js reads it
        "sends_mail": settings.BERTH_SENDS_MAIL,
        "social_providers": bool(settings.SOCIALACCOUNT_PROVIDERS),
        "sign_in_next": _sign_in_next(request),
        "kept_form": SimpleLazyObject(lambda: take_kept_form(request)),
        "signup_is_open": SimpleLazyObject(lambda: may_sign_up(request)),
        "refused_addresses": SimpleLazyObject(lambda: _refusals(request)),
        "has_docker_logins": SimpleLazyObject(lambda: _has_docker_logins(request)),
        "topbar": SimpleLazyObject(lambda: _topbar(request)),
    }


def _refusals(request: HttpRequest) -> list[RefusedAddress]:
    user = request.user
    return list(refusals_of(user)) if user.is_authenticated else []


def _has_docker_logins(request: HttpRequest) -> bool:
    user = getattr(request, "user", None)
    return isinstance(user, User) and has_login_page(user)


def _sign_in_next(request: HttpRequest) -> str:
    """Return the query that leads from the sign-in back to this page."""
    page = page_of(request)
    if page.startswith("/accounts/"):  # on the sign-in's own pages, where they lead
        page = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(page, allowed_hosts=None):
            return ""
    return "" if page in {"", "/"} else f"?{urlencode({'next': page})}"


class _CountRows(Subquery):
    template = "(SELECT COUNT(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


def _topbar(request: HttpRequest) -> Topbar:
    user = getattr(request, "user", None)  # none on an error before the middleware
    if user is None or not user.is_authenticated:
        return Topbar([], 0)
    unread = Notification.objects.unread().filter(user=user)
    rows = list(
        User.objects.filter(pk=user.pk)
        .annotate(
            organization=F("memberships__team__organization__namespace__name"),
            has_more=Exists(unread) | Exists(Invitation.objects.addressed_to(user)),
            is_refused=Exists(
                RefusedAddress.objects.filter(address=Lower(OuterRef("email")))
            ),
        )
        .distinct()
        .order_by("organization")
        .values_list("organization", "has_more", "is_refused")[:SHOWN_ORGANIZATIONS]
    )
    if not rows:
        return Topbar([], 0)
    _, has_more, is_refused = rows[0]
    return Topbar(
        organizations=[name for name, *_ in rows if name is not None],
        unread_count=_count_unread(request, user) if has_more else 0,
        is_mail_refused=is_refused,
    )


def _count_unread(request: HttpRequest, user: User) -> int:
    """Count what the user may still read and answer.

    To compile the query of these rights takes longer than all else of a page, so it is
    asked only where there may be something to count.
    """
    unread = Notification.objects.readable_by(actor_of_page(request)).unread()
    invitations = Invitation.objects.to(user)
    counted = User.objects.filter(pk=user.pk).values_list(
        _CountRows(unread.values("pk")[: UNREAD_MAX + 1])
        + _CountRows(invitations.values("pk")[: UNREAD_MAX + 1])
    )
    row = counted.first()  # none for a user who was deleted a moment ago
    return int(row[0]) if row else 0
