"""Text that stands for people and things is what it looks like (B10)."""

from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import models
from django.test import Client

from accounts.migrations._repair import repair_columns
from accounts.models import AccessToken, Organization, User
from accounts.models.fields import (
    BytewiseCharField,
    ClearEmailField,
    ClearURLField,
    LineField,
    ParagraphsField,
)
from accounts.text import (
    TextUnclear,
    clean_line,
    clean_paragraphs,
    clean_summary,
    reveal,
)
from tests import make
from tests.pages import session_cookie

RLO, ZWSP, ZWNJ, ZWJ = "\u202e", "\u200b", "\u200c", "\u200d"

CLEAR = [
    "Ana Lindqvist",
    "李雷",
    "שָׁלוֹם",
    "Tiếng Việt",
    "naïve — “quoted” (1/2) €",
    f"می{ZWNJ}خواهم",  # Persian, which cannot be written without it
    f"क्{ZWJ}ष",
    f"\U0001f469{ZWJ}\U0001f4bb dev",
    f"\u2764\ufe0f{ZWJ}\U0001f525",
    f"\U0001f3cb\U0001f3fd{ZWJ}\u2642\ufe0f",
    "1\ufe0f\u20e3",
    "\U0001f1e9\U0001f1ea",
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "\U0001fae8",  # an emoji that is newer than this Python
]
UNCLEAR = [
    ZWSP + "\u2060",
    "Ana Lindqvist" + RLO + ZWSP,
    "\u200e\u200f",
    "\u2066a\u2069",
    "\u061ca",
    "soft\u00adhyphen",
    "a\ufeffb",
    f"a{ZWJ}b",
    f"a{ZWNJ}b",
    f"می{ZWNJ}",
    f"\U0001f469{ZWJ}",
    f"\U0001f469{ZWJ}{ZWJ}\U0001f4bb",
    "\u3164",
    "\u115f\u1160\uffa0",
    "\u2800\u2800",
    "a\u034fb",
    "\u17b4a",
    "\u180eb",
    "a\ufe0fb",
    "\u2764\ufe0f\ufe0f",
    "葛\U000e0100",
    "\U0001f600\U000e0041\U000e0042",
    "\U0001f3f4\U000e0061\U000e007f",
    "\u0301a",
    "a \u0301",
    "e" + "\u0301" * 9,
    "\ue000",
    "\U000f0000",
    "\ud800",
    "\u0378",
    "\ufdd0",
    "\ufffc",
    "\ufffd",
    "nul\0",
    "bell\a",
    "\x85",
    "two\nlines",
    "two\u2028lines",
]


@pytest.mark.parametrize("text", CLEAR)
def test_text_of_every_language_is_taken_as_it_is(text: str) -> None:
    assert clean_line(text) == text == reveal(text)


@pytest.mark.parametrize("text", UNCLEAR)
def test_what_hides_or_imitates_is_refused_and_shown_for_what_it_is(text: str) -> None:
    """And the sentence says which character (B10)."""
    with pytest.raises(TextUnclear, match=r"U\+[0-9A-F]{4,6} \(.+\) at position \d+"):
        clean_line(text)
    if "\n" not in text:
        assert "⟨U+" in reveal(text)


def test_equal_texts_are_stored_alike() -> None:
    assert clean_line("  A\u030a\u00a0\u3000b\t ") == "Å b"
    assert clean_summary("one\r\ntwo") == "one two"
    assert clean_paragraphs(" one \r\n\r\ntwo\u00a0") == "one\n\ntwo"
    with pytest.raises(TextUnclear):
        clean_paragraphs("one\ntwo" + RLO)


# --- every column of text

CLEAR_FIELDS = (LineField, ParagraphsField, ClearEmailField, ClearURLField)
# Columns whose text is not a person's free choice, or not one that stands for anything.
OTHER_COLUMNS = {
    "a grammar of its own": {
        "accounts.AccessToken.actions",
        "accounts.AccessToken.ends_with",
        "accounts.AccessToken.token_hash",
        "accounts.Invitation.token_hash",
        "accounts.Robot.token_hash",
        "accounts.FailedAttempts.key",
        "repositories.Category.slug",
        "repositories.Grant.tag_glob",
        "webhooks.Webhook.tag_glob",
    },
    "a document with a page of its own": {"repositories.Repository.readme"},
    "a password's hash": {"accounts.User.password"},
}


