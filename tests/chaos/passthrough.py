"""A FUSE file system that shows a directory, and shows it wrongly when told to.

`python -m tests.chaos.passthrough SOURCE MOUNTPOINT SEED`. It stands for the way over which
one node sees the directories of all, one number each. Commands come as JSON lines on stdin:
`{"id": 7, "peer": 2, "kind": "freeze"}` begins a fault on the directory of node 2, and
`{"id": 7, "end": true}` ends it. Each is answered with its number, and `{"id": 7, "held": true}`
with how many calls wait for the end of that fault. When stdin ends, the file system is unmounted
and the process goes, frozen calls or not.

Kinds (`amount` in seconds or as told):

- `delay`: every call takes up to `amount` seconds longer;
- `freeze`: every call waits for the end of the fault, then does what it was to do;
- `fail`: every call fails with the error number `amount`, writes only where that is ENOSPC;
- `stale`: everything is read as it was when the fault began;
- `old`: each time a file is opened, one of its last versions is read;
- `torn`: files are cut off, or their end is zeros, differently each time.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import stat
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mfusepy  # type: ignore[import-untyped]

MNT_DETACH = 2
VERSIONS_KEPT = 6
THREADS_MAX = 200
STAT_FIELDS = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size")
TIME_FIELDS = ("st_atime", "st_mtime", "st_ctime")


@dataclass(frozen=True, slots=True)
class Version:
    """A file's bytes and what stat said of it."""

    data: bytes
    facts: dict[str, Any]


@dataclass(slots=True)
class Fault:
    """One fault that is going on.

    `snapshot` is what a stale view shows, `held` how many calls have met a freeze.
    """

    peer: int
    kind: str
    amount: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)
    snapshot: dict[str, Version] = field(default_factory=dict)
    held: int = 0


@dataclass(slots=True)
class Handle:
    """What is open: a buffer to read from, a descriptor to write to, or a directory.

    FUSE forgets the path of a file that was replaced meanwhile; here it is kept.
    """

    path: str
    version: Version | None = None
    descriptor: int = -1


