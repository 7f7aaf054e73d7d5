"""Creates a repository (/new), and checks a name while it is typed."""

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import NameReserved
from accounts.requests import actor_of_page, require, signed_in_user
from hub.repository.forms import NewRepositoryForm
from repositories.lifecycle import create_repository, describe_repository
from repositories.rights.decisions import may_create, namespaces_to_create_in


@require_http_methods(["GET", "HEAD", "POST"])
def new_repository(request: HttpRequest) -> HttpResponse:
    """Make a repository where the actor may."""
    user = signed_in_user(request)
    actor = actor_of_page(request)
    namespaces = namespaces_to_create_in(actor).order_by("name")
    form = NewRepositoryForm(
        request.POST or None,
        namespaces=namespaces,
        initial={
            "namespace": request.GET.get("namespace") or user.username,
            "name": request.GET.get("name", ""),
        },
    )
    if request.method == "POST" and form.is_valid():
        fields = form.cleaned_data
        require(may_create(actor, fields["namespace"]), actor)
        try:
            with transaction.atomic():
                repository = create_repository(
                    namespace=fields["namespace"],
                    name=fields["name"],
                    actor=actor,
                    visibility=fields["visibility"],
                )
                describe_repository(
                    repository=repository,
                    actor=actor,
                    description=fields["description"],
                )
        except NameReserved as error:
            form.add_error("name", str(error))
        except IntegrityError:  # someone was a moment quicker than the form's question
            form.add_error("name", _("There is a repository of this name."))
        else:
            return redirect(repository)
    return render(
        request,
        "repositories/new.html",
        {"form": form, "preview": _preview(form)},
        status=422 if form.is_bound else 200,
    )


@require_safe
def check_name(request: HttpRequest) -> HttpResponse:
    """Show whether the name is free, and what the repository would look like."""
    signed_in_user(request)
    actor = actor_of_page(request)
    typed = request.GET.copy()
    typed.setdefault("visibility", "private")
    form = NewRepositoryForm(typed, namespaces=namespaces_to_create_in(actor))
    form.is_valid()
    return render(
        request,
        "repositories/name_check.html",
        {"form": form, "preview": _preview(form), "is_fragment": True},
    )


def _preview(form: NewRepositoryForm) -> dict[str, str]:
    """Return what the repository would be called, as far as it is typed."""
    namespace = form["namespace"].value() or ""
    name = form["name"].value() or ""
    return {
        "full_name": f"{namespace}/{name or _('name')}",
        "visibility": form["visibility"].value() or "private",
    }
