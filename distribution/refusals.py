"""The messages for refused clients; docker prints them.

    may pull                  the missing right, as decisions.decide says it
    the token is the reason   which token, and whether it is too weak or too narrow
    everyone else            "no role, or no such repository"

Private and nonexistent repositories get the same message (D-2): only actors who may
pull see the difference. Anonymous actors are asked to sign in.
"""

from accounts.actions import Action
from accounts.actors import Actor
from accounts.authentication import actor_of_access_token, find_live_access_token
from repositories.models import RepositoryFacts
from repositories.oci.references import RepositoryName
from repositories.rights.access import find_namespace
from repositories.rights.decisions import decide, explain_token


def explain_refusal(
    actor: Actor,
    action: Action,
    name: RepositoryName,
    repository: RepositoryFacts | None,
) -> str:
    """Explain why the actor may not do this, "" if there is nothing to say.

    A registry token names the access token it was made with, but not its scope,
    so it is looked up; this is asked only on the way to a refusal.
    """
    if actor.is_anonymous:
        return ""
    actor = _under_its_ceiling(actor)
    if action not in actor.ceiling.actions:
        return explain_token(actor, action, name.full_name)
    if repository is not None and decide(actor, Action.PULL, repository):
        decision = decide(actor, action, repository)
        return "" if decision else decision.reason
    if not _reaches_new(actor, name):
        return explain_token(actor, action, name.full_name)
    return (
        f"{action}: refused, because {actor} has no role on *{name.full_name}*, or "
        "there is no such repository"
    )


def _under_its_ceiling(actor: Actor) -> Actor:
    if actor.access_token_id is None:
        return actor
    token = find_live_access_token(actor.access_token_id)
    return actor if token is None else actor_of_access_token(token)


def _reaches_new(actor: Actor, name: RepositoryName) -> bool:
    """Return whether the token would reach the repository if it were made now.

    Whether there is one, and whether the token names it, must not change the answer.
    """
    ceiling = actor.ceiling
    if ceiling.repository_ids is None and ceiling.namespace_ids is None:
        return True
    namespace = find_namespace(name.namespace)
    return namespace is not None and ceiling.covers(
        repository_id=None, namespace_id=namespace.pk
    )
