"""Events, as activity and as audit log (…/events, …/events/export).

Four lists, each with its export: of a repository, an organization, oneself, the site.
"""

from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django_filters.rest_framework import DjangoFilterBackend
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from accounts.models import Namespace
from accounts.rates import take
from api.accounts.access import administered_organization, full_person
from api.accounts.users import AdministratorView
from api.kit.views import ApiView
from api.repositories.access import permitted_repository
from api.repositories.exports import FORMATS, export_events
from api.repositories.readings import RepositoryPathView
from api.repositories.serializers import (
    AuditEventSerializer,
    EventSerializer,
    RepositoryAuditSerializer,
)
from repositories.events.filters import EventFilter
from repositories.models import Event
from repositories.models.events import EventQuerySet
from repositories.rights.access import visible_repository
from repositories.rights.decisions import decide


class EventView(ApiView):
    """A list of events, newest first, narrowed by repositories/events/filters.py."""

    serializer_class = AuditEventSerializer
    audit_serializer_class: type[AuditEventSerializer] = AuditEventSerializer
    queryset = Event.objects.none()  # for the schema; views choose their own
    filter_backends = [DjangoFilterBackend]
    filterset_class = EventFilter
    is_list = True

    def filter_queryset(self, queryset: Any) -> Any:
        for name in ("since", "until"):
            if self.request.query_params.get(name) == "":  # a form's way to say none
                raise ValidationError({name: "this is not a time"})
        return super().filter_queryset(queryset)

    def answer_audit(self, events: EventQuerySet) -> Response:
        narrowed = self.filter_queryset(events.with_token())
        return self.answer_list(narrowed, self.audit_serializer_class, "-pk")


class AnyAccepted(BaseContentNegotiation):
    """Errors are JSON; ``format`` and ``Accept`` are about the file."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


described_export = extend_schema(
    responses={
        (200, media_type): OpenApiTypes.STR for media_type, _ in FORMATS.values()
    },
)


class ExportView(EventView):
    """The same events as a file."""

    is_list = False
    pagination_class = None
    content_negotiation_class = AnyAccepted
    parameters = [
        OpenApiParameter("format", OpenApiTypes.STR, enum=list(FORMATS), required=True)
    ]

    def answer_file(self, events: EventQuerySet, name: str) -> StreamingHttpResponse:
        file_format = self.request.query_params.get("format", "")
        if file_format not in FORMATS:
            raise ValidationError({"format": f"one of {', '.join(FORMATS)}"})
        take("exports", self.actor)
        narrowed = self.filter_queryset(events.with_token())
        media_type, _ = FORMATS[file_format]
        day = timezone.now().date().isoformat()
        file_name = f"{name.replace('/', '-')}-events-{day}.{file_format}"
        return StreamingHttpResponse(
            export_events(narrowed, file_format, self.audit_serializer_class),
            content_type=f"{media_type}; charset=utf-8",
            headers={
                "Content-Disposition": content_disposition_header(True, file_name),
                "Cache-Control": "no-store",
            },
        )


class RepositoryEventsView(EventView, RepositoryPathView):
    """Activity, and for those who may grant the audit detail too."""

    audit_serializer_class = RepositoryAuditSerializer
    for_anonymous = True

    # More fields for those who may grant: the schema promises what everyone gets.
    @extend_schema(responses=EventSerializer(many=True))
    def get(self, request: Request, namespace: str, name: str) -> Response:
        repository = visible_repository(self.actor, namespace, name)
        events = Event.objects.of_repository(repository.pk)
        if decide(self.actor, Action.GRANT, repository):
            return self.answer_audit(events)
        narrowed = self.filter_queryset(events.for_everybody())
        return self.answer_list(narrowed, EventSerializer, "-pk")


class RepositoryExportView(ExportView, RepositoryPathView):
    audit_serializer_class = RepositoryAuditSerializer

    @described_export
    def get(self, request: Request, namespace: str, name: str) -> StreamingHttpResponse:
        repository = permitted_repository(self.actor, namespace, name, Action.GRANT)
        events = Event.objects.of_repository(repository.pk)
        return self.answer_file(events, repository.full_name)


class OrganizationEventsView(EventView):
    """People, rights, robots and repositories, for those who administer them."""

    def get(self, request: Request, organization: str) -> Response:
        found = administered_organization(organization, self.actor)
        return self.answer_audit(Event.objects.of_namespace(found.namespace))


class OrganizationExportView(ExportView):
    @described_export
    def get(self, request: Request, organization: str) -> StreamingHttpResponse:
        found = administered_organization(organization, self.actor)
        events = Event.objects.of_namespace(found.namespace)
        return self.answer_file(events, found.namespace.name)


class OwnEventsView(EventView):
    """One's own account: sign-ins, tokens, robots and repositories."""

    def get(self, request: Request) -> Response:
        return self.answer_audit(Event.objects.of_namespace(own_namespace(self)))


class OwnExportView(ExportView):
    @described_export
    def get(self, request: Request) -> StreamingHttpResponse:
        namespace = own_namespace(self)
        events = Event.objects.of_namespace(namespace)
        return self.answer_file(events, namespace.name)


class SiteEventsView(EventView, AdministratorView):
    """Everything, for site administrators."""

    def get(self, request: Request) -> Response:
        self.require_administrator()
        return self.answer_audit(Event.objects.all())


class SiteExportView(ExportView, AdministratorView):
    @described_export
    def get(self, request: Request) -> StreamingHttpResponse:
        self.require_administrator()
        return self.answer_file(Event.objects.all(), "site")


def own_namespace(view: ApiView) -> Namespace:
    """Return the namespace of the person who asks, unless by a narrowed token."""
    return full_person(view.actor).namespace
