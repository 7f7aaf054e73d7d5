"""Shows the documentation of this version: /-/docs/guide is docs/guide.md."""

import re
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from hub.drawing.readme import render_readme

FOLDER: Path = settings.BASE_DIR / "docs"
FIRST = "index"  # the page that the footer leads to, with links to all others
LINK_TO_PAGE = re.compile(r"\]\(([\w-]+)\.md\)")


@require_safe
def show_doc(request: HttpRequest, name: str = FIRST) -> HttpResponse:
    """Show one page of the documentation, with links to all others."""
    titles = titles_of_pages()
    if name not in titles:
        raise Http404
    context = {"name": name, "titles": titles, "html": html_of_page(name, titles)}
    return render(request, "docs.html", context)


def titles_of_pages() -> dict[str, str]:
    """Return the pages by name, in the order in which the first page links to them."""
    linked = LINK_TO_PAGE.findall((FOLDER / f"{FIRST}.md").read_text())
    names = dict.fromkeys([FIRST, *linked])
    return {name: title_of(FOLDER / f"{name}.md") for name in names}


def title_of(path: Path) -> str:
    """Return the first heading of a page."""
    first, _, _ = path.read_text().partition("\n")
    return first.removeprefix("# ").strip()


def html_of_page(name: str, titles: dict[str, str]) -> SafeString:
    """Render a page; links to other pages of the folder lead to their pages."""
    _title, _, text = (FOLDER / f"{name}.md").read_text().partition("\n")
    for other in titles:
        # With its host: a README's relative links lead to the image's source.
        text = text.replace(f"]({other}.md", f"]({settings.BERTH_URL}/-/docs/{other}")
    return render_readme(text)
