"""The scope of a limited access token: from the names that people write to ids."""

from collections.abc import Iterable
from dataclasses import dataclass

from accounts.actors import Actor
from accounts.models import AccessToken, Namespace
from repositories.models import Repository
from repositories.oci.references import NameMalformed, parse_repository_name
from repositories.rights.access import find_repository


class NothingOfThatName(ValueError):
    """A name that is malformed, or of nothing that the actor may see; says which."""


def repository_ids(actor: Actor, names: Iterable[str]) -> list[int]:
    """Return the ids of repositories that the actor may see, in the order of names."""
    visible = Repository.objects.visible_to(actor)
    found = []
    for text in names:
        try:
            name = parse_repository_name(text)
        except NameMalformed as error:
            raise NothingOfThatName(str(error)) from error
        repository = find_repository(name)
        if repository is None or not visible.filter(pk=repository.id).exists():
            raise NothingOfThatName(f"there is no repository '{text}'")
        found.append(repository.id)
    return found


def namespace_ids(names: Iterable[str]) -> list[int]:
    """Return the ids of namespaces; that one exists is no secret."""
    wanted = {name.replace("\0", "") for name in names}
    found = dict(Namespace.objects.filter(name__in=wanted).values_list("name", "pk"))
    missing = sorted(wanted - set(found))
    if missing:
        raise NothingOfThatName(f"there is no namespace '{missing[0]}'")
    return list(found.values())


@dataclass(slots=True)
class Reach:
    """The names of what a token reaches; None: it is not limited."""

    repositories: list[str] | None = None
    namespaces: list[str] | None = None


def reach_of(actor: Actor, tokens: Iterable[AccessToken]) -> dict[int, list[str]]:
    """Return the names that each limited token reaches, by its id. Two queries.

    The tokens come with their limits and namespaces prefetched.
    """
    return {
        token_id: [*(reach.repositories or ()), *(reach.namespaces or ())]
        for token_id, reach in limits_of(actor, tokens).items()
    }


def limits_of(actor: Actor, tokens: Iterable[AccessToken]) -> dict[int, Reach]:
    """Return how far each token reaches, by its id. Two queries.

    The tokens come with their limits and namespaces prefetched. A repository that is
    gone, or that the actor sees no more, is reached no more, and so not named: it may
    have another name already.
    """
    tokens = list(tokens)
    limits = [limit for token in tokens for limit in token.limits.all()]
    wanted = {limit.repository_id for limit in limits if limit.repository_id}
    visible = Repository.objects.visible_to(actor).with_full_name()
    repositories = visible.in_bulk(wanted)
    reach = {token.pk: Reach() for token in tokens}
    for token in tokens:
        if not token.is_limited:
            continue
        namespaces, seen = [], []
        for limit in token.limits.all():
            if limit.namespace is not None:
                namespaces.append(limit.namespace.name)
            elif limit.repository_id in repositories:
                seen.append(repositories[limit.repository_id].full_name)
        reach[token.pk] = Reach(repositories=seen, namespaces=namespaces)
    return reach
