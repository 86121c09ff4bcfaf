"""The page for those who change the code is true: its paths, its table of faults, its scenario."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest
from msgspec import Struct

from mosha.core.cluster.timing import Timing
from tests.docs_pages import DOCS, ROOT
from tests.sim import story, worldtext
from tests.sim.world import Fault, FenceSpec, GroupSpec, World
from tests.sim.worldrules import ALL_KINDS

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
    assert sorted(re.findall(r"`(\w+)`", " ".join(firsts))) == sorted(ALL_KINDS)


# How the table of lines writes what a world has once or several times.
LINE_OF = {"groups": "group", "faults": "at"}


def lines_of_a_scenario() -> str:
    """Return the rows of the table of lines."""
    return PAGE.partition("| line |")[2].partition("\n\n")[0]


def test_every_line_of_a_scenario_is_explained_and_no_other() -> None:
    firsts = " ".join(row.split("|")[1] for row in lines_of_a_scenario().splitlines()[2:])
    names = sorted(re.findall(r"`(\w+) ", firsts))
    assert names == sorted(LINE_OF.get(name, name) for name in World.__struct_fields__)


@pytest.mark.parametrize("kind", [GroupSpec, FenceSpec], ids=lambda kind: kind.__name__)
def test_every_word_of_a_group_and_of_fencing_is_explained(kind: type[Struct]) -> None:
    words = {*re.findall(r"\b(\w+)\b", " ".join(re.findall(r"`([^`]+)`", lines_of_a_scenario())))}
    assert {*kind.__struct_fields__} - {"name"} <= words


def test_every_word_of_a_line_is_one_that_it_has() -> None:
    words = {*re.findall(r"(?<![\w-])(\w+)=", lines_of_a_scenario())}
    kinds = (GroupSpec, FenceSpec, Fault, Timing)
    assert words <= {name for kind in kinds for name in kind.__struct_fields__}


def test_the_scenario_of_the_page_tells_the_story_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "example.txt"
    path.write_text(block_after("<!-- example: scenario -->"), encoding="utf-8")
    told = story.tell(story.read(path).world)
    wanted = block_after("tests.sim.story NAME --rewrite\n   ```").rstrip("\n")
    assert textwrap.indent(wanted, " " * 6) in told or wanted in textwrap.dedent(told)
    assert told.endswith("after the last fault all is as wanted\n")
    assert worldtext.parse(story.read(path).head).told_of == (1,)
