"""What templates say of themselves: icons that exist, components that introduce."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.template import Context, Template
from django.utils import timezone

from hub.drawing.assets import asset
from hub.drawing.icons import ICONS, sprite
from hub.drawing.identicons import PAINTS, draw_mark, paint_of
from tests.servers import PROJECT_FOLDER

TEMPLATES = sorted((PROJECT_FOLDER / "templates").rglob("*.html"))


def render(source: str, **context: object) -> str:
    return Template(source).render(Context(context)).strip()


def test_every_icon_of_a_template_is_in_the_sprite() -> None:
    wanted = {
        (path.name, name)
        for path in TEMPLATES
        for name in re.findall(
            r"{% icon \"([^\"]+)\"|icon_name=\"([^\"]+)\"", path.read_text()
        )
        for name in name
        if name
    }
    assert wanted
    assert not {(path, name) for path, name in wanted if name not in ICONS}
    assert sprite().count("<symbol ") == len(set(ICONS)) == len(ICONS)


@pytest.mark.parametrize(
    "path",
    [path for path in TEMPLATES if path.parent.name == "components"],
    ids=lambda path: path.stem,
)
def test_a_component_begins_with_what_it_wants(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert text.startswith("{% comment %}")
    assert "ariables" in text.partition("{% endcomment %}")[0]


def test_every_form_that_posts_has_a_csrf_token() -> None:
    """In the form itself or in a template that it includes."""
    forms = [
        (path.name, form)
        for path in TEMPLATES
        for form in re.findall(r"<form\b.*?(?:</form>|\Z)", path.read_text(), re.DOTALL)
        if 'method="post"' in form
    ]
    without = []
    for name, form in forms:
        included = re.findall(r"{% include \"([^\"]+)\"", form)
        texts = (PROJECT_FOLDER / "templates" / each for each in included)
        if not any(
            "{% csrf_token %}" in t for t in (form, *map(Path.read_text, texts))
        ):
            without.append(name)
    assert forms
    assert not without


def test_the_first_load_is_small() -> None:
    """Under 150 kB in all, compressed (with htmx and a page that is not huge)."""
    import gzip

    parts = [asset(name).content for name in ("berth.css", "berth.js", "icons.svg")]
    assert sum(len(gzip.compress(part)) for part in parts) < 60_000


@pytest.mark.parametrize(
    ("number", "short"),
    [
        *((0, "0"), (999, "999"), (1000, "1.0K"), (2013, "2.0K"), (9999, "9.9K")),
        *((10_000, "10K"), (999_999, "999K"), (1_000_000, "1M+")),
        *((10_482_077, "10M+"), (2_000_000_000, "2B+")),
    ],
)
def test_counts_are_short_and_the_title_has_all(number: int, short: str) -> None:
    shown = render('{% short_count number "pulls" %}', number=number)
    assert f">{short}</data>" in shown
    assert f'title="{number:,} pulls"' in shown
    assert f'value="{number}"' in shown


@pytest.mark.parametrize(
    ("distance", "words"),
    [
        (timedelta(seconds=-30), "in a moment"),
        (timedelta(seconds=30), "just now"),
        (timedelta(minutes=1, seconds=5), "1 minute ago"),
        (timedelta(minutes=33, seconds=5), "33 minutes ago"),
        (timedelta(hours=25), "yesterday"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=70), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
        # What is to come agrees with what was chosen: 90 days, not 2 months (F17).
        (-timedelta(days=4, minutes=1), "in 4 days"),
        (-timedelta(days=7, seconds=-20), "in 7 days"),
        (-timedelta(days=30, hours=-2), "in 30 days"),
        (-timedelta(days=90, seconds=-20), "in 90 days"),
        (-timedelta(days=365, hours=-1), "in 365 days"),
        (-timedelta(days=730, hours=-1), "in 2 years"),
        (-timedelta(hours=2, seconds=-20), "in 2 hours"),
        (-timedelta(days=1, minutes=1), "tomorrow"),
    ],
)
def test_times_say_how_long_ago_and_exactly_when(
    distance: timedelta, words: str
) -> None:
    at = timezone.now() - distance
    shown = render("{% ago at %}", at=at)
    assert f">{words}</time>" in shown
    assert f'datetime="{at:%Y-%m-%dT%H:%M:%SZ}"' in shown
    assert "UTC" in shown
    assert render("{% ago at %}", at=None) == "never"


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        *((0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (45_200_000, "45.2 MB")),
        *((999_999, "1.0 MB"), (1_500_000_000, "1.5 GB"), (None, "0 B")),
    ],
)
def test_sizes_are_in_steps_of_a_thousand(size_bytes: int | None, words: str) -> None:
    assert render("{{ size|size }}", size=size_bytes) == words


def test_a_mark_is_the_same_for_the_same_name_and_holds_nothing_of_it() -> None:
    name = '"><script>alert(1)</script>'
    assert draw_mark(name) == draw_mark(name) != draw_mark("acme/api")
    assert 1 <= paint_of(name) <= PAINTS
    assert "script" not in render("{% mark name %}", name=name)
    assert "<b>" not in render("{% avatar name %}", name="<b>x")


def test_a_digest_is_short() -> None:
    digest = "sha256:" + "9f86d081884c7d65" * 4
    assert render("{{ digest|short_digest }}", digest=digest) == "sha256:9f86d081884c"


TEMPLATES = sorted((PROJECT_FOLDER / "templates").rglob("*.html"))
SILENT = {  # what is swapped and needs no announcement, and why
    "#image": "a platform's link leads to a page of its own",
    "#search-suggestions": "a datalist, which the browser reads out",
    "#name-check": "has aria-live, and only its content is swapped",
    "#preview": "has aria-live",
}


def test_what_is_swapped_in_is_announced() -> None:
    """Every part of a page that htmx replaces says what it has become (F18)."""
    sources = "\n".join(path.read_text() for path in TEMPLATES)
    targets = set(re.findall(r'hx-target="(#[^"]*)"', sources))
    targets |= set(re.findall(r'id="([^"]*)"[^>]* data-live', sources))
    for target in targets - SILENT.keys():
        name = target.removeprefix("#")
        place = re.search(
            rf'id="{name}"(?:(?!</section).)*?data-announce', sources, re.S
        )
        assert place, f"{target} is replaced silently"


def test_no_box_in_a_form_reloads_a_list_by_chance() -> None:
    """A form that htmx sends on a change names the controls that send it (F1).

    Else every box that is put into it does, the one that ticks all others too.
    """
    for path in TEMPLATES:
        for trigger in re.findall(r'hx-trigger="([^"]*)"', path.read_text()):
            for part in trigger.split(","):
                if part.split()[0] == "change" and "from:" not in part:
                    assert "target:" in part, f"{path.name}: {trigger}"


def test_lines_can_be_read() -> None:
    """Lines of templates have 120 characters at most: a diff shows what changes."""
    long = {
        f"{path.relative_to(PROJECT_FOLDER)}:{number}"
        for path in TEMPLATES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 120
    }
    assert not long


def test_no_template_writes_out_an_address() -> None:
    """Addresses come from ``{% url %}`` or from the row that has one."""
    written = {
        (path.name, address)
        for path in TEMPLATES
        for address in re.findall(
            r'(?:href|src|action|hx-get|hx-post)="(/[^"]*)"', path.read_text()
        )
    }
    assert not written


def test_words_of_scripts_come_from_the_page() -> None:
    """What people read is translated: in a script it is ``berth.word("copied")``."""
    scripts = {
        path.name: re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        for path in (PROJECT_FOLDER / "static/js").glob("*.js")
    }
    said = {
        (name, words)
        for name, script in scripts.items()
        for words in re.findall(r"""(?:announce|toast)\(["'`][^\n]*""", script)
        + re.findall(r"""["'`][A-Z][a-z]+(?: [^"'`\n]*)?["'`]""", script)
    }
    assert not said
    page = (PROJECT_FOLDER / "templates/components/announcer.html").read_text()
    offered = set(re.findall(r"\bdata-([a-z-]+)=", page))
    source = "\n".join(scripts.values())
    used = set(re.findall(r'berth\.word\("(\w+)"\)', source))
    used |= set(re.findall(r'(?:\b\d{3}:|words\[status\] \?\?) "(\w+)"', source))
    in_page = {re.sub("([A-Z])", r"-\1", word).lower() for word in used}
    assert in_page == offered
