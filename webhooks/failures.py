"""Reasons of failed deliveries, as a word for programs and in words for people."""

from django.db import models


class FailureReason(models.TextChoices):
    """The reason of a failure; the explanations are in docs/webhooks.md."""

    NAME = "name", "the host name cannot be resolved"
    FORBIDDEN = "forbidden", "webhooks cannot be sent to this address"
    REFUSED = "refused", "connection refused"
    UNREACHABLE = "unreachable", "the network is unreachable"
    TLS = "tls", "the TLS connection failed"
    TIMEOUT = "timeout", "the response took too long"
    BROKEN = "broken", "the connection was lost, or the response was not HTTP"
    REDIRECT = "redirect", "the receiver redirected the request"
    STATUS = "status", "the receiver returned an error"
    GONE = "gone", "the receiver unsubscribed (410)"
    INTERRUPTED = "interrupted", "the worker was stopped before the response arrived"
    SETTINGS = "settings", "the webhook's settings cannot be used"
    PAYLOAD = "payload", "the payload cannot be rendered"
    DISABLED = "disabled", "the webhook is disabled"
    FAULT = "fault", "an internal error in Berth"


# On a page, in a word and with what to do about it.
WORDS = {
    FailureReason.NAME: "No such host",
    FailureReason.FORBIDDEN: "Not allowed",
    FailureReason.REFUSED: "Refused",
    FailureReason.UNREACHABLE: "Unreachable",
    FailureReason.TLS: "TLS failed",
    FailureReason.TIMEOUT: "Timed out",
    FailureReason.BROKEN: "Connection lost",
    FailureReason.REDIRECT: "Redirect",
    FailureReason.STATUS: "Error",
    FailureReason.GONE: "Unsubscribed",
    FailureReason.INTERRUPTED: "Interrupted",
    FailureReason.SETTINGS: "Unusable settings",
    FailureReason.PAYLOAD: "No payload",
    FailureReason.DISABLED: "Disabled",
    FailureReason.FAULT: "Berth error",
}
ADVICE = {
    FailureReason.NAME: (
        "Is the host of the URL spelled correctly, and can this server resolve it?"
    ),
    FailureReason.FORBIDDEN: (
        "Webhooks go to public addresses only. For an internal receiver, ask an "
        "administrator of this site to allow its network."
    ),
    FailureReason.REFUSED: (
        "Is the receiver running, and is the port of the URL correct?"
    ),
    FailureReason.UNREACHABLE: (
        "Is the receiver's machine running, and does a firewall block this server?"
    ),
    FailureReason.TLS: (
        "Is the certificate valid for this host, not expired, and sent with its "
        "chain? Does the port speak HTTPS?"
    ),
    FailureReason.TIMEOUT: (
        "Respond immediately and do the work afterwards: the limit is 10 seconds in "
        "total."
    ),
    FailureReason.BROKEN: "Does this port speak HTTP rather than HTTPS?",
    FailureReason.REDIRECT: "Set the webhook's URL to the address of the redirect.",
    FailureReason.STATUS: (
        "The receiver returned an error. See its response and its log."
    ),
    FailureReason.GONE: "The receiver answered 410 Gone: it wants no more deliveries.",
    FailureReason.INTERRUPTED: (
        "The receiver is not known to be at fault. Redeliver it."
    ),
    FailureReason.SETTINGS: "Set the URL, the secret and the headers again.",
    FailureReason.PAYLOAD: (
        "Change the template or the format of the webhook, then redeliver it."
    ),
    FailureReason.DISABLED: "Enable the webhook and redeliver it.",
    FailureReason.FAULT: "Ask an administrator of this site to check the worker's log.",
}
