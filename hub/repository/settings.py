"""Settings of a repository: description, visibility, name, deletion."""

from django.conf import settings
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actions import Action
from accounts.requests import actor_of_page
from hub.drawing.readme import render_readme
from hub.kit.pages import number_in, show_toast
from hub.repository.forms import (
    DeletionForm,
    DescriptionForm,
    NameForm,
    ReadmeForm,
    TransferForm,
    VisibilityForm,
)
from hub.repository.image_view import featured_config, readme_source
from hub.repository.page import RepositoryPage, open_page
from repositories.lifecycle import (
    NameTaken,
    change_visibility,
    delete_repository,
    describe_repository,
    rename_repository,
    restore_repository,
    transfer_repository,
)
from repositories.models import Repository
from repositories.rights.access import restorable_repository


@require_http_methods(["GET", "HEAD", "POST"])
def show_settings(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Show all settings; a POST changes the description."""
    page = open_page(request, namespace, name)
    page.require(Action.DESCRIBE)
    if request.method != "POST":
        return _render(page)
    form = DescriptionForm(request.POST)
    if not form.is_valid():
        return _render(page, description_form=form)
    describe_repository(
        repository=page.repository,
        actor=page.actor,
        description=form.cleaned_data["description"],
    )
    show_toast(request, _("Description saved"))
    return redirect(page.address("settings"))


@require_http_methods(["GET", "HEAD", "POST"])
def edit_readme(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Edit the README; "preview" shows what it would look like and keeps nothing."""
    page = open_page(request, namespace, name)
    page.require(Action.DESCRIBE)
    repository = page.repository
    preview = ""
    form = ReadmeForm(
        request.POST if request.method == "POST" else None,
        initial={"readme": repository.readme},
    )
    if form.is_bound and form.is_valid():
        text = form.cleaned_data["readme"].replace("\r\n", "\n").replace("\0", "")
        if "preview" not in request.POST:
            describe_repository(repository=repository, actor=page.actor, readme=text)
            show_toast(request, _("README saved"))
            return redirect(repository)
        tags = list(
            repository.tags.with_content().of_images().order_by("-moved_at", "name")[:1]
        )
        config = featured_config(repository, tags[0]) if tags else None
        preview = render_readme(text, readme_source(tags, config))
    return page.render(
        "repositories/readme.html",
        "settings",
        {"form": form, "preview": preview, "is_preview": "preview" in request.POST},
        status=422 if form.errors else 200,
    )


@require_POST
def set_visibility(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    page = open_page(request, namespace, name)
    page.require(Action.CONFIGURE)
    form = VisibilityForm(request.POST)
    if not form.is_valid():
        return _render(page, visibility_form=form)
    visibility = form.cleaned_data["visibility"]
    change_visibility(
        repository=page.repository, visibility=visibility, actor=page.actor
    )
    if visibility == "public":
        show_toast(request, _("Repository is now public"))
    else:
        show_toast(request, _("Repository is now private"))
    return redirect(page.address("settings"))


@require_POST
def rename(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Give it another name; the old one leads here until someone takes it."""
    page = open_page(request, namespace, name)
    page.require(Action.CONFIGURE)
    repository = page.repository
    form = NameForm(request.POST)
    if form.is_valid():
        try:
            rename_repository(
                repository=repository, name=form.cleaned_data["name"], actor=page.actor
            )
        except NameTaken as error:
            form.add_error("name", str(error))
        else:
            show_toast(request, _("Repository renamed to %(name)s") % _names(page))
            return redirect(page.address("settings"))
    return _render(page, name_form=form)


@require_POST
def transfer(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Transfer it to a namespace in which the actor may create repositories."""
    page = open_page(request, namespace, name)
    page.require(Action.DESTROY)
    form = TransferForm(
        request.POST,
        repository=page.repository,
        actor=page.actor,
        auto_id="id_transfer_%s",
    )
    if form.is_valid() and form.target is not None:
        try:
            transfer_repository(
                repository=page.repository, namespace=form.target, actor=page.actor
            )
        except NameTaken as error:
            form.add_error("namespace", str(error))
        else:
            show_toast(
                request, _("Repository transferred: now %(name)s") % _names(page)
            )
            return redirect(page.url)
    return _render(page, transfer_form=form)


@require_POST
def delete(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Delete it; its page says then until when it can be restored."""
    page = open_page(request, namespace, name)
    page.require(Action.DESTROY)
    form = DeletionForm(
        request.POST, repository=page.repository, auto_id="id_deletion_%s"
    )
    if not form.is_valid():
        return _render(page, deletion_form=form)
    delete_repository(repository=page.repository, actor=page.actor)
    show_toast(request, _("%(name)s deleted") % _names(page))
    return redirect(page.url)


@require_POST
def restore(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Restore a deleted repository of this name, under another one if it is taken.

    By its id, since several may have had the same name.
    """
    actor = actor_of_page(request)
    given = number_in(request.POST.get("repository", ""))
    if given is None:
        raise Http404
    repository = restorable_repository(actor, given)
    if (repository.namespace.name, repository.name) != (namespace, name):
        raise Http404
    form = NameForm(request.POST)
    if form.is_valid():
        try:
            restore_repository(
                repository=repository, name=form.cleaned_data["name"], actor=actor
            )
        except NameTaken as error:
            form.add_error("name", str(error))
        else:
            show_toast(
                request, _("%(name)s restored.") % {"name": repository.full_name}
            )
            return redirect(repository)
    return show_deleted(request, repository, form)


def show_deleted(
    request: HttpRequest,
    repository: Repository,
    form: NameForm | None = None,
    *,
    status: int = 410,
) -> HttpResponse:
    """Describe what is left of a repository, to those who may restore it."""
    is_taken = Repository.objects.filter(
        namespace=repository.namespace_id, name=repository.name, deleted_at=None
    ).exists()
    name = f"{repository.name}-restored" if is_taken else repository.name
    context = {
        "repository": repository,
        "is_taken": is_taken,
        "form": form or NameForm(initial={"name": name}),
    }
    return render(
        request, "repositories/deleted.html", context, status=422 if form else status
    )


def _names(page: RepositoryPage) -> dict[str, str]:
    return {"name": page.repository.full_name}


def _render(page: RepositoryPage, **bound: Form) -> HttpResponse:
    """Render all forms, one of them bound if it has something to fix."""
    repository = page.repository
    forms: dict[str, Form] = {
        "description_form": DescriptionForm(
            initial={"description": repository.description}
        ),
        "visibility_form": VisibilityForm(
            initial={"visibility": repository.visibility}
        ),
        "name_form": NameForm(initial={"name": repository.name}),
        "transfer_form": TransferForm(
            repository=repository, actor=page.actor, auto_id="id_transfer_%s"
        ),
        "deletion_form": DeletionForm(repository=repository, auto_id="id_deletion_%s"),
    }
    return page.render(
        "repositories/settings.html",
        "settings",
        {
            **forms,
            **bound,
            "bound_form": next(iter(bound.values()), None),
            "restore_days": settings.BERTH_RESTORE_DAYS,
        },
        status=422 if bound else 200,
    )
