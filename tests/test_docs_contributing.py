"""The page for those who change the code is true: its paths, its table of faults, its scenario."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from tests.docs_pages import DOCS, ROOT
from tests.sim import story, worldtext
from tests.sim.world import KINDS, World

PAGE = (DOCS / "contributing.md").read_text(encoding="utf-8")


def block_after(text: str) -> str:
    """Return the next fenced block after this text."""
    found = re.search(
        r"^( *)```\w*\n(.*?)^\1```$", PAGE.partition(text)[2], re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return textwrap.dedent(found[2])


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:mosha|tests|docs)/[\w./-]+)`", PAGE)))
)
def test_every_path_of_the_page_is_there(path: str) -> None:
    assert (ROOT / path.replace("NAME.txt", "")).exists()


def test_every_fault_of_the_simulator_is_explained_and_no_other() -> None:
    rows = PAGE.partition("| fault |")[2].partition("## ")[0].splitlines()[2:]
    firsts = (row.split("|")[1] for row in rows if row.startswith("|"))
    assert sorted(re.findall(r"`(\w+)`", " ".join(firsts))) == sorted(KINDS)


def test_every_line_of_a_scenario_is_one_that_a_world_has() -> None:
    names = re.findall(
        r"^\| `(\w+) ", PAGE.partition("| line |")[2].partition("In a word")[0], re.MULTILINE
    )
    assert {*names} - {"timing", "group", "fence", "at"} <= {*World.__struct_fields__}


def test_the_scenario_of_the_page_tells_the_story_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "example.txt"
    path.write_text(block_after("<!-- example: scenario -->"), encoding="utf-8")
    told = story.tell(story.read(path).world)
    wanted = block_after("git diff tests/scenarios\n   ```").rstrip("\n")
    assert textwrap.indent(wanted, " " * 6) in told or wanted in textwrap.dedent(told)
    assert told.endswith("after the last fault all is as wanted\n")
    assert worldtext.parse(story.read(path).head).told_of == (1,)
