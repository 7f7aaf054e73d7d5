"""The frame of a place's webhook pages: its masthead and its tabs."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actions import Action
from accounts.actors import Actor
from accounts.requests import actor_of_page
from hub.namespace.page import open_administered
from hub.repository.page import Tab, open_page
from webhooks.access import Place, place_of_page


@dataclass(frozen=True)
class PlacePage:
    """A place, for someone who may manage its webhooks; without a title the site."""

    request: HttpRequest
    actor: Actor
    place: Place
    tabs: list[Tab]
    title: str = ""

    @property
    def context(self) -> dict[str, Any]:
        """The variables of webhooks/base.html."""
        return {
            "place": self.place,
            "repository": self.place.repository,
            "namespace": self.place.namespace,
            "tabs": self.tabs,
            "place_title": self.title,
        }


def open_place(
    request: HttpRequest, namespace: str | None, name: str | None
) -> PlacePage:
    """Return the page of a place with the tabs that its other pages have.

    Refuses as place_of_page does, and asks the database as often.
    """
    if namespace is None:
        actor = actor_of_page(request)
        place = place_of_page(actor, None, None)
        state = Tab(reverse("site-state"), _("Site status"), "arrow-left", False)
        webhooks = Tab(place.url, _("Webhooks"), "webhook", True)
        return PlacePage(request, actor, place, [state, webhooks])
    if name is None:
        space = open_administered(request, namespace)
        place = Place(namespace=space.namespace)
        tabs = space.tabs("webhooks")
        return PlacePage(request, space.actor, place, tabs, space.title)
    page = open_page(request, namespace, name)
    if not page.may(Action.HOOK):
        page.require(Action.HOOK)
    place = Place(repository=page.repository)
    return PlacePage(request, page.actor, place, page.tabs("webhooks"), place.name)
