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
    PAYLOAD = "payload", "the payload cannot be rendered"
    SWITCHED_OFF = "switched-off", "the webhook is switched off"
    FAULT = "fault", "something went wrong in Berth itself"


# On a page, in a word and with what to do about it.
WORDS = {
    Problem.NAME: "No such host",
    Problem.FORBIDDEN: "Not allowed",
    Problem.REFUSED: "Refused",
    Problem.UNREACHABLE: "Unreachable",
    Problem.TLS: "TLS failed",
    Problem.TIMEOUT: "Timed out",
    Problem.BROKEN: "Broke off",
    Problem.REDIRECT: "Redirect",
    Problem.STATUS: "Error",
    Problem.GONE: "Gone",
    Problem.INTERRUPTED: "Interrupted",
    Problem.SETTINGS: "Unusable settings",
    Problem.PAYLOAD: "No payload",
    Problem.SWITCHED_OFF: "Switched off",
    Problem.FAULT: "Berth error",
}
ADVICE = {
    Problem.NAME: "Is the host of the URL spelled right, and does this server's DNS "
    "know it?",
    Problem.FORBIDDEN: "Webhooks go to public addresses only. For a receiver inside, "
    "ask an administrator of this site to allow its network.",
    Problem.REFUSED: "Does the receiver run, and is the port of the URL right?",
    Problem.UNREACHABLE: "Is the receiver's machine up, and does a firewall let this "
    "server through?",
    Problem.TLS: "Is the certificate for this host, not expired, and sent with its "
    "chain? Is the port one for https?",
    Problem.TIMEOUT: "Answer at once and do the work afterwards: there are ten seconds "
    "in all.",
    Problem.BROKEN: "Does an HTTP server listen on this port, and not one for https?",
    Problem.REDIRECT: "Give the webhook the URL that it leads to.",
    Problem.STATUS: "The receiver returned an error; its answer and its log say why.",
    Problem.GONE: "The receiver said for good that it wants nothing any more.",
    Problem.INTERRUPTED: "Nothing is wrong with the receiver, as far as is known. Send "
    "it again.",
    Problem.SETTINGS: "Set the URL, the secret and the headers again.",
    Problem.PAYLOAD: "Change the template or the format of the webhook, then send it "
    "again.",
    Problem.SWITCHED_OFF: "Switch the webhook on and send it again.",
    Problem.FAULT: "This is for an administrator of the site: the worker's log says "
    "where it happened.",
}
