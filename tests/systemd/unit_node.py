"""A node whose group is one unit of systemd, for tests."""

from __future__ import annotations

from mosha.core.status import GroupLine, GroupState
from tests.systemd.node import CLINIT, DIRECTORY, LIMIT_S, MONITOR, Node
from tests.waiting import wait_until

UNIT = "web.service"
DONE = GroupLine("start", GroupState.DONE)
SHORT_S = 4.0
"""`timeout`: a group whose monitor hangs is killed 0.9 of it later."""


class Units:
    """A node whose group `web` is one unit."""

    def __init__(self, node: Node, unit: str = UNIT) -> None:
        self.node = node
        self.machine = node.machine
        self.unit = unit

    def begin(self, service: str, *, options: str = "stop=TERM/20s", done: bool = True) -> None:
        """Start anew with a unit with these settings, whatever was before."""
        self.clear()
        self.machine.write(self._file, f"[Service]\n{service}\n")
        self.start(options=options, done=done)

    def start(self, *, options: str = "stop=TERM/20s", done: bool = True) -> None:
        """Start mosha with a group that is the unit, as it is."""
        machine = self.machine
        machine.write(f"{DIRECTORY}/cltab", f"web:u:start:systemd({options}):{self.unit}\n")
        machine.write(f"{DIRECTORY}/hactl", "web start\n")
        self.node.configure(SHORT_S)
        machine.get("mosha", "install-units")
        machine.get("systemctl", "daemon-reload")
        machine.get("systemctl", "start", MONITOR)
        if done:
            self.wait_done()

    def clear(self) -> None:
        """Leave nothing of a unit, and no mosha running."""
        machine = self.machine
        machine.do("systemctl", "stop", MONITOR)
        wait_until(lambda: self.node.state(CLINIT) == "inactive", LIMIT_S)
        machine.do("systemctl", "stop", self.unit)
        machine.do("systemctl", "disable", self.unit)
        machine.do("rm", "-rf", self._file, f"/run/systemd/system/{self.unit}.d")
        machine.get("systemctl", "daemon-reload")
        machine.do("systemctl", "reset-failed")

    def line(self) -> GroupLine | None:
        """Return what the node publishes of the group."""
        status = self.node.status()
        return status.groups.get("web") if status else None

    def wait_done(self) -> None:
        """Wait until the group is at its level, with its unit running."""
        wait_until(lambda: self.line() == DONE and self.pid(), LIMIT_S)

    def wait_line(self, level: str, *states: GroupState) -> None:
        """Wait until the group is at a level, in one of these states."""
        lines = {GroupLine(level, state) for state in states}
        wait_until(lambda: self.line() in lines, LIMIT_S)

    def pid(self) -> int:
        """Return the main process of the unit, 0 if there is none."""
        return self.node.pid(self.unit)

    def processes(self) -> list[str]:
        """Return the processes in all slices of mosha."""
        script = "cat $(find /sys/fs/cgroup/mosha.slice -name cgroup.procs)"
        return self.machine.get("sh", "-c", script).split()

    def said(self) -> str:
        """Return what clinit has logged."""
        return "\n".join(self.node.journal(CLINIT))

    def wrapper(self) -> int:
        """Return the process of mosha that runs the unit."""
        return int(self.machine.get("pgrep", "-f", "mosha.systemd.wrapper").split()[0])

    @property
    def _file(self) -> str:
        return f"/etc/systemd/system/{self.unit}"
