"""Adds the pages beside README.md to the documentation that mkdocs builds.

docs/upgrade.md links to ../CHANGELOG.md and CONTRIBUTING.md links to docs/index.md, as
GitHub resolves links. mkdocs reads only the folder docs/. So this module adds those
pages to the site and changes the links to match. mkdocs.yml names it under `hooks`.
"""

import re
from pathlib import Path
from posixpath import dirname, normpath, relpath
from typing import Any

from mkdocs.structure.files import File

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
# The site has a first page of its own.
SITE_OF = {**PAGES, "README.md": "index.md"}
LINK = re.compile(r"(?<=\]\()([^)#:\s]+)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the project's folder."""
    project = Path(config["config_file_path"]).parent
    for name, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(project / name)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links between docs/ and the project's folder lead to pages of the site."""
    place = page.file.src_uri
    names = {page: name for name, page in PAGES.items()}
    path = names.get(place, f"docs/{place}")
    return LINK.sub(lambda link: link_in_site(link[1], path, place), markdown)


def link_in_site(target: str, path: str, place: str) -> str:
    """Return the link in the site for a link that a file of the project has."""
    wanted = normpath(f"{dirname(path)}/{target}" if dirname(path) else target)
    if wanted in SITE_OF:
        wanted = SITE_OF[wanted]
    elif wanted.startswith("docs/"):
        wanted = wanted.removeprefix("docs/")
    else:
        return target  # mkdocs reports what is not there
    return relpath(wanted, dirname(place) or ".")
