"""The effects of a node's tables: work on files, each answered by one event (`table_events`).

All of it may hang on a network file system; then the shell abandons it and reports that.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.replication.table_texts import Fate, InForce, Seen, Text
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Wish, WishEdit


class ReadOwnTable(Struct, frozen=True):
    """Read this node's file. A text that is unchanged since `former` need not be parsed again."""

    table: str
    former: Seen | None = None


class ReadPeerTable(Struct, frozen=True):
    """Read the file of a node, or the copy beside it, whichever has this version."""

    table: str
    node: int
    version: TableVersion


class JoinTables(Struct, frozen=True):
    """Merge two versions that diverged."""

    table: str
    mine: InForce
    other: InForce


class StoreTable(Struct, frozen=True):
    """Bring a version into force on the local disk, and keep it in the history."""

    table: str
    text: Text


class WriteOwnTable(Struct, frozen=True):
    """Write this node's file, if it still has the `expected` version."""

    table: str
    expected: TableVersion | None
    text: Text


class ShowTable(Struct, frozen=True):
    """Show peers this text beside this node's file; None: remove it."""

    table: str
    text: Text | None


class KeepText(Struct, frozen=True):
    """Keep a text that does not come into force, in the history."""

    table: str
    text: Text
    fate: Fate


class EditText(Struct, frozen=True):
    """Check a change of a wish against cltab, unless by `force`; then edit the text in force."""

    number: int
    hactl: InForce | None
    cltab: Cltab | None
    change: WishEdit
    force: bool


class AnswerEdit(Struct, frozen=True):
    """Answer a request for an edit.

    `wish` is what was written, `said` what hactl says now, and `nodes` those on which that is known
    to be in force, this one among them; not `changed`: it was so before. `error` says why it is not
    in force, with `usage` if the request was wrong.
    """

    number: int
    wish: Wish | None = None
    said: Wish | None = None
    nodes: tuple[int, ...] = ()
    changed: bool = True
    error: str = ""
    usage: bool = False


TableEffect = (
    ReadOwnTable
    | ReadPeerTable
    | JoinTables
    | StoreTable
    | WriteOwnTable
    | ShowTable
    | KeepText
    | EditText
    | AnswerEdit
)
