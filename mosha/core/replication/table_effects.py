"""What the tables of a node order: work on files, each answered by one event (`table_events`).

Everything here may hang on a network file system; the shell gives it up then, and says so.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.replication.table_texts import Fate, InForce, Seen, Text
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Wish, WishEdit


class ReadOwnTable(Struct, frozen=True):
    """Look at the own file. A text that is unchanged since `former` need not be parsed again."""

    table: str
    former: Seen | None = None


class ReadPeerTable(Struct, frozen=True):
    """Read the file of a node, or what it shows beside that, whichever has this version."""

    table: str
    node: int
    version: TableVersion


class JoinTables(Struct, frozen=True):
    """Join two versions that were made beside each other."""

    table: str
    mine: InForce
    other: InForce


class StoreTable(Struct, frozen=True):
    """Bring a version into force on the local disk, and keep it in the history."""

    table: str
    text: Text


class WriteOwnTable(Struct, frozen=True):
    """Write the own file, if what is there still is the `expected` version."""

    table: str
    expected: TableVersion | None
    text: Text


class ShowTable(Struct, frozen=True):
    """Show peers this text beside the own file; None: show nothing any more."""

    table: str
    text: Text | None


class KeepText(Struct, frozen=True):
    """Keep a text that does not come into force in the history."""

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
    """Tell whoever asked for an edit what came of it.

    `wish` is what was written, `said` what hactl says by now, and on which `nodes` that is known
    to be in force, this one among them; not `changed`: it was so before. `error` says why nothing
    of it is in force, with `usage` if the question was wrong.
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
