"""What a test session might leave behind: processes, cgroups, mounts, files.

All four are found by belonging to this session, so that another session, or a mosha in
earnest, on the same machine is neither blamed nor touched:

- processes by a mark in their environment, which children inherit, and by the session's
  own cgroup, which no child leaves by itself;
- cgroups by being below that one; where none can be made, no test can make one either;
- mounts and files by lying in the session's own temporary directory.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import wait_until

MARK = "MOSHA_TEST_SESSION"
# What is being ended when the last test returns may take that long to be gone.
GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process that is still there, and the test that started it, if it is known."""

    pid: int
    command: str
    test: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command}), started by {self.test}"


def read_process(pid: int) -> tuple[dict[str, str], str] | None:
    """Return environment and command line; None if it is gone, a zombie or not ours to see."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    pairs = (item.partition("=") for item in environ.decode(errors="replace").split("\0"))
    return {key: value for key, _, value in pairs}, command.decode(errors="replace")


def as_process(pid: int, environ: dict[str, str], command: str) -> Process:
    """Describe a process; pytest itself tells children by which test they were started."""
    test = environ.get("PYTEST_CURRENT_TEST", "an unknown test")
    return Process(pid, command.replace("\0", " ").strip(), test)


def all_pids() -> list[int]:
    """Return the processes of the machine, zombies too."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def processes_marked(mark: str) -> list[Process]:
    """Return all processes, this one excepted, that inherited `mark` as the session's mark."""
    seen = ((pid, read_process(pid)) for pid in all_pids() if pid != os.getpid())
    return [as_process(pid, *it) for pid, it in seen if it and it[0].get(MARK) == mark]


def processes_in(cgroup: Path) -> list[Process]:
    """Return all processes, this one excepted, in a cgroup or below it."""
    pids: list[int] = []
    for path in [cgroup, *cgroups_below(cgroup)]:
        with contextlib.suppress(OSError):  # removed in between
            pids += map(int, (path / "cgroup.procs").read_text(encoding="ascii").split())
    seen = ((pid, read_process(pid)) for pid in pids if pid != os.getpid())
    return [as_process(pid, *it) for pid, it in seen if it]


def cgroups_below(cgroup: Path) -> list[Path]:
    """Return the cgroups below one, the deepest first: in an order they can be removed in."""
    # os.walk, because it forgives a directory that goes while it is read.
    return [Path(path) for path, _, _ in os.walk(cgroup, topdown=False) if Path(path) != cgroup]


def mounts_below(directory: Path, mountinfo: str) -> list[str]:
    """Return the mount points in a directory, the last mounted first."""
    points = (line.split()[4] for line in mountinfo.splitlines())
    plain = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), point) for point in points)
    return [point for point in plain if Path(point).is_relative_to(directory)][::-1]


def own_cgroup() -> Path | None:
    """Return the directory of the cgroup (version 2) this process is in."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split()[4] for line in mounts if line.partition(" - ")[2].startswith("cgroup2 ")]
    lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    paths = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    return Path(points[0], paths[0]) if points and paths else None


def enter_cgroup(name: str) -> tuple[Path, Path] | None:
    """Make a cgroup below the own one and move there; None where that is not allowed.

    Returns the new one and the one to go back to.
    """
    home = own_cgroup()
    if home is None:
        return None
    try:
        (home / name).mkdir()
    except OSError:
        return None
    try:
        (home / name / "cgroup.procs").write_text("0", encoding="ascii")
    except OSError:
        (home / name).rmdir()
        return None
    return home / name, home


@dataclass(slots=True)
class Session:
    """One run of the tests: its mark, its directory, its cgroup, and what it left."""

    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    # Short, because paths of unix sockets must be (108 bytes).
    directory: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="m")).resolve())
    cgroups: tuple[Path, Path] | None = None
    left: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    """Names of directories in its own that sessions below it have left for a look."""

    def begin(self) -> None:
        """Mark all children from now on, and send every temporary file to one place."""
        os.environ[MARK] = self.mark
        os.environ["TMPDIR"] = tempfile.tempdir = str(self.directory)
        self.cgroups = enter_cgroup(f"mosha-test-{self.mark[:8]}")

    def processes(self) -> list[Process]:
        """Return what this session started and what still runs."""
        found = processes_marked(self.mark)
        if self.cgroups:
            found += processes_in(self.cgroups[0])
        return sorted(set(found), key=lambda process: process.pid)

    def look(self, expected: set[str], grace_s: float = GRACE_S) -> None:
        """Note in `left` what is there and should not be; then end the processes.

        `expected` names the files that may be in the session's directory.
        """
        self._wait_for_the_last(grace_s)
        for process in self.processes():
            self.left.append(str(process))
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        self._wait_for_the_last(grace_s)
        if self.cgroups:
            self.left += [f"cgroup {path}" for path in cgroups_below(self.cgroups[0])]
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
        self.left += [f"mount {point}" for point in mounts_below(self.directory, mountinfo)]
        files = sorted(path for path in self.directory.iterdir() if path.name not in expected)
        self.left += [f"file {path}" for path in files]

    def _wait_for_the_last(self, grace_s: float) -> None:
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.processes(), grace_s)

    def end(self, *, keep: bool) -> None:
        """Go back to where the session came from; `keep` leaves the directory for a look."""
        if self.cgroups:
            (self.cgroups[1] / "cgroup.procs").write_text("0", encoding="ascii")
            for path in [*cgroups_below(self.cgroups[0]), self.cgroups[0]]:
                with contextlib.suppress(OSError):
                    path.rmdir()
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)
