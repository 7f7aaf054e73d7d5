"""Who may see and change webhooks: of a repository, those who may *hook* there.

A namespace's are for those who administer it, the site's for site administrators; a
token has to allow as much.
"""

from accounts.actions import Action
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.models import Namespace
from accounts.namespace_rights import may_administer
from accounts.site_rights import may_administer_site
from repositories.models import Repository
from repositories.rights.decisions import decide


def may_hook_repository(actor: Actor, repository: Repository) -> Decision:
    return decide(actor, Action.HOOK, repository)


def may_hook_namespace(actor: Actor, namespace: Namespace) -> Decision:
    if Action.HOOK not in actor.ceiling.actions:
        return Decision(False, lambda: "the token does not allow to manage webhooks")
    return may_administer(actor, namespace)


def may_hook_site(actor: Actor) -> Decision:
    """Say whether the actor administers the site, with nothing that narrows it."""
    if Action.HOOK not in actor.ceiling.actions:
        return Decision(False, lambda: "the token does not allow to manage webhooks")
    return may_administer_site(actor)
