"""The tables that are the same on all nodes: a row for each says how its text is read.

Replication, `core.replication.table_replica` and what does its work on files, knows no table by
its name but where it has a question about that one: whether a wish means anything to cltab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from mosha.core.replication.judging import CLTAB, HACTL, version_of
from mosha.core.replication.table_texts import PUBLIC, Access, InForce, Seen, Text
from mosha.core.status import TableVersion
from mosha.core.tables import Table
from mosha.formats.cltab import cltab_group, parse_cltab
from mosha.formats.hactl import hactl_group, read_hactl
from mosha.formats.mistakes import Mistakes

REMARKS_MAX = 5
"""More lines of this kind hide those that matter."""


class TableKind(Struct, frozen=True):
    """One table: how it is parsed, and to which group a line belongs.

    `read` gets a text and the name of its file, and returns the content, with a line for each thing
    that is allowed but hardly intended. It raises `Mistakes`, with all of them. `group_of` returns
    "" for a remark.
    """

    name: str
    read: Callable[[bytes, str], tuple[Table, tuple[str, ...]]]
    group_of: Callable[[str], str]


def _cltab(data: bytes, file: str) -> tuple[Table, tuple[str, ...]]:
    return parse_cltab(data, file), ()


def _hactl(data: bytes, file: str) -> tuple[Table, tuple[str, ...]]:
    hactl, warnings = read_hactl(data, file)
    return hactl, few([str(warning) for warning in warnings], HACTL)


KINDS: Mapping[str, TableKind] = {
    kind.name: kind
    for kind in (
        TableKind(CLTAB, _cltab, cltab_group),
        TableKind(HACTL, _hactl, hactl_group),
    )
}


def seen_of(
    name: str,
    data: bytes,
    version: TableVersion,
    *,
    file: str = "",
    access: Access = PUBLIC,
    distrust: str = "",
) -> Seen:
    """Return a text that was found, with its content or its mistakes."""
    try:
        table, remarks = KINDS[name].read(data, file or name)
    except Mistakes as error:
        return Seen(version, data, None, distrust, in_a_line(error), access=access)
    return Seen(version, data, table, distrust, "", remarks, access)


def in_force_of(name: str, text: Text, *, file: str = "") -> InForce:
    """Return a text with its content.

    Raises:
        Mistakes: it is not a valid table.
    """
    table, remarks = KINDS[name].read(text.data, file or name)
    return InForce(text.version, text.data, table, remarks, text.access, text.past)


def draft_of(name: str, data: bytes) -> Seen:
    """Return an edited text, whose time is not known yet.

    Raises:
        Mistakes: it is not a valid table.
    """
    table, remarks = KINDS[name].read(data, name)
    return Seen(version_of(data, 0), data, table, remarks=remarks)


def in_a_line(error: Mistakes) -> str:
    """Return one line: the first mistake, after how many there are if there are more."""
    first = str(error.mistakes[0])
    return first if error.total == 1 else f"{error.total} mistakes, the first: {first}"


def few(lines: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the first REMARKS_MAX of these lines about the table `name`, and how many follow."""
    rest = len(lines) - REMARKS_MAX
    more = (f"{name}: and {rest} more line{'s' * (rest > 1)} of this kind",) if rest > 0 else ()
    return (*lines[:REMARKS_MAX], *more)
