"""The base of the pages of a namespace: the actor, their rights, the tabs."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.models import Namespace, Organization
from accounts.namespace_rights import (
    Standings,
    may_administer,
    may_see_people,
    may_take_out,
    standings_of,
)
from accounts.requests import actor_of_page, require
from hub.repository.page import Tab
from repositories.rights.access import shown_namespace


@dataclass
class NamespacePage:
    """A namespace as someone sees it; asks for each right once."""

    request: HttpRequest
    actor: Actor
    namespace: Namespace  # with the counts of access.shown_namespace

    @cached_property
    def standings(self) -> Standings:
        return standings_of(self.actor, self.namespace)

    @cached_property
    def administers(self) -> Decision:
        return may_administer(self.actor, self.namespace, self.standings)

    @cached_property
    def sees_people(self) -> Decision:
        return self.administers or may_see_people(
            self.actor, self.namespace, self.standings
        )

    def may_take_out(self, member: str) -> Decision:
        """Decide whether the actor may take this login out of teams."""
        return may_take_out(self.actor, self.namespace, member, self.standings)

    @property
    def organization(self) -> Organization:
        """The organization that owns it; Http404 for a person's namespace."""
        if self.namespace.organization is None:
            raise Http404
        return self.namespace.organization

    @property
    def title(self) -> str:
        owner = self.namespace.organization or self.namespace.user
        return (owner.display_name if owner else "") or self.namespace.name

    def address(self, name: str, /, **words: Any) -> str:
        """Return the address of a page of this namespace."""
        kwargs = {"namespace": self.namespace.name, **words}
        return reverse(f"repositories:{name}", kwargs=kwargs)

    def tabs(self, current: str) -> list[Tab]:
        """Return the tabs that the actor may open."""
        counts: Any = self.namespace
        is_organization = counts.organization_id is not None
        tabs = [
            self._tab(
                "namespace",
                _("Repositories"),
                "package",
                current,
                counts.repository_count,
            )
        ]
        if is_organization and self.sees_people:
            tabs += [
                self._tab("teams", _("Teams"), "users", current, counts.team_count),
                self._tab("people", _("People"), "user", current, counts.people_count),
            ]
        if self.administers:
            tabs.append(
                self._tab("robots", _("Robots"), "bot", current, counts.robot_count)
            )
            if is_organization:
                tabs.append(
                    self._tab("defaults", _("Defaults"), "shield-check", current)
                )
            # The pages of another app, below the same address.
            webhooks = reverse("webhooks:namespace-list", args=[self.namespace.name])
            is_current = current == "webhooks"
            tabs.append(Tab(webhooks, _("Webhooks"), "webhook", is_current))
            tabs.append(self._tab("audit", _("Audit log"), "history", current))
            if is_organization:
                tabs.append(
                    self._tab(
                        "organization-settings", _("Settings"), "settings", current
                    )
                )
        return tabs

    def _tab(
        self, name: str, label: str, icon: str, current: str, count: int | None = None
    ) -> Tab:
        return Tab(self.address(name), label, icon, current == name, count)

    def render(
        self, template: str, tab: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        """Render a page of this namespace; ``template`` is the file's own name."""
        return render(
            self.request,
            f"repositories/namespaces/{template}",
            {
                "namespace": self.namespace,
                "owner": self.namespace.organization or self.namespace.user,
                "name": self.namespace.name,
                "title": self.title,
                "tabs": self.tabs(tab),
                "may_administer": bool(self.administers),
                "sees_people": bool(self.sees_people),
                **context,
            },
            status=status,
        )


def open_namespace(request: HttpRequest, name: str) -> NamespacePage:
    """Return the page of a namespace; Http404 or Moved if none has this name."""
    actor = actor_of_page(request)
    return NamespacePage(request, actor, shown_namespace(actor, name))


def open_administered(request: HttpRequest, name: str) -> NamespacePage:
    """Return the page of a namespace that the actor administers, else refuse."""
    page = open_namespace(request, name)
    require(page.administers, page.actor)
    return page


def open_organization(request: HttpRequest, name: str) -> NamespacePage:
    """Return the page of an organization that the actor administers, else refuse."""
    page = open_namespace(request, name)
    page.organization  # noqa: B018  # a person's namespace has no such page
    require(page.administers, page.actor)
    return page
