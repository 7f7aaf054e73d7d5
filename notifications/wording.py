"""The words of a notification, as plain text: for pages, the API and mail."""

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from accounts.events import AccountEvent
from notifications.models import FOR_ADMINISTRATORS, WEBHOOK_DISABLED, Notification
from repositories.events.words import WORDS
from repositories.models import Event


@dataclass(frozen=True, slots=True)
class Wording:
    """A notification as it is read."""

    icon: str
    headline: str
    explanation: str
    is_code: bool  # the explanation, a digest
    path: str
    at: datetime
    is_read: bool


def wording_of(notification: Notification) -> Wording:
    """Put a notification into words; its event has been fetched with it."""
    event = notification.event
    is_warning = event.kind in FOR_ADMINISTRATORS
    return Wording(
        icon="circle-alert" if is_warning else WORDS[event.kind].icon,
        headline=headline_of(event),
        explanation=explanation_of(event),
        is_code=not is_warning,
        path=path_of(event),
        at=event.at,
        is_read=notification.is_read,
    )


def headline_of(event: Event) -> str:
    """Return a line without line breaks: "alice pushed acme/api:v1"."""
    place = _place_of(event)
    if event.kind == WEBHOOK_DISABLED:
        return _("A webhook of %(place)s was disabled") % {"place": place}
    if event.kind == AccountEvent.ROBOT_EXPIRES:
        return _("The robot %(robot)s expires soon") % {"robot": _robot_of(event)}
    return _("%(who)s pushed %(image)s") % {
        "who": event.actor_name or _("Someone"),
        "image": f"{place}:{event.detail.get('tag', '')}",
    }


def explanation_of(event: Event) -> str:
    """Return what else there is to know: the digest, or why it was disabled."""
    if event.kind == WEBHOOK_DISABLED:
        return _("%(webhook)s: %(reason)s") % {
            "webhook": event.detail.get("name") or event.detail.get("host", ""),
            "reason": event.detail.get("reason", ""),
        }
    if event.kind == AccountEvent.ROBOT_EXPIRES:
        return _("It stops at %(time)s UTC. Change its expiry to keep it.") % {
            "time": str(event.detail.get("expires_at", ""))[:16].replace("T", " ")
        }
    return str(event.detail.get("digest", ""))


def path_of(event: Event) -> str:
    """Return the address of the page where one continues from there."""
    if event.repository is not None:
        page = event.repository.get_absolute_url()
        if event.kind == WEBHOOK_DISABLED:
            return f"{page}/-/webhooks"
        return f"{page}:{event.detail.get('tag', '')}"
    if event.kind == AccountEvent.ROBOT_EXPIRES and event.namespace is not None:
        name = _robot_of(event).partition("+")[2]
        return f"/{event.namespace.name}/-/robots/{name}"
    if event.namespace is not None:
        return f"/{event.namespace.name}/-/webhooks"
    return "/-/webhooks"


def _robot_of(event: Event) -> str:
    return str(event.detail.get("robot", ""))


def _place_of(event: Event) -> str:
    if event.repository is not None:
        return event.repository.full_name  # as it is called now
    return event.namespace_name or _("the site")
