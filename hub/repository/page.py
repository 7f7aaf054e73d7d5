"""The base of every page of a repository, and its masthead."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from accounts.actions import Action
from accounts.actors import Actor
from accounts.requests import actor_of_page, require
from repositories.models import Event, Repository, Star, Tag, Watch
from repositories.rights.access import visible_repository
from repositories.rights.decisions import (
    Right,
    actions_by,
    decide,
    decide_by,
    rights_of,
)


@dataclass(frozen=True, slots=True)
class Tab:
    """A link below the masthead."""

    url: str
    label: str
    icon: str
    is_current: bool
    count: int | None = None


@dataclass(frozen=True)
class RepositoryPage:
    """A repository that someone looks at, and what they may do with it."""

    request: HttpRequest
    repository: Repository
    actor: Actor
    rights: list[Right]  # those the actor has here, visibility apart

    @cached_property
    def actions(self) -> frozenset[Action]:
        return actions_by(self.rights, self.actor, self.repository.facts)

    def may(self, action: Action) -> bool:
        """Return whether a button is worth showing: for some tag at least, yes."""
        return action in self.actions

    def may_to_tag(self, action: Action, tag: str) -> bool:
        """Return whether a button for this tag is worth showing. No query."""
        facts = self.repository.facts
        return action in self.actions and bool(
            decide_by(self.rights, self.actor, action, facts, tag)
        )

    def require(self, action: Action, tag: str | None = None) -> None:
        """Continue, or refuse with the reason; who did not sign in is asked to."""
        require(decide(self.actor, action, self.repository, tag), self.actor)

    @property
    def url(self) -> str:
        return self.repository.get_absolute_url()

    def address(self, rest: str) -> str:
        """Return an address below the repository's own: /acme/api/-/tags."""
        return f"{self.url}/-/{rest}"

    @cached_property
    def tag_count(self) -> int:
        count: int = getattr(self.repository, "tag_count", 0)
        return count

    def tabs(self, current: str) -> list[Tab]:
        """Return the tabs that the actor has."""
        tabs = [
            Tab(self.url, _("Overview"), "book-open", current == "overview"),
            self._tab("tags", _("Tags"), "tag", current, self.tag_count),
            self._tab("activity", _("Activity"), "history", current),
        ]
        if self.may(Action.GRANT):
            tabs.append(self._tab("access", _("Access"), "users", current))
        if self.may(Action.HOOK):
            tabs.append(self._tab("webhooks", _("Webhooks"), "webhook", current))
        if self.may(Action.DESCRIBE) or self.may(Action.CONFIGURE):
            tabs.append(self._tab("settings", _("Settings"), "settings", current))
        return tabs

    def _tab(
        self, name: str, label: str, icon: str, current: str, count: int | None = None
    ) -> Tab:
        return Tab(self.address(name), label, icon, current == name, count)

    def render(
        self, template: str, tab: str, context: dict[str, Any], *, status: int = 200
    ) -> HttpResponse:
        """Render a page of this repository."""
        repository = self.repository
        return render(
            self.request,
            template,
            {
                "repository": repository,
                "tabs": self.tabs(tab),
                "is_starred": getattr(repository, "is_starred", False),
                "may_push": self.may(Action.PUSH),
                "may_delete": self.may(Action.DELETE),
                "may_describe": self.may(Action.DESCRIBE),
                "may_configure": self.may(Action.CONFIGURE),
                "may_grant": self.may(Action.GRANT),
                "may_destroy": self.may(Action.DESTROY),
                **context,
            },
            status=status,
        )


def open_page(request: HttpRequest, namespace: str, name: str) -> RepositoryPage:
    """Return the page of a repository that the visitor may see, else Http404.

    Raises Moved for a name that it had before (accounts/former_names.py). Two queries:
    the row with what the masthead counts, and the rights.
    """
    actor = actor_of_page(request)
    repository = (
        Repository.objects.visible_to(actor)
        .with_full_name()
        .filter(namespace__name=namespace, name=name)
        .annotate(
            tag_count=Count(
                "tags", filter=Q(tags__in=Tag.objects.of_images()), distinct=True
            ),
            is_starred=Exists(
                Star.objects.filter(repository=OuterRef("pk"), user=actor.user_id)
            ),
            newest_event=Subquery(
                Event.objects.filter(repository=OuterRef("pk"))
                .order_by("-pk")
                .values("pk")[:1]
            ),
            is_watched=Exists(
                Watch.objects.filter(repository=OuterRef("pk"), user=actor.user_id)
            ),
        )
        .first()
    )
    if repository is None:
        visible_repository(actor, namespace, name)  # knows the names it had before
        raise Http404
    rights = [] if actor.is_anonymous else rights_of(actor, repository.facts)
    return RepositoryPage(request, repository, actor, rights)
