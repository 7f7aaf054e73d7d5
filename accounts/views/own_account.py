"""One's own account: profile, security (/settings/…)."""

from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.forms import ProfileForm
from accounts.users import change_user
from accounts.views.base import actor_of_page, signed_in_user, tell


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Show and change what others see of oneself."""
    user = signed_in_user(request)
    form = ProfileForm(
        request.POST if request.method == "POST" else None,
        initial={"display_name": user.display_name},
    )
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["display_name"]
        change_user(user=user, actor=actor_of_page(request), display_name=name)
        tell(request, _("Saved."))
        return redirect("accounts:profile")
    return render(
        request,
        "accounts/profile.html",
        {"form": form},
        status=422 if form.is_bound else 200,
    )


@require_safe
def security(request: HttpRequest) -> HttpResponse:
    """Show how one signs in, and lead to where that is changed."""
    user = signed_in_user(request)
    authenticators = list(Authenticator.objects.filter(user=user))
    kinds = Authenticator.Type
    codes = next((a for a in authenticators if a.type == kinds.RECOVERY_CODES), None)
    return render(
        request,
        "accounts/security.html",
        {
            "has_password": user.has_usable_password(),
            "has_app": any(a.type == kinds.TOTP for a in authenticators),
            "keys": [a for a in authenticators if a.type == kinds.WEBAUTHN],
            "codes_left": len(codes.wrap().get_unused_codes()) if codes else None,
            "is_two_factor": any(
                a.type != kinds.RECOVERY_CODES for a in authenticators
            ),
        },
    )
