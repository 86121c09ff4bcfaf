"""No link of the manual leads nowhere, and every page is reached from the first one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it.tree import SyntaxTreeNode

from tests import docs_pages, docs_site
from tests.docs_pages import DOCS, ROOT
from tests.docs_roff import parsed, plain


def pages() -> list[Path]:
    """Return all pages with links: the manual, the README and the changelog."""
    return [*docs_pages.pages(), ROOT / "CHANGELOG.md"]


def name_of(path: Path) -> str:
    """Return how a page is called in the names of tests."""
    return str(path.relative_to(ROOT))


@cache
def tree_of(page: Path) -> SyntaxTreeNode:
    """Return the tree of a page."""
    return parsed(page.read_text(encoding="utf-8"))


def targets_in(tree: SyntaxTreeNode) -> Iterator[str]:
    """Yield where links and pictures lead."""
    for node in tree.walk():
        if node.type in ("link", "image"):
            yield str(node.attrs["href" if node.type == "link" else "src"])


def anchors_in(tree: SyntaxTreeNode) -> set[str]:
    """Return the fragments by which headings are reached, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for node in tree.walk():
        if node.type == "heading":
            anchor = re.sub(r"[^\w\- ]", "", plain(node).strip().lower()).replace(" ", "-")
            found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
            seen[anchor] += 1
    return found


def fault_of(page: Path, target: str) -> str:
    """Return what is wrong with a link of a page, nothing if it is right.

    What is elsewhere is not looked up: a test must not depend on another machine.
    """
    url = urlsplit(target)
    if url.scheme or url.netloc:
        right = url.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", url.netloc)
        return "" if right else "not an address that begins with https://"
    path = (page.parent / unquote(url.path)).resolve() if url.path else page
    if url.path.startswith("/") or not path.is_relative_to(ROOT):
        return "leads out of the repository"
    if not path.is_file():
        return "no such file"
    if url.fragment and (path.suffix != ".md" or url.fragment not in anchors_in(tree_of(path))):
        return "no such heading"
    return ""


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    faults = {target: fault_of(page, target) for target in targets_in(tree_of(page))}
    assert {target: fault for target, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("../glossary.md", ""),
        ("#options", ""),
        ("clinit.md#states-of-a-group", ""),
        ("https://example.org/a#b", ""),
        ("clinitt.md", "no such file"),
        ("#option", "no such heading"),
        ("clinit.md#state-of-a-group", "no such heading"),
        ("hastat.schema.json#x", "no such heading"),
        ("../how-to", "no such file"),
        ("../../../elsewhere.md", "leads out of the repository"),
        ("/etc/hosts", "leads out of the repository"),
        ("http://example.org/", "not an address that begins with https://"),
        ("https://example/", "not an address that begins with https://"),
    ],
)
def test_a_link_that_leads_nowhere_is_noticed(target: str, fault: str) -> None:
    assert fault_of(DOCS / "reference" / "hactl.md", target) == fault


def test_links_are_found_wherever_they_stand_and_not_in_examples() -> None:
    page = "- [a](b.md) ![c](d.png)\n\n| e |\n|---|\n| [f][g] |\n\n`[h](i)`\n\n"
    page += "    [j](k)\n\n[g]: l.md\n"
    assert list(targets_in(parsed(page))) == ["b.md", "d.png", "l.md"]


def test_headings_of_the_same_name_are_numbered_as_github_does() -> None:
    assert anchors_in(parsed("# A, `b-c`!\n## d\n## d\n")) == {"a-b-c", "d", "d-1"}


# --- the navigation ---------------------------------------------------------------------------


def first_page() -> str:
    """Return the text of the manual's first page."""
    return (DOCS / f"{docs_site.FIRST}.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation() -> None:
    listed = {page for part in docs_site.navigation(first_page()).values() for page in part}
    there = {str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md")}
    assert there - {docs_site.FIRST} == listed, "each page needs a line in docs/README.md"


def test_the_navigation_has_the_four_parts_and_the_rest() -> None:
    folders = {
        part: {page.rpartition("/")[0] for page in pages}
        for part, pages in docs_site.navigation(first_page()).items()
    }
    assert list(folders) == list(docs_site.PARTS)
    assert list(folders.values()) == [
        {"tutorial"},
        {"how-to"},
        {"reference"},
        {"explanation"},
        {""},
    ]


def test_a_page_is_in_the_navigation_once_under_the_words_of_its_first_link() -> None:
    page = "# M\n\n## Tutorials: by\n\n[a\nb](t/a.md), [c](t/a.md#d) [x](x.json)\n\n"
    page += "## Else\n\n[e](e.md)\n"
    assert docs_site.navigation(page) == {"Tutorials": {"t/a": "a b"}}
