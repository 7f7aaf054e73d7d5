"""The access page: who can do what with a repository, and why."""

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actions import Action
from accounts.actors import ANONYMOUS, Actor
from accounts.authentication import actor_of, actor_of_robot
from accounts.decisions import Decision
from accounts.models import Robot, Team, User
from hub.kit.pages import confirmation_page, show_toast
from hub.repository.forms import ROLE_CHOICES, ChangedGrantForm, GrantForm, QuestionForm
from hub.repository.page import RepositoryPage, open_page
from repositories.models import Grant, Repository
from repositories.rights.decisions import decide
from repositories.rights.grants import (
    GrantExists,
    add_grant,
    change_grant,
    remove_grant,
)
from repositories.rights.holders import Holder, holders_of


@require_http_methods(["GET", "HEAD", "POST"])
def show_access(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Show grants and answer questions; a POST adds a grant."""
    page = open_page(request, namespace, name)
    page.require(Action.GRANT)
    if request.method != "POST":
        return _render(page)
    form = GrantForm(request.POST, repository=page.repository)
    if form.is_valid() and form.subject is not None:
        try:
            add_grant(
                repository=page.repository,
                subject=form.subject,
                role=form.cleaned_data["role"],
                tag_glob=form.cleaned_data["tags"],
                actor=page.actor,
            )
        except GrantExists as error:
            form.add_error(None, str(error))
        else:
            show_toast(
                request, _("Gave %(name)s access.") % {"name": form.data["name"]}
            )
            return redirect(page.address("access"))
    return _render(page, form)


@require_http_methods(["GET", "HEAD", "POST"])
def change_access(
    request: HttpRequest, namespace: str, name: str, grant: int
) -> HttpResponse:
    """Change a grant's role and tags, or ask, and then take it away."""
    page = open_page(request, namespace, name)
    page.require(Action.GRANT)
    row = (
        Grant.objects.with_subjects()
        .select_related("repository__namespace")
        .filter(repository=page.repository, pk=grant)
        .first()
    )
    if row is None:
        raise Http404
    if request.method != "POST":
        return _ask_about(page, row)
    if "remove" in request.POST:
        remove_grant(grant=row, actor=page.actor)
        show_toast(
            request, _("Removed %(name)s's access.") % {"name": row.subject_name}
        )
        return redirect(page.address("access"))
    form = ChangedGrantForm(request.POST)
    if not form.is_valid():
        messages.warning(request, _("Enter a valid role and tag pattern."))
        return redirect(page.address("access"))
    try:
        change_grant(
            grant=row,
            role=form.cleaned_data["role"],
            tag_glob=form.cleaned_data["tags"],
            actor=page.actor,
        )
    except GrantExists as error:
        messages.warning(request, str(error))
    else:
        show_toast(
            request, _("Updated %(name)s's access.") % {"name": row.subject_name}
        )
    return redirect(page.address("access"))


def _ask_about(page: RepositoryPage, grant: Grant) -> HttpResponse:
    names = {"name": grant.subject_name, "repository": page.repository.full_name}
    role = _("%(role)s on %(repository)s") % {"role": grant.role, **names}
    if grant.tag_glob:
        role = _("%(role)s, tags %(tags)s") % {"role": role, "tags": grant.tag_glob}
    return confirmation_page(
        page.request,
        question=_("Remove %(name)s from %(repository)s?") % names,
        consequence=(
            _("You lose this role at once.")
            if grant.user_id is not None and grant.user_id == page.actor.user_id
            else _("%(name)s loses this role at once. Other access stays.") % names
        ),
        losses=[role],
        action=_("Remove"),
        back_url=page.address("access"),
    )


def _render(page: RepositoryPage, form: GrantForm | None = None) -> HttpResponse:
    repository = page.repository
    grants = Grant.objects.with_subjects().filter(repository=repository).order_by("pk")
    asked = "action" in page.request.GET
    question = QuestionForm(page.request.GET if asked else None)
    answer, holders = _answer(repository, question) if asked else (None, None)
    return page.render(
        "repositories/access.html",
        "access",
        {
            "grants": list(grants),
            "roles": ROLE_CHOICES,
            "administrators": _administrators(repository),
            "form": form or GrantForm(repository=repository),
            "question": question,
            "answer": answer,
            "holders": holders,
            "problems": [text for texts in question.errors.values() for text in texts],
        },
        status=422 if form else 200,
    )


def _administrators(repository: Repository) -> list[str]:
    """Return who has every right without a grant: the owner, or the admin teams."""
    namespace = repository.namespace
    if namespace.user_id is not None:
        return [namespace.name]
    teams = Team.objects.administering().of_namespace(namespace)
    return list(teams.order_by("name").values_list("name", flat=True))


def _answer(
    repository: Repository, question: QuestionForm
) -> tuple[Decision | None, list[Holder] | None]:
    """Return why someone may or may not, or, asked for no one, who may."""
    if not question.is_valid():
        return None, None
    fields = question.cleaned_data
    who, action = fields["who"].replace("\0", ""), Action(fields["action"])
    if not who:
        return None, holders_of(repository, action, fields["tag"] or None)
    actor, obstacle = _find_actor(who, repository)
    if actor is None:
        question.add_error(
            "who", _("There is no user or robot named %(name)s here.") % {"name": who}
        )
        return None, None
    decision = decide(actor, action, repository, fields["tag"] or None)
    if not decision and obstacle:
        refusal = f"{action}: refused, because {who} {obstacle}"
        return Decision(False, lambda: refusal), None
    return decision, None


def _find_actor(who: str, repository: Repository) -> tuple[Actor | None, str]:
    """Return the actor of a login, and why it cannot act at all, if so.

    Robots of others and logins that no one has get the same answer.
    """
    if who == "anonymous":
        return ANONYMOUS, ""
    namespace, plus, robot_name = who.partition("+")
    if plus:
        robot = (
            Robot.objects.select_related("namespace__user")
            .filter(
                namespace=repository.namespace_id,
                namespace__name=namespace,
                name=robot_name,
            )
            .first()
        )
        if robot is None:
            return None, ""
        return actor_of_robot(robot), _obstacle_of(robot)
    user = User.objects.filter(username=who).first()
    if user is None:
        return None, ""
    return actor_of(user), "" if user.is_live else "is suspended"


def _obstacle_of(robot: Robot) -> str:
    """Return why a robot cannot act: it is disabled, over, or its owner suspended."""
    if robot.is_live:
        return ""
    if not robot.is_active:
        return "is disabled"
    return "has expired" if robot.is_over else "belongs to a suspended user"
