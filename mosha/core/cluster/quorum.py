"""Which nodes vote, and whether this node sees enough of them.

`majority`: more than half of the electorate is fresh. `adaptive` is the original's rule
(catalogue H2.1, H2.2): the number of nodes last seen is remembered; fewer than 0.6 of it is no
quorum, anything else becomes the new number: a greater one at once, a smaller one when it has
lasted for T. The delay is needed because nodes behind the same cut go missing one by one, and
each loss alone would be small enough. The rule follows a cluster that shrinks slowly, so it
cannot exclude that two halves shrink separately (H2.3): set `nodes`.

Of an even number of voters one half is enough if every node of the other is gone for certain (E1):
two majorities share a voter, and so do a majority and a half; two halves exclude each other since a
node of one must be gone for the other to count. `View` says who is gone.
"""

from __future__ import annotations

import enum
import zlib
from functools import lru_cache

from msgspec import Struct


class Policy(enum.StrEnum):
    """How quorum is judged."""

    MAJORITY = "majority"
    ADAPTIVE = "adaptive"


class QuorumState(enum.StrEnum):
    """Whether this node sees a quorum; unknown until every node was read once."""

    UNKNOWN = "unknown"
    YES = "yes"
    NO = "no"


class Electorate(Struct, frozen=True):
    """The nodes that vote. `remembered` is Q of the adaptive rule, 0 at the very first start."""

    policy: Policy
    nodes: frozenset[int]
    remembered: int = 0

    @property
    def digest(self) -> str:
        """A short hash of the voters; "" where they may change."""
        return "" if self.policy is Policy.ADAPTIVE else _digest(self.nodes)

    @property
    def needed(self) -> int:
        """q: how many votes grant a claim, a majority of the electorate."""
        return len(self.nodes) // 2 + 1

    @property
    def half(self) -> int:
        """Half of the electorate, 0 if it has none: an odd number, or one that may change."""
        even = self.policy is Policy.MAJORITY and len(self.nodes) % 2 == 0
        return len(self.nodes) // 2 if even else 0


@lru_cache(maxsize=8)
def _digest(nodes: frozenset[int]) -> str:
    """Return a short text for these nodes; every status asks for the same one."""
    return f"{zlib.crc32(repr(sorted(nodes)).encode()):08x}"


def judge(
    electorate: Electorate, up: frozenset[int], gone: frozenset[int], *, complete: bool
) -> tuple[QuorumState, Electorate]:
    """Judge quorum from the nodes that are up, this one included.

    Args:
        electorate: which nodes vote, and what is remembered.
        up: fresh nodes, and this one.
        gone: voters that are gone for certain (E1).
        complete: whether each node was tried at least once since the start; before that a
            lack of nodes proves nothing.

    Returns:
        The quorum state, and the electorate from now on (the adaptive rule lets it grow at once).
    """
    if electorate.policy is Policy.MAJORITY:
        seen = up & electorate.nodes
        rest_is_gone = len(seen) == electorate.half and electorate.nodes - seen <= gone
        if len(seen) >= electorate.needed or (seen and rest_is_gone):
            return QuorumState.YES, electorate
        return (QuorumState.NO if complete else QuorumState.UNKNOWN), electorate
    if not complete:
        return QuorumState.UNKNOWN, electorate
    if 10 * len(up) < 6 * electorate.remembered:
        return QuorumState.NO, electorate
    remembered = max(electorate.remembered, len(up))
    return QuorumState.YES, Electorate(Policy.ADAPTIVE, electorate.nodes | up, remembered)


def follow(electorate: Electorate, up: frozenset[int]) -> Electorate:
    """Return the electorate after `up` has lasted for T: the adaptive rule follows it.

    Call it only while there is a quorum: fewer than 0.6 change nothing (H2.1).
    """
    if electorate.policy is Policy.MAJORITY or electorate.nodes == up:
        return electorate
    return Electorate(Policy.ADAPTIVE, up, len(up))
