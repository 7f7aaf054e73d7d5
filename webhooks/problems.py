"""Why a delivery failed, as a word for programs and in words for people."""

from django.db import models


class Problem(models.TextChoices):
    """What stood in the way; the explanations are in docs/webhooks.md."""

    NAME = "name", "the host's name cannot be found"
    FORBIDDEN = "forbidden", "the address may not be reached"
    REFUSED = "refused", "nobody listens there"
    UNREACHABLE = "unreachable", "there is no way to the address"
    TLS = "tls", "the TLS connection failed"
    TIMEOUT = "timeout", "the answer took too long"
    BROKEN = "broken", "the connection broke off, or the answer was not HTTP"
    REDIRECT = "redirect", "the receiver sent us elsewhere"
    STATUS = "status", "the receiver answered with an error"
    GONE = "gone", "the receiver does not want any more"
    INTERRUPTED = "interrupted", "the worker was stopped before it knew"
    SETTINGS = "settings", "the webhook's settings cannot be used"
    SWITCHED_OFF = "switched-off", "the webhook is switched off"
