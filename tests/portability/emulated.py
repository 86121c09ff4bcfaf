"""A machine that qemu emulates: Debian's kernel, and Debian's packages and mosha in memory.

No root is needed, and nothing is kept but a directory below build/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.portability.debian import SHELL, unpack
from tests.portability.pythons import ROOT, install

SUITE, VERSION = "bookworm", "3.11"
LIMIT_S = 900.0
# What comes before the program of a test in the first process of the machine.
MOUNTED = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
export PATH=/usr/bin:/bin:/usr/sbin:/sbin PYTHONPATH=/site:/repository MOSHA_EMULATED=yes
"""
EMULATED = "MOSHA_EMULATED"
"""The variable by which a program knows that it may end the machine."""
POWER_OFF = "exec python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'\n"


def kernel(build: Path, architecture: str, package: str) -> Path:
    """Return Debian's kernel; its modules are in the tree `build`/kernel."""
    tree = build / "kernel"
    build.mkdir(parents=True, exist_ok=True)
    unpack(tree, SUITE, architecture, [package])
    return next((tree / "boot").glob("vmlinuz-*"))


def files(
    build: Path,
    architecture: str,
    platforms: Sequence[str],
    init: str,
    more: Sequence[Path] = (),
) -> Path:
    """Return the archive of the files of the machine; mosha in it is that of now.

    `init` is what its first process does; `more` are files for its root directory.
    """
    tree = build / "tree"
    packages = [*SHELL, "python3-minimal", "libpython3-stdlib", "mount", "kmod"]
    unpack(tree, SUITE, architecture, packages)
    if not (tree / "site/complete").exists():
        install(tree / "site", VERSION, ROOT / "requirements.lock", *platforms)
        (tree / "site/complete").touch()
    for name in ("mosha", "tests"):
        shutil.rmtree(tree / "repository" / name, ignore_errors=True)
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / "repository" / name, ignore=unwanted)
    for path in more:
        shutil.copy(path, tree)
    (tree / "init").write_text(MOUNTED + init, encoding="ascii")
    (tree / "init").chmod(0o755)
    archive = build / "files.cpio"
    names = b"".join(os.fsencode(path.relative_to(tree)) + b"\0" for path in tree.rglob("*"))
    words = ["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=0:0"]
    with archive.open("wb") as file:
        subprocess.run(words, cwd=tree, input=names, stdout=file, check=True)
    return archive


def boot(*words: str) -> str:
    """Run a machine until it is off or reset; show what it prints and return that."""
    said: list[str] = []
    limited = ["timeout", f"{LIMIT_S:g}", *words, "-nographic", "-no-reboot", "-nic", "none"]
    machine = subprocess.Popen(
        limited,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    )
    with machine:
        assert machine.stdout is not None
        for line in machine.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            said.append(line)
    return "".join(said)
