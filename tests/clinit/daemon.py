"""A real clinit in a test: its files, its processes, its log, and its certain end."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec

from mosha.clinit import cgroups
from mosha.control.calls import call
from mosha.control.protocol import (
    Ask,
    ClinitRequest,
    Hello,
    Reply,
    Reread,
    Shutdown,
    Subscribe,
    Update,
)
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.errors import HostError
from mosha.host import proc
from tests.clinit import run
from tests.waiting import LIMIT_S, wait_until

# Fifteen seconds of escalation are for `tests/core`; here the order counts.
QUICK = {
    "int_to_term_s": 0.3,
    "term_to_kill_s": 0.3,
    "kill_again_s": 0.3,
    "clear_to_kill_s": 0.2,
    "pause_s": 0.5,
    "retry_s": 0.2,
}
CALL_LIMIT_S = 10.0
GUARD_WORDS = "ends all services"


@dataclass(slots=True)
class Daemon:
    """One clinit and the directory it lives in."""

    base: Path
    options: dict[str, Any] = field(default_factory=dict)
    process: BaseProcess | None = None

    # --- files -----------------------------------------------------------------------

    @property
    def out(self) -> Path:
        """The file that the commands of a cltab know as `{OUT}`."""
        return self.base / "out"

    @property
    def cltab(self) -> Path:
        return self.base / "cltab"

    @property
    def socket(self) -> Path:
        return self.base / "s"

    @property
    def clstat(self) -> Path:
        return self.base / "clstat"

    @property
    def stderr(self) -> Path:
        return self.base / "log"

    def write_cltab(self, text: str) -> None:
        draft = self.base / "cltab.new"
        draft.write_text(text.replace("{OUT}", str(self.out)), encoding="utf-8")
        draft.rename(self.cltab)

    def lines(self) -> list[str]:
        """Return what the commands wrote."""
        return self.out.read_text(encoding="utf-8").splitlines() if self.out.exists() else []

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Return the log lines, of one event or all."""
        whole = self.stderr.read_bytes().rpartition(b"\n")[0].splitlines()
        lines = [json.loads(line) for line in whole if line.startswith(b"{")]
        return [line for line in lines if event in ("", line["event"])]

    # --- life ------------------------------------------------------------------------

    def start(self, **more: Any) -> Daemon:
        """Start it and wait until it answers."""
        self.launch(**more)
        wait_until(self.answers)
        return self

    def launch(self, **more: Any) -> None:
        options = {
            "cltab": str(self.cltab),
            "socket": str(self.socket),
            "clstat": str(self.clstat),
            "state_dir": str(self.base / "state"),
            "limits": QUICK,
        }
        options |= self.options | more
        self.process = run.start(options, self.stderr)

    @property
    def pid(self) -> int:
        assert self.process is not None
        assert self.process.pid is not None
        return self.process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, minus the signal that killed it; None while it runs."""
        assert self.process is not None
        return self.process.exitcode

    def answers(self) -> bool:
        assert self.status is None, self.stderr.read_text(encoding="utf-8")
        try:
            return call(self.socket, Hello(), CALL_LIMIT_S).ok
        except HostError:
            return False

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Wait until it has ended and return its exit status."""
        assert self.process is not None
        self.process.join(limit_s)
        assert self.status is not None, f"clinit {self.pid} still runs after {limit_s:g} s"
        return self.status

    def kill(self) -> None:
        """SIGKILL it; its fork server ends what it had."""
        self.signal(signal.SIGKILL)
        self.wait()

    def end(self) -> None:
        """End it and everything it started, however it is."""
        if self.process is None or self.status is not None:
            return
        try:
            tree = self.tree()
        except OSError:  # a test has taken the state directory away
            tree = None
        staff = (self.fork_server(), self.guard())
        self.signal(signal.SIGCONT)
        self.kill()
        wait_until(lambda: not any(map(is_alive, filter(None, staff))))
        if tree is not None:
            wait_until(lambda: not tree.exists())

    def record(self) -> dict[str, Any]:
        """Return what it noted for the next one."""
        record: dict[str, Any] = json.loads((self.base / "state/children.json").read_bytes())
        return record

    def tree(self) -> Path | None:
        cgroup = self.record()["cgroup"]
        return None if cgroup is None else Path(cgroup)

    def fork_server(self) -> int:
        """Return the pid of its fork server, 0 without one."""
        children = [seen.pid for seen in proc.see_all().values() if seen.parent == self.pid]
        return next((pid for pid in children if "clinit.forkserver" in proc.command_line(pid)), 0)

    def guard(self) -> int:
        """Return the pid of its second guard, 0 without one."""
        children = [seen.pid for seen in proc.see_all().values() if seen.parent == self.pid]
        return next((pid for pid in children if GUARD_WORDS in proc.command_line(pid)), 0)

    def descendants(self) -> list[int]:
        """Return all processes of its groups, double-forked ones too."""
        tree = self.tree()
        if tree is not None:
            return cgroups.pids(tree)
        staff = (self.fork_server(), self.guard())
        below = proc.descendants(self.pid, proc.see_all())
        return [seen.pid for seen in below if seen.pid not in staff]

    # --- questions -------------------------------------------------------------------

    def ask(self, request: ClinitRequest) -> Reply:
        return call(self.socket, request, CALL_LIMIT_S)

    def tell(self, group: str, level: str, **more: Any) -> Reply:
        return self.ask(Tell(group, level, **more))

    def reread(self) -> Reply:
        return self.ask(Reread())

    def shut_down(self) -> Reply:
        return self.ask(Shutdown())

    def groups(self) -> dict[str, GroupReport]:
        update = self.ask(Ask()).update
        return {report.group: report for report in update.groups} if update else {}

    def group(self, name: str = "g") -> GroupReport:
        return self.groups()[name]

    def entry(self, tag: str, group: str = "g") -> EntryReport:
        return next(entry for entry in self.group(group).entries if entry.tag == tag)

    def pid_of(self, tag: str, group: str = "g") -> int:
        """Return the pid of a running entry, once it has one."""
        return wait_until(lambda: self.entry(tag, group).pid)

    def state(self, group: str = "g") -> str:
        report = self.groups().get(group)
        return f"{report.level} {report.state}" if report else ""

    def wait_for(self, state: str, group: str = "g", limit_s: float = LIMIT_S) -> None:
        """Wait until a group shows `level STATE`."""
        wait_until(lambda: self.state(group) == state, limit_s)

    def news(self) -> Iterator[Update]:
        """Subscribe, and yield what comes."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CALL_LIMIT_S)
            connection.connect(str(self.socket))
            connection.sendall(msgspec.json.encode(Subscribe()) + b"\n")
            with connection.makefile("rb") as lines:
                assert msgspec.json.decode(lines.readline(), type=Reply).ok
                for line in lines:
                    yield msgspec.json.decode(line, type=Update)


def is_alive(pid: int) -> bool:
    """Say whether a process is alive, zombies not counted."""
    return proc.see(pid) is not None
