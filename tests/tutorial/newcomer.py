"""A newcomer: an ordinary user of a clean Debian 12, who has the manual and types what it says.

The machine has what the first line of the tutorial installs and nothing else, and the network
of its host, for pip. `<this repository>` is this working tree, committed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mosha.cli.demo import processes
from mosha.cli.demo.cluster import GROUP_NAMES
from tests.docs_console import ROOT, Console, Step, typed

if TYPE_CHECKING:
    from tests.systemd.machine import Machine

ONE_MACHINE = ROOT / "docs/tutorial/one-machine.md"
"""The page that is typed on a clean machine."""

USER = "dana"
HOME = f"/home/{USER}"
REPOSITORY = "/srv/git/mosha"
NO_INDEX = re.compile(r"name resolution|NewConnectionError|No matching distribution found")
"""What pip says where it reaches no package index."""

# Which node has which group in the demo is a matter of chance and of time.
_BY_CHANCE = re.compile(
    rf"\b({'|'.join(GROUP_NAMES)})\b|^ +node \d|^ +\d +(this node|fresh) |^ +GROUP +WANTED"
)
_NUMBERED = re.compile(r"(\bNode|\(of) \d+")

# How pip finds packages is a matter of the host.
_PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_CERT", "PIP_TRUSTED_HOST", "HTTPS_PROXY", "https_proxy")
_PIP_FILES = (Path("/etc/pip.conf"), Path("/etc/ssl/certs/ca-certificates.crt"))


def network_words() -> tuple[str, ...]:
    """Return what systemd-nspawn needs to give a machine the package index of its host."""
    files = [path for path in _PIP_FILES if path.exists()]
    return tuple(f"--bind-ro={path}" for path in files)


def box_of(name: str) -> Path | None:
    """Make the cgroup of a machine: another one may live in that of this process."""
    return processes.make_cgroup(f"{name}-{os.getpid()}")


def settle(machine: Machine) -> None:
    """Make the user, who may use sudo, and the repository."""
    machine.get("useradd", "--create-home", "--shell", "/bin/bash", USER)
    machine.write("/etc/sudoers.d/newcomer", f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
    give_repository(machine)
    machine.get("chown", "-R", f"{USER}:", REPOSITORY)


def give_repository(machine: Machine) -> None:
    """Put this working tree there, as a repository with one commit."""
    listed = subprocess.run(
        ["/usr/bin/git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    target = machine.root / REPOSITORY.lstrip("/")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():  # what was removed and not committed is not
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    machine.get("git", "-C", REPOSITORY, "init", "--quiet")
    commit(machine)


def commit(machine: Machine) -> None:
    """Commit all that is in the repository."""
    machine.get("git", "-C", REPOSITORY, "add", "--all")
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    machine.get("git", "-C", REPOSITORY, *who, "commit", "--quiet", "--message=all")


@contextmanager
def console(machine: Machine, user: str, home: str) -> Iterator[Console]:
    """Give a shell of a user of the machine; where it prints `home`, the pages print theirs."""
    pip = [f"{name}={os.environ[name]}" for name in _PIP_VARIABLES if name in os.environ]
    # That is: do not compile ten thousand files of which some hundred are imported (pip's manual).
    pip.append("PIP_NO_COMPILE=no")
    bash = ["env", "COLUMNS=80", "LANG=C.UTF-8", *pip, "bash", "--login"]
    words = machine.inside("runuser", "--login", user, "--command", f"exec {shlex.join(bash)}")
    with Console(words, home, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}) as shell:
        shell.run("cd")
        yield shell


def outline(text: str) -> str:
    """Return what every run of the demo prints alike."""
    lines = (line for line in text.splitlines() if not _BY_CHANCE.search(line))
    return _NUMBERED.sub(r"\1 N", "\n".join(lines))


def steps_of(page: Path) -> list[Step]:
    """Return what a page tells to type, with the repository in its place."""
    text = page.read_text(encoding="utf-8").replace("<this repository>", REPOSITORY)
    return typed(text)