class View:
    """The operations. Every call passes `_gate` first."""

    use_ns = True
    flag_nopath = 1
    flag_nullpath_ok = 1

    def __init__(self, source: Path, seed: str) -> None:
        self._source = source
        self._chance = random.Random(seed)  # noqa: S311 - faults, not secrets
        self._faults: dict[int, Fault] = {}
        self._handles: dict[int, Handle] = {}
        self._versions: dict[str, deque[Version]] = defaultdict(lambda: deque(maxlen=VERSIONS_KEPT))
        self._cuts: dict[str, int] = {}
        self._lock = threading.Lock()
        self._last = 0

    # --- faults ----------------------------------------------------------------------

    def begin(self, number: int, fault: Fault) -> None:
        if fault.kind == "stale":
            fault.snapshot = dict(self._snapshot(fault.peer))
        self._faults[number] = fault

    def end(self, number: int) -> None:
        fault = self._faults.pop(number, None)
        if fault is not None:
            fault.over.set()

    def held(self, number: int) -> int:
        """Return how many calls a freeze holds."""
        return self._faults[number].held

    def _snapshot(self, peer: int) -> Iterator[tuple[str, Version]]:
        for path in (self._source / str(peer)).rglob("*"):
            try:
                if path.is_file():
                    yield f"/{path.relative_to(self._source)}", _load(path)
            except OSError:
                continue

    def _of(self, path: str | None) -> list[Fault]:
        first = (path or "").split("/")[1:2]
        return [f for f in list(self._faults.values()) if [str(f.peer)] == first]

    def _gate(self, path: str | None, *, writes: bool = False) -> None:
        for fault in self._of(path):
            if fault.kind == "delay":
                fault.over.wait(self._chance.uniform(0.0, fault.amount))
            elif fault.kind == "freeze":
                with self._lock:
                    fault.held += 1
                fault.over.wait()
            elif fault.kind == "fail" and (writes or fault.amount != errno.ENOSPC):
                raise OSError(int(fault.amount), os.strerror(int(fault.amount)))

    def _real(self, path: str) -> Path:
        return self._source / path.lstrip("/")

    # --- what is seen ----------------------------------------------------------------

    def _seen(self, path: str) -> Version | None:
        """Return what a fault shows instead of the file; None for the file itself."""
        for fault in self._of(path):
            if fault.kind == "stale":
                if path not in fault.snapshot:
                    raise FileNotFoundError(errno.ENOENT, "not there yet", path)
                return fault.snapshot[path]
            if fault.kind == "old" and self._versions[path]:
                with self._lock:
                    return self._chance.choice(list(self._versions[path]))
            if fault.kind == "torn":
                return self._torn(path, _load(self._real(path)))
        return None

    def _torn(self, path: str, version: Version) -> Version:
        """Cut a file anywhere, but never twice in a row at the same place."""
        with self._lock:
            cut = self._chance.randint(1, max(1, len(version.data) - 1))
            if cut == self._cuts.get(path):
                cut -= 1
            self._cuts[path] = cut
            zeros = self._chance.random() < 0.5
        tail = bytes(len(version.data) - cut) if zeros else b""
        return Version(version.data[:cut] + tail, version.facts)

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        handle = self._handles.get(fh) if fh is not None else None
        if handle is not None:
            self._gate(handle.path)
            return handle.version.facts if handle.version else _facts(os.fstat(handle.descriptor))
        if path is None:
            raise FileNotFoundError(errno.ENOENT, "replaced")
        self._gate(path)
        facts = _facts(os.lstat(self._real(path)))
        if stat.S_ISREG(facts["st_mode"]):
            for fault in self._of(path):
                if fault.kind == "stale":
                    seen = self._seen(path)
                    assert seen is not None
                    return seen.facts
        return facts

    def opendir(self, path: str) -> int:
        self._gate(path)
        return self._keep(Handle(path))

    def readdir(self, path: str | None, fh: int) -> list[str]:  # noqa: ARG002 - FUSE's signature
        directory = self._handles[fh].path
        self._gate(directory)
        return [".", "..", *(path.name for path in self._real(directory).iterdir())]

    def releasedir(self, path: str | None, fh: int) -> int:  # noqa: ARG002 - FUSE's signature
        self._handles.pop(fh, None)
        return 0

    def access(self, path: str, amode: int) -> int:
        self._gate(path)
        if not os.access(self._real(path), amode):
            raise PermissionError(errno.EACCES, "no access", path)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        facts = os.statvfs(self._real(path))
        names = ("f_bsize", "f_frsize", "f_blocks", "f_bfree", "f_bavail", "f_files", "f_ffree")
        return {name: getattr(facts, name) for name in names}

    # --- open files ------------------------------------------------------------------

    def _keep(self, handle: Handle) -> int:
        with self._lock:
            self._last += 1
            self._handles[self._last] = handle
            return self._last

    def open(self, path: str, flags: int) -> int:
        self._gate(path)
        if flags & (os.O_WRONLY | os.O_RDWR):
            self._gate(path, writes=True)
            return self._keep(Handle(path, descriptor=os.open(self._real(path), flags)))
        seen = self._seen(path)
        if seen is None:
            seen = _load(self._real(path))
            with self._lock:
                known = self._versions[path]
                if not known or known[-1].data != seen.data:
                    known.append(seen)
        return self._keep(Handle(path, seen))

    def create(self, path: str, mode: int, fi: Any = None) -> int:  # noqa: ARG002 - FUSE's signature
        self._gate(path, writes=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return self._keep(Handle(path, descriptor=os.open(self._real(path), flags, mode)))

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:  # noqa: ARG002
        handle = self._handles[fh]
        self._gate(handle.path)
        if handle.version is not None:
            return handle.version.data[offset : offset + size]
        return os.pread(handle.descriptor, size, offset)

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:  # noqa: ARG002
        handle = self._handles[fh]
        self._gate(handle.path, writes=True)
        return os.pwrite(handle.descriptor, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:  # noqa: ARG002
        self._gate(path, writes=True)
        os.truncate(self._real(path), length)
        return 0

    def flush(self, path: str | None, fh: int) -> int:  # noqa: ARG002 - FUSE's signature
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:  # noqa: ARG002
        self._gate(self._handles[fh].path, writes=True)
        return 0

    def release(self, path: str | None, fh: int) -> int:  # noqa: ARG002 - FUSE's signature
        handle = self._handles.pop(fh, None)
        if handle is not None and handle.descriptor >= 0:
            os.close(handle.descriptor)
        return 0

    # --- changes ---------------------------------------------------------------------

    def rename(self, old: str, new: str) -> int:
        self._gate(new, writes=True)
        self._real(old).rename(self._real(new))
        return 0

    def link(self, target: str, source: str) -> int:
        self._gate(target, writes=True)
        os.link(self._real(source), self._real(target))
        return 0

    def unlink(self, path: str) -> int:
        self._gate(path)
        self._real(path).unlink()
        return 0

    def mkdir(self, path: str, mode: int) -> int:
        self._gate(path, writes=True)
        self._real(path).mkdir(mode)
        return 0

    def rmdir(self, path: str) -> int:
        self._gate(path, writes=True)
        self._real(path).rmdir()
        return 0

    def chmod(self, path: str, mode: int) -> int:
        self._gate(path, writes=True)
        self._real(path).chmod(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        self._gate(path, writes=True)
        os.chown(self._real(path), uid, gid)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        self._gate(path, writes=True)
        now = time.time_ns()
        os.utime(self._real(path), ns=times or (now, now))
        return 0


def _facts(result: os.stat_result) -> dict[str, Any]:
    facts: dict[str, Any] = {name: getattr(result, name) for name in STAT_FIELDS}
    return facts | {name: getattr(result, f"{name}_ns") for name in TIME_FIELDS}


def _load(path: Path) -> Version:
    with path.open("rb") as file:
        return Version(file.read(), _facts(os.fstat(file.fileno())))


def _obey(view: View, mountpoint: str) -> None:
    """Carry out commands until there are no more; then nothing of this shall stay."""
    for line in sys.stdin:
        command = json.loads(line)
        answer = number = command["id"]
        if "end" in command:
            view.end(number)
        elif "held" in command:
            answer = view.held(number)
        else:
            amount = command.get("amount", 0.0)
            view.begin(number, Fault(command["peer"], command["kind"], amount))
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()
    ctypes.CDLL(None).umount2(os.fsencode(mountpoint), MNT_DETACH)
    os._exit(0)  # the kernel ends the frozen calls of whoever waits, since the device closes


def main(source: str, mountpoint: str, seed: str) -> None:
    view = View(Path(source), seed)
    threading.Thread(target=_obey, args=(view, mountpoint), daemon=True).start()
    mfusepy.FUSE(
        view,
        mountpoint,
        foreground=True,
        fsname="chaos",
        subtype="chaos",
        direct_io=True,
        hard_remove=True,
        attr_timeout=0,
        entry_timeout=5,  # a name leads to the same place for ever; what is there is asked anew
        negative_timeout=0,
        max_threads=THREADS_MAX,
        default_permissions=True,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
