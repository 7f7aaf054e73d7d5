"""Former names of users and organizations: who can free them, and for whom they wait.

A name that something had before leads to it. While images are pulled by it, another
namespace that took the name would be pulled instead; so it stays reserved until its
owner, or an administrator of the site, frees it (docs/names.md). Its owner can take it
again without that.

The functions that fetch a row raise Moved; the API answers 308 (api/kit/errors.py)
and pages 307 (registry_site/middleware.py), with the same path under today's name. A
page that has no such names in its path answers 404.
"""

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone

from accounts.actors import Actor
from accounts.events import AccountEvent, record_account_event
from accounts.models import FormerNamespaceName, NameReserved, Namespace
from accounts.namespace_rights import may_administer


class Moved(Http404):
    """It is there under another name; says what the parts of the path are now.

        raise Moved(namespace="acme-labs", name="api")

    The names are those of the URL's arguments. Only for those who may see it.
    """

    def __init__(self, **names: str) -> None:
        super().__init__()
        self.names = names

    def location(self, request: HttpRequest) -> str | None:
        """Return where the request would go now; None if its path has no such names."""
        match = request.resolver_match
        if match is None or not self.names.keys() <= match.kwargs.keys():
            return None
        path = reverse(
            match.view_name, args=match.args, kwargs={**match.kwargs, **self.names}
        )
        query = request.META.get("QUERY_STRING", "")
        return f"{path}?{query}" if query else path


def refuse_reserved(name: str) -> None:
    """Raise ValidationError, for a form, if the name is reserved."""
    former = FormerNamespaceName.objects.filter(name=name).first()
    if former is not None and former.is_kept:
        raise ValidationError(str(NameReserved(name)))


def record_former_name(name: str, namespace: Namespace) -> None:
    """Let a name that a namespace gives up lead to it, in the caller's transaction."""
    FormerNamespaceName.objects.create(
        name=name, namespace=namespace, is_reserved=namespace.is_in_use
    )


def take_own_name(name: str, actor: Actor) -> None:
    """Free a former name of what the actor administers, who is about to take it."""
    former = (
        FormerNamespaceName.objects.filter(name=name, freed_at=None)
        .select_related("namespace")
        .first()
    )
    if former is None or former.namespace is None or not former.is_kept:
        return
    if may_administer(actor, former.namespace):
        free_namespace_name(former=former, actor=actor)


def free_namespace_name(*, former: FormerNamespaceName, actor: Actor) -> None:
    """Let others take a former name; until then it leads where it did."""
    freed = FormerNamespaceName.objects.filter(pk=former.pk, freed_at=None)
    if freed.update(is_reserved=False, freed_at=timezone.now()):
        record_account_event(
            AccountEvent.NAME_FREED,
            actor=actor,
            namespace=former.namespace,
            detail={"name": former.name},
        )
