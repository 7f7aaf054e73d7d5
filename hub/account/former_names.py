"""Former names that one can free (/settings/former-names)."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.requests import actor_of_page, signed_in_user
from hub.kit.pages import show_toast
from repositories.former_names import former_names_of, free_name


@require_http_methods(["GET", "HEAD", "POST"])
def show_former_names(request: HttpRequest) -> HttpResponse:
    """List them; a POST frees one, after a question."""
    signed_in_user(request)
    actor = actor_of_page(request)
    asked = request.POST if request.method == "POST" else request.GET
    name = asked.get("name", "").replace("\0", "")
    if request.method == "POST":
        if not free_name(name, actor=actor):
            raise Http404
        show_toast(request, _("%(name)s is free.") % {"name": name})
        return redirect("repositories:former-names")
    names = former_names_of(actor)
    chosen = next((former for former in names if former.name == name), None)
    if name and chosen is None:
        raise Http404
    return render(
        request,
        "repositories/former_names.html",
        {"names": names, "chosen": chosen},
    )
