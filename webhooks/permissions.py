"""Decides who may see and change the webhooks of a namespace and of the site.

Those of a repository need Action.HOOK there (repositories/rights/decisions.py).
"""

from accounts.actions import Action
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.models import Namespace
from accounts.namespace_rights import may_administer
from accounts.site_rights import may_administer_site


def may_hook_namespace(actor: Actor, namespace: Namespace) -> Decision:
    if Action.HOOK not in actor.ceiling.actions:
        return Decision(False, lambda: "the token does not allow managing webhooks")
    return may_administer(actor, namespace)


def may_hook_site(actor: Actor) -> Decision:
    """Decide whether the actor administers the site, with nothing that narrows it."""
    if Action.HOOK not in actor.ceiling.actions:
        return Decision(False, lambda: "the token does not allow managing webhooks")
    return may_administer_site(actor)
