"""Renders Markdown to clean HTML, as people know it from their forge.

    Markdown   tables, task lists, strikethrough, bare links, footnotes, alerts
               (``> [!NOTE]``), emoji codes, fenced code in colors
    HTML       the tags that forges know, without their attributes; comments are left
               out, headings are bold; all of it is cleaned once more (nh3)
    headings   one step down, since the page has its h1, and none skips a step; ids are
               GitHub's, and begin with "readme-"
    links      absolute ones to the web or to mail, marked as written by users; a
               relative one leads to the source that the image declares, and is text
               where there is none
    images     are links to them, unless an image proxy is named: a reader's browser
               asks no foreign host
    direction  each block has its own (``dir="auto"``)

Pure, and not bounded: what a hostile text costs is bounded by the process that it is
rendered in (hub/drawing/markdown_helper.py). Every expression here is linear.
"""

import re
import unicodedata
from collections.abc import Iterator
from html import escape, unescape
from typing import Any
from urllib.parse import quote, unquote

import emoji
import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin

from hub.drawing.highlight import colour_code
from hub.drawing.sources import SourceFiles
from repositories.oci.annotations import is_web_address

# Lexers have expressions that are not linear: more code than this is plain.
BLOCK_MAX_LENGTH = 10_000
COLOURED_MAX_LENGTH = 40_000  # of all code in one README
ID_PREFIX = "readme-"
SLUG_MAX_LENGTH = 200
VARIATION = "\N{VARIATION SELECTOR-16}"  # "show it in colors", behind some emoji
TASK_BOXES = frozenset(  # as the plugin writes them
    '<input class="task-list-item-checkbox" '
    f'{checked}disabled="disabled" type="checkbox">'
    for checked in ("", 'checked="checked" ')
)
_EMOJI_CODE = re.compile(r":[a-z0-9_+-]{1,50}:")
LINK_SCHEMES = frozenset({"http", "https", "mailto"})

