"""Reads and replaces whole files.

Reading is open + read, without a stat before: on a network file system stat may be seconds out of
date. Writing is a temporary file in the same directory and a rename. Everything here may hang on a
network file system and must run in a thread that can be abandoned (`Worker`, `Abandonable`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from msgspec import Struct

T = TypeVar("T")

FILE_MAX_BYTES: Final = 1 << 20
READ_CHUNK_BYTES: Final = 1 << 16

_PASSING_ERRORS = frozenset({errno.ENOENT, errno.ESTALE})


# --- reading -----------------------------------------------------------------------


class FileFacts(Struct, frozen=True):
    """The bytes of a file, and the fstat of the same open file."""

    data: bytes
    mtime_ns: int
    uid: int
    gid: int
    mode: int
    device: int


def read_facts(path: Path, max_bytes: int = FILE_MAX_BYTES, *, follow: bool = True) -> FileFacts:
    """Read a regular file; `follow`: also through a symbolic link.

    Raises:
        OSError: as the system reports; also for anything but a regular file (a fifo or a device
            would hang) and for more than `max_bytes`. ELOOP for a link that is not followed.
    """
    return once_more(lambda: _read_once(path, max_bytes, follow=follow))


def once_more(read: Callable[[], T]) -> T:
    """Read, and read again after an error that may occur while the file is replaced.

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


def read_head(path: Path, max_bytes: int) -> bytes:
    """Return the first bytes of a regular file.

    Raises:
        OSError: as `read_facts`, except for the length.
    """
    fd = _open_regular(path, follow=True)
    try:
        return os.read(fd, max_bytes)
    finally:
        os.close(fd)


def _read_once(path: Path, max_bytes: int, *, follow: bool) -> FileFacts:
    fd = _open_regular(path, follow=follow)
    try:
        facts = os.fstat(fd)
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


def _open_regular(path: Path, *, follow: bool) -> int:
    """Open a regular file for reading, and nothing else: opening a device may have effects.

    It arms a watchdog, or winds a tape. So the path is first resolved without opening it.
    """
    flags = os.O_PATH | os.O_CLOEXEC
    found = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    try:
        mode = os.fstat(found).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        try:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return os.open(f"/proc/self/fd/{found}", flags)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(found)


def write_atomically(
    path: Path,
    data: bytes,
    *,
    mode: int = 0o644,
    owner: tuple[int, int] | None = None,
    mtime_ns: int | None = None,
    sync: bool = False,
) -> None:
    """Replace a file atomically, so that a reader sees the old one or the new one.

    `owner` is user and group; if this process may not set them, the group gets no permissions.

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
    """Do the same as `write_atomically`, in a directory that the caller has opened."""
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
            os.close(fd)  # some network file systems report a full disk only here
        os.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=directory)
        raise
    if sync:
        os.fsync(directory)


def _given(fd: int, owner: tuple[int, int]) -> bool:
    """Change the owner of a file if needed and allowed; return whether it is `owner` now."""
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
