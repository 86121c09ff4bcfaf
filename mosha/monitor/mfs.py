"""The cluster file system as mosha uses it: where files are, and how they are read and written.

Reading is open + read, and nothing is judged by stat beforehand: what stat says of a file on
a network is seconds old. Writing is a temporary file in the same directory and a rename.
Everything here may hang on a network file system and belongs into a `Worker`; only
`read_mounts`, `file_system_of` and `Mounts` touch nothing but /proc.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
import select
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

from mosha.formats.names import node_number

T = TypeVar("T")

FILE_MAX_BYTES: Final = 1 << 20
READ_CHUNK_BYTES: Final = 1 << 16

CLSTAT: Final = "clstat"
CLTAB: Final = "cltab"
HACTL: Final = "hactl"
HASTAT: Final = "hastat"

REMOTE_TYPES: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ceph", "glusterfs", "9p", "virtiofs"),
        *("ocfs2", "gfs2", "gfs", "lustre", "beegfs", "gpfs", "afs", "coda", "orangefs", "pvfs2"),
        # What the guests of virtual machines see of their host, and what is mounted by a look.
        *("vboxsf", "vmhgfs", "prl_fs", "autofs"),
        *("mfs", "fuse"),
    }
)
"""Types of file systems where a change by another machine raises no event here."""

REMOTE_FAMILIES: Final = ("fuse.",)

_TEMPORARY = re.compile(r"\.(?:clstat|cltab|hactl|hastat)\.(\d+)\.\d+\.tmp")
_OCTAL = re.compile(r"\\([0-7]{3})")
_PASSING_ERRORS = frozenset({errno.ENOENT, errno.ESTALE})


class Layout(Struct, frozen=True):
    """Where each node's files are: MFSBASE/NODE/VARPATH (H1.2)."""

    mfsbase: Path
    varpath: str

    def node_of(self, path: Path) -> int | None:
        """Return whose file or directory a path is, None if nobody's; string work."""
        if not path.is_relative_to(self.mfsbase):
            return None
        first = path.relative_to(self.mfsbase).parts[:1]
        node = node_number(first[0]) if first else None
        inside = node is not None and path.is_relative_to(self.directory(node))
        return node if inside else None

    def directory(self, node: int) -> Path:
        """The directory in which a node publishes."""
        return self.mfsbase / str(node) / self.varpath

    def clstat(self, node: int) -> Path:
        """The status of a node."""
        return self.directory(node) / CLSTAT

    def cltab(self, node: int) -> Path:
        """The table of entries."""
        return self.directory(node) / CLTAB

    def hactl(self, node: int) -> Path:
        """The table of wishes."""
        return self.directory(node) / HACTL

    def hastat(self, node: int) -> Path:
        """The view of a node."""
        return self.directory(node) / HASTAT


# --- mounts ------------------------------------------------------------------------


