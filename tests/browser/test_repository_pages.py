"""The pages of a repository in a browser: in order, in both themes, wide and narrow."""

import json

import pytest
from playwright.sync_api import expect

from accounts.actors import ANONYMOUS
from repositories.lifecycle import describe_repository
from repositories.models import Repository
from tests.browser.checks import check_page
from tests.browser.conftest import WIDTHS, OpenBrowser
from tests.conftest import Cast
from tests.images import Image, artifact, image, index
from tests.registry_client import RegistryClient

README = """
# Orders

- [x] signed
- `amd64` and <b>more</b>

| tag | size |
|---|--:|
| v1 | 12 |

```python
def f(): return "x"
```

![logo](https://images.example.com/logo.png) [link](https://example.com)
<img src=x onerror="document.title='broken'"><script>document.title='broken'</script>
"""
CANARY = "<img src=x onerror=\"document.title='broken'\">"
CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "created": "2026-01-02T03:04:05Z",
    "config": {
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"],
        "Entrypoint": ["/srv/serve", CANARY],
        "Labels": {
            CANARY: CANARY,
            "org.opencontainers.image.source": "https://x.example",
        },
    },
    "history": [
        {"created_by": f"RUN /bin/sh -c {CANARY} {'very-long-word-' * 20} # buildkit"},
        {"created_by": "ENV A=1", "empty_layer": True},
        {"created_by": "COPY . /srv # buildkit"},
    ],
}


def full_image() -> Image:
    return image(
        b"a" * 9000,
        b"b" * 500,
        config=json.dumps(CONFIG).encode(),
        annotations={CANARY: CANARY},
    )


@pytest.fixture
def filled(private_api: Repository, alice: RegistryClient, cast: Cast) -> str:
    """The address of a repository with everything that its pages can show."""
    name = private_api.full_name
    describe_repository(
        repository=private_api, actor=ANONYMOUS, readme=README, description=CANARY
    )
    one = full_image()
    both = index(one, image())
    alice.push(f"{name}:v1", image())
    alice.push(f"{name}:v1", both)
    alice.push(f"{name}:a-tag-with-a-very-long-name-{'x' * 90}", both)
    alice.push(name, artifact(one, artifact_type="application/spdx+json"))
    alice.push(f"{name}:gone", image())
    alice.delete(f"/v2/{name}/manifests/gone")
    return f"/{name}"


@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_is_in_order(
    open_browser: OpenBrowser, cast: Cast, filled: str, width: int
) -> None:
    page = open_browser(cast.alice, width=width)
    for rest in (
        *("", ":v1", "/-/tags", "/-/tags?deleted=gone", "/-/activity", "/-/settings"),
        *("/-/access", f"/-/access?who={cast.carol.username}&action=push"),
        *("/-/settings/readme", "/-/tags?q=nothing-like-it"),
    ):
        page.goto(filled + rest)
        check_page(page)
        assert page.title() != "broken"


@pytest.mark.parametrize("width", WIDTHS)
def test_an_empty_repository_is_in_order(
    open_browser: OpenBrowser, cast: Cast, api: str, width: int
) -> None:
    for user in (cast.bob, cast.carol):
        page = open_browser(user, width=width)
        page.goto(f"/{api}")
        check_page(page)


def test_the_first_push_is_seen_without_a_reload(
    open_browser: OpenBrowser, cast: Cast, api: str, alice: RegistryClient
) -> None:
    page = open_browser(cast.bob)
    page.goto(f"/{api}")
    page.get_by_text("Waiting for your first push").wait_for()
    alice.push(f"{api}:v1", image())
    page.wait_for_url(f"**/{api}/-/tags")
    page.get_by_role("link", name="v1", exact=True).first.wait_for()
    alice.push(f"{api}:v2", image())
    page.get_by_role("link", name="v2", exact=True).first.wait_for()
    check_page(page)


