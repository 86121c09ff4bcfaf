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


def test_the_build_fails_of_links_into_nowhere_and_of_a_page_in_no_part(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    for name, text in {
        "README.md": "# M\n\n## Tutorials: x\n\n- [A](a.md)\n",
        "a.md": "# A\n\n[to](missing.md)\n\n[to](README.md#nowhere)\n",
        "lonely.md": "# L\n",
    }.items():
        (pages / name).write_text(text, encoding="utf-8")
    made = built(pages, tmp_path / "site")
    assert made.returncode != 0
    told = [line for line in made.stderr.splitlines() if "WARNING" in line]
    assert [word for word in ("missing.md", "nowhere", "lonely.md") if word not in str(told)] == []
    assert len(told) == 3