def is_enumerated(field: "models.Field[Any, Any]") -> bool:
    return bool(field.choices)


# What Berth writes itself, or copies from logins, images and answers of others; pages
# show the latter with |reveal.
COPIED_APPS = {"distribution", "notifications", "registry_site"}
COPIED_MODELS = {
    "accounts.QueuedMail",
    "accounts.RefusedAddress",
    "repositories.CountedBatch",
    "repositories.DailyPlatformPulls",
    "repositories.DailyPulls",
    "repositories.Event",
    "repositories.ImageConfig",
    "repositories.Manifest",
    "repositories.ManifestReference",
    "repositories.SearchEntry",
    "repositories.Tag",
    "repositories.TagMove",
    "webhooks.Attempt",
    "webhooks.Delivery",
    "webhooks.Report",
}
COPIED_COLUMNS = {
    "accounts.Invitation.invited_by",
    "repositories.Repository.deleted_by",
    "webhooks.Webhook.host",
    "webhooks.Webhook.sealed_url",
    "webhooks.Webhook.sealed_secret",
    "webhooks.Webhook.sealed_headers",
    "webhooks.Webhook.disabled_reason",
    "webhooks.Webhook.created_by",
}


def text_columns() -> "list[tuple[str, str, models.Field[Any, Any]]]":
    ours = {"accounts", "repositories", "distribution", "webhooks", "notifications"}
    return [
        (f"{model._meta.label}", f"{model._meta.label}.{field.name}", field)
        for model in apps.get_models()
        if model._meta.app_label in ours | {"registry_site"}
        for field in model._meta.concrete_fields
        if isinstance(field, models.CharField | models.TextField)
    ]


def test_every_column_that_people_fill_in_is_clear() -> None:
    """A new column of text is a LineField or the like, or is listed with a reason."""
    known = set().union(*OTHER_COLUMNS.values()) | COPIED_COLUMNS
    missing = [
        column
        for model, column, field in text_columns()
        if not isinstance(field, (*CLEAR_FIELDS, BytewiseCharField))
        and not is_enumerated(field)
        and column not in known
        and model not in COPIED_MODELS
        and model.partition(".")[0] not in COPIED_APPS
    ]
    assert missing == [], "use LineField, SummaryField or ParagraphsField"
    columns = {column for _, column, _ in text_columns()}
    assert known <= columns, "a listed column is gone"


# --- every way in


def browser_of(person: User) -> Client:
    browser = Client(HTTP_HOST=settings.BERTH_SERVICE)
    browser.cookies[settings.SESSION_COOKIE_NAME] = session_cookie(person)
    return browser


