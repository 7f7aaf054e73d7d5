"""Teams of an organization: who is in them, what they may, who is invited."""

from django.contrib import messages
from django.db import IntegrityError
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from accounts.actions import Action
from accounts.finders import find_invitation, find_member, find_team
from accounts.invitations import (
    AlreadyInvited,
    AlreadyMember,
    InvitationOver,
    invite,
    withdraw,
)
from accounts.memberships import LastOwner, add_member, remove_member
from accounts.models import Invitation, Membership, Robot, Team, User
from accounts.models.teams import OWNERS_TEAM
from accounts.requests import require
from accounts.teams import OwnersTeamStays, change_team, create_team, delete_team
from hub.kit.pages import Pages, confirmation_page, given, show_toast
from hub.namespace.forms import InviteForm, JoinForm, TeamForm
from hub.namespace.page import NamespacePage, open_namespace, open_organization
from repositories.models import Grant, Repository
from repositories.rights.access import count_of_each

COLUMNS = 10  # teams of one page
ROWS = 25  # repositories of one page
LOSSES_SHOWN = 20  # roles that a question names
FACES = 4  # members of a team that are shown beside its name


@require_http_methods(["GET", "HEAD", "POST"])
def show_teams(request: HttpRequest, namespace: str) -> HttpResponse:
    """List teams and their roles; a POST makes one."""
    if request.method != "POST":
        return _render_teams(_open_seen(request, namespace))
    page = open_organization(request, namespace)
    form = TeamForm(request.POST)
    if form.is_valid():
        team = Team(organization=page.organization, **form.cleaned_data)
        try:
            create_team(team=team, actor=page.actor)
        except IntegrityError:
            form.add_error("name", _("There is a team of this name."))
        else:
            show_toast(request, _("Team %(name)s created.") % {"name": team.name})
            return redirect(page.address("team", team=team.name))
    return _render_teams(page, form)


@require_safe
def ask_why(request: HttpRequest, namespace: str) -> HttpResponse:
    """Lead to the repository's page that explains an answer, or name what is wrong."""
    page = open_organization(request, namespace)
    name = request.GET.get("repository", "").replace("\0", "")
    repository = (
        Repository.objects.visible_to(page.actor)
        .in_namespace(page.namespace)
        .filter(name=name)
        .first()
    )
    if repository is None:
        names = {"name": name, "organization": page.title}
        return _render_teams(
            page,
            problem=_("%(organization)s has no repository named %(name)s.") % names,
        )
    question = QueryDict(mutable=True)
    question["who"] = request.GET.get("who", "")
    question["action"] = request.GET.get("action", Action.PUSH)
    address = page.address("access", name=repository.name)
    return redirect(f"{address}?{question.urlencode()}")


@require_http_methods(["GET", "HEAD", "POST"])
def show_team(request: HttpRequest, namespace: str, team: str) -> HttpResponse:
    """Show one team; a POST changes what it is called and what its members are."""
    if request.method != "POST":
        page = _open_seen(request, namespace)
        return _render_team(page, find_team(page.organization, team))
    page = open_organization(request, namespace)
    row = find_team(page.organization, team)
    form = TeamForm(request.POST)
    if form.is_valid():
        try:
            change_team(team=row, actor=page.actor, **form.cleaned_data)
        except OwnersTeamStays as error:
            form.add_error(None, str(error))
        except IntegrityError:
            form.add_error("name", _("There is a team of this name."))
        else:
            show_toast(request, _("Saved."))
            return redirect(page.address("team", team=row.name))
    return _render_team(page, find_team(page.organization, team), form=form)


@require_http_methods(["GET", "HEAD", "POST"])
def invite_person(request: HttpRequest, namespace: str) -> HttpResponse:
    """Show a form that invites someone to one of the teams, and take it."""
    page = open_organization(request, namespace)
    form = InviteForm(
        request.POST if request.method == "POST" else None,
        namespace=page.namespace,
        initial={"team": request.GET.get("team", "")},
    )
    if form.is_valid() and (done := _join(page, form.cleaned_data["team"], form)):
        return done
    status = 422 if form.is_bound else 200
    return page.render("invite.html", "people", {"form": form}, status=status)


@require_POST
def join_team(request: HttpRequest, namespace: str, team: str) -> HttpResponse:
    """Invite someone to a team, or add them at once."""
    page = open_organization(request, namespace)
    row = find_team(page.organization, team)
    form = JoinForm(request.POST, namespace=page.namespace)
    return _join(page, row, form) or _render_team(page, row, join=form)


