"""Tags that every template may use; they are built in, nothing has to be loaded.

{% icon "star" %}                       an icon beside a word, hidden from readers
{% mark repository.full_name %}         the picture of a repository
{% avatar name "organization" %}        two letters on a paint
{% short_count 2013 "stars" %}          2.0K, with the full number in the title
{% ago tag.moved_at %}                  33 minutes ago, with the exact time
{% day token.expires_at %}              21 Feb 2027, with the exact time
{{ size_bytes|size }}                   45.2 MB
{{ repository.pull_count|grouped }}     14,087
{{ digest|short_digest }}               sha256:9f86d081884c
{{ decision.reason|emphasise }}         the *names* in a reason, in bold
{% asset "berth.css" %}                 the address of a joined file
{% serial %}                            a hidden field: this form, not one like it
{% error_prefix form %}                 "Error: " in a title, if the form has errors
{% table_head _("Tag") _("Size") %}     the heads of a table's columns
{% query page=3 %}                      the page's query with these words changed
{% page_query 3 "teams" %}              the same, where the word itself is a variable
"""

import re
from datetime import datetime, timedelta
from typing import Any

from django.forms import BoundField, widgets
from django.template import Context, Library
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext

from accounts.text import reveal
from hub.drawing.assets import asset_url
from hub.drawing.identicons import draw_mark, paint_of

register = Library()

_DIGEST_LETTERS = 12


@register.simple_tag
def asset(name: str) -> str:
    """Return the address of berth.css, berth.js or icons.svg."""
    return asset_url(name)


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """Draw an icon; it says nothing by itself, so a word stands beside it."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {classes}" if classes else "",
        asset_url("icons.svg"),
        name,
    )


@register.simple_tag
def mark(name: str, classes: str = "") -> SafeString:
    """Draw the picture of a repository (hub/drawing/identicons.py)."""
    return format_html(
        '<svg class="mark hue-{}{}" viewBox="0 0 40 40" aria-hidden="true">{}</svg>',
        paint_of(name),
        f" {classes}" if classes else "",
        mark_safe(draw_mark(name)),  # noqa: S308  # numbers only, whatever the name
    )


@register.simple_tag
def avatar(name: str, kind: str = "user", classes: str = "") -> SafeString:
    """Draw the first two letters of a name; an organization's are in a square."""
    letters = "".join(letter for letter in name if letter.isalnum())[:2].upper()
    return format_html(
        '<span class="avatar{}{} hue-{}" aria-hidden="true">{}</span>',
        " avatar-org" if kind == "organization" else "",
        f" {classes}" if classes else "",
        paint_of(name),
        letters,
    )


@register.simple_tag
def short_count(number: int, noun: str = "") -> SafeString:
    """Write 10M+, 2.0K or 999; the title has the whole number and the noun."""
    return format_html(
        '<data value="{}" title="{}">{}</data>',
        number,
        f"{number:,} {noun}".strip(),
        _shorten(number),
    )


def _shorten(number: int) -> str:
    if number < 1000:
        return str(number)
    if number < 10_000:
        return f"{number // 100 / 10:.1f}K"
    if number < 1_000_000:
        return f"{number // 1000}K"
    if number < 1_000_000_000:
        return f"{number // 1_000_000}M+"
    return f"{number // 1_000_000_000}B+"


@register.simple_tag
def ago(at: datetime | None, prefix: str = "") -> SafeString | str:
    """Write how long ago, or in how long; a script keeps it true (js/times.js)."""
    if at is None:
        return gettext("never")
    return format_html(
        '<time datetime="{}" title="{}" data-ago="{}">{}{}</time>',
        _machine_time(at),
        _exact_time(at),
        prefix,
        f"{prefix} " if prefix else "",
        _say_distance(at),
    )


@register.simple_tag
def day(at: datetime) -> SafeString:
    """Write the day; the title has the time."""
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        _machine_time(at),
        _exact_time(at),
        date_format(at, "j M Y"),
    )


@register.simple_tag
def error_prefix(*forms: Any) -> str:
    """Return how a page's title begins when one of its forms has errors."""
    has_errors = any(getattr(form, "errors", None) for form in forms)
    return gettext("Error:") + " " if has_errors else ""


@register.inclusion_tag("components/table_head.html")
def table_head(
    *labels: str, numbers: int = 0, has_actions: bool = False
) -> dict[str, Any]:
    """Write the heads of columns; the last ``numbers`` of them are of numbers."""
    first_number = len(labels) - numbers
    columns = [(label, place >= first_number) for place, label in enumerate(labels)]
    return {"columns": columns, "has_actions": has_actions}


