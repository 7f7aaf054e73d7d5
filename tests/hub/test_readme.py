"""READMEs: what Markdown becomes, and that nothing in it runs or asks a host.

It holds X2 of reliability.md, too.
"""

import re
from html.parser import HTMLParser
from typing import Any

import pytest

from hub.drawing.markdown import render_markdown
from hub.drawing.markdown_helper import OUTPUT_MAX_BYTES
from hub.drawing.markdown_process import Renderer, TooCostly, renderer
from hub.drawing.readme import render_readme
from hub.drawing.sources import source_files
from repositories.models.repositories import README_MAX_LENGTH
from tests.hub.pathological_readmes import READMES

PROXY = "https://images.example.com/fetch/{url}"


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("# A", '<h2 id="readme-a">A</h2>'),
        ("# A\n### B\n#### C\n## D", '<h3 id="readme-b">B</h3>\n<h4 id="readme-c">'),
        ("## A\n## B", '<h2 id="readme-b">B</h2>'),
        ("### A\n## B\n# C", '<h2 id="readme-b">B</h2>\n<h2 id="readme-c">'),
        ("###### A", '<h2 id="readme-a">A</h2>'),
        ("# A\n# A", '<h2 id="readme-a-1">A</h2>'),
        ("# A\n# A-1\n# A", 'id="readme-a-2"'),
        ("## Use `it` now!", '<h2 id="readme-use-it-now">'),
        ("# \u00dcber uns", 'id="readme-\u00fcber-uns"'),
        ("# !", 'id="readme-section"'),
        ("[x](#use-it)", 'href="#readme-use-it"'),
        ("~~gone~~", "<s>gone</s>"),
        ("|a|b|\n|-|-:|\n|1|2|", '<td class="num">2</td>'),
        ("- [x] done", 'checked="checked" disabled="disabled" type="checkbox"> done'),
        (
            "https://example.com",
            '<a href="https://example.com" rel="nofollow noopener ugc">',
        ),
        ("me@example.com", 'href="mailto:me@example.com"'),
        ("```python\ndef f(): 1\n```", '<span class="k">def</span>'),
        ("```nonsense\n<b>\n```", "<code>&lt;b&gt;\n</code>"),
        ("    <b>", "<code>&lt;b&gt;\n</code>"),
        ("```\nx\n```", '<pre tabindex="0">'),
        ("a <b>c</b> <!-- d -->", "<p>a <strong>c</strong> </p>"),
        ("<!-- one\n\ntwo -->\n\nc", "<p>c</p>"),
        ("a<br/>b", "<p>a<br>b</p>"),
        ('<h1 align="center">Big</h1>', "<p><strong>Big</strong></p>"),
        ('<p align="center" class="btn" id="x">a</p>', "<p>a</p>"),
        (
            "<details>\n<summary>More</summary>\n\n**b**\n\n</details>",
            "<details>\n<summary>More</summary>\n<p><strong>b</strong></p>\n</details>",
        ),
        ("<center><font color=red>a</font></center>", "a"),
        ('<a href="https://a.example/?b=1&amp;c">d</a>', 'href="https://a.example/?b='),
        ("<a href='docs/x.md'>d</a>", "<p>d</p>"),
        ("<img src=https://x.example/l.png alt='logo'>", ">logo</a>"),
        (
            '<a href="https://a.example"><img src="https://x/l.png" alt="l"></a>',
            ">l</a>",
        ),
        ("<kbd>Ctrl</kbd> H<sub>2</sub>O", "<kbd>Ctrl</kbd> H<sub>2</sub>O"),
        ("# A <small>b</small>", '<h2 id="readme-a-b">A b</h2>'),
        ("![logo](https://x.example/l.png)", ">logo</a>"),
        ("![logo](l.png)", "<p>logo</p>"),
        ("[doc](docs/a.md)", "<p>doc</p>"),
        ("## \U0001f680 Quick start", 'id="readme--quick-start"'),
        ("[Quick start](#-quick-start)", 'href="#readme--quick-start"'),
        ("## :rocket: Go", '<h2 id="readme--go">\U0001f680 Go</h2>'),
        ("## \u2699\ufe0f Setup", 'id="readme--setup"'),
        ("[x](#\ufe0f-setup)", 'href="#readme--setup"'),
        ("## A [link](https://a.example) `b_c`", 'id="readme-a-link-b_c"'),
        (
            "## \u0939\u093f\u0928\u094d\u0926\u0940",
            "\u0939\u093f\u0928\u094d\u0926\u0940",
        ),
        ("[x](#\u00dcber)", 'href="#readme-%C3%BCber"'),
        ('<a name="Top"></a>', '<a id="readme-top"'),
        ("a :+1: `:+1:` :nope:", "a \U0001f44d <code>:+1:</code> :nope:"),
        (
            "> [!WARNING]\n> mind **it**",
            '<div class="alert alert-warning">\n<p class="alert-title">Warning</p>\n'
            "<p>mind <strong>it</strong></p>",
        ),
        ("> [!OTHER]\n> a", "<blockquote>\n<p>[!OTHER]"),
        ("a[^x]\n\n[^x]: b", '<a id="readme-fnref-1" href="#readme-fn-1"'),
        ("a[^x]\n\n[^x]: b", '<li id="readme-fn-1"><p>b <a href="#readme-fnref-1"'),
        ("[![ci](https://x/b.svg)](https://ci.example/)", ">ci</a>"),
    ],
)
def test_markdown_becomes(markdown: str, html: str) -> None:
    """Markdown reads as on GitHub (D18)."""
    assert html in render_markdown(markdown).replace(' dir="auto"', "")


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("\u0645\u0631\u062d\u0628\u0627", "p"),
        ("# \u0645", "h2"),
        ("- \u0645", "ul"),
        ("> \u0645", "blockquote"),
    ],
)
def test_each_block_has_its_own_direction(markdown: str, html: str) -> None:
    """Arabic reads from the right, also between English paragraphs (D18)."""
    assert re.search(f'<{html}[^>]* dir="auto"', render_markdown(f"a\n\n{markdown}"))