class MountFacts(Struct, frozen=True):
    """What /proc/self/mountinfo says of one mount (proc_pid_mountinfo(5))."""

    device: int
    fstype: str
    mountpoint: str
    source: str = ""
    root: str = "/"

    @property
    def remote(self) -> bool:
        """Whether changes by other machines raise no events here, and calls may hang."""
        return self.fstype in REMOTE_TYPES or self.fstype.startswith(REMOTE_FAMILIES)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What stays the same when it is unmounted and mounted again, unlike the device."""
        return (self.mountpoint, self.fstype, self.source, self.root)


_UNKNOWN = MountFacts(device=0, fstype="unknown", mountpoint="/")


class Mounts:
    """All mounts at one moment, from the text of a mountinfo."""

    def __init__(self, text: str) -> None:
        found: dict[str, tuple[str, MountFacts]] = {}
        for line in text.split("\n"):  # the kernel leaves U+2028 in a path as it is
            mount = _mount(line)
            if mount is not None:
                found[mount[0]] = (mount[1], mount[2])
        # The parent of the root is not in the table; of two at one place the later one shows.
        self._below: dict[tuple[str, str], str] = {
            (parent if parent in found else "", facts.mountpoint): number
            for number, (parent, facts) in found.items()
        }
        self._facts = {number: facts for number, (_parent, facts) in found.items()}

    def of(self, path: Path | str) -> MountFacts:
        """Return the mount that an absolute path without symbolic links leads to.

        Only string work. The way is walked from the root, so that what another mount
        covers does not count.
        """
        current = ""
        for prefix in _prefixes(os.path.normpath(path)):
            while (number := self._below.get((current, prefix), current)) != current:
                current = number
        return self._facts.get(current, _UNKNOWN)


class _MountTable:
    """The mounts of this process, read anew only when they have changed.

    The kernel counts that (proc_pid_mounts(5)), and counts too what leaves the text as it was:
    a file system that was unmounted and mounted again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # a poll tells of a change once
        self._file = os.open("/proc/self/mountinfo", os.O_RDONLY | os.O_CLOEXEC)
        self._changes = select.poll()
        self._changes.register(self._file, select.POLLPRI)
        self._known: Mounts | None = None

    def now(self, *, fresh: bool) -> Mounts:
        with self._lock:
            # Asked before it is read: what changes in between is told the next time. Told once:
            # if the reading fails, nothing is known.
            if self._changes.poll(0) or fresh:
                self._known = None
            if self._known is None:
                text = Path("/proc/self/mountinfo").read_bytes()
                self._known = Mounts(text.decode("utf-8", "surrogateescape"))
            return self._known


_table = functools.cache(_MountTable)


def read_mounts(*, fresh: bool = False) -> Mounts:
    """Return the mounts of this process now: the same object as long as nothing changes.

    `fresh`: read in any case. A mount can be walked into a moment before the kernel counts it:
    who decides by this where to write does not go by the count.
    Does not touch any file system but /proc. For any thread.

    Raises:
        OSError: /proc cannot be read (no descriptor is left).
    """
    return _table().now(fresh=fresh)


def file_system_at(path: Path, *, fresh: bool = False) -> MountFacts:
    """Return the mount that a path leads to, symbolic links followed, whether it exists or not.

    The kernel finds its way in one step; `realpath` looks at each part of the path. `fresh` and
    what it raises: as `read_mounts`.
    """
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return read_mounts(fresh=fresh).of(os.path.realpath(path))
    try:
        return file_system_of(fd, fresh=fresh)
    finally:
        os.close(fd)


def file_system_of(fd: int, *, fresh: bool = False) -> MountFacts:
    """Return the mount that an open file or directory is on, without touching it."""
    return read_mounts(fresh=fresh).of(Path(f"/proc/self/fd/{fd}").readlink())


def _mount(line: str) -> tuple[str, str, MountFacts] | None:
    """Return id, parent's id and facts; None if it is no line of a mountinfo."""
    before, separator, after = line.partition(" - ")
    left, right = before.split(" "), after.split(" ")
    if not separator or len(left) < 6 or len(right) < 2:
        return None
    major, _, minor = left[2].partition(":")
    if not (major.isdigit() and minor.isdigit()):
        return None
    facts = MountFacts(
        device=os.makedev(int(major), int(minor)),
        fstype=right[0],
        mountpoint=_unescaped(left[4]),
        source=_unescaped(right[1]),
        root=_unescaped(left[3]),
    )
    return left[0], left[1], facts


