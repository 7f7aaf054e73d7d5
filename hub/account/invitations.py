"""The page behind a mailed link: who invites whom to what, and two buttons."""

from django.core.exceptions import BadRequest, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.invitations import (
    InvitationOver,
    accept,
    decline,
    find_by_secret,
    is_open_to,
)
from accounts.models import Invitation, User
from accounts.requests import actor_of_page, signed_in_user
from hub.account.adapters import INVITATION_IN_SESSION
from hub.kit.pages import show_toast


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_page(request: HttpRequest, secret: str) -> HttpResponse:
    """Show an invitation, and take the answer of the signed-in user.

    One to an address is anybody's who has the link, since that came by mail to it; one
    to a user is that user's alone. A link that no longer stands is 404, and so is one
    that is older than the last decision on the visitor's teams.
    """
    invitation = find_by_secret(secret)
    if invitation is None:
        raise Http404
    organization = invitation.team.organization.namespace.name
    if request.method == "POST":
        take_answer(request, invitation, signed_in_user(request))
        return redirect("repositories:namespace", organization)
    if not request.user.is_authenticated:
        # Lets its holder make an account where only the invited may (adapters.py).
        request.session[INVITATION_IN_SESSION] = secret
    visitor = request.user if isinstance(request.user, User) else None
    is_others = visitor is not None and invitation.user not in {None, visitor}
    if visitor is not None and not is_others and not is_open_to(invitation, visitor):
        raise Http404
    context = {
        "invitation": invitation,
        "organization": organization,
        "is_others": is_others,
    }
    return render(request, "accounts/invitation.html", context)


def take_answer(request: HttpRequest, invitation: Invitation, user: User) -> None:
    """Do what the button says; an invitation that is over is Http404."""
    if invitation.user is not None and invitation.user != user:
        raise PermissionDenied(_("this invitation is for another account"))
    actor = actor_of_page(request)
    names = {
        "team": invitation.team.name,
        "organization": invitation.team.organization.namespace.name,
    }
    try:
        match request.POST.get("answer"):
            case "accept":
                accept(invitation=invitation, user=user, actor=actor)
                show_toast(
                    request, _("You joined %(team)s of %(organization)s") % names
                )
            case "decline":
                decline(invitation=invitation, user=user, actor=actor)
                show_toast(request, _("You declined the invitation"))
            case _:
                raise BadRequest("the answer is accept or decline")
    except InvitationOver as error:
        raise Http404 from error
