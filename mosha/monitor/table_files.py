"""A table in a node's directory, where people edit it: read, judged by its looks, replaced.

Everything here may hang on a network file system and belongs into a `Worker`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from mosha.core.lineage import Past, past_of
from mosha.core.replication import CLTAB, HACTL, Found, version_of
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl
from mosha.errors import BugError
from mosha.formats.cltab import parse_cltab
from mosha.formats.hactl import hactl_warnings, parse_hactl
from mosha.formats.mistakes import FILE_MAX_BYTES, Mistakes
from mosha.host.files import FileFacts, read_facts, write_atomically

Table = Hactl | Cltab

REMARKS_MAX = 5
"""More lines of this kind hide those that matter."""

OTHERS_MAY_WRITE = 0o022


class Access(Struct, frozen=True):
    """Who may read a table: it is the same for all copies of it."""

    mode: int = 0o644
    owner: tuple[int, int] | None = None


PUBLIC = Access()


class Text(Struct, frozen=True):
    """The text of a version, as it is kept and copied."""

    version: TableVersion
    data: bytes
    access: Access = PUBLIC
    past: Past = ()

    def write(self, path: Path, *, sync: bool = False) -> None:
        """Write it to a file, whole, with its time and its access.

        Raises:
            OSError: nothing was changed.
        """
        write_atomically(
            path,
            self.data,
            mode=self.access.mode,
            owner=self.access.owner,
            mtime_ns=self.version.mtime_ns,
            sync=sync,
        )


class InForce(Struct, frozen=True):
    """A version with its text and what it says."""

    version: TableVersion
    data: bytes
    table: Table
    remarks: tuple[str, ...] = ()
    access: Access = PUBLIC
    past: Past = ()

    @property
    def text(self) -> Text:
        """What of it is kept and copied."""
        return Text(self.version, self.data, self.access, self.past)

    @property
    def child_past(self) -> Past:
        """The past of a version that is made from this one."""
        return past_of([self.version, *self.past])


class Seen(Struct, frozen=True):
    """A table as it was found; `table` is None where `found` says what is wrong with it.

    `version` and `data` are None and empty if there is nothing, or nothing that can be read.
    """

    version: TableVersion | None = None
    data: bytes = b""
    table: Table | None = None
    distrust: str = ""
    mistakes: str = ""
    remarks: tuple[str, ...] = ()
    access: Access = PUBLIC

    def found(self, *, superseded: bool = False) -> Found:
        """Return what the core wants to know of it."""
        return Found(self.version, self.distrust, self.mistakes, superseded)


def shown_beside(path: Path) -> Path:
    """Return where a node shows what is in force while its own file has a refused text."""
    return path.with_name(f".{path.name}.in-force")


def read_table(path: Path, name: str, former: Seen | None = None) -> Seen:
    """Read, check and parse the table `name` at `path`; what is wrong is told in the result.

    `former` is what was seen there last: an unchanged text is not parsed again.

    Raises:
        OSError: of the file system, where the file itself may be in order.
    """
    try:
        facts = read_facts(path, FILE_MAX_BYTES, follow=False)
    except FileNotFoundError:
        path.parent.stat()  # without its directory nothing is missing, the mount is
        return Seen()
    except OSError as error:
        problem = _unreadable(error)
        if problem is None:
            raise
        return Seen(distrust=f"{path}: {problem}")
    version = version_of(facts.data, facts.mtime_ns)
    distrust, access = _distrust(facts, path), access_of(facts)
    unchanged = former is not None and former.version == version
    if former is not None and unchanged and (former.distrust, former.access) == (distrust, access):
        return former
    try:
        table = parse_table(facts.data, str(path), name)
    except Mistakes as error:
        return Seen(version, facts.data, None, distrust, told(error), access=access)
    return Seen(version, facts.data, table, distrust, "", remarks(facts.data, name), access)


def in_force(seen: Seen, version: TableVersion, past: Past) -> InForce:
    """Return a good text as that version of it, which came from `past`."""
    if seen.table is None:
        raise BugError(f"a text with mistakes would come into force: {seen.mistakes}")
    return InForce(version, seen.data, seen.table, seen.remarks, seen.access, past)


def access_of(facts: FileFacts) -> Access:
    """Return who may read a file, as its copies have it: others never may write one."""
    return Access(facts.mode & 0o777 & ~OTHERS_MAY_WRITE, (facts.uid, facts.gid))


def parse_table(data: bytes, file: str, name: str) -> Table:
    """Return what a text says; `file` is its name in messages.

    Raises:
        Mistakes: with every mistake of the text.
    """
    return parse_cltab(data, file) if name == CLTAB else parse_hactl(data, file)


def remarks(data: bytes, name: str) -> tuple[str, ...]:
    """Return what is allowed in a text but hardly meant, a line each, not too many."""
    found = hactl_warnings(data, name) if name == HACTL else ()
    return few([str(warning) for warning in found], name)


def few(lines: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the first REMARKS_MAX of these lines about the table `name`, and how many follow."""
    rest = len(lines) - REMARKS_MAX
    more = (f"{name}: and {rest} more line{'s' * (rest > 1)} of this kind",) if rest > 0 else ()
    return (*lines[:REMARKS_MAX], *more)


def told(error: Mistakes) -> str:
    """Return one line: the first mistake, after how many there are if there are more."""
    first = str(error.mistakes[0])
    return first if error.total == 1 else f"{error.total} mistakes, the first: {first}"


def replace_table(path: Path, name: str, expected: TableVersion | None, new: Text) -> bool:
    """Write a table, if what is there is still the version that was judged.

    An edit that came in between is left alone: then False is returned.

    Raises:
        OSError: nothing was changed.
    """
    if read_table(path, name).version != expected:
        return False
    new.write(path)
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
        return "it is no regular file; put a file there instead"
    return None


def _distrust(facts: FileFacts, path: Path) -> str:
    if facts.uid not in {0, os.geteuid()}:
        owner = "root" if os.geteuid() == 0 else f"{os.geteuid()}"
        problem = f"it belongs to user {facts.uid}, who is neither root nor mosha's own"
        return f"{path}: {problem}; chown {owner} it"
    if facts.mode & OTHERS_MAY_WRITE:
        return f"{path}: group or others can write it (mode {facts.mode:04o}); chmod go-w it"
    return ""