def test_a_list_that_is_being_worked_on_is_left_alone(
    open_browser: OpenBrowser, cast: Cast, api: str, alice: RegistryClient
) -> None:
    alice.push(f"{api}:v1", image())
    page = open_browser(cast.bob)
    page.goto(f"/{api}/-/tags")
    page.get_by_role("checkbox", name="Select v1").check()
    page.get_by_text("1 selected").wait_for()
    alice.push(f"{api}:v2", image())
    page.wait_for_timeout(6000)
    assert page.get_by_role("checkbox", name="Select v1").is_checked()
    assert page.get_by_role("checkbox", name="Select v2").count() == 0
    check_page(page)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_tag_is_deleted_and_brought_back(
    open_browser: OpenBrowser,
    cast: Cast,
    api: str,
    alice: RegistryClient,
    scripts: bool,
) -> None:
    alice.push(f"{api}:v1", image())
    alice.push(f"{api}:v2", image())
    page = open_browser(cast.bob, scripts=scripts)
    page.goto(f"/{api}/-/tags")
    page.get_by_role("button", name="Actions for v1").click()
    page.get_by_role("button", name="Delete tag").locator("visible=true").click()
    page.get_by_text("v1 deleted.").wait_for()
    assert page.get_by_role("checkbox", name="Select v1").count() == 0
    if scripts:
        expect(page.get_by_role("button", name="Undo v1")).to_be_focused()
        page.keyboard.press("z")
    else:
        page.get_by_role("button", name="Undo v1").click()
    page.get_by_role("checkbox", name="Select v1").wait_for()
    page.get_by_text("v1 restored.").wait_for()
    if scripts:
        expect(page.get_by_role("article", name="v1")).to_be_focused()


def test_an_undo_outlives_a_push_and_a_filter(
    open_browser: OpenBrowser, cast: Cast, api: str, alice: RegistryClient
) -> None:
    for tag in ("v1", "v2"):
        alice.push(f"{api}:{tag}", image())
        alice.delete(f"/v2/{api}/manifests/{tag}")
    alice.push(f"{api}:main-1", image())
    page = open_browser(cast.bob)
    page.goto(f"/{api}/-/tags?deleted=v1")
    check_page(page)
    undo = page.get_by_role("button", name="Undo v1")
    expect(undo).to_be_focused()
    undo.evaluate("button => button.blur()")
    alice.push(f"{api}:main-2", image())
    page.get_by_role("article", name="main-2").wait_for()
    expect(undo).to_be_visible()
    page.get_by_role("searchbox", name="Filter tags").fill("main-1")
    page.wait_for_url("**q=main-1**")
    page.get_by_role("article", name="main-2").wait_for(state="detached")
    expect(undo).to_be_visible()
    page.goto(f"/{api}/-/activity")
    check_page(page)
    page.get_by_role("button", name="Restore v2").click()
    expect(page.get_by_role("article", name="v2")).to_be_focused()
    check_page(page)
    page.get_by_role("button", name="Restore v1").click()
    page.get_by_text("v1 restored.").wait_for()


def test_typing_filters_the_list(
    open_browser: OpenBrowser, cast: Cast, api: str, alice: RegistryClient
) -> None:
    for tag in ("main-1", "main-2", "v1"):
        alice.push(f"{api}:{tag}", image())
    page = open_browser(cast.carol)
    page.goto(f"/{api}/-/tags")
    page.get_by_role("searchbox", name="Filter tags").fill("main")
    page.wait_for_url("**q=main**")
    page.get_by_role("link", name="v1", exact=True).wait_for(state="detached")
    assert page.get_by_role("link", name="main-1", exact=True).count() == 1


def test_a_platform_and_a_preview_come_without_a_new_page(
    open_browser: OpenBrowser, cast: Cast, filled: str
) -> None:
    page = open_browser(cast.alice)
    page.goto(f"{filled}:v1")
    page.get_by_role("link", name="linux/arm64").click()
    page.wait_for_url("**platform=linux/arm64")
    check_page(page)
    page.goto(f"{filled}/-/settings/readme")
    page.get_by_role("textbox", name="README").fill("# Something new")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("heading", name="Something new").wait_for()
    check_page(page)


