"""The manual tells the truth: what is generated is current, what is shown works."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mosha.core.cluster import group_rules
from mosha.core.cluster.eligibility import ALL
from mosha.core.replication.judging import TABLES
from mosha.core.tables import Mode
from mosha.core.wish_options import NAMES
from mosha.formats import fencing_methods, settings
from mosha.formats.clstat import parse_clstat
from mosha.formats.cltab import VARIABLES, parse_cltab
from mosha.formats.hactl import hactl_warnings, parse_hactl
from mosha.formats.settings import Settings, parse_settings
from mosha.ocf.agents import OCF_ROOT, installed_agents
from tests import docs_console, docs_pages, docs_rules, docs_schemas
from tests.docs_pages import ROOT, pages
from tests.systemd.machine import missing_here
from tests.tutorial import newcomer

REFERENCE = docs_pages.DOCS / "reference"
CONF = ROOT / "conf"
REWRITE = "rewrite with: .venv/bin/python -m tests.docs_pages --rewrite"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def text_of(page: Path) -> str:
    """Return the text of a page."""
    return page.read_text(encoding="utf-8")


def name_of(path: Path) -> str:
    """Return how a page is called in the names of tests."""
    return str(path.relative_to(ROOT))


# --- commands that write pages -------------------------------------------------------------


@pytest.mark.parametrize("main", [docs_pages.main, docs_console.main])
def test_what_writes_pages_refuses_words_that_it_does_not_know(
    main: Callable[[list[str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["docs/README.md", "--rewrit"])
    assert caught.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


# --- tables --------------------------------------------------------------------------------


def cells_of(row: str) -> int:
    """Return how many cells a row of a table has; a bar in code or behind a backslash is text."""
    return len(re.sub(r"`[^`]*`|\\\|", "", row).strip().strip("|").split("|"))


def uneven_rows(text: str) -> list[str]:
    """Return the rows that have more or fewer cells than the head of their table."""
    found, head = [], 0
    for line in _FENCE.sub("", text).splitlines():
        row = line.startswith("|")
        head = (head or cells_of(line)) if row else 0
        found += [line] if row and cells_of(line) != head else []
    return found


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_a_row_of_a_table_is_a_line_of_its_own(page: Path) -> None:
    assert uneven_rows(text_of(page)) == []


def test_two_rows_of_a_table_on_one_line_are_noticed() -> None:
    bad = "| `b` | two | | `c` | three |"
    assert uneven_rows(f"| a | b |\n|---|---|\n| `a|b` | one \\| two |\n{bad}\n") == [bad]


# --- what is generated ---------------------------------------------------------------------


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_the_generated_parts_of_a_page_are_current(page: Path) -> None:
    text = text_of(page)
    assert text == docs_pages.refreshed(text), REWRITE


@pytest.mark.parametrize("name", docs_schemas.FORMS)
def test_the_json_schema_of_a_form_is_current(name: str) -> None:
    path = REFERENCE / f"{name}.schema.json"
    wanted = docs_schemas.schema_files()[path]
    assert text_of(path) == wanted, REWRITE


def test_a_part_that_is_out_of_date_is_noticed() -> None:
    page = "<!-- generated: events all -->\nold\n<!-- end -->"
    assert "clinit_started" in docs_pages.refreshed(page)


# --- what is shown ---------------------------------------------------------------------------


def _parses_hactl(text: str) -> None:
    data = text.encode()
    parse_hactl(data, "hactl")
    assert hactl_warnings(data, "hactl") == ()


def _parses_json(text: str) -> None:
    documents = [text] if text.startswith("{\n") else text.splitlines()
    assert all(isinstance(json.loads(document), dict) for document in documents)


def _parses_sh(text: str) -> None:
    done = subprocess.run(
        ["/bin/bash", "-n"], input=text.encode(), capture_output=True, check=False, timeout=10
    )
    assert done.returncode == 0, done.stderr.decode()


CHECKS: dict[str, Callable[[str], object]] = {
    "cltab": lambda text: parse_cltab(text.encode(), "cltab"),
    "hactl": _parses_hactl,
    "toml": lambda text: parse_settings(text.encode(), "mosha.toml"),
    "clstat": lambda text: parse_clstat(text.encode()),
    "json": _parses_json,
    "python": ast.parse,
    "sh": _parses_sh,
}
UNCHECKED = {"text", "console", "perl", "fstab", "mermaid"}


def examples() -> Iterator[Any]:
    """Yield every fenced example of the manual."""
    for page in pages():
        text = text_of(page)
        for fence in _FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            yield pytest.param(fence[1], fence[2], id=f"{name_of(page)}:{line}:{fence[1]}")


@pytest.mark.parametrize(("kind", "text"), list(examples()))
def test_an_example_is_right(kind: str, text: str) -> None:
    assert kind in UNCHECKED or kind in CHECKS, f"no check for {kind}"
    if kind in CHECKS:
        CHECKS[kind](text.replace("<this repository>", "repository"))


def test_the_files_of_conf_are_right() -> None:
    parse_cltab((CONF / "cltab").read_bytes(), "cltab")
    _parses_hactl(text_of(CONF / "hactl"))
    assert parse_settings((CONF / "mosha.toml").read_bytes(), "mosha.toml").nodes == (1, 2, 3)


RESOURCE_AGENTS = docs_pages.DOCS / "how-to" / "resource-agents.md"


def console_pages() -> list[Path]:
    """Return the pages with commands to run."""
    return [page for page in pages() if docs_console.steps_of(text_of(page))]


@pytest.mark.parametrize("page", console_pages(), ids=name_of)
def test_the_commands_of_a_page_print_what_it_says(page: Path, short_dir: Path) -> None:
    if page == newcomer.ONE_MACHINE and os.geteuid() == 0 and not missing_here():
        pytest.skip("typed word by word on a clean machine: tests/tutorial/test_one_machine.py")
    if page == RESOURCE_AGENTS and (os.geteuid() or not installed_agents(OCF_ROOT)):
        pytest.skip("needs root and the package resource-agents")
    with docs_console.Shell(short_dir) as shell:
        for step in docs_console.steps_of(text_of(page)):
            if step.in_tests:
                printed = shell.do(step)
                assert step.matches(printed), (
                    f"$ {step.command}\n--- printed:\n{printed}\n--- the page says:\n{step.printed}"
                )


def test_commands_are_read_out_of_a_page() -> None:
    page = "<!-- until: b+ -->\n```console\n$ a <<E\n> x\n> E\nbb\n$ c\n```\n"
    assert docs_console.steps_of(page) == [
        docs_console.Step("a <<E\nx\nE", "bb\n", "b+"),
        docs_console.Step("c", ""),
    ]


def test_what_changes_from_run_to_run_does_not_count_and_the_rest_does() -> None:
    step = docs_console.Step("x", "web: start DONE 0.2s, pid=12 at 10:11:12")
    assert step.matches("web:  start DONE 13.1s, pid=4711 at 23:59:01.123\n")
    assert not step.matches("web: start FAILED 0.2s, pid=12 at 10:11:12")


# --- completeness ----------------------------------------------------------------------------


def table_rows(page: Path) -> list[list[str]]:
    """Return the rows of all tables of a page, cell by cell."""
    lines = (line for line in text_of(page).splitlines() if line.startswith("|"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def documented_settings() -> dict[str, str]:
    """Return the keys in the tables of mosha.toml.md, with their defaults as written."""
    rows = (row for row in table_rows(REFERENCE / "mosha.toml.md") if len(row) == 3)
    return {row[0].strip("`"): row[1] for row in rows if re.fullmatch(r"`[\w.]+`", row[0])}


def test_every_setting_is_documented_and_no_other() -> None:
    known = set(settings._RULES) - {"fencing"}
    known |= {f"fencing.{key}" for key in fencing_methods.FENCING_RULES}
    known |= set(fencing_methods.METHOD_RULES)
    assert set(documented_settings()) == known


def test_defaults_that_are_written_out_are_those_in_force() -> None:
    found = {
        key: json.loads(text.strip("`"))
        for key, text in documented_settings().items()
        if re.fullmatch(r'`("[^"]*"|[\d.]+)`', text) and key in Settings.__struct_fields__
    }
    assert len(found) >= 8
    assert found == {key: getattr(Settings(), key) for key in found}


def test_the_table_of_a_groups_life_has_the_rows_of_the_core_in_order() -> None:
    rows = table_rows(docs_pages.DOCS / "explanation" / "life-of-a-group.md")
    own = [row[0] for row in rows if len(row) == 3][2:]
    assert own[: len(group_rules.ROWS)] == [row.name for row in group_rules.ROWS]
    assert own[len(group_rules.ROWS)] == "state"  # the next table, that of an entry


def test_every_mode_variable_and_option_is_documented() -> None:
    cltab, hactl = text_of(REFERENCE / "cltab.md"), text_of(REFERENCE / "hactl.md")
    assert [mode for mode in Mode if f"| `{mode}` |" not in cltab] == []
    assert [name for name in VARIABLES if f"`:::{name}:PATH`" not in cltab] == []
    assert [name for name in NAMES if f"| `{name}=" not in hactl] == []


# --- the originals, statement by statement ------------------------------------------------------

STATEMENTS = {
    "C1": 18,
    "C2": 9,
    "C3": 17,
    "C4": 22,
    "C5": 6,
    "C6": 9,
    "C7": 9,
    "C8": 10,
    "H1": 5,
    "H2": 6,
    "H3": 9,
    "H4": 8,
    "H5": 24,
    "H6": 10,
}
"""How many statements each section of the catalogue of the originals' behaviour has."""


