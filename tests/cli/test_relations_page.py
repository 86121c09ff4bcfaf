"""The examples of the page about groups that relate are accepted, as tables and as commands."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from mosha.core.tables import STOP_LEVEL
from mosha.formats.hactl import parse_change
from tests.docs_pages import DOCS

if TYPE_CHECKING:
    from tests.cli.conftest import Home, Mosha

PAGE = (DOCS / "how-to" / "groups-that-relate.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
WITH_TABLES = [name for name, text in SECTIONS.items() if "```hactl" in text]


def block(text: str, kind: str) -> str:
    """Return the only example of a kind."""
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return found[0]


def test_three_sections_have_tables() -> None:
    assert len(WITH_TABLES) == 3


@pytest.mark.parametrize("name", WITH_TABLES)
def test_the_tables_of_the_page_pass_mosha_check(mosha: Mosha, home: Home, name: str) -> None:
    for table in ("cltab", "hactl"):
        (home.tables / table).write_text(block(SECTIONS[name], table))
    done = mosha("check")
    assert "0 mistakes" in done.out, done.out


def test_the_edits_of_the_page_are_edits() -> None:
    said = [shlex.split(line) for line in PAGE.splitlines() if line.startswith("mosha set ")]
    edits = [parse_change([word for word in words[2:] if word != "--wait"]) for words in said]
    assert [edit.wish.group for edit in edits] == ["db", "db", "app", "db2"]
    assert [edit.named for edit in edits] == [set(), set(), {"after"}, {"apart"}]
    assert edits[0].wish.level == STOP_LEVEL
