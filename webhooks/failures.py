"""Why a delivery failed, as a word for programs and in words for people."""

from django.db import models


class FailureReason(models.TextChoices):
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
    PAYLOAD = "payload", "the payload cannot be rendered"
    SWITCHED_OFF = "switched-off", "the webhook is switched off"
    FAULT = "fault", "something went wrong in Berth itself"


# On a page, in a word and with what to do about it.
WORDS = {
    FailureReason.NAME: "No such host",
    FailureReason.FORBIDDEN: "Not allowed",
    FailureReason.REFUSED: "Refused",
    FailureReason.UNREACHABLE: "Unreachable",
    FailureReason.TLS: "TLS failed",
    FailureReason.TIMEOUT: "Timed out",
    FailureReason.BROKEN: "Broke off",
    FailureReason.REDIRECT: "Redirect",
    FailureReason.STATUS: "Error",
    FailureReason.GONE: "Gone",
    FailureReason.INTERRUPTED: "Interrupted",
    FailureReason.SETTINGS: "Unusable settings",
    FailureReason.PAYLOAD: "No payload",
    FailureReason.SWITCHED_OFF: "Switched off",
    FailureReason.FAULT: "Berth error",
}
ADVICE = {
    FailureReason.NAME: (
        "Is the host of the URL spelled right, and does this server's DNS know it?"
    ),
    FailureReason.FORBIDDEN: (
        "Webhooks go to public addresses only. For a receiver inside, ask an "
        "administrator of this site to allow its network."
    ),
    FailureReason.REFUSED: "Does the receiver run, and is the port of the URL right?",
    FailureReason.UNREACHABLE: (
        "Is the receiver's machine up, and does a firewall let this server through?"
    ),
    FailureReason.TLS: (
        "Is the certificate for this host, not expired, and sent with its chain? Is "
        "the port one for https?"
    ),
    FailureReason.TIMEOUT: (
        "Answer at once and do the work afterwards: there are ten seconds in all."
    ),
    FailureReason.BROKEN: (
        "Does an HTTP server listen on this port, and not one for https?"
    ),
    FailureReason.REDIRECT: "Give the webhook the URL that it leads to.",
    FailureReason.STATUS: (
        "The receiver returned an error; its answer and its log say why."
    ),
    FailureReason.GONE: "The receiver said for good that it wants nothing any more.",
    FailureReason.INTERRUPTED: (
        "Nothing is wrong with the receiver, as far as is known. Send it again."
    ),
    FailureReason.SETTINGS: "Set the URL, the secret and the headers again.",
    FailureReason.PAYLOAD: (
        "Change the template or the format of the webhook, then send it again."
    ),
    FailureReason.SWITCHED_OFF: "Switch the webhook on and send it again.",
    FailureReason.FAULT: (
        "This is for an administrator of the site: the worker's log says where it "
        "happened."
    ),
}