def _unescaped(text: str) -> str:
    """Undo the kernel's octal escapes of blank, tab, newline and backslash."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)


def _prefixes(path: str) -> list[str]:
    names = [name for name in path.split("/") if name]
    return ["/", *("/" + "/".join(names[: n + 1]) for n in range(len(names)))]


# --- reading -----------------------------------------------------------------------


class FileFacts(Struct, frozen=True):
    """The bytes of a file, and what fstat said of the very file they came from."""

    data: bytes
    mtime_ns: int
    uid: int
    gid: int
    mode: int
    device: int


def read_facts(path: Path, max_bytes: int = FILE_MAX_BYTES, *, follow: bool = True) -> FileFacts:
    """Read a regular file; `follow`: also where a symbolic link leads to.

    Raises:
        OSError: as the system says; also for what is no regular file (a fifo or a device
            would hang) and for more than `max_bytes`. ELOOP for a link that is not followed.
    """
    return once_more(lambda: _read_once(path, max_bytes, follow=follow))


def once_more(read: Callable[[], T]) -> T:
    """Read, and read again if that failed as it may while the file is replaced.

    On a network file system one ENOENT or ESTALE during a rename means nothing.
    """
    try:
        return read()
    except OSError as error:
        if error.errno not in _PASSING_ERRORS:
            raise
    return read()


def read_file(path: Path, max_bytes: int = FILE_MAX_BYTES) -> bytes:
    """Return the bytes of a regular file, as `read_facts` does."""
    return read_facts(path, max_bytes).data


def _read_once(path: Path, max_bytes: int, *, follow: bool) -> FileFacts:
    # O_NONBLOCK: opening a fifo that nobody writes to would wait for ever.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    fd = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        chunks: list[bytes] = []
        left = max_bytes + 1
        while left > 0 and (chunk := os.read(fd, min(left, READ_CHUNK_BYTES))):
            chunks.append(chunk)
            left -= len(chunk)
    finally:
        os.close(fd)
    if left <= 0:
        raise OSError(errno.EFBIG, f"more than {max_bytes} bytes", str(path))
    return FileFacts(
        data=b"".join(chunks),
        mtime_ns=facts.st_mtime_ns,
        uid=facts.st_uid,
        gid=facts.st_gid,
        mode=stat.S_IMODE(facts.st_mode),
        device=facts.st_dev,
    )


# --- writing -----------------------------------------------------------------------


def write_atomically(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    mtime_ns: int | None = None,
    sync: bool = False,
) -> None:
    """Replace a file as a whole, so that a reader sees the old one or the new one.

    `owner` is user and group; where this process may not give it to them, the group gets no rights.

    Raises:
        OSError: nothing was changed, and no temporary file is left if it can be removed.
    """
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        write_in(
            *(directory, path.name, data), mode=mode, owner=owner, mtime_ns=mtime_ns, sync=sync
        )
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(directory)


def write_in(
    directory: int,
    name: str,
    data: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    mtime_ns: int | None = None,
    sync: bool = False,
) -> None:
    """Do as `write_atomically` does, in a directory that the caller has opened."""
    temporary = f".{name}.{os.getpid()}.{time.monotonic_ns()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(temporary, flags, mode & 0o700, dir_fd=directory)
    try:
        try:
            _write_all(fd, data)
            os.fchmod(fd, mode if owner is None or _given(fd, owner) else mode & 0o707)
            if mtime_ns is not None:
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)  # some network file systems tell of a full disk only here
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    if sync:
        os.fsync(directory)


def _given(fd: int, owner: tuple[int, int]) -> bool:
    """Give a file away if that is needed and allowed; tell whether it belongs to `owner` now."""
    facts = os.fstat(fd)
    if (facts.st_uid, facts.st_gid) == owner:
        return True
    try:
        os.fchown(fd, *owner)
    except PermissionError:
        return False
    return True


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def is_temporary(name: str) -> bool:
    """Say whether a name is one that `write_in` gives to a file until it is whole."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_stale_temporaries(directory: Path) -> None:
    """Remove what writers that are no more left in the node's own directory."""
    for path in list(directory.iterdir()):
        match = _TEMPORARY.fullmatch(path.name)
        if match is not None and not Path(f"/proc/{match[1]}").exists():
            with contextlib.suppress(OSError):
                path.unlink()
