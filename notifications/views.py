"""The page of notifications: what happened, invitations, what one watches, mail."""

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.actors import Actor
from accounts.models import Invitation, User
from accounts.requests import actor_of_page, signed_in_user
from hub.account.invitations import take_answer
from hub.kit.pages import ID_MAX, number_in, show_toast
from notifications.models import Notification
from notifications.preferences import (
    prefer_mail,
    prefers_mail,
    read_through,
    with_address,
)
from notifications.wording import wording_of
from repositories.models import Repository, Watch

PAGE_SIZE = 30


@require_safe
def show_inbox(request: HttpRequest) -> HttpResponse:
    """List the user's notifications, newest first, and their settings."""
    user = signed_in_user(request)
    actor = actor_of_page(request)
    rows = Notification.objects.readable_by(actor).with_event().order_by("-pk")
    before = number_in(request.GET.get("before", ""))
    if before is not None:
        rows = rows.filter(pk__lt=before)
    listed = list(rows[: PAGE_SIZE + 1])
    shown = listed[:PAGE_SIZE]
    watches = _watches(user, actor).order_by(
        "repository__namespace__name", "repository__name"
    )
    return render(
        request,
        "notifications/inbox.html",
        {
            "invitations": list(Invitation.objects.to(user).with_team()),
            "notifications": [wording_of(row) for row in shown],
            "last_unread": next((row.pk for row in shown if not row.is_read), None),
            "next_url": f"?before={shown[-1].pk}" if len(listed) > PAGE_SIZE else "",
            "watches": list(watches),
            "email": user.email
            if with_address(User.objects.filter(pk=user.pk)).exists()
            else "",
            "wants_mail": prefers_mail(user),
        },
    )


@require_POST
def mark_read(request: HttpRequest) -> HttpResponse:
    """Mark what the page showed, and all before it, as read."""
    user = signed_in_user(request)
    last = number_in(request.POST.get("last", ""))
    if last is None:
        raise BadRequest("the last notification that is read is not named")
    read_through(user=user, last=last)
    return redirect("notifications:inbox")


@require_POST
def choose_mail(request: HttpRequest) -> HttpResponse:
    """Have notifications mailed, or not."""
    user = signed_in_user(request)
    prefer_mail(user=user, wants_mail=request.POST.get("wants_mail") == "on")
    show_toast(request, _("Saved."))
    return redirect("notifications:inbox")


@require_POST
def end_watch(request: HttpRequest, watch_id: int) -> HttpResponse:
    """Stop watching; only the user's own row is found."""
    user = signed_in_user(request)
    mine = _watches(user, actor_of_page(request))
    watch = mine.filter(pk=min(watch_id, ID_MAX)).first()
    if watch is None:
        raise Http404
    watch.delete()
    show_toast(request, _("You no longer watch %s") % watch.repository.full_name)
    return redirect("notifications:inbox")


@require_POST
def answer_invitation(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """Accept or decline an invitation to oneself, without its mailed link."""
    user = signed_in_user(request)
    invitation = (
        Invitation.objects.to(user)
        .with_team()
        .filter(pk=min(invitation_id, ID_MAX))
        .first()
    )
    if invitation is None:
        raise Http404
    take_answer(request, invitation, user)
    return redirect("notifications:inbox")


def _watches(user: User, actor: Actor) -> QuerySet[Watch]:
    """Return what one watches and may still see, without the long READMEs."""
    seen = Repository.objects.visible_to(actor)
    return (
        Watch.objects.filter(user=user, repository__in=seen.values("pk"))
        .select_related("repository__namespace")
        .defer("repository__readme")
    )
