"""One's notifications (/user/notifications)."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api.accounts.access import full_person
from api.kit.views import ApiView
from notifications.api.serializers import (
    NotificationSerializer,
    PreferenceSerializer,
    ReadCountSerializer,
    ReadThroughSerializer,
)
from notifications.models import Notification
from notifications.preferences import prefer_mail, prefers_mail, read_through


class NotificationsView(ApiView):
    """The notifications that the user may still see, newest first."""

    serializer_class = NotificationSerializer
    is_list = True

    def get(self, request: Request) -> Response:
        full_person(self.actor)
        rows = Notification.objects.readable_by(self.actor).with_event()
        return self.answer_list(rows, NotificationSerializer, "-pk")


class ReadNotificationsView(ApiView):
    """Marking notifications as read."""

    serializer_class = ReadCountSerializer

    @extend_schema(request=ReadThroughSerializer, responses=ReadCountSerializer)
    def post(self, request: Request) -> Response:
        """Mark this one and all before it as read."""
        user = full_person(self.actor)
        last = self.read(ReadThroughSerializer)["last"]
        return Response({"read_count": read_through(user=user, last=last)})


class PreferenceView(ApiView):
    """The user's choice of notifications by mail."""

    serializer_class = PreferenceSerializer

    def get(self, request: Request) -> Response:
        user = full_person(self.actor)
        return Response({"wants_mail": prefers_mail(user)})

    @extend_schema(request=PreferenceSerializer, responses=PreferenceSerializer)
    def put(self, request: Request) -> Response:
        user = full_person(self.actor)
        fields = self.read(PreferenceSerializer)
        prefer_mail(user=user, wants_mail=fields["wants_mail"])
        return Response(fields)