GITHUB = "https://github.com/acme/api"


@pytest.mark.parametrize(
    ("source", "revision", "page", "content"),
    [
        (GITHUB, "0a1b2c3", "/blob/0a1b2c3/", "/raw/0a1b2c3/"),
        (f"{GITHUB}.git", "", "/blob/HEAD/", "/raw/HEAD/"),
        (f"{GITHUB}/tree/v2/docs", "", "/blob/v2/docs/", "/raw/v2/docs/"),
        (f"{GITHUB}#1234567:docs", "", "/blob/1234567/docs/", "/raw/1234567/docs/"),
        (GITHUB, "a/../../x", "/blob/HEAD/", "/raw/HEAD/"),
        ("https://gitlab.com/a/b/c", "v1", "/-/blob/v1/", "/-/raw/v1/"),
        ("https://bitbucket.org/a/b", "v1", "/src/v1/", "/raw/v1/"),
        ("https://codeberg.org/a/b", "0a1b2c3d", "/src/commit/0a1b2c3d/", ""),
    ],
)
def test_a_relative_link_leads_to_the_declared_source(
    source: str, revision: str, page: str, content: str
) -> None:
    """The image says where its source is, and which revision (D18)."""
    files = source_files(source, revision)
    html = render_markdown(
        '[l](LICENSE.md#x) ![p](./a%20b/p.png) <a href="/top.md">t</a>', source=files
    )
    assert f'{page}LICENSE.md#x"' in html
    assert f'{content}a%20b/p.png"' in html
    assert "/top.md" in html
    assert html.count("<a ") == 3


@pytest.mark.parametrize(
    "source",
    [
        *("", "https://git.example.com/a/b", "javascript:alert(1)//github.com/a/b"),
        *("https://github.com", "git@github.com:a/b.git", f"{GITHUB}/{'a' * 600}"),
    ],
)
def test_a_source_of_no_known_forge_makes_no_links(source: str) -> None:
    assert source_files(source) is None


@pytest.mark.parametrize(
    "target", ["../../x", "//evil.example/x", "javascript:x", "?a"]
)
def test_nothing_outside_of_the_source_is_linked(target: str) -> None:
    html = render_markdown(f"[x]({target})", source=source_files(GITHUB))
    assert "href" not in html


@pytest.mark.parametrize(
    "target", ["docs/a.md", "/settings", "//evil.example/x", "?a=1", "../x", "a\\b"]
)
def test_a_relative_link_leads_nowhere(target: str) -> None:
    assert "href" not in render_markdown(f"[x]({target})")


def test_images_come_from_the_proxy_or_not_at_all() -> None:
    markdown = '![a "b"](https://x.example/l.png?a=1&b=2)'
    assert "<img" not in render_markdown(markdown)
    html = render_markdown(markdown, image_proxy=PROXY)
    address = "https%3A%2F%2Fx.example%2Fl.png%3Fa%3D1%26b%3D2"
    assert f'src="https://images.example.com/fetch/{address}"' in html
    assert "alt=" in html
    assert "<img" not in render_markdown("![a](l.png)", image_proxy=PROXY)
    written = '<img alt="a" src="https://x.example/l.png?a=1&amp;b=2">'
    assert "<img" not in render_markdown(written)
    html = render_markdown(written, image_proxy=PROXY)
    assert f'src="https://images.example.com/fetch/{address}"' in html
    assert "<img" not in render_markdown("<img src=l.png>", image_proxy=PROXY)