def statements() -> dict[str, tuple[str, list[str]]]:
    """Return number -> what mosha does, and the tests that show it."""
    rows = (row for row in table_rows(REFERENCE / "original.md") if len(row) == 4)
    return {
        row[0]: (row[2], re.findall(r"`([^`]+)`", row[3]))
        for row in rows
        if re.fullmatch(r"[CH]\d\.\d+", row[0])
    }


def test_every_statement_about_the_originals_has_its_line_in_order() -> None:
    wanted = [f"{part}.{n}" for part, count in STATEMENTS.items() for n in range(1, count + 1)]
    assert list(statements()) == wanted


def test_every_statement_is_the_same_different_or_not_applicable() -> None:
    words = ("**same**", "**different**", "**not applicable**")
    assert {n: here for n, (here, _) in statements().items() if not here.startswith(words)} == {}


def test_every_difference_says_how() -> None:
    bare = ("**different**", "**not applicable**")
    assert [n for n, (here, _) in statements().items() if here in bare] == []


def test_every_statement_names_the_tests_that_show_it() -> None:
    assert [
        number
        for number, (here, tests) in statements().items()
        if not tests and not here.startswith("**not applicable**")
    ] == []


def functions_of(path: Path) -> set[str]:
    """Return the names of all functions in a file; none if there is no file."""
    if not path.exists():
        return set()
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, functions)}


def test_the_tests_that_are_named_exist() -> None:
    named = {test for _, tests in statements().values() for test in tests}
    files = {
        name: functions_of(ROOT / "tests" / name) for name in {t.split("::")[0] for t in named}
    }
    assert sorted(t for t in named if t.partition("::")[2] not in files[t.split("::")[0]]) == []


def reported_rules() -> set[str]:
    """The names of all rules that an explanation can report besides those of eligibility."""
    found = {f"{table} refused" for table in TABLES}
    for path in (ROOT / "mosha/core/explain").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                name = node.args[0] if node.func.id == "Reason" and node.args else None
                if isinstance(name, ast.Constant):
                    found.add(str(name.value))
    return found


def test_every_rule_that_is_reported_is_documented_and_no_other() -> None:
    rows = {row[0].strip("`") for row in docs_rules.rows("eligibility")}
    others = {row[0].strip("`") for row in docs_rules.rows("others")}
    assert rows == {rule.name for rule in ALL}
    assert others == reported_rules() - rows
