"""The directory HA_RSCTMP, in which agents keep what is true until the next boot.

Several agents take a file there for the fact that their service runs. So it has to exist, and to be
empty after a boot: below /run it is, elsewhere it is emptied here.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os

MODE = 0o1755
BOOT_FILE = ".mosha-boot"
"""In which boot the directory was last made ready here. It has the id of the boot."""

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_BOOT_ID_BYTES = 64


def make_rsctmp(path: str, boot: bytes | None = None) -> bool:
    """Make the directory, and empty it if it is from an earlier boot; say whether it was.

    `boot` is the id of this boot, by default the kernel's. What was made there before mosha first
    used the directory stays: nobody knows from when it is. Of several that do this at once the
    first empties it, and the others wait for that.

    Raises:
        OSError: it cannot be made, read or emptied.
    """
    boot = _read(_BOOT_ID) if boot is None else boot
    try:
        os.mkdir(path, MODE)  # noqa: PTH102 - pathlib would be the biggest import here
    except FileExistsError:
        made = False
    else:
        made = True
        os.chmod(path, MODE)  # noqa: PTH101 - as above; mkdir takes no sticky bit
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        return _empty_if_old(f"{path}/{BOOT_FILE}", directory, boot, made=made)
    finally:
        os.close(directory)


def _empty_if_old(record: str, directory: int, boot: bytes, *, made: bool) -> bool:
    known = _read(record)
    if known == boot:
        return False
    is_old = known != b"" and not made
    if is_old:
        _empty(directory)
    fd = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, boot)
    finally:
        os.close(fd)
    return is_old


def _empty(directory: int) -> None:
    """Remove all that is in a directory; links are removed, not followed."""
    for name in os.listdir(directory):
        try:
            os.unlink(name, dir_fd=directory)
        except OSError as error:
            if error.errno not in {errno.EISDIR, errno.EPERM}:
                raise
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            below = os.open(name, flags, dir_fd=directory)
            try:
                _empty(below)
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=directory)


def _read(path: str) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.read(fd, _BOOT_ID_BYTES).strip()
    finally:
        os.close(fd)