def _machine_time(at: datetime) -> str:
    return at.astimezone(timezone.get_fixed_timezone(0)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _exact_time(at: datetime) -> str:
    utc = at.astimezone(timezone.get_fixed_timezone(0))
    return f"{date_format(utc, 'j F Y, H:i')} UTC"


_UNITS = (  # from which number of seconds on, how many they are, and their name
    (31_536_000, 31_536_000, "year"),
    (5_184_000, 2_592_000, "month"),  # people count up to 60 days in days
    (86_400, 86_400, "day"),
    (3_600, 3_600, "hour"),
    (60, 60, "minute"),
)


def _say_distance(at: datetime) -> str:
    """Write a distance; js/times.js does the same in the browser.

    What is over is counted in whole units. What is to come is rounded, and counted in
    days for a year: a token of 90 days expires in 90 days, not "in 2 months".
    """
    distance: timedelta = timezone.now() - at
    seconds = int(abs(distance.total_seconds()))
    is_past = distance >= timedelta(0)
    for least_seconds, unit_seconds, unit in _UNITS:
        if seconds < least_seconds or (unit == "month" and not is_past):
            continue
        count = seconds / unit_seconds if is_past else seconds / unit_seconds + 0.5
        return _say(int(count), unit, is_past=is_past)
    return gettext("just now") if is_past else gettext("in a moment")


def _say(count: int, unit: str, *, is_past: bool) -> str:
    """Return the time in words, each sentence spelled out for translation."""
    if unit == "day" and count == 1:
        return gettext("yesterday") if is_past else gettext("tomorrow")
    past = {
        "year": ngettext("%(count)d year ago", "%(count)d years ago", count),
        "month": ngettext("%(count)d month ago", "%(count)d months ago", count),
        "day": ngettext("%(count)d day ago", "%(count)d days ago", count),
        "hour": ngettext("%(count)d hour ago", "%(count)d hours ago", count),
        "minute": ngettext("%(count)d minute ago", "%(count)d minutes ago", count),
    }
    future = {
        "year": ngettext("in %(count)d year", "in %(count)d years", count),
        "month": ngettext("in %(count)d month", "in %(count)d months", count),
        "day": ngettext("in %(count)d day", "in %(count)d days", count),
        "hour": ngettext("in %(count)d hour", "in %(count)d hours", count),
        "minute": ngettext("in %(count)d minute", "in %(count)d minutes", count),
    }
    return (past if is_past else future)[unit] % {"count": count}


@register.filter("reveal")
def reveal_text(text: object) -> str:
    """Show characters that hide or reorder as ⟨U+202E⟩, in text that others wrote."""
    return reveal(str(text))


@register.filter
def size(size_bytes: int | None) -> str:
    """Write bytes as people do: 45.2 MB, in steps of a thousand, like docker."""
    number = float(size_bytes or 0)
    if number < 1000:
        return f"{int(number)} B"
    for unit in ("kB", "MB", "GB", "TB"):
        number /= 1000
        if number < 999.95 or unit == "TB":
            break
    return f"{number:.1f} {unit}"


@register.filter
def grouped(number: int) -> str:
    """Write a whole number so that its digits can be read: 14,087."""
    return f"{number:,}"


@register.filter
def short_digest(digest: str) -> str:
    """Keep as much of a digest as people compare: sha256:9f86d081884c."""
    algorithm, _, letters = digest.partition(":")
    return f"{algorithm}:{letters[:_DIGEST_LETTERS]}"


@register.simple_tag
def widget(field: BoundField) -> SafeString:
    """Render the input of any form, ours or a library's, in our look."""
    shown = field.field.widget
    attributes: dict[str, str | bool] = {}
    if isinstance(shown, widgets.Textarea):
        attributes["class"] = "input textarea"
    elif isinstance(shown, widgets.Select) and not isinstance(
        shown, widgets.RadioSelect | widgets.CheckboxSelectMultiple
    ):
        attributes["class"] = "select"
    elif isinstance(shown, widgets.Input) and shown.input_type != "checkbox":
        attributes["class"] = "input measure"
    if "class" in attributes and shown.attrs.get("class"):
        attributes["class"] = f"{attributes['class']} {shown.attrs['class']}"
    told = [f"{field.auto_id}_helptext"] if field.help_text else []
    if field.errors:
        told.append(f"{field.auto_id}_error")
        attributes["aria-invalid"] = "true"
    if told and not field.use_fieldset:
        attributes["aria-describedby"] = " ".join(told)
    return field.as_widget(attrs=attributes)


@register.simple_tag
def choice_hint(field: BoundField, choice: Any) -> str:
    """Return what a form's field says of a choice: ``field.hints[value]``, or ""."""
    hints: dict[str, str] = getattr(field.field, "hints", {})
    return hints.get(str(choice.data["value"]), "")


@register.simple_tag
def choice_icon(field: BoundField, choice: Any) -> SafeString | str:
    """Draw the icon that a form's field has for a choice: ``field.icons[value]``."""
    icons: dict[str, str] = getattr(field.field, "icons", {})
    name = icons.get(str(choice.data["value"]))
    return icon(name) if name else ""


# A tag glob is in quotes, and has asterisks of its own: 'release-*'.
_EMPHASIS = re.compile(r"('[^']*'|\*[^*]+\*)")


@register.filter
def emphasise(reason: str) -> SafeString:
    """Write the names of a reason in bold: permissions put them between asterisks."""
    pieces = _EMPHASIS.split(reason)  # what matched is at the odd places
    return format_html_join(
        "",
        "{}{}{}",
        (
            (mark_safe("<b>"), text[1:-1], mark_safe("</b>"))
            if number % 2 and text.startswith("*")
            else ("", text, "")
            for number, text in enumerate(pieces)
        ),
    )


@register.simple_tag
def serial() -> SafeString:
    """Return a hidden field by which was_sent_before (hub/kit/pages.py) asks."""
    return format_html(
        '<input type="hidden" name="serial" value="{}">', get_random_string(22)
    )


@register.simple_tag(takes_context=True)
def query(context: Context, **changes: Any) -> str:
    """Return the request's query string with some words changed; None removes one."""
    return _query(context, changes)


@register.simple_tag(takes_context=True)
def page_query(context: Context, number: int, parameter: str = "") -> str:
    """Return the request's query string for another page of a list."""
    return _query(context, {parameter or "page": number})


def _query(context: Context, changes: dict[str, Any]) -> str:
    words = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None or value == "":
            words.pop(name, None)
        else:
            words[name] = str(value)
    encoded = words.urlencode()
    return f"?{encoded}" if encoded else "?"
