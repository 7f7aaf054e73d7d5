"""People of an organization: members through teams, and those with single roles."""

from dataclasses import dataclass, field

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.memberships import LastOwner, remove_from_organization
from accounts.models import Membership, User
from accounts.views.base import require, tell
from repositories.grants import remove_grants_in
from repositories.models import Grant
from repositories.views.namespaces.page import open_namespace

PAGE_ROWS = 50


@dataclass
class Collaborator:
    """Somebody with roles on single repositories."""

    user: User
    grants: list[Grant] = field(default_factory=list)


@require_safe
def show_people(request: HttpRequest, namespace: str) -> HttpResponse:
    """List members; and for those who may take it away, who has single roles."""
    page = open_namespace(request, namespace)
    organization = page.organization
    require(page.sees_people, page.actor)
    here = Membership.objects.filter(team__organization=organization)
    members = (
        User.objects.filter(memberships__in=here)
        .distinct()
        .order_by("username")
        .prefetch_related(
            Prefetch(
                "memberships",
                queryset=here.select_related("team").order_by("team__name"),
                to_attr="memberships_here",
            )
        )
    )
    listed = Paginator(members, PAGE_ROWS)
    collaborators: dict[int, Collaborator] = {}
    if page.administers:
        grants = Grant.objects.in_namespace(page.namespace).filter(user__isnull=False)
        for grant in grants.order_by("user__username", "repository__name"):
            assert grant.user is not None, "they were filtered"
            known = collaborators.setdefault(grant.user.pk, Collaborator(grant.user))
            known.grants.append(grant)
    return page.render(
        "people.html",
        "people",
        {
            "page": listed.get_page(request.GET.get("page")),
            "collaborators": list(collaborators.values()),
        },
    )


@require_POST
def remove_person(request: HttpRequest, namespace: str) -> HttpResponse:
    """Take somebody out of all teams, and their single roles away; or leave oneself."""
    page = open_namespace(request, namespace)
    name = request.POST.get("person", "").replace("\0", "")
    require(page.may_take_out(name), page.actor)
    person = User.objects.filter(username=name).first()
    if person is None:
        raise Http404
    try:
        with transaction.atomic():
            remove_from_organization(
                organization=page.organization, user=person, actor=page.actor
            )
            remove_grants_in(namespace=page.namespace, user=person, actor=page.actor)
    except LastOwner as error:
        messages.warning(request, str(error))
    else:
        if name == page.actor.name:
            tell(request, _("You have left %(name)s.") % {"name": page.title})
            return redirect(page.address("namespace"))
        tell(request, _("%(name)s has no rights here any more.") % {"name": name})
    return redirect(page.address("people"))