def test_the_code_of_a_readme_is_copied(
    open_browser: OpenBrowser, cast: Cast, filled: str
) -> None:
    page = open_browser(cast.alice)
    page.goto(filled)
    button = page.locator(".prose").get_by_role("button", name="Copy code")
    assert button.get_attribute("data-copy") == 'def f(): return "x"'
    button.click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    check_page(page)
    page.set_viewport_size({"width": 390, "height": 800})
    code, copy = (
        page.locator(".prose pre code").first.bounding_box(),
        button.bounding_box(),
    )
    assert code is not None
    assert copy is not None
    assert copy["y"] + copy["height"] <= code["y"], "it covers the code (F11)"
    page.goto(f"{filled}/-/settings/readme")
    page.get_by_role("textbox", name="README").fill("    indented `code`\n")
    page.get_by_role("button", name="Preview").click()
    copied = page.locator("#preview [data-copy]")
    assert copied.get_attribute("data-copy") == "indented `code`"


def test_all_boxes_stay_ticked_and_one_undo_restores_them(
    open_browser: OpenBrowser, cast: Cast, api: str, alice: RegistryClient
) -> None:
    """The box for all ticks the list and keeps it ticked, filtered or not (F1, F3)."""
    for tag in ("v1", "v2", "v3", "main-1"):
        alice.push(f"{api}:{tag}", image())
    page = open_browser(cast.bob)
    page.goto(f"/{api}/-/tags")
    page.get_by_role("searchbox", name="Filter tags").fill("v")
    page.wait_for_url("**q=v**")
    page.get_by_role("article", name="main-1").wait_for(state="detached")
    requests: list[str] = []
    page.on(
        "request",
        lambda request: (
            requests.append(request.url) if "/-/tags" in request.url else None
        ),
    )
    everything = page.get_by_role("checkbox", name="Select all")
    everything.check()
    page.wait_for_timeout(1000)
    assert not requests, "ticking a box asks the server for nothing"
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.get_by_role("checkbox", name="Select v2").uncheck()
    expect(page.get_by_text("2 selected")).to_be_visible()
    assert everything.evaluate("box => box.indeterminate")
    page.get_by_role("checkbox", name="Select v2").check()
    expect(everything).to_be_checked()
    check_page(page)
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("3 tags deleted.").wait_for()
    check_page(page)
    page.keyboard.press("z")
    page.get_by_text("3 tags restored.").wait_for()
    expect(page.get_by_role("article")).to_have_count(3)


def test_counts_and_announcements_follow_the_list(
    open_browser: OpenBrowser, cast: Cast, api: str, alice: RegistryClient
) -> None:
    """What htmx swaps in is announced, and the tab counts with it (F9, F18)."""
    for tag in ("v1", "main-1"):
        alice.push(f"{api}:{tag}", image())
    page = open_browser(cast.bob)
    page.goto(f"/{api}/-/tags")
    announcer = page.locator("#announcer")
    tab = page.get_by_role("link", name="Tags").locator(".count")
    expect(tab).to_have_text("2")
    alice.push(f"{api}:v2", image())
    expect(tab).to_have_text("3")
    expect(announcer).to_have_text("3 tags")
    page.get_by_role("searchbox", name="Filter tags").fill("v")
    expect(announcer).to_have_text("2 tags match")
    page.get_by_role("searchbox", name="Filter tags").fill("nothing")
    expect(announcer).to_have_text("No tags match")
    page.goto(f"/search?q={api}")
    page.get_by_label("Official", exact=False).first.check()
    expect(announcer).to_have_text("No results")
    page.goto(f"/{cast.acme.namespace.name}")
    page.get_by_role("searchbox", name="Filter repositories").fill("no-such-name")
    expect(announcer).to_have_text("0 repositories")
    page = open_browser(cast.alice)
    page.goto(f"/{api}/-/access")
    page.get_by_label("Who").last.fill(cast.bob.username)
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator("#announcer")).to_contain_text("push")
