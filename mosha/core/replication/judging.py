"""Which version of a table, cltab or hactl, is in force: the newest valid one, everywhere.

A version is the time of an edit and a digest of the text. A node that finds an edit in its
own directory judges it (`judge_local`); a node whose peer publishes a newer version fetches
that one (`choose_peer`). All nodes order versions in the same way, so they end with the
same one, whatever the order of events (catalogue H4.1, H4.2).

A time in the future would win against every later edit until it comes. It is refused; and
if the clock was wrong and set back, a version that was taken in good faith loses its rank:
any edit of a plausible time replaces it.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl, Table

CLTAB = "cltab"
HACTL = "hactl"
TABLES = (CLTAB, HACTL)

NS_PER_S = 1_000_000_000

FUTURE_MAX_S = 60
"""Clocks of a cluster that differ by more than this are a fault of their own."""

SETTLE_S = 0.1
"""An editor that truncates and writes has its text in place after this, if twice the same."""

SETTLE_GONE_S = 1.0
"""Nothing and an empty file stop every group, and are what a slow writer shows first."""

SETTLE_HALF_S = 2.0
"""A text that looks like half of one waits so long: `scp`, `cat >` and clients of NFS pause in
the middle for tenths of a second, and what is missing in it would be stopped."""

SPREAD_MIN_S = 5.0
SPREAD_HEARTBEATS = 4

DIGEST_CHARS = 16


class TableAction(enum.Enum):
    """What to do about a table in the own directory."""

    NOTHING = "nothing"
    ADOPT = "adopt"  # it is the new version in force
    REFUSE = "refuse"  # it stays where it is and is not in force; say why
    DISCARD = "discard"  # keep its text in the history, then write the version in force over it
    WRITE = "write"  # write the version in force there; nothing of value is lost


class Found(Struct, frozen=True):
    """What was found at a table's place in the own directory.

    `version` is None if nothing is there or if it cannot be read, which `distrust` tells.
    `distrust` says why the file is not to be trusted (unreadable, owner, mode), `mistakes`
    why its text is no table. `superseded`: it was refused, and since then another version
    came into force.
    """

    version: TableVersion | None = None
    distrust: str = ""
    mistakes: str = ""
    superseded: bool = False


class Verdict(Struct, frozen=True):
    """What to do and, for a refusal, a discarded text or a warning, why."""

    do: TableAction
    why: str = ""


def version_of(data: bytes, mtime_ns: int) -> TableVersion:
    """Return the version that a text of this time is."""
    return TableVersion(mtime_ns, hashlib.sha256(data).hexdigest()[:DIGEST_CHARS])


def ahead_s(version: TableVersion, now_ns: int) -> int:
    """Return by how many seconds a version lies in the future, 0 if that is no matter."""
    ahead = (version.mtime_ns - now_ns) / NS_PER_S
    return round(ahead) if ahead > FUTURE_MAX_S else 0


def is_newer(candidate: TableVersion, in_force: TableVersion | None, now_ns: int) -> bool:
    """Say whether a version that another node has in force is to replace the own one."""
    if ahead_s(candidate, now_ns):
        return False
    if in_force is None or ahead_s(in_force, now_ns):
        return True
    return candidate.order > in_force.order


def judge_local(
    in_force: TableVersion | None,
    found: Found,
    now_ns: int,
    shown: Collection[TableVersion] = (),
    held: TableVersion | None = None,
) -> Verdict:
    """Say what to do about what was found in the own directory.

    `shown` are versions that were in force here and that the file may still show: those since
    it agreed with what is in force. A copy of one of them is only out of date, and nobody wrote
    it. Equal times are no edit (H4.1): the version in force stays. `held` is the version that the
    file showed last: an edit of that one is no old text, if it is older than what has come into
    force meanwhile, and is joined with it; the same text with another time is no edit.
    """
    version = found.version
    if version is None:
        if found.distrust:
            return Verdict(TableAction.REFUSE, found.distrust)
        return Verdict(TableAction.WRITE if in_force else TableAction.NOTHING)
    if in_force and version.digest == in_force.digest:
        return Verdict(TableAction.NOTHING, found.distrust)
    if found.distrust:
        return _refuse(found, found.distrust)
    if in_force and any(_is_copy(version, other) for other in shown):
        return Verdict(TableAction.WRITE)
    if in_force and version.mtime_ns <= in_force.mtime_ns and not (ahead_s(in_force, now_ns)):
        if held and held != in_force and version.mtime_ns > held.mtime_ns and not found.mistakes:
            return Verdict(
                TableAction.WRITE if version.digest == held.digest else TableAction.ADOPT
            )
        return Verdict(TableAction.DISCARD, found.mistakes or _older(version, in_force))
    ahead = ahead_s(version, now_ns)
    if ahead:
        return _refuse(found, f"its time lies {ahead} s in the future; touch it")
    if found.mistakes:
        return Verdict(TableAction.REFUSE, found.mistakes)
    return Verdict(TableAction.ADOPT)


def choose_peer(
    in_force: TableVersion | None,
    adverts: Mapping[int, TableVersion],
    now_ns: int,
    rejected: Collection[TableVersion] = (),
) -> int | None:
    """Return the node to fetch a table from, None if no peer has a newer version.

    `adverts` are the versions in force on the nodes that can be asked; `rejected` are the
    versions that this node has fetched and cannot read. Of several nodes with the newest
    version it is the lowest.
    """
    newer = {
        node: version
        for node, version in adverts.items()
        if version not in rejected and is_newer(version, in_force, now_ns)
    }
    if not newer:
        return None
    newest = max(newer.values(), key=lambda version: version.order)
    return min(node for node, version in newer.items() if version == newest)


def next_mtime_ns(known: Iterable[TableVersion], now_ns: int) -> int:
    """Return the time of an edit that is to win against all `known` versions.

    Those in the future do not count: they are in force nowhere for long.
    """
    times = (version.mtime_ns for version in known if not ahead_s(version, now_ns))
    return max(now_ns, max(times, default=0) + 1)


class Looks(enum.Enum):
    """How much of a table seems to be in a file."""

    WHOLE = "whole"
    HALF = "half"
    NOTHING = "nothing"


def looks(data: bytes, table: Table | None, in_force: Table | None, cltab: Cltab | None) -> Looks:
    """Say whether a text may be one that somebody is still writing.

    `table` is what the text says, None if it has mistakes; `in_force` is what is in force of the
    same name, `cltab` the entries in force. Half is what has no end of its last line, what
    lacks a group or an entry that is in force, and what names a level that no entry of the
    group is for.
    """
    if not data or would_empty(table, in_force):
        return Looks.NOTHING
    if not data.endswith(b"\n") or (table is not None and _names(in_force) - _names(table)):
        return Looks.HALF
    if isinstance(table, Hactl) and cltab is not None:
        strange = (w for w in table.wishes.values() if not cltab.has_level(w.group, w.level))
        if any(cltab.entries_of(wish.group) for wish in strange):
            return Looks.HALF
    return Looks.WHOLE


def would_empty(table: Table | None, in_force: Table | None) -> bool:
    """Say whether a table has nothing in it, while the one in force has something."""
    return table is not None and not table.names() and bool(_names(in_force))


def _names(table: Table | None) -> frozenset[str]:
    return table.names() if table is not None else frozenset()


def spread_limit_s(heartbeat_s: float) -> float:
    """Return how long an edit may take to another node and back before that is a failure.

    A status is read once a heartbeat at the least, there and here, and fetching takes a moment.
    """
    return max(SPREAD_MIN_S, SPREAD_HEARTBEATS * heartbeat_s)


def settle_s(version: TableVersion | None, now_ns: int, seems: Looks) -> float:
    """Return for how long a found file has to stay the same before anything is done about it.

    `version` is None if it cannot be read. A file system with whole-second times would hide a
    second edit within that second.
    """
    if seems is not Looks.WHOLE:
        return SETTLE_GONE_S if seems is Looks.NOTHING else SETTLE_HALF_S
    if version is not None and version.mtime_ns % NS_PER_S == 0:
        left = (version.mtime_ns + NS_PER_S - now_ns) / NS_PER_S
        return SETTLE_S + min(max(left, 0.0), 1.0)
    return SETTLE_S


def _refuse(found: Found, why: str) -> Verdict:
    return Verdict(TableAction.DISCARD if found.superseded else TableAction.REFUSE, why)


def _is_copy(version: TableVersion, other: TableVersion) -> bool:
    """Say whether a file is a copy of a version, its time perhaps cut by its file system.

    A later time is that of somebody who put this text back, be it within the same second.
    """
    cut_ns = other.mtime_ns - version.mtime_ns
    return version.digest == other.digest and 0 <= cut_ns < NS_PER_S


def _older(version: TableVersion, in_force: TableVersion) -> str:
    age_s = (in_force.mtime_ns - version.mtime_ns) / NS_PER_S
    if not age_s:
        return "its time is that of the version in force, so it is not newer"
    return f"it is {age_s:.9g} s older than the version in force"
