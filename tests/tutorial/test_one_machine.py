"""The tutorial on one machine, typed word by word by a newcomer on a clean machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.tutorial import newcomer

if TYPE_CHECKING:
    from tests.systemd.machine import Machine


def test_every_command_of_the_tutorial_works_and_prints_what_the_page_says(
    newcomers_machine: Machine,
) -> None:
    with newcomer.console(newcomers_machine, newcomer.USER, f"{newcomer.HOME}/three") as shell:
        for step in newcomer.steps_of(newcomer.ONE_MACHINE):
            if not step.is_shown:
                shell.must(step.command)
                continue
            printed = shell.do(step)
            if newcomer.NO_INDEX.search(printed):
                pytest.skip(f"pip reaches no package index from here: {printed}")
            told = step
            if not step.in_tests:  # the demo
                told = replace(step, printed=newcomer.outline(step.printed))
                printed = newcomer.outline(printed)
            assert told.matches(printed), (
                f"$ {told.command}\n--- printed:\n{printed}\n--- the page says:\n{told.printed}"
            )
