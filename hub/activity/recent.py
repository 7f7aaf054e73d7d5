"""Recent events of a namespace, in a few words for the side of its page."""

from django.db.models import Q, QuerySet

from accounts.events import AccountEvent
from accounts.models import Namespace
from hub.activity.sentences import SENTENCES, ActivityItem, short_line
from repositories.models import Event, Repository

LOOKED_AT = 400  # events, the newest: however much happened, it costs no more
SHOWN = 5
_OF_PEOPLE = {AccountEvent.MEMBER_ADDED, AccountEvent.MEMBER_REMOVED}
_OF_ROBOTS = {AccountEvent.ROBOT_CREATED, AccountEvent.ROBOT_TOKEN_REPLACED}
_OF_REPOSITORIES = {kind for kind, sentence in SENTENCES.items() if sentence.short} - {
    *_OF_PEOPLE,
    *_OF_ROBOTS,
}


def describe_recent(
    namespace: Namespace,
    seen: "QuerySet[Repository]",
    *,
    with_people: bool,
    with_robots: bool,
) -> list[ActivityItem]:
    """Describe visible events; those of people and robots only to members.

    One query over the newest events; what is older is found on the pages of each
    repository and in the audit log.
    """
    newest = Event.objects.of_namespace(namespace).order_by("-pk").values("pk")
    wanted = Q(kind__in=_OF_REPOSITORIES, repository__in=seen.values("pk"))
    if with_people:
        wanted |= Q(kind__in=_OF_PEOPLE)
    if with_robots:
        wanted |= Q(kind__in=_OF_ROBOTS)
    events = (
        Event.objects.filter(wanted, pk__in=newest[:LOOKED_AT])
        .select_related("repository__namespace")
        .defer("repository__readme")
        .order_by("-at", "-pk")[:SHOWN]
    )
    return [short_line(event) for event in events]
