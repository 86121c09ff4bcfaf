"""Which version of a table, cltab or hactl, is in force: the newest valid one, everywhere.

A version is the time of an edit and a digest of the text. A node that finds an edit in its
directory judges it (`judge_local`); a node whose peer publishes a newer version fetches that one
(`choose_peer`). All nodes order versions in the same way, so they end up with the same one,
whatever the order of events (catalogue H4.1, H4.2).

A time in the future would win against every later edit until that time. It is refused; and if the
clock was wrong and was set back, a version accepted before loses its rank: any edit with a
plausible time replaces it.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from mosha.core.durations import number_text
from mosha.core.status import TableVersion
from mosha.core.tables import Cltab, Hactl, Table

CLTAB = "cltab"
HACTL = "hactl"
TABLES = (CLTAB, HACTL)

NS_PER_S = 1_000_000_000

FUTURE_MAX_S = 60
"""Clocks of a cluster that differ by more than this are a fault in themselves."""

SETTLE_S = 0.1
"""An editor that truncates and writes has finished after this, if two reads are the same."""

SETTLE_GONE_S = 1.0
"""A missing or empty file stops every group, and is what a slow writer shows first."""

SETTLE_HALF_S = 2.0
"""A text that looks incomplete waits this long: `scp`, `cat >` and NFS clients pause in the
middle for tenths of a second, and groups missing in it would be stopped."""

SPREAD_MIN_S = 5.0
SPREAD_HEARTBEATS = 4

DIGEST_CHARS = 16

EXACT_AGE_MAX_S = 10.0
"""Of an edit that is older by more than this, messages say the age in whole seconds."""


class TableAction(enum.Enum):
    """What to do about a table in this node's directory."""

    NOTHING = "nothing"
    ADOPT = "adopt"  # it is the new version in force
    REFUSE = "refuse"  # leave it there, not in force; report why
    DISCARD = "discard"  # keep its text in the history, then overwrite it with the version in force
    WRITE = "write"  # write the version in force; nothing of value is lost


class Found(Struct, frozen=True):
    """What was found at a table's place in this node's directory.

    `version` is None if there is no file or it cannot be read; then `distrust` says so.
    `distrust` says why the file is not trusted (unreadable, owner, mode), `mistakes` why its text
    is not a valid table. `superseded`: it was refused, and another version came into force since.
    """

    version: TableVersion | None = None
    distrust: str = ""
    mistakes: str = ""
    superseded: bool = False


class Verdict(Struct, frozen=True):
    """What to do, and why for a refusal, a discarded text or a warning."""

    do: TableAction
    why: str = ""


def version_of(data: bytes, mtime_ns: int) -> TableVersion:
    """Return the version of a text with this time."""
    return TableVersion(mtime_ns, hashlib.sha256(data).hexdigest()[:DIGEST_CHARS])


def ahead_s(version: TableVersion, now_ns: int) -> int:
    """Return by how many seconds a version lies in the future, 0 if that is tolerable."""
    ahead = (version.mtime_ns - now_ns) / NS_PER_S
    return round(ahead) if ahead > FUTURE_MAX_S else 0


def is_newer(candidate: TableVersion, in_force: TableVersion | None, now_ns: int) -> bool:
    """Say whether a version in force on another node is to replace this node's."""
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
    """Return what to do about what was found in this node's directory.

    `shown` are the versions that were in force here since the file last agreed with the one in
    force, and that it may still have. A copy of one of them is only out of date, not an edit.
    Equal times are not an edit (H4.1): the version in force stays. `held` is the version that the
    file had last: an edit of it that is older than what has come into force meanwhile is not an
    old text but is merged; the same text with another time is not an edit.
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

    `adverts` are the versions in force on reachable nodes; `rejected` are the versions that this
    node has fetched and cannot read. Of several nodes with the newest version the lowest is
    returned.
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
    """Return the time for an edit that must win against all `known` versions.

    Versions in the future do not count: they do not stay in force anywhere.
    """
    times = (version.mtime_ns for version in known if not ahead_s(version, now_ns))
    return max(now_ns, max(times, default=0) + 1)


class Looks(enum.Enum):
    """How complete the table in a file seems."""

    WHOLE = "whole"
    HALF = "half"
    NOTHING = "nothing"


def looks(data: bytes, table: Table | None, in_force: Table | None, cltab: Cltab | None) -> Looks:
    """Judge whether a text may still be being written.

    `table` is the parsed text, None if it has mistakes; `in_force` is the table in force of the
    same name, `cltab` the entries in force. A text seems half written if its last line has no
    end, if it lacks a group or an entry that is in force, or if it names a level that no entry of
    the group is for.
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
    """Say whether a table is empty while the one in force is not."""
    return table is not None and not table.names() and bool(_names(in_force))


def _names(table: Table | None) -> frozenset[str]:
    return table.names() if table is not None else frozenset()


def spread_limit_s(heartbeat_s: float) -> float:
    """Return how long an edit may take to another node and back before it counts as failed.

    A status is read at least once per heartbeat, there and here, and fetching takes a moment.
    """
    return max(SPREAD_MIN_S, SPREAD_HEARTBEATS * heartbeat_s)


def settle_s(version: TableVersion | None, now_ns: int, seems: Looks) -> float:
    """Return how long a file has to stay unchanged before it is acted upon.

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
    """Say whether a file is a copy of a version, its time perhaps truncated by its file system.

    A later time means that the text was restored on purpose, even within the same second.
    """
    cut_ns = other.mtime_ns - version.mtime_ns
    return version.digest == other.digest and 0 <= cut_ns < NS_PER_S


def _older(version: TableVersion, in_force: TableVersion) -> str:
    age_s = (in_force.mtime_ns - version.mtime_ns) / NS_PER_S
    if not age_s:
        return "its time is that of the version in force, so it is not newer"
    age = number_text(round(age_s) if age_s >= EXACT_AGE_MAX_S else age_s)
    return f"it is {age} s older than the version in force"