def _join(page: NamespacePage, row: Team, form: JoinForm) -> HttpResponse | None:
    """Do what the form says; None with the reason in the form."""
    request = page.request
    if form.is_valid():
        if form.member is not None and (
            "add" in request.POST or isinstance(form.member, Robot)
        ):
            _add(page, row, form.member)
            show_toast(request, _("%(who)s added.") % {"who": form.member.username})
            return redirect(page.address("team", team=row.name))
        if "add" in request.POST:
            form.add_error("who", _("An email address can only be invited."))
        elif _invite(page, row, form):
            show_toast(
                request, _("%(who)s invited.") % {"who": form.cleaned_data["who"]}
            )
            return redirect(page.address("team", team=row.name))
    return None


@require_http_methods(["GET", "HEAD", "POST"])
def leave_team(request: HttpRequest, namespace: str, team: str) -> HttpResponse:
    """Confirm, then take a member out of a team, or oneself."""
    page = open_namespace(request, namespace)
    name = given(request, "member")
    require(page.may_take_out(name), page.actor)
    row = find_team(page.organization, team)
    who = find_member(page.organization, name, also_suspended=True)
    if request.method != "POST":
        return _ask_about_member(page, row, who)
    try:
        if isinstance(who, Robot):
            remove_member(team=row, robot=who, actor=page.actor)
        else:
            remove_member(team=row, user=who, actor=page.actor)
    except LastOwner as error:
        messages.warning(request, str(error))
    else:
        show_toast(request, _("%(who)s has left the team.") % {"who": who.username})
        if name == page.actor.name:  # who may not see it any more
            return redirect(page.address("namespace"))
    return redirect(page.address("team", team=row.name))


