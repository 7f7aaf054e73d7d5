"""What happened in a namespace lately, in a few words for the side of its page."""

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.events import AccountEvent
from accounts.models import Namespace
from hub.activity.sentences import Told
from repositories.models import Event, Repository

LOOKED_AT = 400  # events, the newest: however much happened, it costs no more
SHOWN = 5


def tell_lately(
    namespace: Namespace,
    seen: "QuerySet[Repository]",
    *,
    tells_of_people: bool,
    tells_of_robots: bool,
) -> list[Told]:
    """Tell of what is seen, and of people and of robots to those who may know.

    One query over the newest events; what is older is found on the pages of each
    repository and in the audit log.
    """
    newest = Event.objects.of_namespace(namespace).order_by("-pk").values("pk")
    wanted = Q(kind__in=_OF_REPOSITORIES, repository__in=seen.values("pk"))
    if tells_of_people:
        wanted |= Q(kind__in=_OF_PEOPLE)
    if tells_of_robots:
        wanted |= Q(kind__in=_OF_ROBOTS)
    events = (
        Event.objects.filter(wanted, pk__in=newest[:LOOKED_AT])
        .select_related("repository__namespace")
        .defer("repository__readme")
        .order_by("-at", "-pk")[:SHOWN]
    )
    return [_tell(event) for event in events]


def _tell(event: Event) -> Told:
    icon, say = (_OF_REPOSITORIES | _OF_PEOPLE | _OF_ROBOTS)[event.kind]
    detail = event.detail if isinstance(event.detail, dict) else {}
    return Told(event, icon, say(event, detail))


def _image(event: Event, detail: dict[str, Any]) -> SafeString:
    """Write api:2.8.1, with the page that it leads to."""
    assert event.repository is not None, "events of what is seen were asked for"
    tag = str(detail.get("tag", ""))
    return format_html(
        '<a class="mono plain" href="{}:{}">{}:{}</a>',
        event.repository.get_absolute_url(),
        tag,
        event.repository.name,
        tag,
    )


def _say_of_tag(words: str) -> "Say":
    return lambda event, detail: format_html(_(words), image=_image(event, detail))


def _say_deleted(event: Event, detail: dict[str, Any]) -> SafeString:
    assert event.repository is not None, "events of what is seen were asked for"
    name = f"{event.repository.name}:{detail.get('tag', '')}"
    image = format_html('<span class="mono">{}</span>', name)
    return format_html(_("deleted {image}"), image=image)


def _say_of_repository(words: str) -> "Say":
    def say(event: Event, detail: dict[str, Any]) -> SafeString:
        assert event.repository is not None, "events of what is seen were asked for"
        address = event.repository.get_absolute_url()
        name = format_html(
            '<a class="plain" href="{}">{}</a>', address, event.repository.name
        )
        return format_html(_(words), name=name)

    return say


def _say_visibility(event: Event, detail: dict[str, Any]) -> SafeString:
    if detail.get("visibility") == Repository.Visibility.PUBLIC:
        return _say_of_repository("made {name} public")(event, detail)
    return _say_of_repository("made {name} private")(event, detail)


def _say_of_member(words: str, of_oneself: str) -> "Say":
    def say(event: Event, detail: dict[str, Any]) -> SafeString:
        is_own = event.actor_name == detail.get("member")
        return format_html(
            _(of_oneself if is_own else words),
            member=format_html("<b>{}</b>", detail.get("member", "")),
            team=format_html("<b>{}</b>", detail.get("team", "")),
        )

    return say


def _say_of_robot(words: str) -> "Say":
    return lambda event, detail: format_html(
        _(words), robot=format_html("<b>{}</b>", detail.get("robot", ""))
    )


Say = Callable[[Event, dict[str, Any]], SafeString]
_OF_REPOSITORIES: dict[str, tuple[str, Say]] = {
    Event.Kind.TAG_PUSHED: ("arrow-up-from-line", _say_of_tag("pushed {image}")),
    Event.Kind.TAG_DELETED: ("trash-2", _say_deleted),
    Event.Kind.TAG_RESTORED: ("undo-2", _say_of_tag("restored {image}")),
    Event.Kind.REPOSITORY_CREATED: (
        "package-plus",
        _say_of_repository("created {name}"),
    ),
    Event.Kind.REPOSITORY_RENAMED: (
        "pencil",
        _say_of_repository("renamed a repository to {name}"),
    ),
    Event.Kind.REPOSITORY_VISIBILITY: ("eye", _say_visibility),
}
_OF_PEOPLE: dict[str, tuple[str, Say]] = {
    AccountEvent.MEMBER_ADDED: (
        "user-plus",
        _say_of_member("added {member} to {team}", "joined {team}"),
    ),
    AccountEvent.MEMBER_REMOVED: (
        "user-minus",
        _say_of_member("removed {member} from {team}", "left {team}"),
    ),
}
_OF_ROBOTS: dict[str, tuple[str, Say]] = {
    AccountEvent.ROBOT_CREATED: ("bot", _say_of_robot("created robot {robot}")),
    AccountEvent.ROBOT_TOKEN_REPLACED: (
        "key-round",
        _say_of_robot("replaced the token of {robot}"),
    ),
}
