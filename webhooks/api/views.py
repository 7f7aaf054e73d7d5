"""Webhooks and their deliveries (…/webhooks), and the callbacks of receivers."""

from typing import Any

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from accounts.rates import take
from api.kit.errors import BodyTooLarge, Conflict
from api.kit.parsers import AnyJSONParser
from api.kit.views import ApiView, require
from api.repositories.access import permitted_repository
from api.repositories.readings import RepositoryPathView
from repositories.rights.access import find_namespace
from webhooks.access import Place
from webhooks.api.serializers import (
    ChangedWebhookSerializer,
    CountSerializer,
    DeliverySerializer,
    FormatSerializer,
    MadeWebhookSerializer,
    NewReportSerializer,
    NewWebhookSerializer,
    PreviewSerializer,
    ReportSerializer,
    SinceSerializer,
    WebhookSerializer,
    WholeDeliverySerializer,
)
from webhooks.callbacks import delivery_of_callback
from webhooks.delivery.redelivery import (
    WebhookIsOff,
    redeliver,
    redeliver_failed_since,
    send_test,
)
from webhooks.models import Delivery, Webhook
from webhooks.permissions import may_hook_namespace, may_hook_site
from webhooks.registration import (
    TooManyWebhooks,
    WebhookInvalid,
    change_webhook,
    create_webhook,
    delete_webhook,
    preview_payload,
    rotate_secret,
)
from webhooks.reports import ReportInvalid, record_report

REPORT_MAX_BYTES = 64 * 1024


class PlaceView(RepositoryPathView):
    """A view below a repository, a namespace or the site, as its route says."""

    def place(self) -> Place:
        """Return the place, if the actor may manage webhooks there; else 404 or 403."""
        if "name" in self.kwargs:
            repository = permitted_repository(
                self.actor, self.kwargs["namespace"], self.kwargs["name"], Action.HOOK
            )
            return Place(repository=repository)
        if "organization" in self.kwargs:
            namespace = find_namespace(self.kwargs["organization"])
            if namespace is None:
                raise Http404
            require(may_hook_namespace(self.actor, namespace))
            return Place(namespace=namespace)
        require(may_hook_site(self.actor))
        return Place()

    def find_webhook(self) -> Webhook:
        webhook = (
            self.place()
            .webhooks.select_related("repository__namespace", "namespace")
            .filter(pk=self.kwargs["webhook"])
            .first()
        )
        if webhook is None:
            raise Http404
        return webhook

    def find_delivery(self) -> Delivery:
        delivery = (
            Delivery.objects.select_related("webhook")
            .filter(webhook=self.find_webhook(), uuid=self.kwargs["delivery"])
            .first()
        )
        if delivery is None:
            raise Http404
        return delivery


class WebhooksView(PlaceView):
    serializer_class = WebhookSerializer
    is_list = True

    def get(self, request: Request, **kwargs: Any) -> Response:
        return self.answer_list(self.place().webhooks, WebhookSerializer)

    @extend_schema(request=NewWebhookSerializer, responses={201: MadeWebhookSerializer})
    def post(self, request: Request, **kwargs: Any) -> Response:
        """Make a webhook; this answer is the only one that has its secret."""
        place = self.place()
        fields = self.read(NewWebhookSerializer)
        try:
            webhook, secret = create_webhook(
                repository=place.repository,
                namespace=place.namespace,
                actor=self.actor,
                **fields,
            )
        except WebhookInvalid as error:
            raise ValidationError({error.field: str(error)}) from error
        except TooManyWebhooks as error:
            raise Conflict(str(error)) from error
        return Response(
            {**WebhookSerializer(webhook).data, "secret": secret},
            status=status.HTTP_201_CREATED,
        )


