"""The respawn loop: one coroutine for each entry that has a process."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from signal import Signals

from mosha import logs
from mosha.clinit.boxes import Boxes, Key
from mosha.clinit.child import Child, spawn
from mosha.clinit.command import argv_of
from mosha.clinit.orphans import StateDir
from mosha.clinit.output import Output
from mosha.clock import boottime
from mosha.core.process import Exited, Scope, Spawned, SpawnFailed
from mosha.core.supervisor import EntryEvent
from mosha.core.unit import Launch


class EntryLoop:
    """Starts the processes of one entry as ordered, and tells how they end.

    It decides nothing: an exit is told, and the answer may be the next order.
    """

    def __init__(
        self,
        key: Key,
        boxes: Boxes,
        state_dir: StateDir,
        environment: Mapping[str, str],
        happen: Callable[[EntryEvent], object],
    ) -> None:
        self.key = key
        self.running = False
        self.child: Child | None = None
        self._leader = 0
        self._order: Launch | None = None
        self._output = Output(key)
        self._boxes = boxes
        self._state_dir = state_dir
        self._environment = environment
        self._happen = happen

    def order(self, launch: Launch) -> None:
        """Start this run next."""
        self._order = launch

    async def run(self) -> None:
        """Do what is ordered until nothing is."""
        self.running = True
        try:
            while self._order is not None:
                launch, self._order = self._order, None
                self.child = self._spawn(launch)
                if self.child is not None:
                    await self._outlive(self.child, launch.run)
        finally:
            self.running = False

    def signal(self, run: int, number: Signals, scope: Scope) -> list[int]:
        """Signal what the entry has; a run that has not started yet will not."""
        if self._order is not None and self._order.run == run:
            self._order = None
            self._tell(SpawnFailed(run, "stopped before it had started"))
            return []
        return self._boxes.signal(self.key, self._leader, scope, number)

    def is_empty(self, scope: Scope) -> bool:
        """Say whether nothing of the entry is alive in this scope."""
        return self._boxes.is_empty(self.key, self._leader, scope)

    def close(self) -> None:
        """Close the pipes."""
        self._output.close()

    def _spawn(self, launch: Launch) -> Child | None:
        argv = argv_of(launch.entry.command)
        try:
            with self._boxes.enter(self.key) as prefix:
                child = spawn(argv, prefix, self._environment_of(launch))
        except OSError as error:
            reason = f"cannot execute: {_reason(error)}"
            self._tell(SpawnFailed(launch.run, reason))
            logs.get().error("entry_failed", **self._names(), reason=reason)
            return None
        self._leader = child.pid
        self._boxes.note(self.key, child.pid)
        self._state_dir.note_session(child.pid)
        self._output.follow(child.pid, child.stdout, child.stderr)
        self._tell(Spawned(launch.run, child.pid))
        logs.get().info("entry_started", **self._names(), pid=child.pid, level=launch.level)
        return child

    async def _outlive(self, child: Child, run: int) -> None:
        started = boottime()
        ended = await child.ended
        ran_s = round(boottime() - started, 3)
        self.child = None
        self._output.drain(child.pid)
        left = self._boxes.left_by(self.key, child.pid)
        self._tell(Exited(run, ended, left.in_session, left.elsewhere))
        logs.get().info(
            "entry_exited", **self._names(), pid=child.pid, status=str(ended), ran_s=ran_s
        )

    def _tell(self, event: Spawned | SpawnFailed | Exited) -> None:
        self._happen(EntryEvent(self.key.group, self.key.tag, event))

    def _names(self) -> dict[str, str]:
        return {"group": self.key.group, "tag": self.key.tag}

    def _environment_of(self, launch: Launch) -> dict[str, str]:
        return {
            **self._environment,
            **({"MOSHA_NODE": launch.node} if launch.node else {}),
            "MOSHA_GROUP": self.key.group,
            "MOSHA_TAG": self.key.tag,
            "MOSHA_LEVEL": launch.level,
            "MOSHA_TOKEN": str(launch.term),
        }


def base_environment(node: str, mark: str) -> dict[str, str]:
    """Return what all children inherit: clinit's own environment, the node and the mark."""
    return {**os.environ, "MOSHA_NODE": node, "MOSHA_RUN": mark}


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{error.filename}: {text}" if error.filename else text
