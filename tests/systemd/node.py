"""A node of mosha on a machine with systemd, for tests: what to start, kill and look at."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from mosha.cli.logs.journal import journal_line
from mosha.core.status import NodeState, Status
from mosha.formats.clstat import UnreadableStatus, parse_clstat
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.systemd.machine import Machine

MONITOR, CLINIT = "mosha.service", "mosha-clinit.service"
DIRECTORY = "/mfs/1/var/mosix-ha"
SETTINGS = "/etc/mosha/mosha.toml"
STOPPED = "/var/lib/stopped"
LIMIT_S = 30.0
# Long enough for a restart within the lease (0.6 of it) on a busy machine.
TIMEOUT_S = 10.0
GROUPS = {"web", "db"}
# Two ways to stay: a child of clinit, and a daemon that forks away from its starter.
CLTAB = f"""\
web:w:start:respawn:/usr/bin/sleep 1000001
web:far:start:once:/usr/bin/setsid -f /usr/bin/sleep 1000002
web:webbye:stop:wait:/bin/sh -c "echo web >> {STOPPED}"
db:d:start:respawn:/usr/bin/sleep 1000003
db:dbbye:stop:wait:/bin/sh -c "echo db >> {STOPPED}"
"""
HACTL = "web start\ndb start\n"
SERVICES = ("sleep 1000001", "sleep 1000002", "sleep 1000003")


def settings(timeout_s: float) -> str:
    """Return a mosha.toml."""
    return f'mynode = 1\nnodes = [1]\ntimeout = {timeout_s}\nmfsbase = "/mfs"\n'


@dataclass(slots=True)
class Node:
    """Node 1, a cluster of its own."""

    machine: Machine

    # --- the beginning of a test -------------------------------------------------------

    def begin(self) -> None:
        """Install, and start with all groups running, whatever was before."""
        machine = self.machine
        machine.do("rm", "-f", STOPPED)
        if not self.is_untouched():
            self._begin_anew()
        self.wait_running()

    def is_untouched(self) -> bool:
        """Say whether the node is as a test may expect it, and was started so."""
        drop_ins = [f"/etc/systemd/system/{unit}.d" for unit in (MONITOR, CLINIT)]
        return (
            self.running() == GROUPS
            and self.machine.read(SETTINGS) == settings(TIMEOUT_S)
            and not any((self.machine.root / path[1:]).exists() for path in drop_ins)
            and self.state(MONITOR) == self.state(CLINIT) == "active"
        )

    def _begin_anew(self) -> None:
        machine = self.machine
        if machine.show(MONITOR, "LoadState") == "loaded":
            machine.get("systemctl", "stop", MONITOR)
            wait_until(lambda: self.state(CLINIT) == "inactive", LIMIT_S)
        machine.do(
            "rm", "-rf", f"/etc/systemd/system/{MONITOR}.d", f"/etc/systemd/system/{CLINIT}.d"
        )
        self.configure(TIMEOUT_S)
        machine.write(f"{DIRECTORY}/cltab", CLTAB)
        machine.write(f"{DIRECTORY}/hactl", HACTL)
        machine.get("mosha", "install-units")
        machine.get("systemctl", "daemon-reload")
        machine.get("systemctl", "enable", MONITOR)
        machine.get("systemctl", "start", MONITOR)
        machine.do("rm", "-f", STOPPED)

    def configure(self, timeout_s: float) -> None:
        """Write the settings."""
        self.machine.write(SETTINGS, settings(timeout_s))

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit as `systemctl edit` does."""
        self.machine.write(f"/etc/systemd/system/{unit}.d/test.conf", text)
        self.machine.get("systemctl", "daemon-reload")

    def restart_with(self, timeout_s: float) -> None:
        """Start anew with other times. The deadlines of what runs are those it was started with."""
        self.machine.get("systemctl", "stop", MONITOR)
        self.configure(timeout_s)
        self.machine.get("systemctl", "start", MONITOR)
        self.wait_running()

    def wait_running(self) -> None:
        """Wait until all groups are at `start DONE`, with all their processes."""
        wait_until(lambda: self.running() == GROUPS and len(self.services()) == 3, LIMIT_S)

    # --- what is -----------------------------------------------------------------------

    def status(self) -> Status | None:
        """Return what the node publishes."""
        with contextlib.suppress(UnreadableStatus):
            return parse_clstat(self.machine.read(f"{DIRECTORY}/clstat").encode())
        return None

    def running(self) -> set[str]:
        """Return the groups that are published at `start DONE` by a node that is up."""
        status = self.status()
        if status is None or status.state is not NodeState.UP:
            return set()
        lines = status.groups.items()
        return {name for name, line in lines if (line.level, line.state) == ("start", "DONE")}

    def terms(self) -> dict[str, int]:
        """Return the terms under which the groups run."""
        status = self.status()
        return dict(status.claims) if status else {}

    def services(self) -> dict[str, int]:
        """Return command line -> pid of the processes that the groups are made of."""
        lines = self.machine.do("pgrep", "-a", "-x", "sleep").stdout.splitlines()
        found = (line.partition(" ") for line in lines)
        pids = {command.removeprefix("/usr/bin/"): int(pid) for pid, _, command in found}
        return {command: pid for command, pid in pids.items() if command in SERVICES}

    def pid(self, unit: str) -> int:
        """Return the main process of a unit, 0 if there is none."""
        return int(self.machine.show(unit, "MainPID"))

    def state(self, unit: str) -> str:
        """Return active, activating, deactivating, inactive or failed."""
        return self.machine.show(unit, "ActiveState")

    def wait_new_pid(self, unit: str, old: int, limit_s: float = LIMIT_S) -> int:
        """Wait until a unit is active with another main process; return that."""
        wait_until(lambda: self.pid(unit) not in {0, old} and self.state(unit) == "active", limit_s)
        return self.pid(unit)

    def signal(self, unit: str, name: str) -> int:
        """Send a signal to the main process of a unit; return its pid."""
        pid = self.pid(unit)
        self.machine.get("kill", f"-{name}", str(pid))
        return pid

    def report(self) -> dict[str, Any]:
        """Return `mosha status --json`."""
        done = self.machine.do("mosha", "status", "--json")
        assert done.returncode in {0, 1}, done.stderr
        report: dict[str, Any] = msgspec.json.decode(done.stdout)
        return report

    def journal(self, unit: str, *more: str) -> list[str]:
        """Return the lines of a unit since this boot; those of mosha as JSON."""
        words = ("journalctl", "--no-pager", "-b", "-u", unit, "-o", "json", "--all", *more)
        entries = self.machine.get(*words).splitlines()
        return [journal_line(raw.encode()).decode() for raw in entries]
