"""Joining two versions of a table that were made beside each other; everything here blocks."""

from __future__ import annotations

from msgspec import Struct

from mosha.core.lineage import Merged, bases_of, joined_version, merge, past_of
from mosha.core.replication import CLTAB, version_of
from mosha.formats.cltab import cltab_group
from mosha.formats.hactl import hactl_group
from mosha.formats.mistakes import Mistakes
from mosha.monitor.table_files import Access, InForce, parse_table, remarks
from mosha.monitor.table_store import TableStore

ALL = "all of it"
"""What of an edit is lost that cannot be joined."""


class Joined(Struct, frozen=True):
    """What comes of two versions: `text`. Of the older one `lost` is lost, which is `kept`."""

    text: InForce
    lost: tuple[str, ...] = ()
    kept: str = ""


def join(store: TableStore, name: str, mine: InForce, other: InForce, now_ns: int) -> Joined:
    """Join what is in force here with a version that is apart from it.

    Both texts are in the history then: a later join may begin from either. If the newest common
    ancestor is not kept here, or if what they come to is no table, the newer text stands.

    Raises:
        OSError: the history cannot be read or written.
    """
    older, newer = sorted((mine, other), key=lambda text: text.version.order)
    store.keep(name, other.text, now_ns)
    merged = _merged(store, name, older, newer)
    lost = (ALL,) if merged is None else merged.lost
    data = newer.data if merged is None else merged.text.encode("utf-8")
    text = newer if data == newer.data else _made(name, older, newer, data)
    if text is None:
        text, lost = newer, (ALL,)
    kept = str(store.keep(name, older.text, now_ns)) if lost else ""
    return Joined(text, lost, kept)


def _merged(store: TableStore, name: str, older: InForce, newer: InForce) -> Merged | None:
    group_of = cltab_group if name == CLTAB else hactl_group
    for version in bases_of(older.past, newer.past):
        base = store.data_of(name, version)
        if base is not None:
            was, old, new = (data.decode("utf-8") for data in (base, older.data, newer.data))
            return merge(was, old, new, group_of)
    return None


def _made(name: str, older: InForce, newer: InForce, data: bytes) -> InForce | None:
    """Return the joined text as a version, None if it is no table: one tag in two groups, say."""
    try:
        table = parse_table(data, name, name)
    except Mistakes:
        return None
    version = joined_version(older.version, newer.version, version_of(data, 0).digest)
    past = past_of([older.version, newer.version, *older.past, *newer.past])
    access = Access(newer.access.mode & older.access.mode, newer.access.owner)
    return InForce(version, data, table, remarks(data, name), access, past)
