"""How long a claim holds: rules C3 and C4.

A claim is granted while q nodes of the electorate publish a vote for it. Each of their
statuses echoes a status of ours (`Mosha::Seen`); the time *before the write of that status
began* is the latest moment at which the supporter is known to have heard from us, and it will
not release its vote before T after that. The lease runs to the q-th greatest of these moments
plus L.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from mosha.core.status import Status

WRITES_MAX = 4096


class Writes:
    """When the write of each of this node's statuses began: seq -> seconds, newest ones only."""

    __slots__ = ("_began", "_order")

    def __init__(self) -> None:
        self._began: dict[int, float] = {}
        self._order: deque[int] = deque()

    def add(self, seq: int, began: float) -> None:
        """Remember a completed write; the oldest is forgotten beyond `WRITES_MAX`."""
        self._began[seq] = began
        self._order.append(seq)
        if len(self._order) > WRITES_MAX:
            del self._began[self._order.popleft()]

    def began(self, seq: int) -> float | None:
        """Return when the write of `seq` began, None if it is forgotten or not ours."""
        return self._began.get(seq)

    def clear(self) -> None:
        """Forget all: a new incarnation counts only what it wrote."""
        self._began.clear()
        self._order.clear()


def echo_time(status: Status, me: int, inc: int, writes: Writes) -> float | None:
    """Return r of C4: when the write that `status` echoes began, None if it echoes none."""
    seen = status.seen.get(me)
    if seen is None or seen.inc != inc:
        return None
    return writes.began(seen.seq)


def supports(status: Status, group: str, me: int, term: int) -> bool:
    """Say whether a status carries a vote for the claim of `me` with `term`."""
    vote = status.votes.get(group)
    return vote is not None and vote.node == me and vote.term == term


def granted_from(echoes: Iterable[float], needed: int) -> float | None:
    """Return R of C4, the q-th greatest echo, or None while there are fewer than q."""
    ordered = sorted(echoes, reverse=True)
    return ordered[needed - 1] if len(ordered) >= needed else None
