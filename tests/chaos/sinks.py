"""Where the log of a node goes, and what can happen to it there.

A disk is an ext4 on a loop device, which can be filled and frozen as a backup does it; a pipe has
a reader that can be stopped and be gone. Both are written by monitor and clinit of one node.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MNT_DETACH = 2
DISK_BYTES = 12 << 20
NEEDED = {
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "fsfreeze": "util-linux",
}
"""Programs, and the packages of Debian that have them."""


class Sink(Protocol):
    """What a node's stdout and stderr are."""

    def open(self) -> int:
        """Return a descriptor for a new monitor, which the caller closes."""

    def close(self) -> None:
        """Leave nothing behind."""


def missing_disks() -> str:
    """Return why no disk can be had here, "" if one can."""
    if os.geteuid() != 0:
        return "needs root to mount"
    for program, package in NEEDED.items():
        if shutil.which(program) is None:
            return f"{program} is not installed (Debian: apt install {package})"
    if not Path("/dev/loop-control").exists():
        return "there is no /dev/loop-control"
    return ""


def _program(name: str) -> str:
    return shutil.which(name) or name


@dataclass(slots=True)
class File:
    """A file on the disk of everybody."""

    path: Path

    def open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def close(self) -> None:
        """Leave the file where it is."""


class Disk:
    """A file on a file system of its own; `point` is where that is mounted."""

    def __init__(self, base: Path, number: int) -> None:
        self.point = base / f"l{number}"
        self.path = self.point / "log"
        self.frozen = False
        self.point.mkdir()
        self._filler = self.point / "filler"
        image = base / f"l{number}.img"
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run([_program("mkfs.ext4"), "-q", "-F", "-m", "0", str(image)], check=True)
        subprocess.run([_program("mount"), "-o", "loop", str(image), str(self.point)], check=True)
        # Kept open: to open a file for writing waits as long as its file system is frozen.
        self._file = File(self.path).open()

    def open(self) -> int:
        return os.dup(self._file)

    def fill(self) -> bool:
        """Leave no room; say whether that can be done now."""
        if self.frozen:  # to write would wait, and this process with it
            return False
        with self._filler.open("wb") as file, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12):
                while True:
                    at = os.fstat(file.fileno()).st_size
                    os.posix_fallocate(file.fileno(), at, size)
        return True

    def free(self) -> None:
        if not self.frozen:
            self._filler.unlink(missing_ok=True)

    def freeze(self) -> bool:
        """Let whoever writes wait in the kernel; say whether it is about to come to that."""
        if self.frozen:
            return False
        self.frozen = True
        # It writes out what is in memory first: the faults of others shall not wait for that.
        self._freezing = subprocess.Popen([_program("fsfreeze"), "--freeze", str(self.point)])
        return True

    def wait_frozen(self) -> None:
        """Wait until it has come to that."""
        self._freezing.wait()

    def thaw(self) -> None:
        """Let them go on."""
        if self.frozen:
            self.wait_frozen()
            words = [_program("fsfreeze"), "--unfreeze", str(self.point)]
            subprocess.run(words, check=True)
            self.frozen = False
            self.free()

    def close(self) -> None:
        """Keep the logs beside the mount point, which becomes the directory of that name."""
        self.thaw()
        os.close(self._file)
        self.free()
        kept = self.point.with_suffix(".kept")
        shutil.copytree(self.point, kept, ignore=shutil.ignore_patterns("lost+found"))
        ctypes.CDLL(None).umount2(os.fsencode(self.point), MNT_DETACH)
        self.point.rmdir()
        kept.rename(self.point)


class Pipe:
    """A named pipe with a process that writes what comes into the file at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pipe = path.with_suffix(".pipe")
        os.mkfifo(self._pipe)
        self._reader: subprocess.Popen[bytes] | None = None
        self.read_again()

    def open(self) -> int:
        """Return the end to write to; there must be a reader, as journald is there at a start."""
        self.read_again()
        writing = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        flags = fcntl.fcntl(writing, fcntl.F_GETFL)
        fcntl.fcntl(writing, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
        return writing

    def read_again(self) -> None:
        """Have a reader if there is none."""
        if self._reader is not None and self._reader.poll() is None:
            return
        reading = os.open(self._pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        flags = fcntl.fcntl(reading, fcntl.F_GETFL)
        fcntl.fcntl(reading, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)
        written = File(self.path).open()
        # It holds a writing end as well, so that it does not end when the last writer has gone.
        holding = os.open(self._pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._reader = subprocess.Popen(
            ["/bin/cat"], stdin=reading, stdout=written, pass_fds=(holding,), start_new_session=True
        )
        for descriptor in (reading, written, holding):
            os.close(descriptor)

    def send(self, number: signal.Signals) -> None:
        if self._reader is not None:
            self._reader.send_signal(number)

    def gone(self) -> None:
        """Have no reader: who writes gets EPIPE."""
        self.send(signal.SIGKILL)
        if self._reader is not None:
            self._reader.wait()

    def close(self) -> None:
        self.send(signal.SIGCONT)
        self.gone()
