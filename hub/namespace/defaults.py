"""Default permissions: who else gets a role on repositories to come."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hub.kit.pages import confirmation_page, show_toast
from hub.namespace.forms import DefaultForm
from hub.namespace.page import open_organization
from repositories.models import DefaultPermission
from repositories.rights.defaults import DefaultExists, add_default, remove_default


@require_http_methods(["GET", "HEAD", "POST"])
def show_defaults(request: HttpRequest, namespace: str) -> HttpResponse:
    """List the rules; a POST adds one."""
    page = open_organization(request, namespace)
    form = DefaultForm(
        request.POST if request.method == "POST" else None, namespace=page.namespace
    )
    if form.is_valid() and form.subject is not None:
        try:
            add_default(
                namespace=page.namespace,
                creator=form.found_creator,
                subject=form.subject,
                role=form.cleaned_data["role"],
                actor=page.actor,
            )
        except DefaultExists as error:
            form.add_error(None, str(error))
        else:
            show_toast(request, _("Rule added. It applies to new repositories."))
            return redirect(page.address("defaults"))
    rules = DefaultPermission.objects.with_names().filter(namespace=page.namespace)
    return page.render(
        "defaults.html",
        "defaults",
        {"rules": list(rules.order_by("pk")), "form": form},
        status=422 if form.is_bound else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def remove_rule(request: HttpRequest, namespace: str, default: int) -> HttpResponse:
    """Confirm, then remove a rule; the roles that it gave stay."""
    page = open_organization(request, namespace)
    rule = (
        DefaultPermission.objects.with_names()
        .select_related("namespace")
        .filter(namespace=page.namespace, pk=default)
        .first()
    )
    if rule is None:
        raise Http404
    if request.method != "POST":
        names = {"name": rule.subject_name, "role": rule.role}
        return confirmation_page(
            request,
            question=_("Remove the rule for %(name)s?") % names,
            consequence=_(
                "New repositories no longer give %(name)s the role %(role)s. Existing "
                "access stays."
            )
            % names,
            action=_("Remove rule"),
            back_url=page.address("defaults"),
        )
    remove_default(rule=rule, actor=page.actor)
    show_toast(request, _("Rule removed. Existing access stays."))
    return redirect(page.address("defaults"))
