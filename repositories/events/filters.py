"""The filters of a list of events; other parameters are ignored."""

from datetime import UTC, datetime
from typing import Any

import django_filters as filters
from django.core.exceptions import ValidationError
from django.db.models import Q
from django_filters.fields import IsoDateTimeField

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


class TimeField(IsoDateTimeField):  # type: ignore[misc]
    """A time, in UTC: no database takes every offset, or a year beyond 9999."""

    def to_python(self, value: Any) -> datetime | None:
        at: datetime | None = super().to_python(value)
        try:
            return at and at.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError("this time is out of range") from error


class TimeFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]
    field_class = TimeField


class EventFilter(filters.FilterSet):  # type: ignore[misc]
    kind = KindFilter(choices=[(kind, kind) for kind in KIND_CHOICES])
    actor = filters.CharFilter("actor_name", label="a login, as it was")
    repository = filters.CharFilter("repository_name", label="its name, as it was")
    since = TimeFilter("at", "gte", label="at or after this time")
    until = TimeFilter("at", "lt", label="before this time")

    class Meta:
        model = Event
        fields: list[str] = []
