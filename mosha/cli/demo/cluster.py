"""A cluster of real nodes in one temporary directory, each with its own monitor and clinit."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from mosha.cli.demo import processes, witness
from mosha.cli.demo.processes import MARK, inside, make_cgroup, marked, remove_cgroup
from mosha.control.calls import call
from mosha.control.protocol import Ask, Shutdown
from mosha.core.status import GroupLine, Status
from mosha.errors import HostError, UsageError
from mosha.formats.clstat import UnreadableStatus, parse_clstat
from mosha.formats.settings import SOCKET_PATH_MAX_BYTES, Settings, settings_from
from mosha.host.programs import command_of

TIMEOUT_S = 2.0
CLINIT_LIMIT_S = 2.0
LEAVE_LIMIT_S = 8.0
GROUP_NAMES = ("web", "mail", "db", "cache", "queue", "search", "files", "login", "cron", "proxy")


def group_names(count: int) -> list[str]:
    """Return names for that many groups."""
    return [GROUP_NAMES[i] if i < len(GROUP_NAMES) else f"group{i + 1}" for i in range(count)]


class DemoNode:
    """One node: its files and its monitor."""

    def __init__(self, cluster: DemoCluster, number: int) -> None:
        self.number = number
        self.config = cluster.base / f"{number}.toml"
        self.log = cluster.base / f"{number}.log"
        self.cgroup = cluster.cgroup
        self.mark = processes.mark_of(cluster.name, number)
        self.settings: Settings = settings_from(
            {
                "mfsbase": str(cluster.base / "mfs"),
                "hpcbase": str(cluster.base / "hpc"),
                "rundir": str(cluster.base / f"r{number}"),
                "mynode": number,
                "nodes": cluster.numbers,
                "timeout": TIMEOUT_S,
            },
            "the demo",
        )
        self._monitor: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> Path:
        """Where the node publishes."""
        return self.settings.node_path(self.number)

    @property
    def runs(self) -> bool:
        """Whether its monitor runs."""
        return self._monitor is not None and self._monitor.poll() is None

    def write_config(self) -> None:
        """Write its mosha.toml and make its directory."""
        self.directory.mkdir(parents=True)
        s = self.settings
        lines = [
            *(f'{key} = "{getattr(s, key)}"' for key in ("mfsbase", "hpcbase", "rundir")),
            f"mynode = {self.number}",
            f"nodes = {list(s.nodes)}",
            f"timeout = {s.timeout}",
        ]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Start `mosha run`; its log goes to a file. Ctrl-C does not reach it."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MOSHA_C")}
        run = [*command_of("mosha.cli.main"), "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self._monitor = subprocess.Popen(
                inside(self.cgroup, run),
                env=environment | {MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> int:
        """End the node like a power cut: SIGKILL to all its processes; return how many."""
        first = [self._monitor.pid] if self._monitor else []
        with suppress(HostError):
            reply = call(self.settings.socket_path, Ask(), CLINIT_LIMIT_S)
            first += [reply.update.pid] if reply.update else []
        killed = processes.kill(self.mark, first)
        self._reap()
        return killed

    def leave(self) -> None:
        """Ask the node to leave in an orderly way (SIGTERM to its monitor)."""
        if self._monitor is not None:
            self._monitor.send_signal(signal.SIGTERM)

    def wait_left(self, limit_s: float = LEAVE_LIMIT_S) -> bool:
        """Wait until the monitor has ended; say whether it left as it should."""
        if self._monitor is None:
            return True
        try:
            return self._monitor.wait(limit_s) == 0
        except subprocess.TimeoutExpired:
            return False

    def end_clinit(self) -> None:
        """End a clinit that its monitor did not end."""
        with suppress(HostError):
            call(self.settings.socket_path, Shutdown(), CLINIT_LIMIT_S)

    def _reap(self) -> None:
        if self._monitor is not None:
            self._monitor.wait()

    def status(self) -> Status | None:
        """Return the node's published status, None if there is none that can be read."""
        try:
            return parse_clstat((self.directory / "clstat").read_bytes())
        except (OSError, UnreadableStatus):
            return None


class DemoCluster:
    """The nodes, their groups and their directory. `close` leaves nothing behind."""

    def __init__(self, nodes: int, groups: int) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="mosha-"))
        longest = self.base / "r0" / "clinit.s"
        if len(os.fsencode(longest)) >= SOCKET_PATH_MAX_BYTES:
            shutil.rmtree(self.base)
            raise UsageError(f"{longest.parent.parent}: too long for sockets; set TMPDIR shorter")
        self.name = secrets.token_hex(6)
        self.numbers = tuple(range(1, nodes + 1))
        self.groups = group_names(groups)
        self.witness = self.base / "witness"
        self.cgroup = make_cgroup(self.name)
        self.nodes = {number: DemoNode(self, number) for number in self.numbers}
        self.dead: set[int] = set()

    def write_files(self) -> None:
        """Write all settings, and the tables to one node: the others copy them."""
        self.witness.touch()
        for node in self.nodes.values():
            node.write_config()
        first = self.nodes[self.numbers[0]].directory
        (first / "cltab").write_text(self.cltab(), encoding="utf-8")
        hactl = "".join(f"{group} start\n" for group in self.groups)
        (first / "hactl").write_text(hactl, encoding="utf-8")

    def cltab(self) -> str:
        """Return the cltab: each group has a test, a wait entry and a service."""
        base = shlex.quote(str(self.base))
        script = shlex.quote(str(witness.__file__))
        service = f"{shlex.quote(sys.executable)} -I -S {script} {base}/witness"
        return "".join(
            f"{g}:{g}-test:test:test:test -d {base}\n"
            f"{g}:{g}-prepare:start:wait:mkdir -p {base}/data/{g}\n"
            f"{g}:{g}-service:start:respawn:{service}\n"
            f"{g}:{g}-note:stop:wait:mkdir -p {base}/data/{g}/stopped\n"
            for g in self.groups
        )

    def places(self) -> dict[str, dict[int, GroupLine]]:
        """Return group -> node -> line, as the live nodes publish it, active groups only."""
        found: dict[str, dict[int, GroupLine]] = {group: {} for group in self.groups}
        for number in self.alive():
            status = self.nodes[number].status()
            for group, line in status.groups.items() if status else ():
                if line.active and group in found:
                    found[group][number] = line
        return found

    def alive(self) -> list[int]:
        """Return the nodes that were not killed."""
        return [number for number in self.numbers if number not in self.dead]

    def leave_all(self) -> list[int]:
        """End all nodes in an orderly way; return those that did not."""
        running = [node for node in self.nodes.values() if node.runs]
        for node in running:
            node.leave()
        return [node.number for node in running if not node.wait_left()]

    def close(self, *, keep: bool) -> None:
        """End every process that is left and remove everything; `keep` leaves the files."""
        for node in self.nodes.values():
            if marked(node.mark):
                node.kill()
        remove_cgroup(self.cgroup)
        if not keep:
            shutil.rmtree(self.base, ignore_errors=True)
