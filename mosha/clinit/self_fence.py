"""The last resort of a node that cannot end a group: it fences itself.

A process that waits in the kernel for a dead disk (state D) does not die of SIGKILL. Another node
may start its group when T has passed. Before that this node reboots at once, or runs a command that
ends it otherwise: `self_fence` of mosha.toml. The same is done for a group whose stop has failed,
if `on_stop_failure` says so.

Only what is sure counts: a process that is alive now, some time after `kill_at` and at least K
after SIGKILL was sent, or a stop that has failed and still stands as failed. It is logged at level
critical before. If the machine is still there afterwards, and so is the cause, it is done again.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from pathlib import Path

import anyio

from mosha.clinit.engine import Engine
from mosha.clinit.options import ClinitOptions
from mosha.clinit.reset_note import ResetNote
from mosha.core.cluster.timing import kill_s
from mosha.core.self_fencing import FENCE, OFF, SYSRQ
from mosha.core.supervision.overdue import StuckGroup, stuck_groups
from mosha.host import killable, logs
from mosha.host.clock import boottime

COMMAND_LIMIT_S = 30.0
AGAIN_S = 30.0
# What is left of a group that has just ended is known a little later.
LOOK_S = 0.05
# A thread writes the log, and a reboot does not wait for it.
LOG_S = 0.05
NOTE_S = 0.2
NOTE_SHARE = 0.25
"""A reboot waits for its note on the disk at most so long, and for no more than this part of what
was waited for after `kill_at`."""


class SelfFence:
    """Fences this node when it cannot end a group."""

    def __init__(
        self,
        engine: Engine,
        options: ClinitOptions,
        leaders: set[int],
        note: ResetNote,
        again_s: float = AGAIN_S,
    ) -> None:
        """Look at the groups of `engine`; the process of a command is among `leaders` meanwhile.

        Those are not reaped by clinit (`reaper.py`). `note` says why on the disk. What had no
        effect is done again after `again_s`.
        """
        self._note = note
        self._noted = False
        self._again_s = again_s
        self._engine = engine
        self._how = options.self_fence
        self._after_s = options.self_fence_after_s
        self._with_failed_stops = options.on_stop_failure == FENCE
        self._sysrq = options.sysrq_trigger
        self._leaders = leaders
        self._danger = asyncio.Event()
        self._danger_at = 0.0

    def look(self) -> None:
        """A group was killed at `kill_at`, or its stop has failed."""
        self._danger_at = boottime()
        self._danger.set()

    async def run(self) -> None:
        """Wait until a group cannot be ended, and fence this node."""
        while True:
            await self._danger.wait()
            while found := self._stuck():
                left_s = min(self._since(group) for group in found) - boottime()
                await self._pause(max(left_s, LOOK_S))
                reason = self._reason()
                if reason:
                    await self._fence(reason)
                    await asyncio.sleep(self._again_s)
            if self._noted:
                self._note.withdraw()
                self._noted = False
            self._danger.clear()

    async def _pause(self, seconds: float) -> None:
        """Wait that long, or until there is another danger."""
        self._danger.clear()
        with anyio.move_on_after(seconds):
            await self._danger.wait()

    def _stuck(self) -> list[StuckGroup]:
        units = self._engine.supervisor.units
        return stuck_groups(units, after_s=self._after_s, with_failed_stops=self._with_failed_stops)

    def _since(self, group: StuckGroup) -> float:
        """Return when it counts: SIGKILL has its time also where it came late."""
        if not group.outlives:
            return group.since
        return max(group.since, self._danger_at + kill_s(len(self._engine.supervisor.units)))

    def _reason(self) -> str:
        """Return why this node is to be fenced now, "" if it is not."""
        now, reasons = boottime(), []
        for group in self._stuck():
            if self._since(group) > now:
                continue
            if not group.outlives:
                reasons.append(f"the stop of {group.name} has failed")
            elif self._engine.alive(group.name):
                reasons.append(f"processes of {group.name} have outlived kill_at")
        return "; ".join(reasons)

    async def _fence(self, reason: str) -> None:
        logs.get().critical("self_fence", how=self._how, reason=reason)
        self._note.put(self._how, reason, [group.name for group in self._stuck()])
        self._noted = True
        await asyncio.sleep(LOG_S)
        await self._note.settle(min(NOTE_S, self._after_s * NOTE_SHARE))
        try:
            text = _press(self._sysrq) if self._how == SYSRQ else await self._run()
        except (OSError, ValueError) as error:
            text = str(error)
        logs.get().error("self_fence_ended", how=self._how, result=text, again_s=self._again_s)

    async def _run(self) -> str:
        """Run the command and return how it ended."""
        pids: list[int] = []

        def started(pid: int) -> None:
            pids.append(pid)
            self._leaders.add(pid)

        try:
            words = shlex.split(self._how)
            ended = await killable.run(words, limit_s=COMMAND_LIMIT_S, on_start=started)
        finally:
            self._leaders.difference_update(pids)
        if ended.status is None:
            return f"it was killed after {COMMAND_LIMIT_S:g} s"
        said = " ".join(ended.output.decode(errors="replace").split())
        return f"exit {ended.status}: {said}".removesuffix(": ")


def self_fence_of(
    options: ClinitOptions, engine: Engine, leaders: set[int], note: ResetNote | None
) -> SelfFence | None:
    """Return what fences this node, told of each danger by the engine; None if it never does."""
    if options.self_fence == OFF or note is None:
        return None
    made = SelfFence(engine, options, leaders, note)
    engine.on_danger = made.look
    return made


def _press(trigger: Path) -> str:
    """Reboot at once; return only if the kernel does not."""
    fd = os.open(trigger, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, b"b")
    finally:
        os.close(fd)
    return "the kernel did not reboot"
