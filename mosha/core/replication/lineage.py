"""The ancestry of table versions, and how two that diverged are merged.

Two people, or two `mosha set`, may edit the same table on two nodes at the same time. Each version
carries its past: the versions that it was made from. A node that has one version in force and
finds another, neither of which descends from the other, merges them group by group (`merge`), from
their newest common ancestor. The merged version is a function of the two, so all nodes make the
same one; it is newer than both, and spreads like any edit. Older versions of mosha publish no
past: there the newest text wins as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from mosha.core.status import TableVersion

Past = tuple[TableVersion, ...]
"""The ancestors of a version, newest first, no further back than needed (`past_of`)."""

PAST_MAX = 16
"""How many edits may be made between two reads of a node; it merges none with more."""

PAST_NS = 600 * 10**9
"""How far back two edits may have diverged. One older version is kept as well."""

REMARKS = "remarks"
"""Stands in for a group: all lines that belong to no group."""


def past_of(versions: Iterable[TableVersion]) -> Past:
    """Return these versions as a past, each once, without those too old to matter."""
    found = sorted(set(versions), key=_order, reverse=True)[:PAST_MAX]
    near = sum(found[0].mtime_ns - version.mtime_ns <= PAST_NS for version in found)
    return tuple(found[: near + 1])


def has(version: TableVersion, past: Past, other: TableVersion) -> bool:
    """Say whether a version is, or descends from, another one.

    It counts as a descendant of whatever its past does not reach back to: so a node that was away
    for long brings nothing back, and a version without a past works as before pasts existed.
    """
    if other == version or other in past:
        return True
    return not past or other.order < past[-1].order


def apart(one: TableVersion, one_past: Past, other: TableVersion, other_past: Past) -> bool:
    """Say whether two versions were made concurrently."""
    return not (has(one, one_past, other) or has(other, other_past, one))


def bases_of(one_past: Past, other_past: Past) -> Past:
    """Return the common ancestors of two diverged versions, newest first.

    The newest one whose text a node has is the base. With an older base a group that was edited
    twice in a row may seem edited on both sides; other groups lose nothing.
    """
    return tuple(version for version in one_past if version in other_past)


def joined_version(one: TableVersion, other: TableVersion, digest: str) -> TableVersion:
    """Return the version of the merged text: later than both, the same on all nodes."""
    return TableVersion(max(one.mtime_ns, other.mtime_ns) + 1, digest)


def _order(version: TableVersion) -> tuple[int, str]:
    return version.order


# --- the texts -----------------------------------------------------------------------------


class Merged(Struct, frozen=True):
    """Two texts as one. `lost` are the groups that both changed: there the newer text wins."""

    text: str
    lost: tuple[str, ...] = ()


def merge(base: str, older: str, newer: str, group_of: Callable[[str], str]) -> Merged:
    """Merge two texts that descend from `base`, group by group.

    `group_of` returns the group of a line, "" for a remark. Lines are kept byte for byte. If only
    one text has other remarks than the base, the groups are put into the frame of that text.
    """
    was, old, new = (_by_group(text, group_of) for text in (base, older, newer))
    changed = {g for g in was.keys() | old.keys() if g and old.get(g) != was.get(g)}
    edited = {g for g in was.keys() | new.keys() if g and new.get(g) != was.get(g)}
    lost = {g for g in changed & edited if old.get(g) != new.get(g)}
    if old.get("") != was.get("") and new.get("") == was.get(""):
        frame, parts = older, {g: new.get(g, []) for g in edited}
    else:
        frame, parts = newer, {g: old.get(g, []) for g in changed - edited}
        if old.get("") not in (was.get(""), new.get("")):
            lost.add(REMARKS)
    return Merged(_filled(frame, parts, group_of), tuple(sorted(lost)))


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def _by_group(text: str, group_of: Callable[[str], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _lines(text):
        found.setdefault(group_of(line), []).append(line)
    return found


def _filled(frame: str, parts: dict[str, list[str]], group_of: Callable[[str], str]) -> str:
    """Return `frame` with the lines of these groups replaced; a new group comes last."""
    if not parts:
        return frame
    left, lines = dict(parts), []
    for line in _lines(frame):
        group = group_of(line)
        if group not in parts:
            lines.append(line)
        elif group in left:
            lines += left.pop(group)
    for _group, more in sorted(left.items()):
        lines += more
    return "".join(f"{line}\n" for line in lines)
