"""`make aarch64`: clinit on an emulated machine with an aarch64 processor.

qemu boots Debian's kernel with a tree of Debian's packages and mosha in memory; `smoke.py` there
starts, respawns, stops and kills, in each way in which processes are started. The user mode of qemu
would not do: it knows neither clone3 nor CLONE_PARENT. Nothing is kept but build/aarch64/, and no
root is needed.

Exit status: 0 all went as it should; 1 it did not; 2 something is missing here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.portability import smoke
from tests.portability.debian import SHELL, CannotRunError, needed, unpack
from tests.portability.pythons import ROOT, install

BUILD = ROOT / "build/aarch64"
SUITE, VERSION = "bookworm", "3.11"
PLATFORMS = ("manylinux2014_aarch64", "manylinux_2_17_aarch64")
LIMIT_S = 900.0
GONE_WRONG, CANNOT_RUN = 1, 2
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /run
export PATH=/usr/bin:/bin:/usr/sbin:/sbin PYTHONPATH=/site:/repository
cd /repository && python3 -m tests.portability.smoke
exec python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x4321fedc)'
"""


def main() -> int:
    """Boot it, and say what it said."""
    try:
        needed("qemu-system-aarch64 (qemu-system-arm)", "cpio (cpio)")
        kernel, files = _kernel(), _files()
    except CannotRunError as error:
        sys.stderr.write(f"make aarch64: {error}\n")
        return CANNOT_RUN
    said = _boot(kernel, files)
    return 0 if smoke.PASSED in said else GONE_WRONG


def _kernel() -> Path:
    tree = BUILD / "kernel"
    BUILD.mkdir(parents=True, exist_ok=True)
    unpack(tree, SUITE, "arm64", ["linux-image-arm64"])
    return next((tree / "boot").glob("vmlinuz-*"))


def _files() -> Path:
    """Return the archive of the files of the machine; mosha in it is that of now."""
    tree = BUILD / "tree"
    unpack(tree, SUITE, "arm64", [*SHELL, "python3-minimal", "libpython3-stdlib", "mount"])
    if not (tree / "site/complete").exists():
        install(tree / "site", VERSION, ROOT / "requirements.lock", *PLATFORMS)
        (tree / "site/complete").touch()
    for name in ("mosha", "tests"):
        shutil.rmtree(tree / "repository" / name, ignore_errors=True)
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, tree / "repository" / name, ignore=unwanted)
    (tree / "init").write_text(INIT, encoding="ascii")
    (tree / "init").chmod(0o755)
    archive = BUILD / "files.cpio"
    names = b"".join(os.fsencode(path.relative_to(tree)) + b"\0" for path in tree.rglob("*"))
    words = ["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=0:0"]
    with archive.open("wb") as file:
        subprocess.run(words, cwd=tree, input=names, stdout=file, check=True)
    return archive


def _boot(kernel: Path, files: Path) -> str:
    """Run the machine until it is off; show what it prints and return that."""
    words = [
        *("timeout", f"{LIMIT_S:g}", "qemu-system-aarch64", "-machine", "virt"),
        *("-cpu", "cortex-a72", "-smp", "2", "-m", "1536", "-nographic", "-no-reboot"),
        *("-nic", "none", "-kernel", str(kernel), "-initrd", str(files)),
        *("-append", "console=ttyAMA0 quiet panic=-1"),
    ]
    said: list[str] = []
    machine = subprocess.Popen(
        words,
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


if __name__ == "__main__":
    sys.exit(main())
