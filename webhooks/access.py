"""Fetch the webhooks of a place for those who may manage them there.

    place = place_of_page(actor, "acme", "api")     a repository
    place = place_of_page(actor, "acme", None)      a namespace
    place = place_of_page(actor, None, None)        the site
    webhook = find_webhook(place, 7)

What the actor may not see is Http404, what the actor sees and may not do is
PermissionDenied with the reason.
"""

from dataclasses import dataclass
from uuid import UUID

from django.http import Http404

from accounts.actions import Action
from accounts.actors import Actor
from accounts.former_names import Moved
from accounts.models import Namespace
from accounts.requests import require
from repositories.models import Repository
from repositories.rights.access import find_namespace, permitted_repository
from webhooks.models import Delivery, Webhook
from webhooks.models.webhooks import WebhookQuerySet
from webhooks.permissions import may_hook_namespace, may_hook_site


@dataclass(frozen=True, slots=True)
class Place:
    """The owner of a webhook: a repository or a namespace; neither is the site."""

    repository: Repository | None = None
    namespace: Namespace | None = None

    @property
    def webhooks(self) -> WebhookQuerySet:
        return Webhook.objects.of(
            repository_id=self.repository.pk if self.repository else None,
            namespace_id=self.namespace.pk if self.namespace else None,
        ).select_related("repository__namespace", "namespace")

    @property
    def name(self) -> str:
        if self.repository is not None:
            return self.repository.full_name
        return self.namespace.name if self.namespace is not None else ""

    @property
    def url(self) -> str:
        """Return the address of the list of its webhooks."""
        return f"/{self.name}/-/webhooks" if self.name else "/-/webhooks"


def place_of_page(actor: Actor, namespace: str | None, name: str | None) -> Place:
    """Return the repository, without a name the namespace, without both the site."""
    if namespace is None:
        require(may_hook_site(actor), actor)
        return Place()
    if name is not None:
        repository = permitted_repository(actor, namespace, name, Action.HOOK)
        return Place(repository=repository)
    found = find_namespace(namespace)
    if found is None:
        raise Http404
    require(may_hook_namespace(actor, found), actor)
    if found.name != namespace:
        raise Moved(namespace=found.name)
    return Place(namespace=found)


def find_webhook(place: Place, webhook_id: int) -> Webhook:
    """Return a webhook of the place, else Http404."""
    webhook = place.webhooks.filter(pk=webhook_id).first()
    if webhook is None:
        raise Http404
    return webhook


def find_delivery(webhook: Webhook, uuid: UUID) -> Delivery:
    """Return a delivery of the webhook, else Http404."""
    delivery = webhook.deliveries.select_related("webhook").filter(uuid=uuid).first()
    if delivery is None:
        raise Http404
    return delivery
