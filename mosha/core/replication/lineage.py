"""What a version of a table came from, and how two that came apart are joined.

Two people, or two `mosha set`, may edit the same table on two nodes at one moment. Each version
carries its past: the versions that it was made from. A node that has one version in force and
finds another one that does not come from it, nor the other way round, joins them group by group
(`merge`), from the newest version that both come from. The joined version is a function of the
two, so all nodes that join them make the same one; it is newer than both, and spreads like any
edit. Nodes of versions before this one publish no past: there the newest text wins, whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from mosha.core.status import TableVersion

Past = tuple[TableVersion, ...]
"""The versions that one came from, newest first: no further back than is needed (`past_of`)."""

PAST_MAX = 16
"""How many edits may be made between two looks of a node. It joins no edit to more of them."""

PAST_NS = 600 * 10**9
"""So far back two edits may have begun to come apart. One version that is older is kept besides."""

REMARKS = "remarks"
"""Stands among the groups for all lines that belong to none."""


def past_of(versions: Iterable[TableVersion]) -> Past:
    """Return these versions as a past, each once, without those that are too old to matter."""
    found = sorted(set(versions), key=_order, reverse=True)[:PAST_MAX]
    near = sum(found[0].mtime_ns - version.mtime_ns <= PAST_NS for version in found)
    return tuple(found[: near + 1])


def has(version: TableVersion, past: Past, other: TableVersion) -> bool:
    """Say whether a version is, or came from, another one.

    Of what its past does not reach back to, it counts as come: so a node that was away for long
    brings nothing back, and a version without a past is as before there were any.
    """
    if other == version or other in past:
        return True
    return not past or other.order < past[-1].order


def apart(one: TableVersion, one_past: Past, other: TableVersion, other_past: Past) -> bool:
    """Say whether two versions were made beside each other."""
    return not (has(one, one_past, other) or has(other, other_past, one))


def bases_of(one_past: Past, other_past: Past) -> Past:
    """Return the versions that two which are apart both come from, newest first.

    The newest one of which a node has the text is the base. With an older one a group that was
    edited twice in a row may seem edited on both sides; of others nothing is lost.
    """
    return tuple(version for version in one_past if version in other_past)


def joined_version(one: TableVersion, other: TableVersion, digest: str) -> TableVersion:
    """Return the version that the joined text of two is: later than both, the same everywhere."""
    return TableVersion(max(one.mtime_ns, other.mtime_ns) + 1, digest)


def _order(version: TableVersion) -> tuple[int, str]:
    return version.order


# --- the texts -----------------------------------------------------------------------------


class Merged(Struct, frozen=True):
    """Two texts as one. `lost` are the groups of which both said something new: the newer holds."""

    text: str
    lost: tuple[str, ...] = ()


def merge(base: str, older: str, newer: str, group_of: Callable[[str], str]) -> Merged:
    """Join two texts that came from `base`, group by group.

    `group_of` tells to which group a line belongs, "" for a remark. Lines are kept byte for byte.
    Where only one text has other remarks than the base, it gives the frame that the groups are
    put into.
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
    """Return a text in which the lines of these groups are others; a new group comes last."""
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
