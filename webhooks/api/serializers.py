"""Serializers of webhooks: never a secret, and of headers only the names."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models.fields import validate_line
from webhooks.formats import FORMATS
from webhooks.message import EventName
from webhooks.models import Attempt, Delivery, Report, Webhook
from webhooks.rendering import shown_body
from webhooks.sealing import SealBroken

EVENT_CHOICES = [name.value for name in EventName]


ATTEMPTS_SHOWN = 20  # of one delivery, the newest; each has up to 64 KiB of a response


class WebhookSerializer(serializers.ModelSerializer[Webhook]):
    url = serializers.SerializerMethodField()
    tags = serializers.CharField(source="tag_glob")
    headers = serializers.SerializerMethodField()
    active = serializers.BooleanField(source="is_active")

    class Meta:
        model = Webhook
        fields = (
            "id",
            "name",
            "url",
            "events",
            "format",
            "options",
            "tags",
            "headers",
            "active",
            "disabled_reason",
            "failing_since",
            "succeeded_at",
            "created_by",
            "created_at",
        )

    def get_url(self, webhook: Webhook) -> str | None:
        """None when it cannot be read any more, since the secret key has changed."""
        try:
            return webhook.url
        except SealBroken:
            return None

    @extend_schema_field(
        {"type": "object", "additionalProperties": {"type": "string", "nullable": True}}
    )
    def get_headers(self, webhook: Webhook) -> dict[str, None]:
        return dict.fromkeys(webhook.header_names)


class MadeWebhookSerializer(WebhookSerializer):
    """The one answer that has the secret."""

    secret = serializers.CharField()

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "secret")  # type: ignore[assignment]


class FormatSerializer(serializers.Serializer[Any]):
    format = serializers.ChoiceField(list(FORMATS), default="native")
    options = serializers.DictField(required=False)
    events = serializers.ListField(
        child=serializers.ChoiceField(EVENT_CHOICES),
        allow_empty=False,
        max_length=len(EVENT_CHOICES),
    )


class NewWebhookSerializer(FormatSerializer):
    """In ``headers``, null keeps the value that is there."""

    url = serializers.CharField(max_length=2000)
    name = serializers.CharField(
        max_length=100, allow_blank=True, required=False, validators=[validate_line]
    )
    secret = serializers.CharField(max_length=200, required=False, allow_blank=True)
    tags = serializers.CharField(
        max_length=128, allow_blank=True, required=False, source="tag_glob"
    )
    headers = serializers.DictField(
        child=serializers.CharField(max_length=4000, allow_null=True), required=False
    )
    active = serializers.BooleanField(required=False, source="is_active")


class ChangedWebhookSerializer(NewWebhookSerializer):
    rotate_secret = serializers.BooleanField(required=False, default=False)
    format = serializers.ChoiceField(list(FORMATS), required=False)


class PreviewSerializer(serializers.Serializer[Any]):
    content_type = serializers.CharField()
    body = serializers.CharField()


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    id = serializers.UUIDField(source="uuid")
    repository = serializers.CharField(source="repository_name")
    attempts = serializers.IntegerField(source="attempt_count")
    next_attempt_at = serializers.SerializerMethodField()
    test = serializers.BooleanField(source="is_test")

    class Meta:
        model = Delivery
        fields: tuple[str, ...] = (
            "id",
            "event",
            "kind",
            "repository",
            "tag",
            "digest",
            "status",
            "attempts",
            "problem",
            "reason",
            "test",
            "created_at",
            "finished_at",
            "next_attempt_at",
        )

    def get_next_attempt_at(self, delivery: Delivery) -> str | None:
        if delivery.status != Delivery.Status.WAITING:
            return None
        return serializers.DateTimeField().to_representation(delivery.due_at)


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = (
            "number",
            "started_at",
            "ended_at",
            "took_milliseconds",
            "address",
            "request_headers",
            "status_code",
            "response_headers",
            "response_body",
            "is_truncated",
            "problem",
            "reason",
        )


class WholeDeliverySerializer(DeliverySerializer):
    """With what was sent and what came back, the last attempt first."""

    request = serializers.SerializerMethodField()
    log = serializers.SerializerMethodField()

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "request", "log")

    def get_request(self, delivery: Delivery) -> dict[str, str]:
        return {"content_type": delivery.content_type, "body": shown_body(delivery)}

    def get_log(self, delivery: Delivery) -> list[dict[str, Any]]:
        attempts = delivery.attempts.order_by("-number")[:ATTEMPTS_SHOWN]
        return list(AttemptSerializer(attempts, many=True).data)


class SinceSerializer(serializers.Serializer[Any]):
    since = serializers.DateTimeField()


class CountSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()


class NewReportSerializer(serializers.Serializer[Any]):
    """As docs.docker.com has it; longer texts are cut."""

    state = serializers.ChoiceField(Report.State.choices)
    description = serializers.CharField(required=False, allow_blank=True, default="")
    context = serializers.CharField(  # type: ignore[assignment]  # a field, no attribute
        required=False, allow_blank=True, default=""
    )
    target_url = serializers.CharField(required=False, allow_blank=True, default="")


class ReportSerializer(serializers.ModelSerializer[Report]):
    class Meta:
        model = Report
        fields = ("state", "description", "context", "target_url", "at")
