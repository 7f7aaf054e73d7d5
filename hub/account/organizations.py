"""Pages of organizations: a new one."""

from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.models import NameReserved
from accounts.organizations import create_organization
from accounts.requests import actor_of_page, signed_in_user
from hub.account.forms import NewOrganizationForm
from hub.kit.pages import show_toast


@require_http_methods(["GET", "HEAD", "POST"])
def new_organization(request: HttpRequest) -> HttpResponse:
    """Create an organization; its creator is its first owner."""
    user = signed_in_user(request)
    form = NewOrganizationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            organization = create_organization(
                owner=user, actor=actor_of_page(request), **form.cleaned_data
            )
        except NameReserved as error:
            form.add_error("name", str(error))
        except IntegrityError:
            form.add_error("name", _("A user or an organization has this name."))
        else:
            name = organization.namespace.name
            show_toast(request, _("%(name)s created.") % {"name": name})
            return redirect("repositories:namespace", name)
    return render(
        request,
        "accounts/new_organization.html",
        {"form": form},
        status=422 if form.is_bound else 200,
    )
