"""One tag or manifest: what is in it, and what may be done with it."""

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from accounts.actions import Action
from hub.drawing.cutting import cut_text
from hub.drawing.highlight import CODE_MAX_LENGTH, colour_code
from hub.kit.pages import confirmation_page, show_toast
from hub.repository.image_view import describe_manifest, describe_moves
from hub.repository.page import RepositoryPage, open_page
from repositories.manifests import DeletionRefused
from repositories.manifests import delete_manifest as delete_manifest_and_tags
from repositories.models import Manifest, Tag
from repositories.oci.digests import parse_digest
from repositories.tag_statuses import statuses_of
from repositories.tags import tag_manifest

LOSSES_SHOWN = 20  # tags that a question names
ALSO_MAX = 9  # other tags of the same manifest


class TagForm(forms.Form):
    """A name for a manifest."""

    name = forms.RegexField(
        r"^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}\Z",
        label=gettext_lazy("Tag"),
        strip=True,
        help_text=gettext_lazy("New tag name, or an existing tag to move."),
        error_messages={
            "invalid": gettext_lazy(
                "A tag has up to 128 letters, digits, dots, dashes and underscores; "
                "the first is no dot or dash."
            )
        },
    )
    digest = forms.CharField(max_length=140, widget=forms.HiddenInput)


@require_safe
def show_tag(request: HttpRequest, namespace: str, name: str, tag: str) -> HttpResponse:
    page = open_page(request, namespace, name)
    row = (
        page.repository.tags.select_related("manifest__config").filter(name=tag).first()
    )
    if row is None:
        raise Http404
    return _show(page, row.manifest, row)


@require_safe
def show_manifest(
    request: HttpRequest, namespace: str, name: str, digest: str
) -> HttpResponse:
    page = open_page(request, namespace, name)
    return _show(page, _find(page, digest), None)


@require_safe
def send_manifest(
    request: HttpRequest, namespace: str, name: str, digest: str
) -> HttpResponse:
    """Send a manifest's exact bytes to keep."""
    manifest = _find(open_page(request, namespace, name), digest)
    algorithm, _colon, encoded = manifest.digest.partition(":")
    return HttpResponse(
        bytes(manifest.payload),
        content_type="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{algorithm}-{encoded}.json"'
        },
    )


@require_POST
def put_tag(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Point a tag to a manifest that is here: a new name, or a step back."""
    page = open_page(request, namespace, name)
    repository = page.repository
    form = TagForm(request.POST)
    if not form.is_valid():
        return _show_again(page, form)
    tag, digest = form.cleaned_data["name"], form.cleaned_data["digest"]
    exists = repository.tags.filter(name=tag).exists()
    page.require(Action.OVERWRITE if exists else Action.PUSH, tag)
    if not tag_manifest(
        repository=repository.facts, digest=digest, name=tag, actor=page.actor
    ):
        raise Http404
    show_toast(request, _("%(tag)s now points here") % {"tag": tag})
    return redirect(f"{page.url}:{tag}")


@require_http_methods(["GET", "HEAD", "POST"])
def delete_manifest(
    request: HttpRequest, namespace: str, name: str, digest: str
) -> HttpResponse:
    """Confirm, then delete a manifest with its tags; the actor may delete each."""
    page = open_page(request, namespace, name)
    page.require(Action.DELETE)
    if request.method != "POST":
        manifest = _find(page, digest)
        tags = manifest.tags.order_by("name").values_list("name", flat=True)
        return confirmation_page(
            request,
            question=_("Delete this manifest and its tags?"),
            consequence=_(
                "Clients that pin its digest can no longer pull it. This cannot be "
                "undone. Space is freed at the next cleanup."
            ),
            losses=[digest, *tags[:LOSSES_SHOWN]],
            action=_("Delete manifest"),
            back_url=f"{page.url}@{digest}",
        )
    try:
        was_there = delete_manifest_and_tags(
            repository=page.repository.facts,
            digest=parse_digest(digest),
            actor=page.actor,
        )
    except DeletionRefused as error:
        messages.warning(request, str(error))
        return redirect(f"{page.url}@{digest}")
    if not was_there:
        raise Http404
    show_toast(request, _("Manifest deleted."))
    return redirect(page.address("tags"))


def _find(page: RepositoryPage, digest: str) -> Manifest:
    manifest = (
        page.repository.manifests.select_related("config").filter(digest=digest).first()
    )
    if manifest is None:
        raise Http404
    return manifest


def _show_again(page: RepositoryPage, form: TagForm) -> HttpResponse:
    manifest = _find(page, str(form.data.get("digest", "")).replace("\0", ""))
    return _show(page, manifest, None, form)


def _show(
    page: RepositoryPage,
    manifest: Manifest,
    tag: Tag | None,
    form: TagForm | None = None,
) -> HttpResponse:
    repository = page.repository
    platform = page.request.GET.get("platform", "")
    shown = describe_manifest(repository, manifest, platform)
    names = manifest.tags.order_by("name").values_list("name", flat=True)[:ALSO_MAX]
    also = [name for name in names if tag is None or name != tag.name]
    statuses = (
        statuses_of(repository, {tag.name: manifest.digest})[tag.name]
        if tag and page.may(Action.PUSH)
        else []
    )
    raw = bytes((shown.image or manifest).payload).decode("utf-8", "replace")
    context: dict[str, Any] = {
        "tag": tag,
        "manifest": manifest,
        "shown": shown,
        "also": also,
        "statuses": statuses,
        "reference": f"{repository.full_name}:{tag.name}"
        if tag
        else f"{repository.full_name}@{manifest.digest}",
        "here": f"{page.url}:{tag.name}" if tag else f"{page.url}@{manifest.digest}",
        "raw": raw if len(raw) <= CODE_MAX_LENGTH else "",
        "raw_in_colours": _in_colours(raw),
        "moves": describe_moves(repository, tag.name, manifest.digest) if tag else [],
        "form": form
        or TagForm(initial={"digest": manifest.digest}, auto_id="id_tag_%s"),
    }
    return page.render(
        "repositories/tag.html", "tags", context, status=422 if form else 200
    )


def _in_colours(raw: str) -> str:
    """Return a manifest as people read it; the bytes themselves are to be copied."""
    try:
        text = json.dumps(json.loads(raw), indent=2, ensure_ascii=False)
    except ValueError:
        text = raw
    return colour_code(cut_text(text, CODE_MAX_LENGTH * 2), "json")
