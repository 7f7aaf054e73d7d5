"""The page of docker's logins: what clients keep instead of one's password."""

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from accounts.views.base import actor_of_page, number_in, signed_in_user, tell
from distribution.refresh_tokens import end_logins, logins_of

LISTED_MAX = 50  # a CI may sign in at every build
ALL = "all"


@require_http_methods(["GET", "HEAD", "POST"])
def show_logins(request: HttpRequest) -> HttpResponse:
    """List one's logins, those used last first; POST ends one, or all."""
    user = signed_in_user(request)
    if request.method == "POST":
        chosen = request.POST.get("login", "")
        login_id = number_in(chosen)
        if login_id is None and chosen != ALL:
            raise BadRequest("there is no such login")
        count = end_logins(user=user, login_id=login_id, actor=actor_of_page(request))
        ended = ngettext("%(count)d login ended", "%(count)d logins ended", count)
        tell(request, ended % {"count": count} if count else _("It had ended already"))
        return redirect("distribution:logins")
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
