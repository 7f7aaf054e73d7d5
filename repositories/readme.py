"""READMEs: Markdown as people know it from their forge, and nothing that runs.

    Markdown   tables, task lists, strikethrough, bare links, fenced code in colours
    HTML       the tags that forges know, without their attributes; comments are left
               out, headings are bold; all of it is cleaned once more (nh3)
    headings   one step down, since the page has its h1, and none skips a step; ids
               begin with "readme-"
    links      absolute ones to the web or to mail, marked as written by users; a
               relative one leads nowhere here and is text
    images     are links to them, unless BERTH_IMAGE_PROXY names who fetches them: a
               reader's browser asks no foreign host

Rendering is a pure function of the text and the proxy, so the result is kept in the
cache under the hash of both.
"""

import hashlib
import re
from collections.abc import Iterator
from html import escape, unescape
from typing import Any
from urllib.parse import quote

import nh3
from django.conf import settings
from django.core.cache import cache
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.tasklists import tasklists_plugin

from repositories.colours import colour_code
from repositories.oci.annotations import is_web_address

README_MAX_LENGTH = 100_000
CACHE_SECONDS = 7 * 24 * 3600
CACHE_VERSION = 3  # of what is made of a text
ID_PREFIX = "readme-"
TASK_BOXES = frozenset(  # as the plugin writes them
    '<input class="task-list-item-checkbox" '
    f'{checked}disabled="disabled" type="checkbox">'
    for checked in ("", 'checked="checked" ')
)
LINK_SCHEMES = frozenset({"http", "https", "mailto"})

_TAGS = frozenset(
    [
        *("a", "blockquote", "br", "code", "del", "div", "em", "hr", "img", "p"),
        *("details", "kbd", "pre", "s", "span", "strong", "sub", "summary", "sup"),
        *("h2", "h3", "h4", "h5", "h6"),
        *("input", "label", "li", "ol", "ul"),
        *("table", "tbody", "td", "th", "thead", "tr"),
    ]
)
_ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class"},
    "img": {"src", "alt", "title", "loading"},
    "input": {"type", "checked", "disabled", "class"},
    "li": {"class"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "span": {"class"},
    "td": {"class"},
    "th": {"class"},
    "ul": {"class"},
    **{f"h{level}": {"id"} for level in range(2, 7)},
}


def render_readme(text: str) -> SafeString:
    """Return the HTML of a README; made once per text."""
    text = text[:README_MAX_LENGTH]
    proxy = settings.BERTH_IMAGE_PROXY
    name = hashlib.sha256(f"{proxy}\0{text}".encode("utf-8", "replace")).hexdigest()
    key = f"readme:{CACHE_VERSION}:{name}"
    html: str | None = cache.get(key)
    if html is None:
        html = render_markdown(text, image_proxy=proxy)
        cache.set(key, html, CACHE_SECONDS)
    return mark_safe(html)  # noqa: S308 - cleaned by nh3


def render_markdown(text: str, *, image_proxy: str = "") -> str:
    """Return Markdown as clean HTML; ``{url}`` in the proxy stands for an image's."""
    markdown = MarkdownIt("gfm-like", {"html": True, "linkify": True})
    markdown.use(tasklists_plugin, label=True)
    markdown.add_render_rule("fence", _render_code)
    markdown.add_render_rule("code_block", _render_code)
    tokens = markdown.parse(text)
    _number_headings(tokens)
    written = _Html(image_proxy)
    for token in tokens:
        if token.type == "html_block":
            token.content = written.rewrite(token.content)
        token.children = list(_rewritten(token.children or [], image_proxy, written))
        _align(token)
    html = markdown.renderer.render(tokens, markdown.options, {})
    return nh3.clean(
        html,
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=set(LINK_SCHEMES),
        link_rel="nofollow noopener ugc",
    )


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
            slug = first = _slug(following.content)
            while slug in seen:
                seen[first] += 1
                slug = f"{first}-{seen[first]}"
            seen[slug] = 0
            token.attrs["id"] = ID_PREFIX + slug
        token.tag = f"h{min(len(above) + 1, 6)}"


