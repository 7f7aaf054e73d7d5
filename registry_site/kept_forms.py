"""Keeps what someone typed into a form while they sign in again.

A form that is sent after its session ended is answered by the sign-in page, which
carries the form in a signed hidden field. Nothing is stored for people who are not
signed in. After the right password the form is in the session until the page that it
came from is shown: a script fills the form there, and a button sends it without one.
Files, passwords and other secrets are not kept.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from allauth.account.forms import LoginForm
from allauth.account.views import LoginView
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import Resolver404, resolve, reverse
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme

KEPT_MAX_LENGTH = 300_000  # characters of a form; a README is shorter
KEPT_SECONDS = 3600
_SALT = "registry_site.kept_forms"
_IN_SESSION = "kept_form"
_SECRET = re.compile(r"password|secret|token|credential|code|csrf", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form that was sent too late: where to, from which page, and what was in it."""

    path: str
    page: str
    fields: list[tuple[str, str]]


def keep(request: HttpRequest) -> KeptForm:
    """Return the form of a POST, as far as it may be kept."""
    fields = [
        (name, value)
        for name, values in request.POST.lists()
        if not _SECRET.search(name)
        for value in values
    ]
    return KeptForm(request.get_full_path(), page_of(request), fields)


def page_of(request: HttpRequest) -> str:
    """Return the page that someone is on, for the way back: a path of this site.

    That is the address of a GET; else the page that sent the form or, by htmx, the
    part of a page; home if the browser does not say.
    """
    is_htmx = "HX-Request" in request.headers
    if request.method in {"GET", "HEAD"} and not is_htmx:
        return request.get_full_path()
    named = request.headers.get("HX-Current-URL" if is_htmx else "Referer", "")
    if not url_has_allowed_host_and_scheme(
        named, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        return "/"
    parts = urlsplit(named)
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    try:
        resolve(parts.path)
    except Resolver404:
        return "/"
    return path if path.startswith("/") and not path.startswith("//") else "/"


def ask_to_sign_in_and_keep(request: HttpRequest, *, status: int) -> HttpResponse:
    """Answer a form with the sign-in page, which brings the form back."""
    kept = keep(request)
    sealed = signing.dumps(
        [kept.path, kept.page, kept.fields], salt=_SALT, compress=True
    )
    context: dict[str, Any] = {
        "form": LoginForm(request=request),
        "redirect_field": format_html(
            '<input type="hidden" name="next" value="{}">', kept.page
        ),
        "redirect_field_value": kept.page,
        "signup_url": reverse("account_signup"),
        "kept": sealed if len(sealed) <= KEPT_MAX_LENGTH else "",
        "is_too_late": True,
    }
    return render(request, "account/login.html", context, status=status)


def take_kept_form(request: HttpRequest) -> KeptForm | None:
    """Return the form that was kept for this page, once."""
    if request.method != "GET" or "HX-Request" in request.headers:
        return None
    if not getattr(request, "user", None) or not request.user.is_authenticated:
        return None
    kept = _unseal(request.session.get(_IN_SESSION, ""))
    if kept is None or kept.page != request.get_full_path():
        return None
    del request.session[_IN_SESSION]
    return kept


def _unseal(sealed: str) -> KeptForm | None:
    try:
        path, page, fields = signing.loads(sealed, salt=_SALT, max_age=KEPT_SECONDS)
    except signing.BadSignature:
        return None
    return KeptForm(path, page, [(name, value) for name, value in fields])


class SignInView(LoginView):  # type: ignore[misc]  # allauth is untyped
    """allauth's, which carries a kept form along."""

    def get_context_data(self, **given: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**given)
        kept = self._kept()
        return {**context, "kept": kept, "is_too_late": bool(kept)}

    def form_valid(self, form: LoginForm) -> HttpResponse:
        # The password was right; a second factor may follow, in this session.
        if kept := self._kept():
            self.request.session[_IN_SESSION] = kept
        response: HttpResponse = super().form_valid(form)
        return response

    def _kept(self) -> str:
        sealed = self.request.POST.get("kept", "")[:KEPT_MAX_LENGTH]
        return sealed if _unseal(sealed) else ""


def is_form_of_a_person(request: HttpRequest) -> bool:
    """Return whether a POST of no one is worth keeping: it has more than its token."""
    # Only a form of a page: what leads nowhere is answered without reading its body.
    is_of_page = request.method == "POST" and request.resolver_match is not None
    return is_of_page and bool(keep(request).fields)
