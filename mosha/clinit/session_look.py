"""What `session_tracker.py` sees at one look: the children of clinit, by entry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mosha.clinit.adopted import AdoptedProcess
from mosha.clinit.process_tracker import EntryKey


class Look(NamedTuple):
    """The children at one moment: leaders and orphans by entry, and unassigned ones.

    Leaders may have ended meanwhile: checking a thousand takes longer than all the rest, and most
    questions are about one entry.
    """

    listed: frozenset[int]
    leaders: Mapping[str, Mapping[EntryKey, set[int]]]  # group -> entry
    orphans: Mapping[EntryKey, list[int]]
    nobodys: list[AdoptedProcess]

    def of(self, key: EntryKey) -> list[int]:
        """Return the children of an entry."""
        leaders = self.leaders.get(key.group, {}).get(key, ())
        return [*(pid for pid in leaders if pid in self.listed), *self.orphans.get(key, ())]

    def keys(self, group: str) -> set[EntryKey]:
        """Return the entries of a group that may have children."""
        orphaned = {key for key in self.orphans if key.group == group}
        return orphaned | self.leaders.get(group, {}).keys()


def of_group(look: Look, group: str, spared: frozenset[str] = frozenset()) -> list[int]:
    """Return the children of a group's entries without the spared ones."""
    entries = [key for key in look.keys(group) if key.tag not in spared]
    return [pid for key in entries for pid in look.of(key)]


def maybe_of(look: Look, group: str) -> list[int]:
    """Return the orphans that may belong to a group, and are assigned to no entry."""
    return [one.pid for one in look.nobodys if one.may_be_of(group)]
