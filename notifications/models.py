from datetime import datetime

from django.db import models
from django.db.models import Q

from accounts.actors import Actor
from accounts.events import AccountEvent
from accounts.namespace_rights import namespaces_administered_by
from accounts.site_rights import administering_user
from repositories.models import Event, Repository

WEBHOOK_DISABLED = "webhook.disabled"  # an event's kind, of the app webhooks
# Of these, those are notified who administer the place.
FOR_ADMINISTRATORS = (WEBHOOK_DISABLED, AccountEvent.ROBOT_EXPIRES)


class Preference(models.Model):
    """A user's choice about mail; without a row, mail is sent."""

    user = models.OneToOneField(
        "accounts.User",
        on_delete=models.CASCADE,
        related_name="notification_preference",
    )
    wants_mail = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"preference {self.pk}"


class NotificationQuerySet(models.QuerySet["Notification"]):
    def readable_by(self, actor: Actor) -> "NotificationQuerySet":
        """Keep the actor's own, of what the actor may still know of.

        A right that was lost since takes the notifications along: who may not pull any
        more hears of no push, and who may not change a webhook of no failure.
        """
        pulled = Repository.objects.visible_to(actor).values("pk")
        hooked = Repository.objects.hooked_by(actor).values("pk")
        of_namespace = Q(event__namespace__in=namespaces_administered_by(actor))
        of_site = Q(event__namespace_name="", user__in=administering_user(actor))
        may_hook = Q(event__repository__in=hooked) | Q(
            of_namespace | of_site, event__repository=None
        )
        return self.filter(
            Q(event__repository__in=pulled) & ~Q(event__kind__in=FOR_ADMINISTRATORS)
            | may_hook & Q(event__kind__in=FOR_ADMINISTRATORS),
            user=actor.user_id,
        )

    def unread(self) -> "NotificationQuerySet":
        return self.filter(is_read=False)

    def unsent(self) -> "NotificationQuerySet":
        """Keep those that wait to be mailed."""
        return self.filter(mail__in=["due", "sending"])

    def older_than(self, time: datetime) -> "NotificationQuerySet":
        return self.filter(created_at__lt=time)

    def with_event(self) -> "NotificationQuerySet":
        """Fetch what notifications/wording.py says of them along."""
        # A README is long, and would come with every row.
        return self.select_related(
            "event__repository__namespace", "event__namespace"
        ).defer("event__repository__readme")


class Notification(models.Model):
    """A notification of an event, on the site and perhaps by mail.

    The event says what happened; when it expires, so does this.
    """

    class Mail(models.TextChoices):
        NONE = "none"  # not wanted
        DUE = "due"
        SENDING = "sending"  # of an older version; taken as due
        SENT = "sent"

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="notifications"
    )
    event = models.ForeignKey(
        "repositories.Event", on_delete=models.CASCADE, related_name="notifications"
    )
    is_read = models.BooleanField(default=False)
    mail = models.CharField(max_length=7, choices=Mail.choices, default=Mail.NONE)
    mail_at = models.DateTimeField(null=True)  # when it was queued
    created_at = models.DateTimeField(auto_now_add=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["user", "event"], name="notification_unique"
            )
        ]
        indexes = [
            models.Index(
                fields=["user"],
                condition=Q(is_read=False),
                name="notification_unread",
            ),
            models.Index(
                fields=["user"],
                condition=Q(mail__in=["due", "sending"]),
                name="notification_unsent",
            ),
            models.Index(fields=["created_at"], name="notification_age"),
        ]

    def __str__(self) -> str:
        return f"notification {self.pk}"


def notifies_people(event: Event) -> bool:
    """Return whether an event is of a kind that causes notifications."""
    return event.kind in {Event.Kind.TAG_PUSHED, *FOR_ADMINISTRATORS}
