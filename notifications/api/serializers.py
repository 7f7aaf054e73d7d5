"""Serializers of notifications."""

from typing import Any

from rest_framework import serializers

from notifications.models import Notification
from notifications.wording import headline_of, path_of


class NotificationSerializer(serializers.ModelSerializer[Notification]):
    event = serializers.IntegerField(source="event_id", read_only=True)
    kind = serializers.CharField(source="event.kind", read_only=True)
    at = serializers.DateTimeField(source="event.at", read_only=True)
    actor = serializers.CharField(source="event.actor_name", read_only=True)
    repository = serializers.SerializerMethodField()
    headline = serializers.SerializerMethodField()
    path = serializers.SerializerMethodField()

    class Meta:
        model = Notification
        fields = (
            *("id", "event", "kind", "at", "actor", "repository", "headline", "path"),
            "is_read",
        )
        read_only_fields = ("is_read",)

    def get_repository(self, notification: Notification) -> str | None:
        repository = notification.event.repository
        return None if repository is None else repository.full_name

    def get_headline(self, notification: Notification) -> str:
        return headline_of(notification.event)

    def get_path(self, notification: Notification) -> str:
        return path_of(notification.event)


class ReadThroughSerializer(serializers.Serializer[Any]):
    last = serializers.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        help_text="the id of the last one that is read",
    )


class ReadCountSerializer(serializers.Serializer[Any]):
    read_count = serializers.IntegerField()


class PreferenceSerializer(serializers.Serializer[Any]):
    wants_mail = serializers.BooleanField()
