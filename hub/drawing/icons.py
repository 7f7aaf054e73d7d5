"""Icons: Lucide's (ISC), of the pages' choice, as one sprite that browsers keep.

``{% icon "star" %}`` points into it; a name that is not listed here is refused by
tests/site/test_templates.py.
"""

import re
from functools import cache
from importlib.resources import files
from zipfile import ZipFile

ICONS = (
    *("activity", "anchor", "archive", "arrow-down-to-line", "arrow-down-up"),
    *("arrow-left", "arrow-right", "at-sign", "badge-check"),
    *("ban", "bell", "book-open", "bot", "boxes", "braces", "building-2"),
    *("calendar-clock", "chart-no-axes-column", "check", "chevron-down"),
    *("chevron-left", "chevron-right", "chevron-up", "circle", "circle-alert"),
    *(
        "circle-check",
        "circle-dot",
        "circle-question-mark",
        "circle-pause",
        "circle-slash",
    ),
    *("circle-x", "clipboard-list", "clock", "clock-alert", "cloud", "code"),
    *("compass", "container", "copy", "corner-down-right", "cpu", "crown"),
    *("database", "download", "ellipsis", "external-link", "eye", "eye-off"),
    *("file", "file-badge", "file-code", "file-text", "file-x", "funnel"),
    *("fingerprint-pattern", "folder", "folder-open", "folder-sync", "git-branch"),
    *("git-commit-horizontal", "git-fork", "globe", "hammer", "hard-drive", "hash"),
    *("history", "house", "image", "info", "key-round", "keyboard", "layers", "link"),
    *("list", "list-filter", "list-tree", "loader-circle", "lock", "lock-open"),
    *("log-in", "log-out", "mail", "menu", "message-square", "monitor", "moon"),
    *("network", "package", "package-open", "package-plus", "panel-left", "pause"),
    *("pencil", "pin", "play", "plus", "power", "qr-code", "refresh-cw", "repeat"),
    *("rotate-ccw", "save", "scale", "scan-line", "scroll-text", "search", "send"),
    *("server", "settings", "share-2", "shield", "shield-alert", "shield-check"),
    *("shield-off", "ship", "sliders-horizontal", "smartphone", "sparkles", "square"),
    *("star", "sun", "tag", "tags", "terminal", "timer", "trash-2", "trending-up"),
    *("triangle-alert", "undo-2", "upload", "user", "user-check", "user-minus"),
    *("user-plus", "user-x", "users", "wand-sparkles", "webhook", "wifi-off"),
    *("wrench", "x", "zap"),
)

_svg = re.compile(r"<svg[^>]*>(?P<shapes>.*)</svg>", re.DOTALL)


@cache
def sprite() -> str:
    """Return an SVG with one symbol for each icon.

    Lucide's own function opens its archive again for each icon, which takes two seconds
    for all of them.
    """
    archive = files("lucide").joinpath("lucide.zip")
    with archive.open("rb") as content, ZipFile(content) as drawings:
        symbols = [
            f'<symbol id="{name}" viewBox="0 0 24 24">'
            f"{_shapes(drawings.read(f'{name}.svg').decode())}</symbol>"
            for name in ICONS
        ]
    return (
        '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    )


def _shapes(drawing: str) -> str:
    match = _svg.fullmatch(drawing.strip())
    assert match, f"Lucide draws in another way: {drawing}"
    return re.sub(r">\s+<", "><", match["shapes"].strip())
