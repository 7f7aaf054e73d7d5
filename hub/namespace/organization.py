"""Settings of an organization: texts, another name, its end."""

from django.db import IntegrityError
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import NameReserved, Organization
from accounts.organizations import (
    change_organization,
    delete_organization,
    rename_organization,
)
from hub.kit.pages import confirmation_page, show_toast
from hub.namespace.forms import NewNameForm, OrganizationForm
from hub.namespace.page import NamespacePage, open_organization
from repositories.models import Repository


@require_http_methods(["GET", "HEAD", "POST"])
def show_settings(request: HttpRequest, namespace: str) -> HttpResponse:
    """Show and change what people read of the organization."""
    page = open_organization(request, namespace)
    if request.method != "POST":
        return _render(page)
    # A copy: the form writes into it, and the verb compares with what was.
    form = OrganizationForm(
        request.POST, instance=Organization(pk=page.organization.pk)
    )
    if form.is_valid():
        change_organization(
            organization=page.organization, actor=page.actor, **form.cleaned_data
        )
        show_toast(request, _("Saved."))
        return redirect(page.address("organization-settings"))
    return _render(page, form=form)


@require_POST
def rename(request: HttpRequest, namespace: str) -> HttpResponse:
    """Give it another name; the old one leads there until someone takes it."""
    page = open_organization(request, namespace)
    form = NewNameForm(request.POST, auto_id="id_new_%s")
    if form.is_valid():
        name = form.cleaned_data["name"]
        try:
            rename_organization(
                organization=page.organization, name=name, actor=page.actor
            )
        except NameReserved as error:
            form.add_error("name", str(error))
        except IntegrityError:
            form.add_error("name", _("A user or an organization has this name."))
        else:
            show_toast(request, _("Renamed to %(name)s.") % {"name": name})
            return redirect(
                "repositories:organization-settings",
                namespace=page.organization.namespace.name,
            )
    return _render(page, new_name=form)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, namespace: str) -> HttpResponse:
    """Confirm, then delete it; refused while there are repositories."""
    page = open_organization(request, namespace)
    has_repositories = _has_repositories(page)
    if request.method == "POST" and not has_repositories:
        try:
            delete_organization(organization=page.organization, actor=page.actor)
        except ProtectedError:  # one was created at this moment
            has_repositories = True
        else:
            show_toast(request, _("%(name)s deleted.") % {"name": namespace})
            return redirect("home")
    return confirmation_page(
        request,
        question=_("Delete %(name)s?") % {"name": page.namespace.name},
        consequence=_(
            "Its teams, robots and default permissions are deleted, and deleted "
            "repositories can no longer be restored. This cannot be undone."
        ),
        action=_("Delete organization"),
        back_url=page.address("organization-settings"),
        refused=_("%(name)s still has repositories. Delete or transfer them first.")
        % {"name": page.namespace.name}
        if has_repositories
        else "",
    )


def _has_repositories(page: NamespacePage) -> bool:
    """Return whether there are repositories, apart from those that were deleted."""
    repositories = Repository.objects.filter(
        namespace=page.namespace, deleted_at__isnull=True
    )
    return repositories.exists()


def _render(
    page: NamespacePage,
    *,
    form: OrganizationForm | None = None,
    new_name: NewNameForm | None = None,
) -> HttpResponse:
    return page.render(
        "settings.html",
        "organization-settings",
        {
            "form": form or OrganizationForm(instance=page.organization),
            "has_repositories": _has_repositories(page),
            "new_name": new_name
            or NewNameForm(initial={"name": page.namespace.name}, auto_id="id_new_%s"),
        },
        status=422 if form or new_name else 200,
    )
