"""What the tables of a node can be told: facts about files, in the past tense.

Those that answer an order (`table_effects.py`) have its `error`, "" where all went well, and the
time of the wall clock at that moment, which versions are compared with.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.replication.table_texts import InForce, Joined, Seen
from mosha.core.status import TableVersion
from mosha.core.tables import WishEdit


class TableLoaded(Struct, frozen=True):
    """The table that was in force in the last run has been read from the local disk.

    `adopted` are the versions of the history, oldest first. `error`: it exists, but is not a valid
    table or cannot be read.
    """

    table: str
    wall_ns: int
    in_force: InForce | None = None
    adopted: tuple[TableVersion, ...] = ()
    error: str = ""


class OwnTableChanged(Struct, frozen=True):
    """This node's file of a table has changed, or may have."""

    table: str


class OwnTableRead(Struct, frozen=True):
    """This node's file was read; `mount` says in words on which file system it is."""

    table: str
    wall_ns: int
    seen: Seen = Seen()
    mount: str = ""
    error: str = ""


class PeerTableRead(Struct, frozen=True):
    """The requested version of a peer was read."""

    table: str
    wall_ns: int
    seen: Seen = Seen()
    error: str = ""


class TablesJoined(Struct, frozen=True):
    """Two versions were merged."""

    table: str
    wall_ns: int
    joined: Joined | None = None
    error: str = ""


class TableStored(Struct, frozen=True):
    """A version was stored on the local disk, where clinit reads it, and in the history."""

    table: str
    wall_ns: int
    error: str = ""


class OwnTableWritten(Struct, frozen=True):
    """This node's file was written, unless it had `changed` since it was read.

    `hung`: after the `error` the write may still come about.
    """

    table: str
    wall_ns: int
    changed: bool = False
    error: str = ""
    hung: bool = False


class TableShown(Struct, frozen=True):
    """The copy beside this node's file was written or removed."""

    table: str
    wall_ns: int
    error: str = ""


class TextKept(Struct, frozen=True):
    """A text that does not come into force was kept in the history; `path` says where."""

    table: str
    wall_ns: int
    path: str = ""
    error: str = ""


class EditAsked(Struct, frozen=True):
    """An edit of a wish of hactl was requested; `number` identifies the request.

    `force`: accept one that does not agree with cltab.
    """

    number: int
    change: WishEdit
    force: bool = False


class TextEdited(Struct, frozen=True):
    """The text in force was edited, but is not written yet.

    `error`: the wish does not agree with cltab, or the edited text is not a valid table; then
    `usage` is set.
    """

    number: int
    wall_ns: int
    seen: Seen = Seen()
    error: str = ""
    usage: bool = False


class StoredTablesLost(Struct, frozen=True):
    """The tables in force were removed from the local disk."""


TableEvent = (
    TableLoaded
    | OwnTableChanged
    | OwnTableRead
    | PeerTableRead
    | TablesJoined
    | TableStored
    | OwnTableWritten
    | TableShown
    | TextKept
    | EditAsked
    | TextEdited
    | StoredTablesLost
)
