"""A machine with a real systemd as PID 1: Debian in a container, thrown away afterwards.

A base tree is made once by debootstrap, about two minutes, and kept in $MOSHA_SYSTEMD_BASE or
/var/cache/mosha-systemd-base. Each machine is an overlay of it, with mosha installed in
/opt/mosha as by `python3 -m venv` and pip. The machine's own systemd says when it is up.

The tests of the tutorials have a base tree of their own, with what these tell to install.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from mosha.cli.demo import processes
from tests.leftovers import cgroups_below, own_cgroup
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SUITE = "bookworm"
PROGRAMS = {"systemd-nspawn": "systemd-container", "debootstrap": "debootstrap"}
BASE_LIMIT_S = 900.0
BOOT_LIMIT_S = 60.0
END_LIMIT_S = 30.0
OPT = Path("/opt/mosha")


class CannotBootError(Exception):
    """Why no machine can be had here."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A base tree: where it is, unless a variable of the environment says otherwise."""

    variable: str
    path: Path
    packages: tuple[str, ...]


SYSTEMD = Tree(
    "MOSHA_SYSTEMD_BASE",
    Path("/var/cache/mosha-systemd-base"),
    ("systemd", "systemd-sysv", "dbus", "procps", "python3"),
)
NEWCOMER = Tree(
    "MOSHA_NEWCOMER_BASE",
    Path("/var/cache/mosha-newcomer-base"),
    (*SYSTEMD.packages, "git", "make", "python3-venv", "sudo"),
)


def missing_here() -> str:
    """Say what a machine would need and is not there, "" if nothing."""
    missing = [package for name, package in PROGRAMS.items() if not shutil.which(name)]
    if missing:
        return f"needs {' and '.join(missing)}"
    if sys.version_info[:2] != (3, 11):
        return "the packages of this Python do not fit the Python 3.11 of Debian 12"
    return ""