@require_http_methods(["GET", "HEAD", "POST"])
def remove_team(request: HttpRequest, namespace: str, team: str) -> HttpResponse:
    """Confirm, then delete a team with its roles."""
    page = open_organization(request, namespace)
    row = find_team(page.organization, team)
    if request.method == "POST":
        try:
            delete_team(team=row, actor=page.actor)
        except OwnersTeamStays as error:
            messages.warning(request, str(error))
        else:
            show_toast(request, _("Team %(name)s deleted.") % {"name": row.name})
        return redirect(page.address("teams"))
    return confirmation_page(
        request,
        question=_("Delete team %(name)s?") % {"name": row.name},
        consequence=_("Members lose the access this team gives them."),
        losses=_roles_of(page, row),
        action=_("Delete team"),
        back_url=page.address("team", team=row.name),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw_invitation(
    request: HttpRequest, namespace: str, invitation: int
) -> HttpResponse:
    """Confirm, then withdraw an invitation; the mailed link expires at once."""
    page = open_organization(request, namespace)
    row = find_invitation(page.organization, invitation)
    if request.method != "POST":
        names = {"who": row.user or row.email, "team": row.team.name}
        return confirmation_page(
            request,
            question=_("Withdraw the invitation of %(who)s?") % names,
            consequence=_("The link in the email stops working at once."),
            losses=[_("team %(team)s") % names],
            action=_("Withdraw"),
            back_url=page.address("team", team=row.team.name),
        )
    try:
        withdraw(invitation=row, actor=page.actor)
    except InvitationOver as error:
        raise Http404 from error
    show_toast(request, _("The invitation is withdrawn."))
    return redirect(page.address("team", team=row.team.name))


def _ask_about_member(
    page: NamespacePage, team: Team, who: User | Robot
) -> HttpResponse:
    """Confirm, with what the member has through the team; the rest stays."""
    names = {"who": who.username, "team": team.name}
    is_own = who.username == page.actor.name
    return confirmation_page(
        page.request,
        question=(
            _("Leave team %(team)s?") % names
            if is_own
            else _("Remove %(who)s from team %(team)s?") % names
        ),
        consequence=(
            _("You lose the access this team gives you.")
            if is_own
            else _("%(who)s loses the access this team gives. Other access stays.")
            % names
        ),
        losses=_roles_of(page, team),
        action=_("Leave") if is_own else _("Remove"),
        back_url=page.address("team", team=team.name),
    )


def _roles_of(page: NamespacePage, team: Team) -> list[str]:
    """Return what a team gives, of what the actor may see, in words."""
    if team.administers:
        return [_("full access to %(organization)s") % {"organization": page.title}]
    grants = (
        Grant.objects.in_namespace(page.namespace)
        .filter(team=team, repository__in=Repository.objects.visible_to(page.actor))
        .order_by("repository__name", "tag_glob")
    )
    shown = [
        _("%(role)s on %(repository)s")
        % {"role": grant.role, "repository": grant.repository.full_name}
        for grant in grants[:LOSSES_SHOWN]
    ]
    more = grants.count() - len(shown) if len(shown) == LOSSES_SHOWN else 0
    return [*shown, _("and %(count)d more") % {"count": more}] if more else shown


def _open_seen(request: HttpRequest, name: str) -> NamespacePage:
    """Return the page of an organization whose people the actor may see."""
    page = open_namespace(request, name)
    page.organization  # noqa: B018  # a person's namespace has no such page
    require(page.sees_people, page.actor)
    return page


def _add(page: NamespacePage, team: Team, member: User | Robot) -> None:
    if isinstance(member, Robot):
        add_member(team=team, robot=member, actor=page.actor)
    else:
        add_member(team=team, user=member, actor=page.actor)


def _invite(page: NamespacePage, team: Team, form: JoinForm) -> bool:
    """Send an invitation; False with the reason in the form."""
    user = form.member if isinstance(form.member, User) else None
    try:
        invite(team=team, actor=page.actor, user=user, email=form.email)
    except (AlreadyMember, AlreadyInvited) as error:
        form.add_error("who", str(error))
        return False
    return True


def _render_teams(
    page: NamespacePage, form: TeamForm | None = None, *, problem: str = ""
) -> HttpResponse:
    """Render a page of teams, and of repositories with what those teams may there.

    Whatever an organization has, it is a table of at most COLUMNS by ROWS.
    """
    asked = {
        name: page.request.GET.get(name, "").replace("\0", "").strip()[:100]
        for name in ("team", "q")
    }
    seen = Repository.objects.visible_to(page.actor)
    found_teams = (
        Team.objects.filter(
            organization=page.organization, name__icontains=asked["team"]
        )
        .annotate(
            member_count=count_of_each(Membership.objects.all(), "team"),
            repository_count=count_of_each(
                Grant.objects.filter(repository__in=seen), "team", what="repository"
            ),
        )
        .order_by("name")
        .prefetch_related(
            Prefetch(
                "memberships",
                queryset=Membership.objects.select_related("user").order_by("pk")[
                    :FACES
                ],
                to_attr="first_memberships",
            )
        )
    )
    teams = Pages(found_teams, COLUMNS).get_page(page.request.GET.get("teams"))
    columns = [team for team in teams if not team.administers]
    repositories = (
        seen.in_namespace(page.namespace)
        .filter(name__icontains=asked["q"])
        .defer("readme")
        .order_by("name")
    )
    rows = Pages(repositories, ROWS).get_page(page.request.GET.get("page"))
    roles: dict[tuple[int, int | None], list[Grant]] = {}
    for grant in Grant.objects.filter(repository__in=list(rows), team__in=columns):
        roles.setdefault((grant.repository_id, grant.team_id), []).append(grant)
    return page.render(
        "teams.html",
        "teams",
        {
            "teams": teams,
            "columns": columns,
            "page": rows,
            "matrix": [
                (row, [(team, roles.get((row.pk, team.pk), [])) for team in columns])
                for row in rows
            ],
            "asked": asked,
            "form": form or TeamForm(),
            "actions": [action.value for action in Action],
            "problem": problem,
            "question": {
                "who": page.request.GET.get("who", ""),
                "action": page.request.GET.get("action", Action.PUSH),
                "repository": page.request.GET.get("repository"),
            },
        },
        status=422 if form or problem else 200,
    )


def _render_team(
    page: NamespacePage,
    team: Team,
    *,
    form: TeamForm | None = None,
    join: JoinForm | None = None,
) -> HttpResponse:
    members = sorted(
        (member for row in team.memberships.all() if (member := row.user or row.robot)),
        key=lambda member: member.username,
    )
    seen = Repository.objects.visible_to(page.actor)
    grants = (
        Grant.objects.in_namespace(page.namespace)
        .filter(team=team, repository__in=seen)
        .order_by("repository__name", "tag_glob")
    )
    invitations = Invitation.objects.standing().filter(team=team).order_by("pk")
    initial = {
        "name": team.name,
        "description": team.description,
        "standing": team.standing,
    }
    return page.render(
        "team.html",
        "teams",
        {
            "team": team,
            "is_owners": team.name == OWNERS_TEAM,
            "members": members,
            "grants": list(grants),
            "invitations": list(invitations.select_related("user"))
            if page.administers
            else [],
            "form": form or TeamForm(initial=initial),
            "join": join or JoinForm(namespace=page.namespace),
        },
        status=422 if form or join else 200,
    )
