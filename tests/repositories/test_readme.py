"""READMEs: what Markdown becomes, and that nothing in it runs or asks a host."""

import re
import time
from html.parser import HTMLParser

import pytest

from repositories.readme import (
    README_MAX_LENGTH,
    render_markdown,
    render_readme,
)

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
        ("[![ci](https://x/b.svg)](https://ci.example/)", ">ci</a>"),
        ("[doc](docs/a.md)", ">doc</a>"),
    ],
)
def test_markdown_becomes(markdown: str, html: str) -> None:
    assert html in render_markdown(markdown)


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


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "![",
        "*a ",
        "`",
        "> ",
        "|a",
        "<",
        "http://a.b ",
        "# a\n",
        "~~a",
        "<!--",
        "<a ",
        "<a href='",
        "<b>",
        "</",
        "<img src=https://a.b alt=",
        "<!-- -->",
    ],
)
def test_no_text_takes_long(piece: str) -> None:
    """A text grows ten times: the time grows by not much more, and has an end."""
    began = time.monotonic()
    render_markdown((piece * README_MAX_LENGTH)[:README_MAX_LENGTH])
    assert time.monotonic() - began < 30  # 1.5 seconds on an idle machine


def test_what_is_too_long_is_cut(django_db_setup: None) -> None:
    html = render_readme("a" * README_MAX_LENGTH + "\n\nthe end")
    assert "the end" not in html
    assert render_readme("# A") == render_readme("# A")
