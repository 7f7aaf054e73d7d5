"""Former names of users and organizations: who can free them, and for whom they wait.

A name that something had before leads to it. While images are pulled by it, another
namespace that took the name would be pulled instead; so it stays reserved until its
owner, or an administrator of the site, frees it (docs/names.md). Its owner can take it
again without that.
"""

from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.actors import Actor
from accounts.events import AccountEvent, tell
from accounts.models import FormerNamespaceName, NameReserved, Namespace
from accounts.permissions import may_administer


def refuse_reserved(name: str) -> None:
    """Raise ValidationError, for a form, if the name is reserved."""
    former = FormerNamespaceName.objects.filter(name=name).first()
    if former is not None and former.is_kept:
        raise ValidationError(str(NameReserved(name)))


def keep_former_name(name: str, namespace: Namespace) -> None:
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
        tell(
            AccountEvent.NAME_FREED,
            actor=actor,
            namespace=former.namespace,
            detail={"name": former.name},
        )
