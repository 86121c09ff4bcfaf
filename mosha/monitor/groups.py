"""One coroutine for each resource group: collision detection, waiting, time-outs.

Each only waits (until its group is woken or time may change something), asks the brain for
the next turn, and hands the tell that comes out of it to clinit.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable

from anyio.abc import TaskGroup

from mosha.clock import boottime
from mosha.control.protocol import GroupReport
from mosha.core.life import Local
from mosha.core.node import Node
from mosha.core.turn import Tell
from mosha.monitor.waking import set_within

# Longer waits are cut: after a machine slept, timers of the event loop are late.
WAIT_MAX_S = 60.0


class Groups:
    """The coroutines of all groups. `carry_out` gets each tell and returns when it is answered.

    `after_turn` is called after every turn, so that what it changed is published and logged.
    """

    def __init__(
        self,
        node: Node,
        carry_out: Callable[[Tell], Awaitable[None]],
        after_turn: Callable[[], None],
    ) -> None:
        self._node = node
        self._carry_out = carry_out
        self._after_turn = after_turn
        self._woken: dict[str, asyncio.Event] = {}
        self._tasks: TaskGroup | None = None

    def open(self, tasks: TaskGroup) -> None:
        """Say in which task group the coroutines live."""
        self._tasks = tasks

    def wake(self, groups: Iterable[str]) -> None:
        """Let these groups take a turn; a group not known yet gets its coroutine."""
        if self._tasks is None:
            return
        for group in groups:
            event = self._woken.get(group)
            if event is None:
                event = self._woken[group] = asyncio.Event()
                self._tasks.start_soon(self._live, group, event, name=f"group {group}")
            event.set()

    async def _live(self, group: str, woken: asyncio.Event) -> None:
        while True:
            woken.clear()
            now = boottime()
            # Chance only spreads the back-offs of several nodes.
            turn = self._node.turn(group, now, random.random())  # noqa: S311
            self._after_turn()
            if turn.tell is not None:
                await self._carry_out(turn.tell)
            await set_within(woken, min(turn.wake_at - boottime(), WAIT_MAX_S))


def as_local(group: GroupReport) -> Local:
    """Return what the brain needs of a report of clinit."""
    return Local(
        group=group.group,
        level=group.level,
        state=group.state,
        wanted=group.wanted,
        term=group.term,
        alive=group.alive,
        stop_at=group.stop_at,
        kill_at=group.kill_at,
        cause=group.cause,
        since=group.since,
        entries=group.entries,
        killed_late_s=group.killed_late_s,
    )
