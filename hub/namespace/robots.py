"""Robots of a namespace: a token is shown once, where it was made."""

from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.db import IntegrityError
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from accounts.finders import find_robot
from accounts.models import Robot
from accounts.robots import change_robot, create_robot, delete_robot, replace_token
from accounts.snippets import make_snippets
from hub.kit.pages import confirmation_page, show_toast, was_sent_before
from hub.namespace.forms import ExpiryForm, RobotForm
from hub.namespace.page import NamespacePage, open_administered
from repositories.models import Grant

SNIPPET_NAMES = {  # in the order of the page
    "docker": "docker login",
    "podman": "podman login",
    "kubectl": "kubectl",
    "kubernetes": "Kubernetes",
    "config_json": "config.json",
    "github_actions": "GitHub Actions",
    "gitlab_ci": "GitLab CI",
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def show_robots(request: HttpRequest, namespace: str) -> HttpResponse:
    """List robots; a POST makes one, and its answer is the only one with the token."""
    page = open_administered(request, namespace)
    form = RobotForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            robot, token = create_robot(
                namespace=page.namespace,
                actor=page.actor,
                name=form.cleaned_data["name"],
                description=form.cleaned_data["description"],
                expires_at=form.expires_at,
            )
        except IntegrityError:
            form.add_error("name", _("There is a robot of this name."))
        else:
            return _render_robot(page, robot, token)
    robots = (
        Robot.objects.filter(namespace=page.namespace)
        .select_related("namespace")
        .annotate(
            repository_count=Count(
                "grant__repository",
                filter=Q(grant__repository__deleted_at=None),
                distinct=True,
            ),
            team_count=Count("memberships", distinct=True),
        )
        .order_by("name")
    )
    return page.render(
        "robots.html",
        "robots",
        {"robots": list(robots), "form": form},
        status=422 if form.is_bound else 200,
    )


@require_safe
def show_robot(request: HttpRequest, namespace: str, robot: str) -> HttpResponse:
    """Show what a robot may do and how to sign in as it."""
    page = open_administered(request, namespace)
    return _render_robot(page, find_robot(page.namespace, robot))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def renew_token(request: HttpRequest, namespace: str, robot: str) -> HttpResponse:
    """Confirm, then replace the robot's token and show the new one, once."""
    page = open_administered(request, namespace)
    row = find_robot(page.namespace, robot)
    if request.method != "POST":
        return confirmation_page(
            request,
            question=_("Replace the token of %(name)s?") % {"name": row.username},
            consequence=_(
                "The old token is revoked at once. Anything that uses it stops working "
                "until you give it the new one."
            ),
            losses=_last_use(row),
            action=_("Replace token"),
            back_url=page.address("robot", robot=row.name),
            with_serial=True,
        )
    if was_sent_before(request):
        return redirect(page.address("robot", robot=row.name))
    return _render_robot(page, row, replace_token(robot=row, actor=page.actor))


@require_POST
def switch_robot(request: HttpRequest, namespace: str, robot: str) -> HttpResponse:
    """Disable a robot, with an Undo, or enable it."""
    page = open_administered(request, namespace)
    row = find_robot(page.namespace, robot)
    enables = "on" in request.POST or "on" in request.GET
    change_robot(robot=row, actor=page.actor, is_active=enables)
    names = {"name": row.username}
    if enables:
        show_toast(request, _("%(name)s enabled.") % names)
    else:
        undo_url = f"{page.address('switch-robot', robot=row.name)}?on=1"
        show_toast(request, _("%(name)s disabled.") % names, undo_url=undo_url)
    return redirect(page.address("robot", robot=row.name))


@require_POST
def change_expiry(request: HttpRequest, namespace: str, robot: str) -> HttpResponse:
    """Set when a robot expires."""
    page = open_administered(request, namespace)
    row = find_robot(page.namespace, robot)
    form = ExpiryForm(request.POST)
    if not form.is_valid():
        raise BadRequest("there is no such time")
    change_robot(robot=row, actor=page.actor, expires_at=form.expires_at)
    show_toast(request, _("Saved."))
    return redirect(page.address("robot", robot=row.name))


@require_http_methods(["GET", "HEAD", "POST"])
def remove_robot(request: HttpRequest, namespace: str, robot: str) -> HttpResponse:
    """Confirm, then delete a robot with its roles."""
    page = open_administered(request, namespace)
    row = find_robot(page.namespace, robot)
    if request.method == "POST":
        delete_robot(robot=row, actor=page.actor)
        show_toast(request, _("Robot %(name)s deleted.") % {"name": row.username})
        return redirect(page.address("robots"))
    return confirmation_page(
        request,
        question=_("Delete robot %(name)s?") % {"name": row.username},
        consequence=_("Anything using this robot stops working immediately."),
        losses=_last_use(row),
        action=_("Delete robot"),
        back_url=page.address("robot", robot=row.name),
    )


def _last_use(robot: Robot) -> list[str]:
    if robot.last_used_at is None:
        return [_("never used")]
    return [_("last used %(when)s ago") % {"when": timesince(robot.last_used_at)}]


def _render_robot(page: NamespacePage, robot: Robot, token: str = "") -> HttpResponse:
    snippets = make_snippets(
        registry=settings.BERTH_SERVICE,
        username=robot.username,
        token=token or None,
        is_tls=settings.BERTH_URL.startswith("https:"),
    )
    grants = Grant.objects.in_namespace(page.namespace).filter(robot=robot)
    context: dict[str, Any] = {
        "robot": robot,
        "expiry": ExpiryForm(),
        "token": token,
        "teams": list(
            robot.memberships.order_by("team__name").values_list(
                "team__name", flat=True
            )
        ),
        "grants": list(grants.order_by("repository__name", "tag_glob")),
        "snippets": [
            (label, snippets[kind], "\n" in snippets[kind])
            for kind, label in SNIPPET_NAMES.items()
            if kind in snippets
        ],
    }
    return page.render("robot.html", "robots", context)
