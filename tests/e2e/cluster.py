"""A cluster of real nodes for tests: real monitors, real clinits, one local /mfs.

Every node has its own settings, rundir and mark in the environment of all its processes.
Groups run the witness process of the demo; `overlaps` says whether two nodes ever ran one
group at the same time. `Cluster` is a context: nothing of it stays behind.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from mosha.cli.demo import overlaps, processes, witness
from mosha.control.calls import NoAnswerError, call, call_for
from mosha.control.protocol import Ask, AskReport, Message, MonitorReply, Reply, Shutdown, Update
from mosha.errors import HostError
from mosha.formats.clstat import UnreadableStatus, parse_clstat
from mosha.formats.hastat import Report, parse_hastat
from mosha.host.clock import boottime
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mosha.core.status import Status

TIMEOUT_S = 2.0
CALL_LIMIT_S = 20.0


@dataclass(slots=True)
class Node:
    """One node: files, processes, questions."""

    number: int
    base: Path
    mark: str
    box: Path | None
    monitor: subprocess.Popen[bytes] | None = None
    within: list[str] = field(default_factory=list)
    """Words before its command, which bring it into a network namespace for example."""
    rundirs: int = 1
    """How many rundirs it has had; the last one counts."""
    env: dict[str, str] = field(default_factory=dict)
    """What its environment has besides."""

    @property
    def rundir(self) -> Path:
        return self._rundir(self.rundirs)

    @property
    def earlier_rundirs(self) -> list[Path]:
        return [self._rundir(which) for which in range(1, self.rundirs)]

    def _rundir(self, which: int) -> Path:
        return self.base / (f"r{self.number}" + "x" * (which - 1))

    @property
    def config(self) -> Path:
        return self.base / f"{self.number}.toml"

    @property
    def log(self) -> Path:
        return self.base / f"{self.number}.log"

    @property
    def directory(self) -> Path:
        return self.base / "mfs" / str(self.number) / "var/mosix-ha"

    # --- processes -------------------------------------------------------------------

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.start_with(log.fileno())

    def start_with(self, log: int) -> None:
        """Start it with an open file as stdout and stderr."""
        command = [sys.executable, "-m", "mosha.cli.main", "run", "--config", str(self.config)]
        self.monitor = subprocess.Popen(
            processes.inside(self.box, [*self.within, *command]),
            env=os.environ | {processes.MARK: self.mark} | self.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the monitor alone."""
        assert self.monitor is not None
        self.monitor.send_signal(number)

    def kill_monitor(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.monitor is not None
        self.monitor.wait()

    def kill_clinit(self) -> None:
        os.kill(self.ask_clinit().pid, signal.SIGKILL)

    def kill(self) -> None:
        """End everything of the node as a power cut would."""
        first = [self.monitor.pid] if self.monitor else []
        with contextlib.suppress(HostError):
            first.append(self.ask_clinit().pid)
        processes.kill(self.mark, first)
        if self.monitor is not None:
            self.monitor.wait()

    def leave(self, limit_s: float = 20.0) -> int:
        """Leave in an orderly way; returns the exit status of the monitor."""
        self.signal(signal.SIGTERM)
        assert self.monitor is not None
        return self.monitor.wait(limit_s)

    def processes(self) -> list[int]:
        return processes.marked(self.mark)

    # --- questions -------------------------------------------------------------------

    def ask(self, request: Message) -> MonitorReply:
        return call_for(self.rundir / "mosha.s", request, MonitorReply, CALL_LIMIT_S)

    def report(self) -> Report:
        reply = self.ask(AskReport())
        assert reply.report is not None
        return parse_hastat(bytes(reply.report))

    def ask_clinit(self, rundir: Path | None = None) -> Update:
        reply = call((rundir or self.rundir) / "clinit.s", Ask(), CALL_LIMIT_S)
        assert reply.update is not None
        return reply.update

    def clinit_pid(self) -> int:
        """Return the pid of the clinit that answers, 0 if none does."""
        try:
            return self.ask_clinit().pid
        except NoAnswerError:
            return 0

    def end_clinit(self, rundir: Path | None = None) -> Reply:
        return call((rundir or self.rundir) / "clinit.s", Shutdown(), CALL_LIMIT_S)

    def pids(self) -> dict[str, set[int]]:
        """Return the processes of each group, once clinit knows the pid of all that run."""

        def born() -> Update | None:
            update = self.ask_clinit()
            entries = (entry for group in update.groups for entry in group.entries)
            return update if all(e.pid for e in entries if e.state == "running") else None

        update = wait_until(born)
        assert update is not None
        return {g.group: {e.pid for e in g.entries if e.pid} for g in update.groups}

    def status(self) -> Status | None:
        try:
            return parse_clstat((self.directory / "clstat").read_bytes())
        except (OSError, UnreadableStatus):
            return None

    def answers(self) -> bool:
        try:
            self.ask(AskReport())
        except NoAnswerError:
            return False
        return True

    def events(self, *names: str) -> list[dict[str, object]]:
        """Return the events of these names in the node's log, oldest first."""
        found = []
        for line in self.log.read_bytes().splitlines() if self.log.exists() else []:
            with contextlib.suppress(msgspec.DecodeError):
                event = msgspec.json.decode(line)
                if isinstance(event, dict) and event.get("event") in names:
                    found.append(event)
        return found


@dataclass(slots=True)
class Cluster:
    """Nodes 1 to `size`, and the groups that they shall run."""

    base: Path
    size: int = 3
    timeout_s: float = TIMEOUT_S
    extra: str = ""
    nodes: dict[int, Node] = field(default_factory=dict)
    box: Path | None = None

    def __enter__(self) -> Self:
        name = secrets.token_hex(6)
        self.box = processes.make_cgroup(name)
        numbers = range(1, self.size + 1)
        for number in numbers:
            mark = processes.mark_of(name, number)
            node = self.nodes[number] = Node(number, self.base, mark, self.box)
            node.directory.mkdir(parents=True)
            node.config.write_text(
                f'mfsbase = "{self.base}/mfs"\nhpcbase = "{self.base}/hpc"\n'
                f'rundir = "{node.rundir}"\nmynode = {number}\nnodes = {list(numbers)}\n'
                f"timeout = {self.timeout_s}\n{self.extra}"
            )
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.kill()
        processes.remove_cgroup(self.box)

    # --- tables ----------------------------------------------------------------------

    @property
    def witness(self) -> Path:
        return self.base / "witness"

    def service(self) -> str:
        """Return the command of a process that notes when it runs."""
        return f"{sys.executable} -I -S {witness.__file__} {self.witness}"

    def write_tables(self, groups: Iterable[str], *, cltab: str = "", hactl: str = "") -> None:
        """Give each group a service at `start`; further lines as given; on the first node."""
        names = list(groups)
        lines = [f"{group}:{group}-main:start:respawn:{self.service()}\n" for group in names]
        wishes = [f"{group} start\n" for group in names]
        directory = self.nodes[1].directory
        (directory / "cltab").write_text("".join(lines) + cltab)
        (directory / "hactl").write_text("".join(wishes) + hactl)

    # --- conditions ------------------------------------------------------------------

    def start(self) -> float:
        """Start all nodes; return when the first was started, in seconds of boottime."""
        began = boottime()
        for node in self.nodes.values():
            node.start()
        return began

    def places(self, *nodes: int) -> dict[str, list[int]]:
        """Return group -> the nodes that publish it at `start DONE`."""
        found: dict[str, list[int]] = {}
        for number in nodes or self.nodes:
            status = self.nodes[number].status()
            for group, line in status.groups.items() if status else ():
                if (line.level, line.state.value) == ("start", "DONE"):
                    found.setdefault(group, []).append(number)
        return found

    def wait_running(
        self, groups: Iterable[str], *nodes: int, limit_s: float = 45.0
    ) -> tuple[float, dict[str, list[int]]]:
        """Wait until each group is at `start DONE` on one of the nodes; return when, and where."""
        wanted = set(groups)

        def running() -> dict[str, list[int]]:
            places = self.places(*nodes)
            once = {group for group, where in places.items() if len(where) == 1}
            return places if wanted <= once else {}

        places = wait_until(running, limit_s)
        return boottime(), places

    # --- the witness -----------------------------------------------------------------

    def overlaps(self) -> list[str]:
        """Return every pair of instances that ran at the same time on two nodes."""
        ran = overlaps.read_witness(self.witness.read_text())
        pairs = overlaps.overlaps(ran)
        return [str(pair) for pair in pairs if pair.first.node != pair.second.node]
