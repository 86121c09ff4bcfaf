"""The lines of a clstat, each one fact: a class, a key, a value."""

from __future__ import annotations

import functools
from collections.abc import Callable

from mosha.core.instance_names import INSTANCE_MARK
from mosha.core.replication.lineage import PAST_MAX
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    TableVersion,
    Term,
    Vote,
)
from mosha.formats.clstat_entries import ENTRY_CLASS, read_entry
from mosha.formats.clstat_failures import FAILURE_READERS
from mosha.formats.clstat_fencing import FENCING_READERS
from mosha.formats.clstat_orders import ORDER_READERS, read_stamp
from mosha.formats.clstat_relations import RELATION_READERS
from mosha.formats.clstat_words import (
    CounterTooLargeError,
    counter_in,
    group_in,
    name_in,
    node_in,
    number_in,
    pairs_of,
    whole_in,
    word_in,
)
from mosha.formats.names import is_name, one_line

LINES_REMEMBERED_MAX = 4096
"""Most lines were parsed before: in the previous status, or in those of other nodes.

In a cluster of 100 nodes with 100 groups this makes reading several times faster, and the statuses
share their votes and terms. A full cache takes 2 MB.
"""

LINE_REMEMBERED_MAX_CHARS = 200
"""A longer line is a reason or a refusal; a peer must not fill our memory with those."""

SEEN_CLASS = "Mosha::Seen"
GROUP_CLASS = "Cluster::Init::Group"
STATES = {state.value: state for state in GroupState}


def _fact(line: str) -> tuple[str, _Key, object] | None:
    kind, _, rest = line.partition(" ")
    known = READERS.get(kind.removesuffix(INSTANCE_MARK))
    if known is None:
        return None
    table, reader = known
    try:
        return (table, *reader(rest))
    except CounterTooLargeError:
        return None


_remembered = functools.lru_cache(LINES_REMEMBERED_MAX)(_fact)


def fact_in(line: str) -> tuple[str, _Key, object] | None:
    """Return a line's fact as (field of Status, key, value), None if the line is skipped.

    Unknown classes and impossibly large counters are skipped.

    Raises:
        ValueError, LookupError: the line is wrong.
    """
    return (_remembered if len(line) <= LINE_REMEMBERED_MAX_CHARS else _fact)(line)


def _read_vote(rest: str) -> tuple[str, Vote]:
    pairs = pairs_of(rest)
    return group_in(rest), Vote(
        counter_in(pairs["term"]),
        node_in(pairs["node"]),
        counter_in(pairs["inc"]),
        counter_in(pairs["seq"]),
    )


def _read_term(rest: str) -> tuple[str, Term]:
    voted = pairs_of(rest).get("voted", "0")
    return group_in(rest), Term(counter_in(rest.split(" ", 2)[1]), counter_in(voted))


def _read_claim(rest: str) -> tuple[str, int]:
    return group_in(rest), counter_in(pairs_of(rest)["term"])


def _read_group(rest: str) -> tuple[str, GroupLine]:
    words = rest.split(" ", 3)
    if not is_name(words[1]):
        raise ValueError("not a level")
    return group_in(rest), GroupLine(words[1], STATES[words[2]])


def _read_ban(rest: str) -> tuple[str, Ban]:
    words = rest.split(" ", 2)
    reason = words[2] if len(words) == 3 else ""
    return group_in(rest), Ban(number_in(words[1]), one_line(reason))


def _read_table(rest: str) -> tuple[str, TableVersion]:
    pairs = pairs_of(rest)
    # A file can be dated before 1970; that must not make its node unreadable.
    return name_in(rest), TableVersion(whole_in(pairs["mtime_ns"]), word_in(pairs["digest"]))


def _read_past(rest: str) -> tuple[str, tuple[TableVersion, ...]]:
    versions = (word.partition(".") for word in rest.split()[1 : PAST_MAX + 1])
    return name_in(rest), tuple(TableVersion(whole_in(t), word_in(d)) for t, _, d in versions)


def _read_refused(rest: str) -> tuple[str, str]:
    return name_in(rest), one_line(rest.partition(" ")[2])


_Key = str | int | tuple[str, str] | tuple[int, int]

READERS: dict[str, tuple[str, Callable[[str], tuple[_Key, object]]]] = {
    SEEN_CLASS: ("seen", read_stamp),
    "Mosha::Vote": ("votes", _read_vote),
    "Mosha::Term": ("terms", _read_term),
    "Mosha::Claim": ("claims", _read_claim),
    GROUP_CLASS: ("groups", _read_group),
    "Mosha::Ban": ("bans", _read_ban),
    "Mosha::Table": ("tables", _read_table),
    "Mosha::Past": ("pasts", _read_past),
    "Mosha::Refused": ("refused", _read_refused),
    ENTRY_CLASS: ("troubles", read_entry),
    **FAILURE_READERS,
    **FENCING_READERS,
    **ORDER_READERS,
    **RELATION_READERS,
}
"""The class of a line -> the field of Status that it goes into, and its parser."""
