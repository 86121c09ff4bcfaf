"""One coroutine for each group: it waits, takes a turn, hands over a tell, and waits again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import anyio
import pytest

from mosha.clock import boottime
from mosha.core.tables import Wish
from mosha.core.turn import Tell
from mosha.monitor.groups import Groups
from tests.core.story import Story, hactl, one_of_three
from tests.waiting import until


@dataclass
class Shell:
    """A shell that carries out tells when it is let, and counts turns."""

    story: Story
    told: list[Tell] = field(default_factory=list)
    turns: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    opened: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()
        self.groups = Groups(self.story.nodes[1], self.carry_out, self.after_turn)

    async def carry_out(self, tell: Tell) -> None:
        self.told.append(tell)
        await self.gate.wait()
        self.story.obey(1, tell)

    async def live(self) -> None:
        async with anyio.create_task_group() as tasks:
            self.groups.open(tasks)
            self.opened.set()
            await anyio.sleep_forever()

    def after_turn(self) -> None:
        self.turns += 1


@pytest.fixture
async def shell() -> AsyncIterator[Shell]:
    """Node 1 may claim `g`, by the real clock."""
    made = Shell(one_of_three(now=boottime()))
    task = asyncio.ensure_future(made.live())
    await made.opened.wait()
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_a_group_that_is_woken_takes_its_turn_and_its_tell_is_carried_out(
    shell: Shell,
) -> None:
    shell.groups.wake(["g"])
    await until(lambda: shell.told)
    assert [(tell.group, tell.level) for tell in shell.told] == [("g", "plan")]


async def test_no_turn_is_taken_while_a_tell_is_being_carried_out(shell: Shell) -> None:
    shell.gate.clear()
    shell.groups.wake(["g"])
    await until(lambda: shell.told)
    turns = shell.turns
    shell.groups.wake(["g"])
    shell.groups.wake(["g"])  # calls add up to one
    for _ in range(5):
        await asyncio.sleep(0)
    assert shell.turns == turns
    shell.gate.set()
    await until(lambda: shell.turns == turns + 1)


async def test_a_group_that_hangs_in_clinit_holds_up_no_other_group(shell: Shell) -> None:
    shell.gate.clear()
    shell.groups.wake(["g"])
    await until(lambda: shell.told)
    shell.story.adopt_tables(1, hactl(Wish("h", "start", prefer=(1,))))
    shell.groups.wake(["h"])
    await until(lambda: [tell.group for tell in shell.told] == ["g", "h"])


async def test_a_turn_is_taken_when_its_time_has_come(shell: Shell) -> None:
    # Node 1 is the third choice: it claims after two short waits, and nobody wakes it.
    shell.story.adopt_tables(1, hactl(Wish("g", "start", prefer=(2, 3))))
    began = boottime()
    shell.groups.wake(["g"])
    await until(lambda: shell.told)
    assert boottime() - began > 0.9


async def test_before_there_is_a_task_group_waking_does_nothing() -> None:
    made = Shell(one_of_three(now=boottime()))
    made.groups.wake(["g"])
    await asyncio.sleep(0)
    assert made.turns == 0