CANARIES = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zy8+)",
    '![x](https://x.example/" onerror="alert(1))',
    '[x](https://x.example/ "a\\" onmouseover=\\"alert(1)")',
    "<https://x.example/'onclick='alert(1)>",
    '```"><script>alert(1)</script>\nx\n```',
    "```html\n<script>alert(1)</script>\n```",
    "# <img src=x onerror=alert(1)>",
    '# " onclick="alert(1)',
    "|<script>|\n|-|\n|<img src=x onerror=y>|",
    "- [x] <script>alert(1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    '<div style="background:url(https://evil.example)">',
    "<iframe src=https://evil.example></iframe>",
    "[a]: javascript:alert(1)\n[a]",
    "<!--<script>-->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<style>@import url(https://evil.example)</style>",
    "x\0<script>",
    "<a href=&#106;avascript:alert(1)>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    '<a href="https://x.example" onclick="alert(1)">x</a>',
    "<p onmouseover=alert(1)>x</p>",
    "<details open ontoggle=alert(1)><summary>x</summary></details>",
    "<img src=https://x.example/a alt='\"><script>alert(1)</script>'>",
    '<a href="https://x.example/&quot; onclick=&quot;alert(1)">x</a>',
    "<scr<script>ipt>alert(1)</script>",
    "<b<!-- -->r><script>alert(1)</script>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<form action=https://evil.example><input name=a></form>",
    "<details><a href='//evil.example'>x</a>",
    "</div></div><div class=modal>x",
    "<input type=password name=a>",
]


OUR_CLASSES = {"code", "contains-task-list", "task-list-item", "num", "k", "nt", "p"}
OUR_CLASSES |= {"footnotes", "alert-title"}
OUR_CLASSES |= {"task-list-item-checkbox", "err", "nf", "mi", "o", "n", "w"}


class Seen(HTMLParser):
    """Notes what a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "style", "iframe", "svg", "img", "object", "form", "link"}:
            self.wrong.append(tag)
        if tag == "input" and ("type", "checkbox") not in attrs:
            self.wrong.append(tag)
        for name, value in attrs:
            if name == "class" and f"{value}" not in OUR_CLASSES:
                self.wrong.append(f"{value}")
            if name.startswith("on") or name in {"style", "src", "srcset"}:
                self.wrong.append(name)
            if name == "href" and not re.match(
                r"(https?://|mailto:|#readme-)", f"{value}"
            ):
                self.wrong.append(f"{value}")


@pytest.mark.parametrize("markdown", CANARIES)
@pytest.mark.parametrize("context", ["{}", "> {}", "- {}", "**{}**", "# {}", "a\n{}"])
def test_nothing_in_it_runs(markdown: str, context: str) -> None:
    seen = Seen()
    seen.feed(render_markdown(context.format(markdown)))
    assert seen.wrong == []


# Small enough to be rendered in full, and each of them once took long.
RENDERED = (
    *("attribute-names", "attribute-spaces", "attribute-values", "attribute-equals"),
    *("tag-name", "open-comments", "comments", "entities", "quotes", "backticks"),
    *("table-row", "table-columns", "long-word", "long-definition", "zero-width"),
)


@pytest.mark.parametrize("name", READMES)
def test_every_readme_ends_within_its_budget(name: str) -> None:
    """The kernel counts the time, so a busy machine changes nothing (A4)."""
    try:
        html = renderer.render(READMES[name])
    except TooCostly:
        assert name not in RENDERED
    else:
        assert len(html.encode()) <= OUTPUT_MAX_BYTES


def test_a_readme_beyond_the_budget_is_shown_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is plain text with a note, and the next one is rendered (A4)."""
    readme = "<b>" + READMES["open-links"]
    html = render_readme(readme)
    assert "takes too long to render" in html
    assert "&lt;b&gt;[a](" in html
    assert len(html) < 2 * 1024 * 1024
    assert "<strong>b</strong>" in render_readme("**b**")
    asked: list[str] = []
    monkeypatch.setattr(Renderer, "render", lambda self, text, **_: asked.append(text))
    assert render_readme(readme) == html
    assert asked == []


def test_a_renderer_that_ends_is_started_again() -> None:
    own = Renderer()
    try:
        assert "<h2" in own.render("# a")
        assert own._helper is not None
        own._helper.kill()
        own._helper.wait()
        assert "<h2" in own.render("# a")
    finally:
        own.stop()


def test_a_busy_renderer_lets_nobody_wait_for_long(monkeypatch: Any) -> None:
    """Others see plain text for the moment, and it is not kept."""
    monkeypatch.setattr("hub.drawing.markdown_process.WAIT_SECONDS", 0.01)
    text = "# only here\n\n*a*"
    with renderer._turn:
        assert "*a*" in render_readme(text)
    assert "<em>a</em>" in render_readme(text)


def test_what_is_too_long_is_cut(django_db_setup: None) -> None:
    html = render_readme("a" * README_MAX_LENGTH + "\n\nthe end")
    assert "the end" not in html
    assert render_readme("# A") == render_readme("# A")
