"""Merges two versions of a table that diverged; everything here blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from mosha.core.replication.judging import version_of
from mosha.core.replication.lineage import Merged, bases_of, joined_version, merge, past_of
from mosha.core.replication.table_texts import Access, InForce, Joined, Text
from mosha.core.status import TableVersion
from mosha.formats.mistakes import Mistakes
from mosha.formats.table_kinds import KINDS, in_force_of

ALL = "all of it"
"""What is lost of an edit that cannot be merged."""


class Kept(Protocol):
    """The texts that were in force; `TableStore` keeps them on the local disk."""

    def keep(self, name: str, text: Text, now_ns: int) -> Path:
        """Keep a text that is in force here or elsewhere; return where it is."""

    def data_of(self, name: str, version: TableVersion) -> bytes | None:
        """Return the text of a version, None if it is not kept any more."""


def join(kept: Kept, name: str, mine: InForce, other: InForce, now_ns: int) -> Joined:
    """Merge what is in force here with a version that diverged from it.

    Both texts are in the history then: a later merge may start from either. If the newest common
    ancestor is not kept here, or if the result is not a valid table, the newer text wins.

    Raises:
        OSError: the history cannot be read or written.
    """
    older, newer = sorted((mine, other), key=lambda text: text.version.order)
    kept.keep(name, other.text, now_ns)
    merged = _merged(kept, name, older, newer)
    lost = (ALL,) if merged is None else merged.lost
    data = newer.data if merged is None else merged.text.encode("utf-8")
    text = newer if data == newer.data else _made(name, older, newer, data)
    if text is None:
        text, lost = newer, (ALL,)
    place = str(kept.keep(name, older.text, now_ns)) if lost else ""
    return Joined(text, lost, place)


def _merged(kept: Kept, name: str, older: InForce, newer: InForce) -> Merged | None:
    for version in bases_of(older.past, newer.past):
        base = kept.data_of(name, version)
        if base is not None:
            was, old, new = (data.decode("utf-8") for data in (base, older.data, newer.data))
            return merge(was, old, new, KINDS[name].group_of)
    return None


def _made(name: str, older: InForce, newer: InForce, data: bytes) -> InForce | None:
    """Return the merged text as a version, None if it is invalid (one tag in two groups)."""
    version = joined_version(older.version, newer.version, version_of(data, 0).digest)
    past = past_of([older.version, newer.version, *older.past, *newer.past])
    access = Access(newer.access.mode & older.access.mode, newer.access.owner)
    try:
        return in_force_of(name, Text(version, data, access, past))
    except Mistakes:
        return None
