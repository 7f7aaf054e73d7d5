"""Events of a repository, as sentences for people.

Every sentence is made of escaped parts. One place decides which events everyone who may
see the repository gets, and which only those who may grant.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.template.loader import render_to_string
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.events import AccountEvent
from repositories.events.words import WORDS
from repositories.models import Event, Manifest, ManifestReference, Repository
from repositories.oci.artifacts import ArtifactKind, kind_of
from repositories.oci.documents import ReferenceKind


@dataclass(frozen=True, slots=True)
class ActivityItem:
    """One line of the activity."""

    event: Event
    icon: str
    sentence: SafeString
    is_live: bool = False  # a push


def activity_items(repository: Repository, events: list[Event]) -> list[ActivityItem]:
    """Turn events into lines. Two queries, however many events.

    The images of an index came with it, and have no line of their own; what refers to
    an image is shown as attached to it.
    """
    pushed = {
        event.detail.get("digest")
        for event in events
        if event.kind == Event.Kind.MANIFEST_PUSHED and isinstance(event.detail, dict)
    }
    listed = set(
        ManifestReference.objects.filter(
            repository=repository, digest__in=pushed, kind=ReferenceKind.CHILD
        ).values_list("digest", flat=True)
    )
    attached = {
        digest: (subject, kind_of(artifact_type))
        for digest, subject, artifact_type in Manifest.objects.filter(
            repository=repository, digest__in=pushed
        )
        .exclude(subject_digest="")
        .values_list("digest", "subject_digest", "artifact_type")
    }
    lines = []
    for event in events:
        line = _item_of(repository, event)
        if event.kind == Event.Kind.MANIFEST_PUSHED and isinstance(event.detail, dict):
            digest = event.detail.get("digest")
            if digest in listed:
                continue
            if digest in attached:
                line = _item_of_attached(repository, event, *attached[digest])
        lines.append(line)
    return lines


def _item_of_attached(
    repository: Repository, event: Event, subject: str, kind: ArtifactKind
) -> ActivityItem:
    words = {
        ArtifactKind.SIGNATURE: _("attached the signature {digest} to {subject}"),
        ArtifactKind.SBOM: _("attached the SBOM {digest} to {subject}"),
        ArtifactKind.PROVENANCE: _("attached the provenance {digest} to {subject}"),
        ArtifactKind.ATTESTATION: _("attached the attestation {digest} to {subject}"),
        ArtifactKind.OTHER: _("attached {digest} to {subject}"),
    }
    sentence = format_html(
        words[kind],
        digest=_digest(repository, event.detail.get("digest")),
        subject=_digest(repository, subject),
    )
    return ActivityItem(event, "link", sentence, is_live=True)


def _item_of(repository: Repository, event: Event) -> ActivityItem:
    sentence = SENTENCES.get(event.kind)
    say = sentence.long if sentence else None
    icon = WORDS[event.kind].icon if say else "activity"
    say = say or _say_kind
    return ActivityItem(
        event,
        icon,
        say(repository, event.detail if isinstance(event.detail, dict) else {}, event),
        is_live=event.kind in {Event.Kind.TAG_PUSHED, Event.Kind.MANIFEST_PUSHED},
    )


def short_line(event: Event) -> ActivityItem:
    """Turn an event into a line among those of other repositories. No query."""
    say = SENTENCES[event.kind].short
    assert say is not None, "the list asks for kinds that have a short sentence"
    detail = event.detail if isinstance(event.detail, dict) else {}
    return ActivityItem(event, WORDS[event.kind].icon, say(event, detail))


def _tag(repository: Repository, detail: dict[str, Any]) -> SafeString:
    tag = str(detail.get("tag", ""))
    return format_html(
        '<a class="mono" href="{}:{}">{}</a>', repository.get_absolute_url(), tag, tag
    )


def _digest(repository: Repository, digest: object) -> SafeString:
    text = str(digest or "")
    url = f"{repository.get_absolute_url()}@{text}"
    return render_to_string("components/digest.html", {"digest": text, "url": url})


def _say_push(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    tag, digest = _tag(repository, detail), _digest(repository, detail.get("digest"))
    if detail.get("previous_digest"):
        return format_html(
            _("moved {tag} from {previous} to {digest}"),
            tag=tag,
            previous=_digest(repository, detail["previous_digest"]),
            digest=digest,
        )
    return format_html(_("pushed {tag}, {digest}"), tag=tag, digest=digest)


def _say_tag_gone(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    return format_html(
        _("deleted the tag {tag}, which was {digest}"),
        tag=format_html('<b class="mono">{}</b>', detail.get("tag", "")),
        digest=_digest(repository, detail.get("digest")),
    )


def _say_tag_back(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    return format_html(
        _("restored {tag}, {digest}"),
        tag=_tag(repository, detail),
        digest=_digest(repository, detail.get("digest")),
    )


def _say_manifest(words: str) -> "Say":
    def say(repository: Repository, detail: dict[str, Any], event: Event) -> SafeString:
        return format_html(_(words), digest=_digest(repository, detail.get("digest")))

    return say


def _say_visibility(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    if detail.get("visibility") == Repository.Visibility.PUBLIC:
        return escape(_("made the repository public"))
    return escape(_("made the repository private"))


def _say_changed(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    if detail.get("changed") == ["readme"]:
        return escape(_("changed the README"))
    if detail.get("changed") == ["description"]:
        return escape(_("changed the description"))
    return escape(_("changed the description and the README"))


def _say_grant(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    given = detail.get("subject")
    subject = given if isinstance(given, dict) else {}
    words = {
        Event.Kind.GRANT_SET: _("gave {who} {role} for {tags}"),
        Event.Kind.GRANT_REMOVED: _("removed the role {role} for {tags} from {who}"),
    }
    return format_html(
        words[Event.Kind(event.kind)],
        who=format_html("<b>{}</b>", subject.get("name", "")),
        role=format_html('<span class="mono">{}</span>', detail.get("role", "")),
        tags=format_html('<span class="mono">{}</span>', detail["tags"])
        if detail.get("tags")
        else _("everything"),
    )


def _say_renamed(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    return format_html(
        _("renamed the repository from {name}"),
        name=format_html(
            '<b class="mono">{}</b>',
            detail.get("from", ""),
        ),
    )


def _say_transferred(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    return format_html(
        _("transferred the repository from {name}"),
        name=format_html('<b class="mono">{}</b>', detail.get("from", "")),
    )


def _plain(words: str) -> "Say":
    def say(repository: Repository, detail: dict[str, Any], event: Event) -> SafeString:
        return escape(_(words))

    return say


def _say_webhook(words: str) -> "Say":
    def say(repository: Repository, detail: dict[str, Any], event: Event) -> SafeString:
        name = format_html("<b>{}</b>", detail.get("name") or detail.get("host", ""))
        return format_html(_(words), name=name)

    return say


def _say_kind(
    repository: Repository, detail: dict[str, Any], event: Event
) -> SafeString:
    return format_html('<span class="mono">{}</span>', event.kind)


# --- short ones, which name the repository


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


def _short_of_tag(words: str) -> "Short":
    return lambda event, detail: format_html(_(words), image=_image(event, detail))


def _short_deleted(event: Event, detail: dict[str, Any]) -> SafeString:
    assert event.repository is not None, "events of what is seen were asked for"
    name = f"{event.repository.name}:{detail.get('tag', '')}"
    image = format_html('<span class="mono">{}</span>', name)
    return format_html(_("deleted {image}"), image=image)


def _short_of_repository(words: str) -> "Short":
    def say(event: Event, detail: dict[str, Any]) -> SafeString:
        assert event.repository is not None, "events of what is seen were asked for"
        address = event.repository.get_absolute_url()
        name = format_html(
            '<a class="plain" href="{}">{}</a>', address, event.repository.name
        )
        return format_html(_(words), name=name)

    return say


def _short_visibility(event: Event, detail: dict[str, Any]) -> SafeString:
    if detail.get("visibility") == Repository.Visibility.PUBLIC:
        return _short_of_repository("made {name} public")(event, detail)
    return _short_of_repository("made {name} private")(event, detail)


def _short_of_member(words: str, of_oneself: str) -> "Short":
    def say(event: Event, detail: dict[str, Any]) -> SafeString:
        is_own = event.actor_name == detail.get("member")
        return format_html(
            _(of_oneself if is_own else words),
            member=format_html("<b>{}</b>", detail.get("member", "")),
            team=format_html("<b>{}</b>", detail.get("team", "")),
        )

    return say


def _short_of_robot(words: str) -> "Short":
    return lambda event, detail: format_html(
        _(words), robot=format_html("<b>{}</b>", detail.get("robot", ""))
    )


Say = Callable[[Repository, dict[str, Any], Event], SafeString]
Short = Callable[[Event, dict[str, Any]], SafeString]


@dataclass(frozen=True, slots=True)
class Sentence:
    """How an event reads on the page of its repository, and among those of others.

    None where such a list leaves it out.
    """

    long: Say | None = None
    short: Short | None = None


SENTENCES: dict[str, Sentence] = {
    Event.Kind.REPOSITORY_CREATED: Sentence(
        _plain("created the repository"), _short_of_repository("created {name}")
    ),
    Event.Kind.REPOSITORY_CHANGED: Sentence(_say_changed),
    Event.Kind.REPOSITORY_VISIBILITY: Sentence(_say_visibility, _short_visibility),
    Event.Kind.REPOSITORY_RENAMED: Sentence(
        _say_renamed, _short_of_repository("renamed a repository to {name}")
    ),
    Event.Kind.REPOSITORY_TRANSFERRED: Sentence(_say_transferred),
    Event.Kind.REPOSITORY_DELETED: Sentence(_plain("deleted the repository")),
    Event.Kind.REPOSITORY_RESTORED: Sentence(_plain("restored the repository")),
    Event.Kind.GRANT_SET: Sentence(_say_grant),
    Event.Kind.GRANT_REMOVED: Sentence(_say_grant),
    Event.Kind.TAG_PUSHED: Sentence(_say_push, _short_of_tag("pushed {image}")),
    Event.Kind.TAG_DELETED: Sentence(_say_tag_gone, _short_deleted),
    Event.Kind.TAG_RESTORED: Sentence(_say_tag_back, _short_of_tag("restored {image}")),
    Event.Kind.MANIFEST_PUSHED: Sentence(
        _say_manifest("pushed {digest} without a tag")
    ),
    Event.Kind.MANIFEST_DELETED: Sentence(
        _say_manifest("deleted the manifest {digest}")
    ),
    AccountEvent.MEMBER_ADDED: Sentence(
        short=_short_of_member("added {member} to {team}", "joined {team}")
    ),
    AccountEvent.MEMBER_REMOVED: Sentence(
        short=_short_of_member("removed {member} from {team}", "left {team}")
    ),
    AccountEvent.ROBOT_CREATED: Sentence(
        short=_short_of_robot("created robot {robot}")
    ),
    AccountEvent.ROBOT_TOKEN_REPLACED: Sentence(
        short=_short_of_robot("replaced the token of {robot}")
    ),
    # Of the app webhooks, which is on a floor above.
    "webhook.created": Sentence(_say_webhook("created the webhook {name}")),
    "webhook.changed": Sentence(_say_webhook("changed the webhook {name}")),
    "webhook.deleted": Sentence(_say_webhook("deleted the webhook {name}")),
    "webhook.disabled": Sentence(_say_webhook("disabled the webhook {name}")),
}
