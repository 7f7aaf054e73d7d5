"""One's own account: profile, security (/settings/…)."""

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import (
    SocialAccount,
)
from django.conf import (
    settings,
)
from django.contrib.auth import (
    update_session_auth_hash,
)
from django.db import (
    IntegrityError,
    transaction,
)
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
)
from django.shortcuts import (
    redirect,
    render,
    resolve_url,
)
from django.urls import (
    reverse,
)
from django.utils.translation import (
    gettext as _,
)
from django.views.decorators.http import (
    require_http_methods,
    require_safe,
)

from accounts.requests import actor_of_page, signed_in_user
from accounts.users import (
    change_password,
    change_user,
)
from hub.account.forms import FirstSignInForm, ProfileForm
from hub.kit.pages import confirmation_page, given, number_in, redirect_back, show_toast


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
        show_toast(request, _("Saved."))
        return redirect("accounts:profile")
    return render(
        request,
        "accounts/profile.html",
        {"form": form},
        status=422 if form.is_bound else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def first_sign_in(request: HttpRequest) -> HttpResponse:
    """Ask for a password of one's own and for an address (E10).

    registry_site/middleware.py leads here from every page until it is done.
    """
    user = signed_in_user(request)
    if not user.must_change_password:
        return redirect_back(request, resolve_url("home"))
    form = FirstSignInForm(
        data=request.POST if request.method == "POST" else None, user=user
    )
    if request.method == "POST" and form.is_valid():
        actor = actor_of_page(request)
        email = form.cleaned_data.get("email", "")
        try:
            with transaction.atomic():
                if email:
                    change_user(user=user, actor=actor, email=email)
                    address = EmailAddress.objects.create(
                        user=user, email=email, primary=True
                    )
                    if settings.BERTH_EMAIL_VERIFICATION != "none":
                        address.send_confirmation(request)
                change_password(
                    user=user, password=form.cleaned_data["password1"], actor=actor
                )
        except IntegrityError:  # someone else took it at this moment
            form.add_error("email", _("Another account has this address."))
        else:
            update_session_auth_hash(request, user)
            show_toast(request, _("Password changed."))
            return redirect_back(request, resolve_url("home"))
    return render(
        request,
        "accounts/first_sign_in.html",
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


# The forms that these pages ask before are allauth's.


@require_safe
def remove_email(request: HttpRequest) -> HttpResponse:
    """Confirm before an email address is removed."""
    user = signed_in_user(request)
    row = EmailAddress.objects.filter(user=user, email=given(request, "email")).first()
    if row is None:
        raise Http404
    return confirmation_page(
        request,
        question=_("Remove %(email)s?") % {"email": row.email},
        consequence=_("You can no longer sign in or reset your password with it."),
        action=_("Remove"),
        back_url=reverse("account_email"),
        action_url=reverse("account_email"),
        fields=[("email", row.email), ("action_remove", "1")],
        refused=_("This is your primary address. Make another one primary first.")
        if row.primary
        else "",
    )


@require_safe
def end_sessions(request: HttpRequest) -> HttpResponse:
    """Confirm before all other sessions are ended."""
    signed_in_user(request)
    return confirmation_page(
        request,
        question=_("Sign out everywhere else?"),
        consequence=_("Your other browsers have to sign in again."),
        action=_("Sign out"),
        back_url=reverse("usersessions_list"),
        action_url=reverse("usersessions_list"),
        fields=[],
    )


@require_safe
def remove_link(request: HttpRequest) -> HttpResponse:
    """Confirm before a linked account is removed."""
    user = signed_in_user(request)
    row = SocialAccount.objects.filter(
        user=user, pk=number_in(given(request, "account"))
    ).first()
    if row is None:
        raise Http404
    return confirmation_page(
        request,
        question=_("Remove %(account)s?") % {"account": row.get_provider_account()},
        consequence=_("You can no longer sign in with it."),
        action=_("Remove"),
        back_url=reverse("socialaccount_connections"),
        action_url=reverse("socialaccount_connections"),
        fields=[("account", str(row.pk))],
    )
