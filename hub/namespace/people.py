"""People of an organization: members through teams, and those with single roles."""

from dataclasses import dataclass, field

from django.contrib import messages
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.memberships import LastOwner, remove_from_organization
from accounts.models import Membership, User
from accounts.requests import require
from hub.kit.pages import Pages, confirmation_page, given, show_toast
from hub.namespace.page import NamespacePage, open_namespace
from repositories.models import Grant

PAGE_ROWS = 50
SHOWN_MAX = 50  # roles that a question lists


@dataclass
class Collaborator:
    """Someone with roles on single repositories."""

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
    listed = Pages(members, PAGE_ROWS)
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


@require_http_methods(["GET", "HEAD", "POST"])
def remove_person(request: HttpRequest, namespace: str) -> HttpResponse:
    """Confirm, then take every right here from a person, or leave oneself."""
    page = open_namespace(request, namespace)
    name = given(request, "person")
    organization = page.organization
    require(page.may_take_out(name), page.actor)
    person = User.objects.filter(username=name).first()
    if person is None:
        raise Http404
    is_oneself = name == page.actor.name
    if request.method != "POST":
        return _ask_to_remove(page, person, is_oneself=is_oneself)
    try:
        remove_from_organization(
            organization=organization, user=person, actor=page.actor
        )
    except LastOwner as error:
        messages.warning(request, str(error))
    else:
        if is_oneself:
            show_toast(request, _("You have left %(name)s.") % {"name": page.title})
            return redirect(page.address("namespace"))
        show_toast(
            request,
            _("%(name)s was removed from %(organization)s.")
            % {"name": name, "organization": page.title},
        )
    return redirect(page.address("people"))


def _ask_to_remove(
    page: NamespacePage, person: User, *, is_oneself: bool
) -> HttpResponse:
    """Render what is taken away, and a button that does it."""
    names = {"person": person.username, "name": page.namespace.name}
    teams = Membership.objects.filter(
        team__organization=page.organization, user=person
    ).order_by("team__name")
    details = [
        _("Team %(team)s") % {"team": team}
        for team in teams.values_list("team__name", flat=True)
    ]
    if page.administers:
        grants = Grant.objects.in_namespace(page.namespace).filter(user=person)
        details += [
            _("Role %(role)s on %(repository)s")
            % {"role": grant.role, "repository": grant.repository.full_name}
            for grant in grants.order_by("repository__name")[:SHOWN_MAX]
        ]
    consequence = (
        _(
            "You lose all access to %(name)s at once: teams, roles on repositories, "
            "open invitations and uploads. Webhooks whose URL you set are disabled."
        )
        if is_oneself
        else _(
            "%(person)s loses all access to %(name)s at once: teams, roles on "
            "repositories, open invitations and uploads. Webhooks whose URL "
            "%(person)s set are disabled. Replace the tokens of robots that "
            "%(person)s has seen."
        )
    )
    return confirmation_page(
        page.request,
        question=_("Leave %(name)s?") % names
        if is_oneself
        else _("Remove %(person)s from %(name)s?") % names,
        consequence=consequence % names,
        losses=details,
        action=_("Leave") if is_oneself else _("Remove"),
        back_url=page.address("people"),
    )
