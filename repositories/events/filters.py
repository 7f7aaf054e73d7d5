"""The filters of a list of events; other parameters are ignored."""

from typing import Any

import django_filters as filters
from django.db.models import Q

from accounts.events import AccountEvent
from repositories.models import Event

KINDS = [*Event.Kind.values, *AccountEvent.values]
# "team." is every kind that begins so.
KIND_CHOICES = sorted({*KINDS, *(kind.partition(".")[0] + "." for kind in KINDS)})


class KindFilter(filters.MultipleChoiceFilter):  # type: ignore[misc]
    """``kind=team.&kind=member.added``: any of them."""

    def filter(self, events: Any, values: list[str]) -> Any:
        wanted = Q()
        for value in values or ():
            is_prefix = value.endswith(".")
            wanted |= Q(kind__startswith=value) if is_prefix else Q(kind=value)
        return events.filter(wanted)


class EventFilter(filters.FilterSet):  # type: ignore[misc]
    kind = KindFilter(choices=[(kind, kind) for kind in KIND_CHOICES])
    actor = filters.CharFilter("actor_name", label="a login, as it was")
    repository = filters.CharFilter("repository_name", label="its name, as it was")
    since = filters.IsoDateTimeFilter("at", "gte", label="at or after this time")
    until = filters.IsoDateTimeFilter("at", "lt", label="before this time")

    class Meta:
        model = Event
        fields: list[str] = []
