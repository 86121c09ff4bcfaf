"""The respawn loop: one coroutine for each entry that has a process."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable
from functools import partial
from signal import Signals

from mosha.clinit import cgroups
from mosha.clinit.attributes import LOOK_LIMIT_S, Resolved, resolve, why_not_prepared
from mosha.clinit.child import AS_CLINIT, Child, spawn
from mosha.clinit.command import words_of
from mosha.clinit.descriptors import explained
from mosha.clinit.forker import CommandError, Forker, LostError
from mosha.clinit.held_addresses import HeldAddresses
from mosha.clinit.output import Output
from mosha.clinit.process_tracker import EntryKey, ProcessTracker
from mosha.clinit.run_watch import RunWatch
from mosha.clinit.state_dir import StateDir
from mosha.clinit.time_slices import TimeSlices
from mosha.clinit.unexecuted import why_unexecuted
from mosha.core.supervision.process_events import (
    Exit,
    Exited,
    Scope,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
)
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Mode
from mosha.formats.units import SLICE_VARIABLE
from mosha.host import logs
from mosha.host.abandonable import Abandonable
from mosha.host.clock import boottime

PREVENTING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
"""Errors of execve(2) that are about the host, not about the program."""


class EntryLoop:
    """Starts the processes of one entry as ordered, and reports how they end.

    It decides nothing: it reports an exit, and the next order may follow.
    """

    def __init__(  # noqa: PLR0917 - what it is of, then what it works with
        self,
        key: EntryKey,
        tracker: ProcessTracker,
        state_dir: StateDir,
        forker: Forker,
        addresses: HeldAddresses,
        slices: TimeSlices,
        happen: Callable[[EntryEvent], object],
        touch: Callable[[Iterable[str]], object],
    ) -> None:
        """Report what happens to `happen`, and groups of which a report has news to `touch`."""
        self.key = key
        self.running = False
        self.child: Child | None = None
        self.watch = RunWatch(key, tracker, happen, touch)
        self._leader = 0
        self._unborn = False
        self._lost = False
        self._late_signals: list[tuple[Signals, Scope]] = []
        self._order: Launch | None = None
        self._output = Output(key)
        self._looking = Abandonable(f"the program of {key.tag}")
        self._looking_up = Abandonable(f"the user or files of {key.tag}")
        self._tracker = tracker
        self._state_dir = state_dir
        self._forker = forker
        self._addresses = addresses
        self._slices = slices
        self._happen = happen

    def order(self, launch: Launch) -> None:
        """Start this run next."""
        self._order = launch

    async def run(self) -> None:
        """Carry out orders until there are none."""
        self.running = True
        try:
            while self._order is not None:
                launch, self._order = self._order, None
                self.child = await self._spawn(launch)
                if self.child is not None:
                    await self._wait_for_end(self.child, launch)
        finally:
            self.running = False

    @property
    def occupied(self) -> bool:
        """Whether it has a process or is about to start one, wherever that is."""
        return self.child is not None or self._unborn or self._order is not None

    def signal(
        self, run: int, number: Signals, scope: Scope, *, box_killed: bool = False
    ) -> list[int]:
        """Signal the entry's processes; a run that has not started yet never will.

        With `box_killed` everything in the group's cgroup and the leader have just got SIGKILL:
        only a run that has not been started is left to be cancelled.
        """
        if self._order is not None and self._order.run == run:
            self._order = None
            self._prevent(run, "it was stopped before")
            return []
        if self._unborn:
            self._late_signals.append((number, scope))
            return []
        if box_killed:
            return [self.child.pid] if self.child is not None else []
        return self._send(number, scope)

    def kill_leader(self) -> None:
        """Send SIGKILL to the leader, even if it has left its cgroup."""
        if self.child is not None:
            self._signal_leader(Signals.SIGKILL)

    def is_empty(self, scope: Scope) -> bool:
        """Say whether no process of the entry is alive in this scope."""
        if self._unborn or (self.child is not None and scope is Scope.ENTRY):
            return False
        if self._lost and self._tracker.has_fresh_child():
            return False
        return self._tracker.is_empty(self.key, self._leader, scope)

    def said(self, lines: int) -> tuple[str, ...]:
        """Return the last lines that its processes printed, the oldest first."""
        return self._output.tail.lines(lines)

    def _send(self, number: Signals, scope: Scope) -> list[int]:
        """Signal the processes in the entry's cgroup, and its leader even if it has left."""
        if scope is Scope.LEADER:
            signalled = self.child is not None and self._signal_leader(number)
            return [self._leader] if signalled else []
        pids = self._tracker.signal(self.key, self._leader, scope, number)
        inside = self.child is None or self.child.pid in pids or scope is not Scope.ENTRY
        if self.child is not None and not inside and self._signal_leader(number):
            return [*pids, self.child.pid]
        return pids

    def _signal_leader(self, number: Signals) -> bool:
        if self.child is None:
            return False
        try:
            return self.child.send_signal(number)
        except OSError as error:
            logs.get().error(
                "signal_failed",
                **self._names(),
                signal=number.name,
                pids=[self.child.pid],
                reason=explained(error),
            )
            return False

    def close(self) -> None:
        """Close the pipes, and the socket on which its processes notify."""
        self._output.close()
        self.watch.end()

    async def _spawn(self, launch: Launch) -> Child | None:
        argv = words_of(launch.entry)
        self._unborn = True
        self._late_signals.clear()
        try:
            if launch.entry.lasts:
                await self._state_dir.agents.written()
            resolved = await self._resolved(launch)
            more = self.watch.begin(launch) | self._variables(launch) | self._slice(launch)
            more |= await self._addresses.begin(launch)
            place = self._tracker.place(self.key)
            variables = resolved.variables | more
            child = await spawn(
                self._forker, argv, variables, place, resolved, until=launch.kill_at
            )
        except OSError as error:
            self._unborn = False
            self.watch.end()
            self._give_up(launch.run, error)
            return None
        finally:
            self._unborn = False
        self._lost = False
        self._leader = child.pid
        self._tracker.note(self.key, child.pid)
        self._state_dir.note_session(child.pid)
        self._output.follow(child.pid, child.stdout, child.stderr, launch.term)
        self.child = child
        for number, scope in self._late_signals:
            self._send(number, scope)
        child.executed.add_done_callback(lambda number: self._begin(child, launch, number.result()))
        return child

    async def _resolved(self, launch: Launch) -> Resolved:
        """Return what the attributes of the entry are on this host.

        Raises:
            CommandError: something of them does not exist here.
            OSError: that is not known in time.
        """
        attributes = launch.entry.options.process
        if attributes is None:
            return AS_CLINIT
        return await self._looking_up.run(partial(resolve, attributes), LOOK_LIMIT_S)

    def _give_up(self, run: int, error: OSError) -> None:
        """Report that there is no process, and make sure that there is none."""
        if isinstance(error, CommandError):
            self._fail(run, explained(error))
            return
        self._lost = isinstance(error, LostError)
        if self._lost:
            # There may be an untracked process: it must not run beside the next.
            self._tracker.signal(self.key, self._leader, Scope.ENTRY, Signals.SIGKILL)
        elif error.errno in cgroups.GONE:  # the cgroup was removed: the next attempt makes it again
            self._tracker.forget(self.key.group)
        self._prevent(run, explained(error), lost=self._lost)

    def _begin(self, child: Child, launch: Launch, problem: int) -> None:
        if problem == 0:
            self._tell(Spawned(launch.run, child.pid))
            facts = {**self._names(), "pid": child.pid, "level": launch.level}
            if launch.entry.mode is Mode.MONITOR:
                logs.get().debug("entry_started", **facts)
            else:
                logs.get().info("entry_started", **facts)

    async def _wait_for_end(self, child: Child, launch: Launch) -> None:
        started = boottime()
        await self.watch.until_dead(child, launch)
        ran_s = round(boottime() - started, 3)
        number = await child.executed
        why = await self._why_not(child, launch, number) if number else ""
        await self._slices.do(partial(self._take_leave, child, launch, ran_s, why))

    async def _why_not(self, child: Child, launch: Launch, number: int) -> str:
        """Return why a child did not execute its command."""
        attributes = launch.entry.options.process
        if attributes is not None and child.failed_step[0] != "execve":
            return why_not_prepared(attributes, child.failed_step, number)
        program = words_of(launch.entry)[0]
        return await why_unexecuted(program, number, self._looking)

    def _take_leave(self, child: Child, launch: Launch, ran_s: float, why: str) -> None:
        ended = child.reap()
        self._addresses.ended(self.key, ended)
        self.child = None
        self.watch.end()
        self._output.drain(child.pid)
        left = self._tracker.left_by(self.key, child.pid)
        if child.executed.result() in PREVENTING:
            self._prevent(launch.run, why)
            return
        if why:
            self._fail(launch.run, why)
            return
        if child.unborn:
            self._prevent(launch.run, f"its process ended before it was executed ({ended})")
            return
        said = self._output.tail.last_line
        self._tell(Exited(launch.run, ended, left.in_session, left.elsewhere, said))
        # After the next run has started: a log line costs a tenth of a start.
        asyncio.get_running_loop().call_soon(self._log_exit, launch, child.pid, ended, ran_s)

    def _log_exit(self, launch: Launch, pid: int, ended: Exit, ran_s: float) -> None:
        facts = {**self._names(), "pid": pid, "status": str(ended), "ran_s": ran_s}
        if launch.entry.mode is Mode.MONITOR:
            logs.get().debug("entry_exited", **facts)
        else:
            logs.get().info("entry_exited", **facts)

    def _fail(self, run: int, problem: str) -> None:
        reason = f"cannot execute: {problem}"
        self._tell(SpawnFailed(run, reason, left=self._has_left()))
        logs.get().error("entry_failed", **self._names(), reason=reason)

    def _prevent(self, run: int, problem: str, *, lost: bool = False) -> None:
        reason = f"could not be started: {problem}; it is tried again"
        self._tell(SpawnPrevented(run, reason, lost=lost, left=self._has_left()))

    def _has_left(self) -> bool:
        return not self._tracker.is_empty(self.key, self._leader, Scope.ENTRY)

    def _tell(self, event: Spawned | SpawnFailed | SpawnPrevented | Exited) -> None:
        self._happen(EntryEvent(self.key.group, self.key.tag, event))

    def _slice(self, launch: Launch) -> dict[str, str]:
        """Return the variable with the slice for a unit, nothing for other entries.

        Raises:
            OSError: what is started there might not run.
        """
        if launch.entry.mode is not Mode.SYSTEMD:
            return {}
        return {SLICE_VARIABLE: str(self._tracker.slice_for(self.key) or "")}

    def _names(self) -> dict[str, str]:
        return {"group": self.key.group, "tag": self.key.tag}

    def _variables(self, launch: Launch) -> dict[str, str]:
        return {
            **({"MOSHA_NODE": launch.node} if launch.node else {}),
            "MOSHA_GROUP": self.key.group,
            "MOSHA_TAG": self.key.tag,
            "MOSHA_LEVEL": launch.level,
            "MOSHA_TOKEN": str(launch.term),
        }
