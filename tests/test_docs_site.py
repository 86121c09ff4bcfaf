"""The site of the manual is built without a complaint, and needs no other server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_pages import DOCS, ROOT
from tests.docs_site import PARTS

pytestmark = pytest.mark.xdist_group("site")  # it is built once

LIMIT_S = 100.0


def built(pages: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Build a site with the settings of ours, as `make docs` does."""
    words = ("-W", "--keep-going", "-q", "-E", "-c", str(DOCS), "-d", f"{site}.trees")
    return subprocess.run(
        [sys.executable, "-m", "sphinx", *words, "-b", "html", str(pages), str(site)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT_S,
    )


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the site."""
    directory = tmp_path_factory.mktemp("manual") / "site"
    made = built(DOCS, directory)
    assert (made.returncode, made.stderr) == (0, "")
    return directory


def test_every_page_of_the_manual_is_a_page_of_the_site(site: Path) -> None:
    wanted = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert wanted <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_the_site_begins_with_the_first_page_and_shows_the_parts(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    assert [part for part in PARTS if f">{part}</span>" not in text] == []


def test_the_changelog_is_on_the_site(site: Path) -> None:
    assert "<h2>[Unreleased]" in (site / "changelog.html").read_text(encoding="utf-8")


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe)[^>]*\ssrc="(?:https?:)?//[^"]*"|<link[^>]*\shref="(?:https?:)?//"""
        r"""|@import\s|url\(["']?(?:https?:)?//"""
    )
    files = (path for path in site.rglob("*") if path.suffix in (".html", ".css"))
    found = {str(path): loaded.findall(path.read_text(encoding="utf-8")) for path in files}
    assert {path: what for path, what in found.items() if what} == {}


FIRST_PAGE = "# M\n\n## Tutorials: x\n\n- [A](a.md)\n"


@pytest.mark.parametrize(
    ("first", "page", "complaint"),
    [
        (FIRST_PAGE, "# A\n\n[to](b.md)\n", "b.md"),
        (FIRST_PAGE, "# A\n\n[to](README.md#nowhere)\n", "nowhere"),
        ("# M\n\n[A](a.md)\n", "# A\n", "toctree"),
    ],
    ids=["a link to no page", "a link to no heading", "a page in no part"],
)
def test_the_build_fails_of(tmp_path: Path, first: str, page: str, complaint: str) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "README.md").write_text(first, encoding="utf-8")
    (pages / "a.md").write_text(page, encoding="utf-8")
    made = built(pages, tmp_path / "site")
    assert made.returncode != 0
    assert complaint in made.stderr
