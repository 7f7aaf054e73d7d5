"""Every kind of event has its words in one table (repositories/events/words.py)."""

from accounts.events import AccountEvent
from hub.activity.sentences import SENTENCES
from hub.drawing.icons import ICONS
from repositories.events.words import AUDIT_ONLY, WORDS
from repositories.models import Event
from webhooks.events import WebhookEvent
from webhooks.message import NAMES_OF_KINDS

PULLED = "tag.pulled"  # sent to webhooks, and never recorded
OF_REPOSITORIES = ("repository.", "grant.", "tag.", "manifest.", "webhook.")


def test_each_kind_has_words_or_is_only_in_the_audit_log() -> None:
    kinds = {*Event.Kind, *AccountEvent, *WebhookEvent, PULLED}
    assert WORDS.keys() | AUDIT_ONLY == set(map(str, kinds))
    assert not WORDS.keys() & AUDIT_ONLY


def test_each_list_takes_its_words_from_the_table() -> None:
    """A kind with a sentence, or that webhooks send, has an icon and plain words."""
    assert SENTENCES.keys() | NAMES_OF_KINDS.keys() <= WORDS.keys()
    assert {words.icon for words in WORDS.values()} <= set(ICONS)
    assert all(words.plain for words in WORDS.values())


def test_the_page_of_a_repository_has_a_sentence_for_all_that_happens_there() -> None:
    expected = {kind for kind in WORDS if kind.startswith(OF_REPOSITORIES)} - {PULLED}
    assert {str(kind) for kind, one in SENTENCES.items() if one.long} == expected
    assert all(one.long or one.short for one in SENTENCES.values())
