"""The navigation of the site, made from the manual's first page, and what Sphinx needs for it.

`make docs` builds the site with the settings in `docs/conf.py`. A page belongs to the part of
`docs/README.md` that links it, in that order, under the words of the link: nobody writes a
second list. Sphinx complains of a page that is in no part, and of a link into nowhere.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # half a second, which who only reads the navigation need not wait
    from sphinx.application import Sphinx

FIRST = "README"
"""The page that the site begins with, as Sphinx calls it."""

ELSEWHERE = {"changelog": "CHANGELOG.md"}
"""Pages that only say where the text is, outside `docs`: the site has the text in their place."""

PARTS = ("Tutorials", "How-to guides", "Reference", "Explanation", "Besides")

_PART = re.compile(r"^## (\w[\w -]*?)(?:: [^\n]*)?\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\(([^)#:\s]+)\.md\)")


def navigation(first_page: str) -> dict[str, dict[str, str]]:
    """Return part -> page -> its words in the navigation; a page is in the part that has it first.

    Pages are named as Sphinx does: relative to `docs`, without `.md`.
    """
    found: dict[str, dict[str, str]] = {}
    seen: set[str] = set()
    for part, text in _PART.findall(first_page):
        for words, page in _LINK.findall(text):
            if part in PARTS and page not in seen:
                found.setdefault(part, {})[page] = " ".join(words.split())
                seen.add(page)
    return found


def with_navigation(first_page: str) -> str:
    """Return the first page with the navigation, which it does not show, at its end."""
    trees = (_tree(part, pages) for part, pages in navigation(first_page).items())
    return "\n".join((first_page, *trees))


def _tree(part: str, pages: Mapping[str, str]) -> str:
    entries = "".join(f"{words} <{page}>\n" for page, words in pages.items())
    return f"```{{toctree}}\n:hidden:\n:caption: {part}\n\n{entries}```\n"


def _complete(app: Sphinx, page: str, source: list[str]) -> None:
    if page == FIRST:
        source[0] = with_navigation(source[0])
    elif page in ELSEWHERE:
        source[0] = (app.srcdir.parent / ELSEWHERE[page]).read_text(encoding="utf-8")


def _begin_at_the_first_page(app: Sphinx, failure: Exception | None) -> None:
    if failure is None and app.builder.name == "html":
        out = Path(app.outdir)
        shutil.copyfile(out / f"{FIRST}.html", out / "index.html")


def connect(app: Sphinx) -> None:
    """Tell Sphinx of all this."""
    app.connect("source-read", _complete)
    app.connect("build-finished", _begin_at_the_first_page)