_TAGS = frozenset(
    [
        *("a", "blockquote", "br", "code", "del", "div", "em", "hr", "img", "p"),
        *("details", "kbd", "pre", "s", "span", "strong", "sub", "summary", "sup"),
        *("h2", "h3", "h4", "h5", "h6"),
        *("input", "label", "li", "ol", "section", "ul"),
        *("table", "tbody", "td", "th", "thead", "tr"),
    ]
)
_ATTRIBUTES = {
    "a": {"href", "title", "id", "aria-label"},
    "code": {"class"},
    "div": {"class"},
    "img": {"src", "alt", "title", "loading"},
    "input": {"type", "checked", "disabled", "class"},
    "li": {"class", "id"},
    "ol": {"start"},
    "p": {"class", "id"},
    "section": {"class", "aria-label"},
    "pre": {"tabindex"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
    "ul": {"class"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}


_DIRECTED = ("blockquote", "p", "ol", "ul", "table", "h2", "h3", "h4", "h5", "h6")


def render_markdown(
    text: str, *, image_proxy: str = "", source: SourceFiles | None = None
) -> str:
    """Return Markdown as clean HTML; ``{url}`` in the proxy stands for an image's."""
    markdown = MarkdownIt("gfm-like", {"html": True, "linkify": True, "alerts": True})
    markdown.use(tasklists_plugin, label=True)
    markdown.use(footnote_plugin, inline=False)
    for name, rule in _RULES.items():
        markdown.add_render_rule(name, rule)
    tokens = markdown.parse(text)
    links = _Links(image_proxy, source)
    written = _Html(links)
    for token in tokens:
        for child in token.children or []:
            if child.type == "text":
                child.content = _with_emoji(child.content)
    _number_headings(tokens)
    for token in tokens:
        if token.type == "html_block":
            token.content = written.rewrite(token.content)
        token.children = list(_rewritten(token.children or [], links, written))
        _align(token)
        if token.type == "alert_open":
            token.attrs["class"] = f"alert alert-{token.info.lower()}"
        elif token.type == "alert_title_open":
            token.attrs["class"] = "alert-title"
    env = {"coloured": 0}
    html = markdown.renderer.render(tokens, markdown.options, env)
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        set_tag_attribute_values={tag: {"dir": "auto"} for tag in _DIRECTED},
        url_schemes=set(LINK_SCHEMES),
        link_rel="nofollow noopener ugc",
    )


def _with_emoji(text: str) -> str:
    return _EMOJI_CODE.sub(lambda code: emoji.emojize(code[0], language="alias"), text)


def _number_headings(tokens: list[Token]) -> None:
    """Move headings one step down and give each an id that nothing else has."""
    seen: dict[str, int] = {}  # and the last number that was put behind it
    above: list[int] = []  # levels of the headings that this one stands under
    for token, following in zip(tokens, tokens[1:] + tokens[:1], strict=True):
        if token.type not in {"heading_open", "heading_close"}:
            continue
        if token.type == "heading_open":
            written = int(token.tag[1])
            while above and above[-1] >= written:
                above.pop()
            above.append(written)
            slug = first = _slug("".join(_texts(following)))
            while slug in seen:
                seen[first] += 1
                slug = f"{first}-{seen[first]}"
            seen[slug] = 0
            token.attrs["id"] = ID_PREFIX + slug
        token.tag = f"h{min(len(above) + 1, 6)}"


def _slug(text: str) -> str:
    """Return a heading's anchor as GitHub spells it, without variation selectors.

    Letters, marks, numbers, hyphens and underscores stay; a space becomes a hyphen,
    also one that is left over behind an emoji.
    """
    words = text.lower()[:SLUG_MAX_LENGTH].replace(VARIATION, "")
    kept = (letter for letter in words if letter in " -" or _is_of_word(letter))
    return "".join(kept).replace(" ", "-") or "section"


def _is_of_word(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category[0] in "LMN" or category == "Pc"


def _align(token: Token) -> None:
    """Turn the style of a table's cell into a class: the site allows no styles."""
    style = str(token.attrs.pop("style", ""))
    if "right" in style:
        token.attrs["class"] = "num"


class _Html:
    """Rewrites the HTML of one README, piece after piece as Markdown cuts it.

    What it makes means the same and is plain; that it is safe, nh3 sees to.
    """

    _PIECE = re.compile(
        r"<!--(?:.*?-->|.*)"
        r"|<(?P<end>/?)(?P<tag>[a-z][a-z0-9]{0,20})(?P<more>[^<>]{0,4000})>",
        re.DOTALL | re.IGNORECASE,
    )
    # A name begins where another character is, so that none is read twice.
    _ATTRIBUTE = re.compile(
        r"""(?<![a-z])([a-z]{1,20})\s{0,20}=\s{0,20}("[^"]*"|'[^']*'|[^\s"'>]+)""",
        re.IGNORECASE,
    )
    _NAMES = {"b": "strong", "i": "em", "strike": "s"}
    _HEADINGS = frozenset(f"h{level}" for level in range(1, 7))
    _PLAIN = frozenset(
        [
            *("blockquote", "br", "code", "del", "details", "div", "em", "hr", "kbd"),
            *("label", "li", "ol", "p", "s", "strong", "sub", "summary", "sup", "ul"),
            *("table", "tbody", "td", "th", "thead", "tr"),
            *("script", "style"),  # of which nh3 leaves nothing, what is in them too
        ]
    )

    def __init__(self, links: "_Links") -> None:
        self._links = links
        self._in_link = False

    def rewrite(self, html: str) -> str:
        return self._PIECE.sub(self._piece, html)

    def _piece(self, found: re.Match[str]) -> str:
        end = found["end"]
        tag = (found["tag"] or "").lower()
        tag = self._NAMES.get(tag, tag)
        if tag in self._HEADINGS:  # they would break the order of the page's own
            return "</strong></p>" if end else "<p><strong>"
        if tag == "pre":
            return f"<{end}pre>" if end else '<pre tabindex="0">'
        if tag in self._PLAIN:
            return f"<{end}{tag}>"
        if tag == "a":
            return self._end_link() if end else self._link(found["more"])
        if tag == "img" and not end:
            return self._image(self._attributes(found["more"]))
        return ""

    def _attributes(self, text: str) -> dict[str, str]:
        return {
            name.lower(): unescape(value.strip("\"'"))
            for name, value in self._ATTRIBUTE.findall(text)
        }

    def _link(self, more: str) -> str:
        attributes = self._attributes(more)
        href = self._links.target(attributes.get("href", ""))
        name = _anchor(attributes.get("id") or attributes.get("name") or "")
        self._in_link = bool(href or name)
        written = f' id="{ID_PREFIX}{escape(name)}"' if name else ""
        written += f' href="{escape(href)}"' if href else ""
        return f"<a{written}>" if written else ""

    def _end_link(self) -> str:
        was_in_link, self._in_link = self._in_link, False
        return "</a>" if was_in_link else ""

    def _image(self, attributes: dict[str, str]) -> str:
        source = self._links.image(attributes.get("src", ""))
        text = escape(attributes.get("alt", ""))
        if not source:
            return text
        if self._links.proxy:
            address = escape(self._links.proxied(source))
            return f'<img src="{address}" alt="{text}" loading="lazy">'
        text = text or escape(source)
        return text if self._in_link else f'<a href="{escape(source)}">{text}</a>'


class _Links:
    """Says where links and images of one README lead."""

    def __init__(self, proxy: str, source: SourceFiles | None) -> None:
        self.proxy = proxy
        self._source = source

    def target(self, href: str) -> str:
        """Return where a link may lead, "" for nowhere."""
        if href.startswith("#"):
            anchor = _anchor(href[1:])
            return f"#{ID_PREFIX}{quote(anchor)}" if anchor else ""
        if href.startswith("mailto:") or is_web_address(href):
            return href
        return self._source.page(href) if self._source else ""

    def image(self, source: str) -> str:
        """Return the address of an image on the web, "" for none."""
        if is_web_address(source):
            return source
        return self._source.content(source) if self._source else ""

    def proxied(self, source: str) -> str:
        return self.proxy.replace("{url}", quote(source, safe=""))


def _anchor(fragment: str) -> str:
    """Return an anchor as headings have it, however a link spells it."""
    text = unquote(fragment[: 6 * SLUG_MAX_LENGTH], errors="replace").lower()
    kept = text.replace(VARIATION, "")[:SLUG_MAX_LENGTH]
    return "" if any(letter.isspace() for letter in kept) else kept


def _rewritten(tokens: list[Token], links: _Links, html: _Html) -> Iterator[Token]:
    """Yield inline tokens with harmless links, and images as they may be shown."""
    is_kept: list[bool] = []  # of each link around
    for token in tokens:
        if token.type == "link_open":
            href = links.target(str(token.attrs.pop("href", "")))
            is_kept.append(bool(href))
            if not href:
                continue
            token.attrs["href"] = href
        elif token.type == "link_close" and is_kept and not is_kept.pop():
            continue
        if token.type == "html_inline" and token.content not in TASK_BOXES:
            token.content = html.rewrite(token.content)
        if token.type == "image":
            yield from _image(token, links, is_linked=any(is_kept))
        else:
            yield token


def _image(token: Token, links: _Links, *, is_linked: bool) -> Iterator[Token]:
    written = str(token.attrs.get("src", ""))
    source = links.image(written)
    title = "".join(_texts(token)) or written
    if links.proxy and source:
        token.attrs["src"] = links.proxied(source)
        token.attrs["loading"] = "lazy"
        yield token
        return
    text = Token("text", "", 0, content=title)
    if is_linked or not source:
        yield text
        return
    yield Token("link_open", "a", 1, attrs={"href": source})
    yield text
    yield Token("link_close", "a", -1)


def _texts(token: Token) -> Iterator[str]:
    for child in token.children or []:
        if child.type in {"text", "code_inline"}:
            yield child.content


def _render_code(
    self: Any, tokens: list[Token], index: int, options: Any, env: Any
) -> str:
    """Write a block of code as the site's own, in colors if its language is named."""
    token = tokens[index]
    words = token.info.split(maxsplit=1)
    env["coloured"] += len(token.content)
    is_short = len(token.content) <= BLOCK_MAX_LENGTH
    is_coloured = words and is_short and env["coloured"] <= COLOURED_MAX_LENGTH
    code = colour_code(token.content, words[0] if is_coloured else "")
    return f'<div class="code"><pre tabindex="0"><code>{code}</code></pre></div>\n'


def _footnote_id(token: Token) -> str:
    return str(token.meta["id"] + 1)


def _footnote_backlink(token: Token) -> str:
    """Return the id of one of the places that refer to a footnote."""
    again = token.meta.get("subId", 0)
    return f"{ID_PREFIX}fnref-{_footnote_id(token)}" + (
        f"-{again}" if again > 0 else ""
    )


def _render_footnote_ref(
    self: Any, tokens: list[Token], index: int, options: Any, env: Any
) -> str:
    token = tokens[index]
    number = _footnote_id(token)
    return (
        f'<sup><a id="{_footnote_backlink(token)}" href="#{ID_PREFIX}fn-{number}" '
        f'aria-label="Footnote {number}">{number}</a></sup>'
    )


def _render_footnote_open(
    self: Any, tokens: list[Token], index: int, options: Any, env: Any
) -> str:
    return f'<li id="{ID_PREFIX}fn-{_footnote_id(tokens[index])}">'


def _render_footnote_anchor(
    self: Any, tokens: list[Token], index: int, options: Any, env: Any
) -> str:
    token = tokens[index]
    return (
        f' <a href="#{_footnote_backlink(token)}" '
        f'aria-label="Back to the text of footnote {_footnote_id(token)}">'
        "\u21a9\ufe0e</a>"
    )


def _render_footnotes(
    self: Any, tokens: list[Token], index: int, options: Any, env: Any
) -> str:
    return '<hr>\n<section class="footnotes" aria-label="Footnotes">\n<ol>\n'


_RULES = {
    "fence": _render_code,
    "code_block": _render_code,
    "footnote_ref": _render_footnote_ref,
    "footnote_open": _render_footnote_open,
    "footnote_anchor": _render_footnote_anchor,
    "footnote_block_open": _render_footnotes,
}
