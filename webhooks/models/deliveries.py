import uuid

from django.db import models
from django.db.models import Q

from webhooks.failures import FailureReason


class Delivery(models.Model):
    """One message to one webhook, until it is delivered or given up.

    ``uuid`` is the id that the receiver sees, the same on every attempt, with the same
    body. ``due_at`` says when a worker may take it: in the future while it waits for
    its next try, and while a worker has it on loan (``claim``): one whose worker
    was killed is due again when the loan is over.
    """

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        DELIVERED = "delivered"
        FAILED = "failed"

    OPEN = (Status.WAITING, Status.SENDING)

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    webhook = models.ForeignKey(
        "webhooks.Webhook", on_delete=models.CASCADE, related_name="deliveries"
    )
    # The row of the log that it tells of; none for a test.
    recorded = models.ForeignKey(
        "repositories.Event", on_delete=models.SET_NULL, null=True, blank=True
    )
    event = models.CharField(max_length=20)
    kind = models.CharField(max_length=40)
    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.SET_NULL, null=True, blank=True
    )
    repository_name = models.CharField(max_length=255, blank=True)
    tag = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=140, blank=True)
    # Of a delivery that tells of pulls: how many, and when. They are not in the log.
    pulls = models.JSONField(null=True, blank=True)
    content_type = models.CharField(max_length=100)
    # Empty until the worker renders it for the first attempt (webhooks/rendering.py).
    body = models.TextField(blank=True)
    is_test = models.BooleanField(default=False)
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.WAITING
    )
    due_at = models.DateTimeField()
    dispatched_at = models.DateTimeField(
        null=True, blank=True
    )  # a message is on its way
    claim = models.UUIDField(null=True, blank=True)
    try_count = models.PositiveIntegerField(default=0)  # on the ladder
    attempt_count = models.PositiveIntegerField(default=0)  # all of them
    problem = models.CharField(max_length=20, choices=FailureReason.choices, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "recorded"],
                condition=Q(recorded__isnull=False),
                name="delivery_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(status__in=["waiting", "sending"]),
                name="delivery_due",
            ),
            models.Index(fields=["webhook", "-id"], name="delivery_log"),
            models.Index(fields=["created_at"], name="delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.repository_name} {self.tag}".rstrip()

    @property
    def is_open(self) -> bool:
        return self.status in self.OPEN


class Attempt(models.Model):
    """One request of a delivery, and what came back once ``ended_at`` is set."""

    delivery = models.ForeignKey(
        "webhooks.Delivery", on_delete=models.CASCADE, related_name="attempts"
    )
    number = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    took_milliseconds = models.PositiveIntegerField(null=True, blank=True)
    address = models.GenericIPAddressField(null=True, blank=True)
    request_headers = models.JSONField(default=dict)  # custom values are hidden
    status_code = models.PositiveIntegerField(null=True, blank=True)
    response_headers = models.JSONField(default=dict)
    response_body = models.TextField(blank=True)
    is_truncated = models.BooleanField(default=False)
    problem = models.CharField(max_length=20, choices=FailureReason.choices, blank=True)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["delivery", "number"], name="attempt_number"
            )
        ]

    def __str__(self) -> str:
        return f"{self.number} of {self.delivery_id}"
