"""The base of every page: the actor, toasts and redirects.

A page's view is a function; it finds out who asks, fetches the row that they may see,
does one thing and answers:

    @require_http_methods(["GET", "POST"])
    def edit(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
        actor = actor_of_page(request)
        repository = permitted_repository(actor, namespace, name, Action.DESCRIBE)
        form = EditForm(request.POST or None, ...)
        if request.method == "POST" and form.is_valid():
            describe_repository(repository=repository, actor=actor, ...)
            show_toast(request, _("Saved"))
            return redirect(repository)
        status = 422 if form.is_bound else 200
        return render(request, "repositories/new.html", {"form": form}, status=status)

The fetching functions are in accounts/finders.py and repositories/rights/access.py.
What the actor may not see is Http404; what the actor sees and may not do is
PermissionDenied with the reason, which the page of the 403 shows. Who asks:
accounts/requests.py.

A changed state is a POST with a CSRF token; after it the answer is a redirect. A form
with errors answers 422, which htmx swaps in as well.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme


class Pages(Paginator):  # type: ignore[type-arg]
    """Pages of a list; a number below 1, or none at all, is the first one."""

    def get_page(self, number: Any) -> "Page[Any]":
        text = str(number)
        digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
        return super().get_page(int(digits[:9] or 1))


ID_MAX = 2**63 - 1  # of a row; a greater number upsets the database
_SENT = "sent_forms"  # in the session: serials of the forms that came last
_SENT_MAX = 20


def show_toast(request: HttpRequest, text: str, *, undo_url: str = "") -> None:
    """Show a toast on the next page, or beside what htmx swaps in.

    With ``undo_url`` it has a button that POSTs there.
    """
    messages.success(request, text, extra_tags=undo_url)


def confirmation_page(
    request: HttpRequest,
    *,
    question: str,
    consequence: str,
    action: str,
    back_url: str,
    losses: Sequence[str] = (),
    action_url: str = "",
    fields: Sequence[tuple[str, str]] | None = None,
    refused: str = "",
    with_serial: bool = False,
) -> HttpResponse:
    """Return the page that asks before access is removed or something is deleted.

    A GET asks, with the names of what is lost; the form of the page POSTs to the same
    address, with the parameters of the GET, unless ``action_url`` and ``fields`` name
    another form. ``refused`` says why it cannot be done;
    then there is no button. ``with_serial`` as was_sent_before.
    """
    given = [(name, v) for name, values in request.GET.lists() for v in values]
    context = {
        "question": question,
        "consequence": consequence,
        "action": action,
        "back_url": back_url,
        "losses": losses,
        "refused": refused,
        "with_serial": with_serial,
        "fields": given if fields is None else fields,
        "action_url": action_url,
    }
    status = 422 if refused and request.method == "POST" else 200
    return render(request, "confirm.html", context, status=status)


def given(request: HttpRequest, name: str) -> str:
    """Return a field of the form, or of the page that asks before it; without NUL."""
    values = request.POST if request.method == "POST" else request.GET
    return values.get(name, "").replace("\0", "")


def was_sent_before(request: HttpRequest) -> bool:
    """Return whether this very form came already: its answer was reloaded.

    For the forms that are answered by a page, because it shows a secret once: they
    bear {% serial %}. A form without one is always new.
    """
    serial = request.POST.get("serial", "")[:32]
    sent = request.session.get(_SENT, [])
    if not serial or serial in sent:
        return bool(serial)
    request.session[_SENT] = [*sent, serial][-_SENT_MAX:]
    return False


def number_in(text: str) -> int | None:
    """Return the number of a row that someone sent; None if it is not one.

    However long the text is: Python itself refuses to read 5,000 digits.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(ID_MAX)):
        return None
    number = int(text)
    return number if number <= ID_MAX else None


def redirect_back(request: HttpRequest, otherwise: str) -> HttpResponseRedirect:
    """Go where ``next`` says, if that is a page of this site."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    if not url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        target = otherwise
    return HttpResponseRedirect(target)
