"""One's access tokens (/settings/tokens); here, because they may name repositories."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import AccessToken
from accounts.requests import actor_of_page, signed_in_user
from accounts.tokens import issue_access_token, revoke_access_token
from hub.account.forms import NewTokenForm
from hub.kit.pages import confirmation_page, show_toast, was_sent_before
from repositories.rights.token_scope import reach_of


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def access_tokens(request: HttpRequest) -> HttpResponse:
    """List the tokens and issue one; only the answer to the form has its secret."""
    user = signed_in_user(request)
    actor = actor_of_page(request)
    form = NewTokenForm(request.POST or None, actor=actor)
    fresh, secret, status = None, "", 200
    if request.method == "POST":
        if form.is_valid():
            if was_sent_before(request):
                return redirect("repositories:access-tokens")
            fresh, secret = issue_access_token(
                user=user,
                actor=actor,
                name=form.cleaned_data["name"],
                actions=form.cleaned_data["actions"],
                expires_at=form.expires_at,
                **form.cleaned_data["only"],
            )
            form = NewTokenForm(actor=actor)
        else:
            status = 422
    tokens = list(
        AccessToken.objects.filter(user=user, revoked_at=None)
        .prefetch_related("limits__namespace")
        .order_by("-created_at")
    )
    reach = reach_of(actor, tokens)
    return render(
        request,
        "repositories/tokens.html",
        {
            "form": form,
            "fresh": fresh,
            "secret": secret,
            "tokens": [(token, reach.get(token.pk, [])) for token in tokens],
        },
        status=status,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def revoke_token(request: HttpRequest, token_id: int) -> HttpResponse:
    """Confirm, then end a token permanently."""
    user = signed_in_user(request)
    token = AccessToken.objects.filter(user=user, pk=token_id, revoked_at=None).first()
    if token is None:
        raise Http404
    if request.method == "POST":
        revoke_access_token(token=token, actor=actor_of_page(request))
        show_toast(request, _("Token %(name)s revoked.") % {"name": token.name})
        return redirect("repositories:access-tokens")
    used = token.last_used_at
    return confirmation_page(
        request,
        question=_("Revoke %(name)s?") % {"name": token.name},
        consequence=_(
            "Anything using this token stops working immediately. This cannot be "
            "undone."
        ),
        losses=[
            _("last used %(when)s ago") % {"when": timesince(used)}
            if used
            else _("never used")
        ],
        action=_("Revoke token"),
        back_url=reverse("repositories:access-tokens"),
    )
