"""Take the screenshots of the documentation again: docs/images/*.png.

A fresh Berth in a temporary folder, with the demo in it, is looked at as one of its
people would. Its address in the pictures is ADDRESS, which only this browser resolves.
"""

import struct
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.programs import find_program
from tests.servers import PROJECT_FOLDER, BerthServer

FOLDER = PROJECT_FOLDER / "docs" / "images"
ADDRESS = "http://registry.example.com"
PERSON, PASSWORD = "ana", "only for this hour"  # of the demo
WIDE, NARROW = 1280, 390
PICTURE_LIMIT_BYTES = 150_000  # a page of documentation is read on the road, too


@dataclass(frozen=True)
class Shot:
    """One picture: a page, how much of it, and what is opened on it first."""

    name: str
    path: str
    height: int = 800
    width: int = WIDE
    scheme: Literal["light", "dark"] = "light"
    opened: str = ""  # selects the link to press


SHOTS = (
    Shot("explore", "/"),
    Shot("explore-dark", "/", scheme="dark"),
    Shot("explore-phone", "/", width=NARROW),
    Shot("search", "/search?q=java"),
    Shot("repository", "/library/java"),
    Shot("repository-dark", "/library/java", scheme="dark"),
    Shot("repository-phone", "/library/java", width=NARROW),
    Shot("tags", "/acme/api/-/tags"),
    Shot("tag", "/acme/api:2.8.1", height=960),
    Shot("organization", "/acme"),
    Shot("teams", "/acme/-/teams", height=1000),
    Shot(
        "webhook", "/acme/api/-/webhooks/1", height=920, opened="tr:has-text('2.8.0') a"
    ),
    Shot("access-tokens", "/settings/tokens"),
)


def main() -> int:
    """Take all of them; the exit status is 1 if one is too large."""
    program = find_program("chromium-headless-shell")
    if program is None:
        print("chromium-headless-shell is not installed (make clients)")
        return 1
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="berth-screenshots-") as folder:
        server = BerthServer(data_folder=Path(folder), BERTH_URL=ADDRESS)
        server.manage("prepare")
        server.manage("seed_demo", "--password", PASSWORD)
        with server, sync_playwright() as playwright:
            host = ADDRESS.removeprefix("http://")
            browser = playwright.chromium.launch(
                executable_path=program,
                args=[
                    "--no-sandbox",  # root has none, and only our own pages are opened
                    f"--host-resolver-rules=MAP {host}:80 127.0.0.1:{server.port}",
                ],
            )
            sizes = take_all(browser)
            browser.close()
    print(f"{sum(sizes.values()):,} bytes in all")
    large = [name for name, size in sizes.items() if size > PICTURE_LIMIT_BYTES]
    if large:
        print(f"larger than {PICTURE_LIMIT_BYTES:,} bytes: {', '.join(large)}")
    return 1 if large else 0


def take_all(browser: Browser) -> dict[str, int]:
    """Write every picture and return their sizes in bytes."""
    signed_in = browser.new_context()
    sign_in(signed_in)
    session = signed_in.storage_state()
    sizes = {}
    for shot in SHOTS:
        context = browser.new_context(
            base_url=ADDRESS,
            viewport={"width": shot.width, "height": shot.height},
            color_scheme=shot.scheme,
            reduced_motion="reduce",
            locale="en-GB",
            storage_state=session,
        )
        picture = smaller(take(context.new_page(), shot))
        context.close()
        (FOLDER / f"{shot.name}.png").write_bytes(picture)
        sizes[shot.name] = len(picture)
        print(f"{shot.name}: {len(picture):,} bytes")
    return sizes


def sign_in(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto(f"{ADDRESS}/accounts/login/")
    page.get_by_label("Username or email").fill(PERSON)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_text(f"{PERSON}, account menu").wait_for()


def take(page: Page, shot: Shot) -> bytes:
    answer = page.goto(shot.path)
    assert answer is not None, "a page was asked for"
    assert answer.status == 200, f"{shot.path}: {answer.status}"
    if shot.opened:
        page.locator(shot.opened).click()
        page.wait_for_load_state("networkidle")
        page.evaluate("scrollTo(0, 0)")
    page.evaluate("document.fonts.ready")
    return page.screenshot(animations="disabled", caret="hide")


# --- smaller files: without an alpha channel, and packed as well as zlib can

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def smaller(picture: bytes) -> bytes:
    """Pack a PNG again with the highest compression, if that makes it smaller."""
    header, packed = b"", b""
    for kind, content in chunks(picture):
        if kind == b"IHDR":
            header = content
        elif kind == b"IDAT":
            packed += content
    again = zlib.compressobj(9, zlib.DEFLATED, 15, 9)
    data = again.compress(zlib.decompress(packed)) + again.flush()
    made = _SIGNATURE + b"".join(
        chunk(kind, content)
        for kind, content in ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    )
    return min(made, picture, key=len)


def chunks(picture: bytes) -> list[tuple[bytes, bytes]]:
    """Return the parts of a PNG: their kinds and what is in them."""
    found, place = [], len(_SIGNATURE)
    while place < len(picture):
        (length,) = struct.unpack(">I", picture[place : place + 4])
        kind = picture[place + 4 : place + 8]
        found.append((kind, picture[place + 8 : place + 8 + length]))
        place += 12 + length
    return found


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


if __name__ == "__main__":
    sys.exit(main())