def _slug(text: str) -> str:
    """Return a heading's anchor as forges spell it."""
    plain = re.sub(r"<[^<>]*>", "", text[:1000])
    words = re.sub(r"[^\w\- ]", "", plain.lower()[:200]).strip()
    return words.replace(" ", "-") or "section"


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
        r"<!--(?:.*?-->|.*)|<(?P<end>/?)(?P<tag>[a-z][a-z0-9]*)(?P<more>[^<>]*)>",
        re.DOTALL | re.IGNORECASE,
    )
    _ATTRIBUTE = re.compile(r"""([a-z]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""", re.I)
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

    def __init__(self, image_proxy: str) -> None:
        self._image_proxy = image_proxy
        self._in_link = False

    def rewrite(self, html: str) -> str:
        return self._PIECE.sub(self._piece, html)

    def _piece(self, found: re.Match[str]) -> str:
        end = found["end"]
        tag = (found["tag"] or "").lower()
        tag = self._NAMES.get(tag, tag)
        if tag in self._HEADINGS:  # they would stand in nobody's order
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
        href = _harmless(self._attributes(more).get("href", ""))
        self._in_link = bool(href)
        return f'<a href="{escape(href)}">' if href else ""

    def _end_link(self) -> str:
        was_in_link, self._in_link = self._in_link, False
        return "</a>" if was_in_link else ""

    def _image(self, attributes: dict[str, str]) -> str:
        source = attributes.get("src", "")
        text = escape(attributes.get("alt", ""))
        if not is_web_address(source):
            return text
        if self._image_proxy:
            address = escape(_proxied(self._image_proxy, source))
            return f'<img src="{address}" alt="{text}" loading="lazy">'
        text = text or escape(source)
        return text if self._in_link else f'<a href="{escape(source)}">{text}</a>'


def _rewritten(tokens: list[Token], image_proxy: str, html: _Html) -> Iterator[Token]:
    """Yield inline tokens with harmless links, and images as they may be shown."""
    in_link = 0
    for token in tokens:
        if token.type == "link_open":
            in_link += 1
            href = _harmless(str(token.attrs.pop("href", "")))
            if href:
                token.attrs["href"] = href
        elif token.type == "link_close":
            in_link -= 1
        if token.type == "html_inline" and token.content not in TASK_BOXES:
            token.content = html.rewrite(token.content)
        if token.type == "image":
            yield from _image(token, image_proxy, is_linked=bool(in_link))
        else:
            yield token


def _harmless(href: str) -> str:
    """Return where a link may lead, "" for nowhere."""
    if href.startswith("#"):
        return f"#{ID_PREFIX}{href[1:]}"
    if href.startswith("mailto:") or is_web_address(href):
        return href
    return ""


def _image(token: Token, proxy: str, *, is_linked: bool) -> Iterator[Token]:
    source = str(token.attrs.get("src", ""))
    title = "".join(_texts(token)) or source
    if proxy and is_web_address(source):
        token.attrs["src"] = _proxied(proxy, source)
        token.attrs["loading"] = "lazy"
        yield token
        return
    text = Token("text", "", 0, content=title)
    if is_linked or not is_web_address(source):
        yield text
        return
    yield Token("link_open", "a", 1, attrs={"href": source})
    yield text
    yield Token("link_close", "a", -1)


def _proxied(proxy: str, source: str) -> str:
    return proxy.replace("{url}", quote(source, safe=""))


def _texts(token: Token) -> Iterator[str]:
    for child in token.children or []:
        if child.type in {"text", "code_inline"}:
            yield child.content


def _render_code(
    self: Any, tokens: list[Token], index: int, options: Any, env: Any
) -> str:
    """Write a block of code as the site's own, in colours if its language is named."""
    token = tokens[index]
    words = token.info.split()
    code = colour_code(token.content, words[0] if words else "")
    return f'<div class="code"><pre tabindex="0"><code>{code}</code></pre></div>\n'
