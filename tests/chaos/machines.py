"""The nodes as machines: their processes found by kind, paused, killed, reset, started again.

A process of a node is found by the node's mark in its environment and by its command line,
and is signalled through a pidfd: never a stranger that got its number.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mosha.clinit import cgroups
from mosha.errors import HostError
from mosha.host.clock import boottime
from tests.chaos.sinks import Disk, Sink
from tests.e2e.cluster import Node

RESTART_PAUSE_S = 0.5
"""What systemd would wait before it starts a monitor again that ended."""

KINDS = {
    "monitor": b"mosha.cli.main\0run",
    "clinit": b"mosha.cli.clinit",
    "forkserver": b"mosha.clinit.forkserver",
    "child": b"witness.py",
}


@dataclass(slots=True)
class Paused:
    """Processes that were stopped, by open pidfds."""

    handles: list[int] = field(default_factory=list)

    def go_on(self) -> None:
        for handle in self.handles:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGCONT)
            os.close(handle)
        self.handles.clear()


@dataclass(slots=True)
class Machine:
    """One node with what is known of its state; `box` is its cgroup, if there are any.

    `down` counts the reasons why it shall not run at the moment. `sink` is where its stderr goes,
    `disk` the disk of its log, if it has one, `pids` a cgroup that limits its threads.
    """

    node: Node
    box: Path | None
    down: int = 0
    restart_at: float | None = None
    leaving: bool = False
    own_ends: list[str] = field(default_factory=list)
    sink: Sink | None = None
    disk: Disk | None = None
    pids: Path | None = None

    @property
    def logs(self) -> list[Path]:
        """Return the files that its log is in."""
        paths = [self.node.log]
        if self.disk is not None:  # clinit has a file of its own beside that of the settings
            paths = [self.disk.path, *sorted(self.disk.point.glob("*.log*"))]
        return [path for path in paths if path.exists()]

    def processes(self) -> list[int]:
        """Return all processes of the node: those with its mark, and those in its cgroup."""
        found = set(self.node.processes())
        if self.box is not None:
            found.update(cgroups.pids(self.box))
        return sorted(found)

    def find(self, kind: str) -> list[int]:
        """Return the processes of one kind."""
        return [pid for pid in self.processes() if _is(pid, kind)]

    def send(self, pids: Iterable[int], number: signal.Signals) -> int:
        """Signal processes of this node; return how many got it."""
        return sum(_send(pid, number) for pid in pids)

    def pause(self, pids: Iterable[int]) -> Paused:
        paused = Paused()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                handle = os.pidfd_open(pid)
                paused.handles.append(handle)
                signal.pidfd_send_signal(handle, signal.SIGSTOP)
        return paused

    def reset(self) -> None:
        """Kill everything as a loss of power does; does not wait for what hangs in the kernel."""
        if self.box is not None:
            cgroups.kill(self.box)
        else:
            for _round in range(3):
                self.send(self.processes(), signal.SIGKILL)

    def end_earlier_clinits(self) -> None:
        """End those that a change of `rundir` has left at rest, as upgrade.md has it.

        One that has a process of a group alive, or does not answer, stays: the verdict finds it.
        """
        for rundir in self.node.earlier_rundirs:
            with contextlib.suppress(HostError):
                if not any(group.alive for group in self.node.ask_clinit(rundir).groups):
                    self.node.end_clinit(rundir)

    def ended(self) -> bool:
        """Say whether the monitor has ended; a killed one may hang in the kernel for long."""
        return self.node.monitor is None or self.node.monitor.poll() is not None

    def start(self) -> None:
        self._renew_box()
        self.leaving = False
        self.restart_at = None
        if self.sink is None:
            self.node.start()
            return
        log = self.sink.open()
        self.node.start_with(log)
        os.close(log)

    def _renew_box(self) -> None:
        """Give a node that starts from nothing a cgroup that nobody was killed in."""
        if self.box is not None and not self.processes() and cgroups.remove(self.box):
            self.box.mkdir()

    def supervise(self, *, blamed: bool) -> None:
        """Start a monitor again that has ended, after a pause.

        One that ends by itself is noted, unless `blamed`: there is a fault that explains it.
        """
        if self.down or not self.ended():
            return
        if self.restart_at is None:
            self.restart_at = boottime() + RESTART_PAUSE_S
            status = self.node.monitor.returncode if self.node.monitor else None
            if status != -signal.SIGKILL and not blamed:
                self.own_ends.append(f"monitor of node {self.node.number} ended with {status}")
        elif boottime() >= self.restart_at:
            self.start()


def _is(pid: int, kind: str) -> bool:
    try:
        return KINDS[kind] in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _send(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
