"""Finds the files of a repository on a Git forge, from what an image says of itself.

An image names its source and its revision (image-spec annotations.md):
``org.opencontainers.image.source`` and ``.revision``. A README links to files beside
it; on a page of Berth such a link leads to the forge.

    forge                       a page of a file              its bytes
    GitHub                      /blob/<revision>/<path>       /raw/<revision>/<path>
    GitLab                      /-/blob/<revision>/<path>     /-/raw/<revision>/<path>
    Bitbucket                   /src/<revision>/<path>        /raw/<revision>/<path>
    Gitea, Forgejo, Codeberg    /src/commit/<revision>/<path> /raw/commit/<revision>/…

Without a revision it is HEAD. Pure: no forge is asked.
"""

import re
from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import quote, unquote, urlsplit

from repositories.oci.annotations import is_web_address

SOURCE_MAX_LENGTH = 500
PATH_MAX_LENGTH = 500
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# By a word in the name of the host; the paths in front of a file's.
_FORGES = (
    ("github", "blob", "raw"),
    ("gitlab", "-/blob", "-/raw"),
    ("bitbucket", "src", "raw"),
    ("codeberg", "src", "raw"),
    ("gitea", "src", "raw"),
    ("forgejo", "src", "raw"),
)
_GITEA = frozenset({"codeberg", "gitea", "forgejo"})
# What follows the repository in a URL that names a folder of it.
_TREE = re.compile(r"/(?:-/)?(?:tree|src)/(?:(?:branch|commit|tag)/)?([^/]+)(/.*)?")


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of one revision on a forge; ``folder`` is the one of the README."""

    pages: str  # an address that ends in /
    contents: str
    folder: str = ""

    def page(self, link: str) -> str:
        """Return where a relative link leads, "" for nowhere."""
        return self._address(self.pages, link)

    def content(self, link: str) -> str:
        """Return where the bytes of a relative link are, "" for nowhere."""
        return self._address(self.contents, link)

    def _address(self, base: str, link: str) -> str:
        try:
            parts = urlsplit(link)
        except ValueError:
            return ""
        if parts.scheme or parts.netloc or not parts.path:
            return ""
        if len(link) > PATH_MAX_LENGTH:
            return ""
        written = unquote(parts.path, errors="replace")
        folder = "" if written.startswith("/") else self.folder
        path = normpath(f"{folder}/{written}".lstrip("/"))
        if path == ".." or path.startswith("../") or not path.isprintable():
            return ""  # outside of the repository
        path = "" if path == "." else quote(path, safe="/~!$&'()*+,;=:@")
        query = f"?{parts.query}" if parts.query else ""
        fragment = f"#{parts.fragment}" if parts.fragment else ""
        address = f"{base}{path}{query}{fragment}"
        return address if is_web_address(address) else ""


def source_files(source: str, revision: str = "") -> SourceFiles | None:
    """Return where the files of a declared source are; None if that is not known."""
    if len(source) > SOURCE_MAX_LENGTH or not is_web_address(source):
        return None
    parts = urlsplit(source)
    host = parts.hostname or ""
    forge = next((one for one in _FORGES if one[0] in host), None)
    if forge is None:
        return None
    name, pages, contents = forge
    path, folder = parts.path.rstrip("/"), ""
    tree = _TREE.search(path)
    if tree is not None:
        path, revision = path[: tree.start()], revision or tree[1]
        folder = tree[2] or ""
    elif parts.fragment:  # "#<revision>:<folder>", as the docker library writes it
        named, _, folder = parts.fragment.partition(":")
        revision = revision or named
    path = path.removesuffix(".git")
    if path.count("/") < 2:
        return None
    if not _REVISION.fullmatch(revision) or ".." in revision:
        revision = "HEAD"
    if name in _GITEA and _COMMIT.fullmatch(revision):
        revision = f"commit/{revision}"
    root = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{path}"
    return SourceFiles(
        pages=f"{root}/{pages}/{revision}/",
        contents=f"{root}/{contents}/{revision}/",
        folder=folder.strip("/"),
    )
