"""Find repositories by words; everybody finds only what they may see.

Ranking: the exact name, then names that begin so, then names, then descriptions; in
each, official and verified ones first, then stars, then pulls.
"""

from django.db.models import Case, IntegerField, Q, Value, When

from accounts.actors import Actor
from repositories.models import Repository
from repositories.models.repositories import RepositoryQuerySet

WORDS_MAX = 10
QUERY_MAX_LENGTH = 200


def search_repositories(actor: Actor, query: str) -> RepositoryQuerySet:
    """Return what matches every word of the query, best first; no words match all."""
    text = query.replace("\0", "")[:QUERY_MAX_LENGTH].strip().lower()
    found = Repository.objects.visible_to(actor).with_full_name()
    for word in text.split()[:WORDS_MAX]:
        found = found.filter(_matches(word))
    return found.annotate(rank=_rank(text)).order_by(
        "rank",
        "-namespace__is_official",
        "-namespace__is_verified",
        "-star_count",
        "-pull_count",
        "namespace__name",
        "name",
    )


def _matches(word: str) -> Q:
    namespace, slash, name = word.partition("/")
    anywhere = Q(name__contains=word) | Q(description__icontains=word)
    if slash:  # "acme/api", with or without the rest of either
        return anywhere | Q(namespace__name=namespace, name__startswith=name)
    return anywhere | Q(namespace__name__contains=word)


def _rank(text: str) -> Case:
    namespace, slash, name = text.partition("/")
    exact, beginning = Q(name=text), Q(name__startswith=text)
    if slash:
        exact |= Q(namespace__name=namespace, name=name)
        beginning |= Q(namespace__name=namespace, name__startswith=name)
    return Case(
        When(exact, then=Value(0)),
        When(beginning, then=Value(1)),
        When(Q(name__contains=text) | Q(namespace__name=text), then=Value(2)),
        default=Value(3),
        output_field=IntegerField(),
    )
