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
    """What was in force when this node was running last has been read from the local disk.

    `adopted` are the versions of the history, oldest first. `error`: it is there, and is no table
    or cannot be read.
    """

    table: str
    wall_ns: int
    in_force: InForce | None = None
    adopted: tuple[TableVersion, ...] = ()
    error: str = ""


class OwnTableChanged(Struct, frozen=True):
    """The file of a table has changed here, or whoever watches it cannot say that it has not."""

    table: str


class OwnTableRead(Struct, frozen=True):
    """The own file has been looked at; `mount` says in words on which file system it is."""

    table: str
    wall_ns: int
    seen: Seen = Seen()
    mount: str = ""
    error: str = ""


class PeerTableRead(Struct, frozen=True):
    """What a peer shows of the version that was asked for has been read."""

    table: str
    wall_ns: int
    seen: Seen = Seen()
    error: str = ""


class TablesJoined(Struct, frozen=True):
    """Two versions have been joined."""

    table: str
    wall_ns: int
    joined: Joined | None = None
    error: str = ""


class TableStored(Struct, frozen=True):
    """A version is on the local disk, where clinit reads it, and in the history."""

    table: str
    wall_ns: int
    error: str = ""


class OwnTableWritten(Struct, frozen=True):
    """The own file has been written, unless it had `changed` since it was looked at."""

    table: str
    wall_ns: int
    changed: bool = False
    error: str = ""


class TableShown(Struct, frozen=True):
    """What is shown beside the own file is there, or gone."""

    table: str
    wall_ns: int
    error: str = ""


class TextKept(Struct, frozen=True):
    """A text that does not come into force is in the history; `path` says where."""

    table: str
    wall_ns: int
    path: str = ""
    error: str = ""


class EditAsked(Struct, frozen=True):
    """A wish of hactl is to be another one; `number` is of this question.

    `force`: also one that does not agree with cltab.
    """

    number: int
    change: WishEdit
    force: bool = False


class TextEdited(Struct, frozen=True):
    """The text in force has been edited, and not written yet.

    `error`: the wish does not agree with cltab, or the edited text is no table; `usage` then.
    """

    number: int
    wall_ns: int
    seen: Seen = Seen()
    error: str = ""
    usage: bool = False


class StoredTablesLost(Struct, frozen=True):
    """Somebody has removed the tables in force from the local disk."""


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
