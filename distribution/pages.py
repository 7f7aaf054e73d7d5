"""The page of docker's logins: what clients keep instead of one's password."""

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.requests import actor_of_page, signed_in_user
from distribution.refresh_tokens import end_logins, logins_of
from hub.kit.pages import confirmation_page, given, number_in, show_toast

LISTED_MAX = 50  # a CI may sign in at every build
ALL = "all"


@require_http_methods(["GET", "HEAD", "POST"])
def show_logins(request: HttpRequest) -> HttpResponse:
    """List one's logins; with ``login``, ask, and then revoke that one, or all."""
    user = signed_in_user(request)
    if request.method == "POST" or "login" in request.GET:
        return _revoke(request, user, given(request, "login"))
    logins = list(logins_of(user)[: LISTED_MAX + 1])
    return render(
        request,
        "distribution/logins.html",
        {
            "logins": logins[:LISTED_MAX],
            "has_more": len(logins) > LISTED_MAX,
            "issues_logins": settings.BERTH_IDENTITY_TOKENS,
        },
    )


def _revoke(request: HttpRequest, user: User, chosen: str) -> HttpResponse:
    login_id = number_in(chosen)
    if login_id is None and chosen != ALL:
        raise BadRequest("there is no such login")
    if request.method != "POST":
        return confirmation_page(
            request,
            question=_("Revoke all docker logins?")
            if login_id is None
            else _("Revoke this docker login?"),
            consequence=_("The machine has to run docker login again."),
            action=_("Revoke"),
            back_url=reverse("distribution:logins"),
        )
    count = end_logins(user=user, login_id=login_id, actor=actor_of_page(request))
    revoked = ngettext("%(count)d login revoked", "%(count)d logins revoked", count)
    show_toast(request, revoked % {"count": count} if count else _("Already revoked"))
    return redirect("distribution:logins")
