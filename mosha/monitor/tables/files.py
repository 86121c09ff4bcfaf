"""A table in a node's directory, where people edit it: reads, checks and replaces the file.

Everything here may hang on a network file system and must run in a `Worker`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from mosha.core.replication.judging import version_of
from mosha.core.replication.table_texts import Access, Seen, Text
from mosha.core.status import TableVersion
from mosha.formats.mistakes import FILE_MAX_BYTES
from mosha.formats.table_kinds import seen_of
from mosha.host.files import FileFacts, read_facts, write_atomically
from mosha.host.mounts import file_system_at

OTHERS_MAY_WRITE = 0o022


def write_text(text: Text, path: Path, *, sync: bool = False) -> None:
    """Write a text to a file atomically, with its time and its access.

    Raises:
        OSError: nothing was changed.
    """
    write_atomically(
        path,
        text.data,
        mode=text.access.mode,
        owner=text.access.owner,
        mtime_ns=text.version.mtime_ns,
        sync=sync,
    )


def shown_beside(path: Path) -> Path:
    """Return where a node shows what is in force while its file has a refused text."""
    return path.with_name(f".{path.name}.in-force")


def show_beside(path: Path, text: Text | None) -> None:
    """Write a text there, or (with None) remove it.

    Raises:
        OSError: nothing was changed.
    """
    if text is None:
        shown_beside(path).unlink(missing_ok=True)
    else:
        write_text(text, shown_beside(path))


def read_own(path: Path, name: str, former: Seen | None) -> tuple[Seen, str]:
    """Read this node's file and return on which mount it is: an empty mountpoint is not an edit.

    Raises:
        OSError: as `read_table`.
    """
    mount = file_system_at(path.parent)
    return read_table(path, name, former), f"{mount.source} ({mount.fstype}) at {mount.mountpoint}"


def read_either(path: Path, name: str, digest: str) -> Seen:
    """Read a peer's file, or the copy beside it if the peer refuses its file's text.

    Raises:
        OSError: as `read_table`.
    """
    seen = read_table(path, name)
    if seen.version is not None and seen.version.digest == digest:
        return seen
    beside = read_table(shown_beside(path), name)
    return beside if beside.version is not None else seen


def read_table(path: Path, name: str, former: Seen | None = None) -> Seen:
    """Read, check and parse the table `name` at `path`; the result has what is wrong.

    `former` is what was seen there last: an unchanged text is not parsed again.

    Raises:
        OSError: of the file system; the file itself may be valid.
    """
    facts = _facts_of(path)
    if not isinstance(facts, FileFacts):
        return former if former == facts else facts
    version = version_of(facts.data, facts.mtime_ns)
    distrust, access = _distrust(facts, path), access_of(facts)
    unchanged = former is not None and former.version == version
    if former is not None and unchanged and (former.distrust, former.access) == (distrust, access):
        return former
    return seen_of(name, facts.data, version, file=str(path), access=access, distrust=distrust)


def _facts_of(path: Path) -> FileFacts | Seen:
    """Return the file, or that there is none, or why it cannot be read."""
    try:
        return read_facts(path, FILE_MAX_BYTES, follow=False)
    except FileNotFoundError:
        path.parent.stat()  # if the directory is missing, it is the mount that is missing
        return Seen()
    except OSError as error:
        problem = _unreadable(error)
        if problem is None:
            raise
        return Seen(distrust=f"{path}: {problem}")


def access_of(facts: FileFacts) -> Access:
    """Return the access of a file for its copies: other users may never write them."""
    return Access(facts.mode & 0o777 & ~OTHERS_MAY_WRITE, (facts.uid, facts.gid))


def replace_table(path: Path, expected: TableVersion | None, new: Text) -> bool:
    """Write a table if the file still has the version that was judged.

    An edit that came in between is left alone: then return False.

    Raises:
        OSError: nothing was changed.
    """
    facts = _facts_of(path)
    there = version_of(facts.data, facts.mtime_ns) if isinstance(facts, FileFacts) else None
    if there != expected:
        return False
    write_text(new, path)
    return True


def _unreadable(error: OSError) -> str | None:
    """Return what is wrong with the file and its remedy, None if it is the file system."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "it cannot be read: permission denied; chmod u+r, or chown root"
    if error.errno == errno.EFBIG:
        return f"it is too big; at most {FILE_MAX_BYTES} bytes are read"
    if error.errno == errno.ELOOP:
        return (
            "it is a symbolic link, which leads other nodes to files of their own; "
            "put the file itself there"
        )
    if error.errno in {errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.ENOTDIR}:
        return "it is not a regular file; put a file there instead"
    return None


def _distrust(facts: FileFacts, path: Path) -> str:
    if facts.uid not in {0, os.geteuid()}:
        owner = "root" if os.geteuid() == 0 else f"{os.geteuid()}"
        problem = f"it belongs to uid {facts.uid}, which is neither root nor mosha's user"
        return f"{path}: {problem}; chown {owner} it"
    if facts.mode & OTHERS_MAY_WRITE:
        return f"{path}: group or others can write it (mode {facts.mode:04o}); chmod go-w it"
    return ""