HIDDEN = f"Ana{RLO}{ZWSP}"
WAYS_IN: list[tuple[str, str, dict[str, Any], str]] = [  # method, path, body, field
    ("form", "/settings/profile", {"display_name": HIDDEN}, "display_name"),
    ("form", "/organizations/new", {"name": "{new}", "display_name": HIDDEN}, ""),
    ("form", "/settings/tokens", {"name": HIDDEN, "actions": "read"}, "name"),
    ("form", "/new", {"name": "{new}", "description": HIDDEN}, "description"),
    ("form", "/{repository}/-/settings", {"description": HIDDEN}, "description"),
    ("form", "/{org}/-/teams", {"name": "{new}", "description": HIDDEN}, ""),
    ("form", "/{org}/-/robots", {"name": "{new}", "description": HIDDEN}, ""),
    ("form", "/accounts/email/", {"email": f"a{ZWSP}@b.example", "action_add": ""}, ""),
    ("PATCH", "/user", {"display_name": HIDDEN}, "display_name"),
    ("POST", "/organizations", {"name": "{new}", "display_name": HIDDEN}, ""),
    ("PATCH", "/organizations/{org}", {"description": HIDDEN}, "description"),
    ("PATCH", "/organizations/{org}", {"website": f"https://a.example/{RLO}"}, ""),
    (
        "POST",
        "/organizations/{org}/teams",
        {"name": "{new}", "description": HIDDEN},
        "",
    ),
    (
        "POST",
        "/organizations/{org}/robots",
        {"name": "{new}", "description": HIDDEN},
        "",
    ),
    (
        "POST",
        "/organizations/{org}/invitations",
        {"team": "owners", "email": f"a@b{RLO}.example"},
        "email",
    ),
    ("POST", "/user/tokens", {"name": HIDDEN, "actions": "read"}, "name"),
    (
        "POST",
        "/repositories",
        {"namespace": "{org}", "name": "{new}", "description": HIDDEN},
        "description",
    ),
    ("PATCH", "/repositories/{repository}", {"description": HIDDEN}, "description"),
    (
        "POST",
        "/repositories/{repository}/webhooks",
        {"url": "https://example.com/", "events": ["push"], "name": HIDDEN},
        "name",
    ),
]


@pytest.fixture(scope="module")
def owner(django_db_setup: None) -> User:
    return make.user("owner")


@pytest.fixture(scope="module")
def acme(owner: User) -> Organization:
    return make.organization(owner=owner)


@pytest.mark.once  # forms and serializers refuse it before the database has it
@pytest.mark.parametrize(("method", "path", "body", "field"), WAYS_IN)
def test_no_way_in_takes_it(
    owner: User,
    acme: Organization,
    method: str,
    path: str,
    body: dict[str, Any],
    field: str,
) -> None:
    """Pages and API name the character and change nothing (B10)."""
    repository = make.repository(acme.namespace, make.unique("api"))
    names = {
        "org": acme.namespace.name,
        "repository": repository.full_name,
        "new": make.unique("new"),
    }
    path = path.format(**names)
    body = {
        key: value.format(**names) if isinstance(value, str) else value
        for key, value in body.items()
    }
    browser = browser_of(owner)
    if method == "form":
        done = browser.post(path, body)
        assert done.status_code in {200, 422}, done.content
    else:
        verb = {"POST": browser.post, "PATCH": browser.patch}[method]
        done = verb(f"/api/v1{path}", body, content_type="application/json")
        assert done.status_code == 400, done.content
        errors = done.json()["errors"]
        assert not field or field in {error["field"] for error in errors}
    text = done.content.decode()
    assert "U+202E" in text or "U+200B" in text or "valid" in text
    for model in (User, Organization, AccessToken):
        for row in model._default_manager.order_by("-pk")[:3]:
            assert RLO not in repr(vars(row))


def test_what_comes_past_forms_is_refused_by_the_model(owner: User) -> None:
    owner.display_name = HIDDEN
    with pytest.raises(TextUnclear):
        owner.save()
    owner.display_name = "  Ana\u00a0 L "
    owner.save()
    assert owner.display_name == "Ana L"


def test_rows_of_before_are_repaired(acme: Organization, owner: User) -> None:
    """What hides goes; a name of nothing else becomes none, and a token's a dash."""
    make.access_token(owner)
    row = AccessToken.objects.filter(user=owner).latest("pk")
    User.objects.filter(pk=owner.pk).update(display_name=ZWSP + "\u2060")
    AccessToken.objects.filter(pk=row.pk).update(name=ZWSP)
    Organization.objects.filter(pk=acme.pk).update(
        display_name="Ana Lindqvist" + RLO + ZWSP, description="\U0001f680 clear\nhere"
    )
    repair_columns(
        apps,
        "accounts",
        {
            "User": ["display_name"],
            "AccessToken": ["name"],
            "Organization": ["display_name", "description"],
        },
    )
    for changed in (acme, owner, row):
        changed.refresh_from_db()
    assert (owner.display_name, row.name) == ("", "-")
    assert acme.display_name == "Ana Lindqvist"
    assert acme.description == "\U0001f680 clear\nhere"
