"""Who may see and change webhooks: of a repository, those who may *hook* there.

A namespace's are for those who administer it, the site's for site administrators; a
token has to allow as much.
"""

from accounts.actions import Action
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.models import Namespace, User
from accounts.namespace_rights import is_live, may_administer
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
    ceiling = actor.ceiling
    if (
        actor.user_id is not None
        and Action.HOOK in ceiling.actions
        and Action.GRANT in ceiling.actions
        and ceiling.repository_ids is None
        and ceiling.namespace_ids is None
        and is_live(actor)
        and User.objects.filter(pk=actor.user_id, is_superuser=True).exists()
    ):
        return Decision(True, lambda: f"{actor} administers this site")
    return Decision(False, lambda: f"{actor} does not administer this site")
