"""What is asked of every page in a browser: check_page(page).

axe-core finds nothing in light or dark, the console is quiet, the
Content-Security-Policy had nothing to refuse, no request left the site, nothing is
wider than the window, and nothing jumped while the page was built.
"""

import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, Page, Request

LAYOUT_SHIFT_MAX = 0.01  # less than an eye sees
SETTLE_SECONDS = 60
# All that differs between light and dark; the page itself is the same.
ONLY_COLORS = {"runOnly": ["color-contrast"], "resultTypes": ["violations"]}

_WATCH = """
window.refusedByPolicy = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.refusedByPolicy.push(`${event.violatedDirective} ${event.blockedURI} `
    + `${event.sourceFile ?? ""}:${event.lineNumber} ${event.sample}`);
});
window.layoutShift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.layoutShift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


# What a script asks for once the page is loaded, it has asked for two frames later.
_TWO_FRAMES = """
new Promise((resolve) =>
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(resolve))))
"""

_FACTS = """() => ({
  refused: window.refusedByPolicy,
  headings: document.querySelectorAll("h1").length,
  title: document.title,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  shift: window.layoutShift,
})"""


@dataclass
class _Seen:
    complaints: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    waiting: set[Request] = field(default_factory=set)  # for an answer


_seen: WeakKeyDictionary[Page, _Seen] = WeakKeyDictionary()


def watch(context: BrowserContext, own_url: str) -> Page:
    """Open a page that remembers what check_page asks for."""
    context.add_init_script(_WATCH)
    page = context.new_page()
    seen = _seen[page] = _Seen()
    own = urlsplit(own_url).netloc

    def note_request(request: Request) -> None:
        seen.waiting.add(request)
        parts = urlsplit(request.url)
        if parts.scheme not in {"data", "blob"} and parts.netloc != own:
            seen.foreign.append(request.url)

    def note_console(message: Any) -> None:
        # The browser tells of the page's own status too, which a test expects.
        is_own_status = message.location.get("url") == page.url
        if message.type in {"error", "warning"} and not is_own_status:
            seen.complaints.append(f"{message.type}: {message.text}")

    page.on("request", note_request)
    page.on("requestfinished", lambda request: seen.waiting.discard(request))
    page.on("requestfailed", lambda request: seen.waiting.discard(request))
    page.on("console", note_console)
    page.on("pageerror", lambda error: seen.complaints.append(f"uncaught: {error}"))
    return page


def check_page(
    page: Page,
    *,
    is_ours: bool = True,
    has_scripts: bool = True,
    asks_axe: bool = True,
) -> None:
    """Hold a loaded page to the promises above.

    The administration is made by others (``is_ours=False``): of it only the console,
    the policy and the requests are asked. A page that runs no scripts
    (``has_scripts=False``) is not asked by axe, whose own would never end, and neither
    is one of which another check asks the same (``asks_axe=False``): three quarters of
    a check's time are axe's.
    """
    settle(page, has_scripts=has_scripts)
    seen = _seen[page]
    found = page.evaluate(_FACTS)
    refused = found["refused"]
    assert not refused, f"{page.url}: refused by the policy: {refused}"
    assert not seen.complaints, f"{page.url}: {seen.complaints}"
    assert not seen.foreign, f"{page.url}: left the site: {seen.foreign}"
    if not is_ours:
        return
    assert found["headings"] == 1, f"{page.url}: not one h1"
    title = found["title"]
    assert title.removesuffix(" · Berth") not in {"", title}, f"{page.url}: {title!r}"
    overflow = found["overflow"]
    assert overflow <= 0, f"{page.url}: {overflow} px wider than the window"
    shift = found["shift"]
    assert shift <= LAYOUT_SHIFT_MAX, f"{page.url}: the layout shifted by {shift}"
    if not has_scripts or not asks_axe:
        return
    _check_by_axe(page, {"resultTypes": ["violations"]})
    was_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.emulate_media(color_scheme="light" if was_dark else "dark")
    _check_by_axe(page, ONLY_COLORS)
    page.emulate_media(color_scheme="dark" if was_dark else "light")


def settle(page: Page, *, has_scripts: bool = True) -> None:
    """Return once the page is loaded and waits for no answer.

    Playwright's own "networkidle" is half a second without a request, on every page.
    """
    page.wait_for_load_state("load")
    seen = _seen[page]
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        if has_scripts:
            page.evaluate(_TWO_FRAMES)
        if not seen.waiting:
            return
        urls = [request.url for request in seen.waiting]
        assert time.monotonic() < deadline, f"{page.url} waits for {urls}"
        page.wait_for_timeout(10)


def _check_by_axe(page: Page, options: dict[str, Any]) -> None:
    if not page.evaluate("'axe' in window"):  # to read axe takes longer than to run it
        page.evaluate(AXE_SCRIPT)
    # The rest of axe's report is long, and the way to here is slow.
    found = page.evaluate(
        "(options) => axe.run(options).then((report) => report.violations)", options
    )
    assert not found, f"{page.url}:\n" + "\n".join(map(_describe, found))


def _describe(violation: dict[str, Any]) -> str:
    places = "\n".join(
        f"    {node['html'][:200]}\n      {node['failureSummary'][:400]}"
        for node in violation["nodes"][:5]
    )
    return f"  {violation['id']}: {violation['help']}\n{places}"