def base_tree(tree: Tree = SYSTEMD) -> Path:
    """Return a base tree, made if it is not there yet.

    Raises:
        CannotBootError: says what is missing.
    """
    if missing := missing_here():
        raise CannotBootError(missing)
    base = Path(os.environ.get(tree.variable, tree.path))
    base.parent.mkdir(parents=True, exist_ok=True)
    with base.with_name(f"{base.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests shall not both make it
        if not (base / "etc").is_dir():
            _bootstrap(base, tree.packages)
    return base


def _bootstrap(base: Path, packages: tuple[str, ...]) -> None:
    draft = base.with_name(f"{base.name}.{secrets.token_hex(4)}")
    try:
        done = subprocess.run(
            [
                *("debootstrap", "--variant=minbase", f"--include={','.join(packages)}"),
                *(SUITE, str(draft)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=BASE_LIMIT_S,
        )
        if done.returncode:
            last = (done.stdout + done.stderr).strip().splitlines()[-1:]
            raise CannotBootError(f"debootstrap cannot make a base tree: {''.join(last)}")
        draft.rename(base)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@dataclass(slots=True)
class Machine:
    """One machine. After `end` nothing of it stays behind, whatever became of `start`.

    `words` are for systemd-nspawn: by default the machine has no network. Machines that run at
    the same time need a `box` each, a cgroup to live in.
    """

    directory: Path
    base: Path
    name: str = "machine"
    words: tuple[str, ...] = ("--private-network",)
    with_mosha: bool = True
    box: Path | None = None
    leader: int = 0
    _nspawn: subprocess.Popen[bytes] | None = None
    _console: list[Path] = field(default_factory=list)

    def start(self) -> None:
        """Make it and boot it.

        Raises:
            CannotBootError: says why not.
        """
        try:
            self._make()
            self.boot()
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Switch it off and forget it."""
        try:
            if self.is_up:
                self.power_off()
        finally:
            if self.root.is_mount():
                _run("umount", str(self.root))

    def _make(self) -> None:
        up, work = self.directory / "up", self.directory / "work"
        for path in (up, work, self.root, self.directory / "bus"):
            path.mkdir()
        options = f"lowerdir={self.base},upperdir={up},workdir={work}"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))
        (self.root / "etc/machine-id").unlink(missing_ok=True)
        (self.root / "etc/machine-id").write_text(f"{secrets.token_hex(16)}\n")
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        if self.with_mosha:
            install(self.root)

    # --- power -----------------------------------------------------------------------

    @property
    def root(self) -> Path:
        """The machine's file system, as seen from outside."""
        return self.directory / "root"

    @property
    def is_up(self) -> bool:
        """Whether it has been switched on, and not off."""
        return self._nspawn is not None

    def boot(self) -> None:
        """Boot, and return when systemd says that it has started everything."""
        with _ready_socket(self.directory / "bus" / "notify") as (address, ready):
            console = self.directory / f"console{len(self._console)}"
            self._console.append(console)
            with console.open("wb") as output:
                self._nspawn = subprocess.Popen(
                    processes.inside(self.box, self._nspawn_words()),
                    env={
                        **os.environ,
                        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                        "NOTIFY_SOCKET": address,
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            nspawn = self._nspawn

            def up() -> bool:
                if nspawn.poll() is not None:
                    raise CannotBootError(f"systemd-nspawn ended: {self.console()[-500:]}")
                for line in ready():
                    if match := re.fullmatch(r"X_NSPAWN_LEADER_PID=(\d+)", line):
                        self.leader = int(match[1])
                    elif line == "READY=1":
                        return True
                return False

            wait_until(up, BOOT_LIMIT_S)

    def _nspawn_words(self) -> list[str]:
        return [
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", "--boot"),
            *(f"--machine=m{os.getpid()}-{self.name}", f"--hostname={self.name}"),
            *("--register=no", "--keep-unit", "--link-journal=no", "--notify-ready=yes"),
            *("--console=read-only", *self.words),
        ]

    def power_off(self) -> None:
        """Shut down in good order, as `systemctl poweroff` does, and wait until it is off."""
        nspawn = self._nspawn
        assert nspawn is not None
        self._nspawn = None
        try:
            nspawn.send_signal(signal.SIGTERM)
            nspawn.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            nspawn.kill()  # its processes die with their PID 1
            nspawn.wait(END_LIMIT_S)
            raise
        finally:
            _sweep_cgroups(self.box)

    def console(self) -> str:
        """Return what the boots printed."""
        return "".join(path.read_text(errors="replace") for path in self._console)

    # --- inside ----------------------------------------------------------------------

    def do(self, *words: str, limit_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside as root; return how it ended."""
        return subprocess.run(
            self.inside(*words),
            capture_output=True,
            text=True,
            check=False,
            timeout=limit_s,
            env={"PATH": f"{OPT}/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"},
            cwd="/",
        )

    def inside(self, *words: str) -> list[str]:
        """Return what runs a command inside as root."""
        return ["/usr/bin/nsenter", "--target", str(self.leader), "--all", "--", *words]

    def get(self, *words: str) -> str:
        """Run a command inside that has to succeed; return what it printed."""
        done = self.do(*words)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def show(self, unit: str, name: str) -> str:
        """Return one property of a unit."""
        return self.get("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def write(self, path: str, text: str) -> None:
        """Write a file of the machine, on or off."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """Return a file of the machine, on or off; nothing if it is not there."""
        try:
            return (self.root / path.lstrip("/")).read_text()
        except FileNotFoundError:
            return ""


@contextlib.contextmanager
def _ready_socket(path: Path) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Give a socket for sd_notify(3), and what reads the lines that have arrived there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)

        def lines() -> list[str]:
            with contextlib.suppress(BlockingIOError):
                return listener.recv(1 << 16).decode().splitlines()
            return []

        try:
            yield str(path), lines
        finally:
            path.unlink()


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBootError(f"{' '.join(words)}: {done.stderr.strip()}")


def _sweep_cgroups(box: Path | None) -> None:
    """Remove the cgroups that nspawn leaves behind in every hierarchy.

    In those of version 1 they lie where this process is, and where it or `box` is in version 2.
    """
    paths = dict(line.split(":", 2)[1:] for line in Path("/proc/self/cgroup").read_text().split())
    home = own_cgroup()
    tops = {top for top in (home, box) if top}
    below = [Path(paths.get("", "/").lstrip("/"), box.name if box else "")]
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup "):
            controllers = set(after.split()[2].split(","))
            own = [
                path
                for names, path in paths.items()
                if names and set(names.split(",")) <= controllers
            ]
            point = Path(before.split()[4])
            tops |= {point / path.lstrip("/") for path in own} | {point / path for path in below}
    for top in tops:
        made = [top / "payload", top / "supervisor"]
        for cgroup in [*(c for one in made for c in cgroups_below(one)), *made, top]:
            with contextlib.suppress(OSError):  # not ours, or another machine lives there
                cgroup.rmdir()


# --- mosha inside --------------------------------------------------------------------------


def install(root: Path) -> None:
    """Install mosha and what it needs into /opt/mosha of a tree, as a venv of its Python."""
    home = root / OPT.relative_to("/")
    site = home / "lib/python3.11/site-packages"
    (home / "bin").mkdir(parents=True)
    site.mkdir(parents=True)
    (home / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    (home / "bin/python").symlink_to("/usr/bin/python3")
    source = Path(__file__).parents[2] / "mosha"
    # With times and all: what is compiled already need not be compiled again at each start.
    shutil.copytree(source, site / "mosha")
    for distribution in _needed("mosha"):
        for file in metadata.distribution(distribution).files or ():
            target = site / file
            # Programs and the like lie outside; nobody imports them.
            if ".." not in file.parts and distribution != "mosha":
                target.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(file.locate(), target)
    info = site / "mosha-0.dist-info"
    info.mkdir()
    version = metadata.version("mosha")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mosha\nVersion: {version}\n")
    for name, module in (("mosha", "mosha.cli.main"), ("clinit", "mosha.cli.clinit")):
        program = home / "bin" / name
        program.write_text(f"#!{OPT}/bin/python\nfrom {module} import main\nmain()\n")
        program.chmod(0o755)


def _needed(name: str) -> set[str]:
    """Return a distribution and all that it needs to run, without extras."""
    found: set[str] = set()
    wanted = [name]
    while wanted:
        one = wanted.pop()
        if one in found:
            continue
        found.add(one)
        requirements = map(Requirement, metadata.distribution(one).requires or ())
        wanted += [
            r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    return found
