"""`mosha check` has no mistakes to report in the tables of docs/explanation/comparison.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.five_tasks import TOOLS, Task, tasks

if TYPE_CHECKING:
    from tests.cli.conftest import Home, Mosha

TASKS = tasks()


def test_there_are_five_tasks_and_each_tool_has_lines_for_each() -> None:
    assert len(TASKS) == 5
    for task in TASKS:
        assert all(task.lines(tool) for tool in TOOLS), task.name


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_the_tables_of_a_task_have_no_mistakes(mosha: Mosha, home: Home, task: Task) -> None:
    if not task.of_mosha("cltab"):
        pytest.skip("commands alone: tests/e2e runs them")
    for kind in ("cltab", "hactl"):
        draft = home.base / kind
        draft.write_text(task.of_mosha(kind))
        said = mosha("check", "--kind", kind, str(draft))
        lines = said.out.splitlines()
        assert [line for line in lines if line.startswith("mistake")] == []