class WebhookView(PlaceView):
    serializer_class = WebhookSerializer

    def get(self, request: Request, **kwargs: Any) -> Response:
        return Response(WebhookSerializer(self.find_webhook()).data)

    @extend_schema(request=ChangedWebhookSerializer)
    def patch(self, request: Request, **kwargs: Any) -> Response:
        """Change what is given; ``rotate_secret`` makes a new secret and answers it."""
        webhook = self.find_webhook()
        shown = WebhookSerializer(webhook).data
        fields = self.read(ChangedWebhookSerializer, webhook, shown)
        is_rotated = fields.pop("rotate_secret", False)
        try:
            changed = change_webhook(webhook=webhook, actor=self.actor, **fields)
        except WebhookInvalid as error:
            raise ValidationError({error.field: str(error)}) from error
        answer = dict(WebhookSerializer(changed).data)
        if is_rotated:
            answer["secret"] = rotate_secret(webhook=changed, actor=self.actor)
        return Response(answer)

    def delete(self, request: Request, **kwargs: Any) -> Response:
        delete_webhook(webhook=self.find_webhook(), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PreviewView(PlaceView):
    """Preview the message that a webhook would send of its last event."""

    serializer_class = PreviewSerializer

    @extend_schema(request=FormatSerializer, responses=PreviewSerializer)
    def post(self, request: Request, **kwargs: Any) -> Response:
        place = self.place()
        fields = self.read(FormatSerializer)
        take("previews", self.actor)
        try:
            content_type, body = preview_payload(
                repository=place.repository, namespace=place.namespace, **fields
            )
        except WebhookInvalid as error:
            raise ValidationError({error.field: str(error)}) from error
        return Response({"content_type": content_type, "body": body})


class TestView(PlaceView):
    """Send the last event once more, as a test; ask the delivery what came of it."""

    serializer_class = DeliverySerializer

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, **kwargs: Any) -> Response:
        webhook = self.find_webhook()
        self.read_nothing()
        take("webhook-tests", self.actor)
        delivery = send_test(webhook=webhook)
        return Response(
            DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED
        )


class DeliveriesView(PlaceView):
    """List the deliveries of a webhook, newest first."""

    serializer_class = DeliverySerializer
    is_list = True
    parameters = [
        OpenApiParameter("status", OpenApiTypes.STR, enum=Delivery.Status.values)
    ]

    def get(self, request: Request, **kwargs: Any) -> Response:
        deliveries = Delivery.objects.filter(webhook=self.find_webhook())
        wanted = request.query_params.get("status")
        if wanted is not None:
            if wanted not in Delivery.Status.values:
                known = ", ".join(Delivery.Status.values)
                raise ValidationError({"status": f"one of {known}"})
            deliveries = deliveries.filter(status=wanted)
        return self.answer_list(deliveries.defer("body"), DeliverySerializer, "-pk")


class DeliveryView(PlaceView):
    serializer_class = WholeDeliverySerializer

    def get(self, request: Request, **kwargs: Any) -> Response:
        return Response(WholeDeliverySerializer(self.find_delivery()).data)


class RedeliverView(PlaceView):
    """Send one delivery again, with the same id and body."""

    serializer_class = DeliverySerializer

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def post(self, request: Request, **kwargs: Any) -> Response:
        found = self.find_delivery()
        self.read_nothing()
        take("redeliveries", self.actor)
        try:
            delivery = redeliver(delivery=found)
        except WebhookIsOff as error:
            raise Conflict(str(error)) from error
        return Response(
            DeliverySerializer(delivery).data, status=status.HTTP_202_ACCEPTED
        )


class RedeliverFailedView(PlaceView):
    """Send again all that failed since a time."""

    serializer_class = CountSerializer

    @extend_schema(request=SinceSerializer, responses={202: CountSerializer})
    def post(self, request: Request, **kwargs: Any) -> Response:
        webhook = self.find_webhook()
        since = self.read(SinceSerializer)["since"]
        take("redeliveries", self.actor)
        try:
            count = redeliver_failed_since(webhook=webhook, since=since)
        except WebhookIsOff as error:
            raise Conflict(str(error)) from error
        return Response({"count": count}, status=status.HTTP_202_ACCEPTED)


class CallbackView(ApiView):
    """Take a receiver's report about an image; knowing the URL is the right."""

    serializer_class = ReportSerializer
    parser_classes = [AnyJSONParser]
    takes_from_anonymous = True
    takes_unknown = True

    @extend_schema(request=NewReportSerializer, responses={201: ReportSerializer})
    def post(self, request: Request, token: str) -> Response:
        uuid = delivery_of_callback(token)
        delivery = Delivery.objects.filter(uuid=uuid).first() if uuid else None
        if delivery is None:
            raise Http404
        if int(request.META.get("CONTENT_LENGTH") or 0) > REPORT_MAX_BYTES:
            raise BodyTooLarge(REPORT_MAX_BYTES)
        fields = self.read(NewReportSerializer)
        try:
            report = record_report(delivery=delivery, **fields)
        except ReportInvalid as error:
            raise ValidationError({error.field: str(error)}) from error
        return Response(ReportSerializer(report).data, status=status.HTTP_201_CREATED)
