"""The texts of a table: as found in a file, as kept and copied, and as in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from mosha.core.replication.judging import Found
from mosha.core.replication.lineage import Past, past_of
from mosha.core.status import TableVersion
from mosha.core.tables import Table
from mosha.errors import BugError

Fate = Literal["rejected", "discarded"]
"""Why a text that does not come into force is kept in the history."""


class Access(Struct, frozen=True):
    """Which users may read a table: the same for all copies."""

    mode: int = 0o644
    owner: tuple[int, int] | None = None


PUBLIC = Access()


class Text(Struct, frozen=True):
    """The text of a version, as kept and copied."""

    version: TableVersion
    data: bytes
    access: Access = PUBLIC
    past: Past = ()


class InForce(Struct, frozen=True):
    """A version with its text and its parsed content."""

    version: TableVersion
    data: bytes
    table: Table
    remarks: tuple[str, ...] = ()
    access: Access = PUBLIC
    past: Past = ()

    @property
    def text(self) -> Text:
        """The part that is kept and copied."""
        return Text(self.version, self.data, self.access, self.past)

    @property
    def child_past(self) -> Past:
        """The past of a version made from this one."""
        return past_of([self.version, *self.past])


class Seen(Struct, frozen=True):
    """A table as it was found; `table` is None where `distrust` or `mistakes` say why.

    `version` and `data` are None and empty if there is no file, or it cannot be read.
    """

    version: TableVersion | None = None
    data: bytes = b""
    table: Table | None = None
    distrust: str = ""
    mistakes: str = ""
    remarks: tuple[str, ...] = ()
    access: Access = PUBLIC

    def found(self, *, superseded: bool = False) -> Found:
        """Return what the rules of replication need."""
        return Found(self.version, self.distrust, self.mistakes, superseded)

    def text(self, version: TableVersion) -> Text:
        """Return its text as that version, to keep it."""
        return Text(version, self.data, self.access)

    def in_force(self, version: TableVersion, past: Past) -> InForce:
        """Return a valid text as that version, with ancestry `past`."""
        if self.table is None:
            raise BugError(f"a text with mistakes would come into force: {self.mistakes}")
        return InForce(version, self.data, self.table, self.remarks, self.access, past)


class Joined(Struct, frozen=True):
    """A merge: `text`. `lost` names what is lost of the older version, which is kept at `kept`."""

    text: InForce
    lost: tuple[str, ...] = ()
    kept: str = ""


class Places(Struct, frozen=True):
    """The paths of this node's tables, for messages.

    `directory` gives that of a node, where people edit; `state` is the local one, `history` in it
    has former versions.
    """

    directory: Callable[[int], str]
    state: str
    history: str


def named(version: TableVersion) -> dict[str, object]:
    """Return the log fields of a version."""
    return {"mtime_ns": version.mtime_ns, "digest": version.digest}
