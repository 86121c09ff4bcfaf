"""What one node knows about another: rules O1 to O3.

A peer's newest status replaces an older one only by its stamp (O1). Its age counts on this node's
clock from the first read that showed that stamp (O2). It becomes stale only by an attempt to read
that *began* later than `timeout` after that moment and found nothing newer (O3): a node that was
paused reads again before it declares a peer stale.
"""

from __future__ import annotations

import enum

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.status import NodeState, Receipt, Status

NO_CLSTAT = "no clstat"
"""The error of a read that found no file: it was answered, though without a status."""


class Standing(enum.StrEnum):
    """How this node sees a peer."""

    NEVER = "never"  # no status of it was ever read
    FRESH = "fresh"
    STALE = "stale"
    LEAVING = "leaving"
    LEFT = "left"
    FENCED = "fenced"


# Asked of each peer after each look: Python 3.11 takes ten times as long to find a member in its
# class as to compare it.
_FRESH, _LEAVING = Standing.FRESH, Standing.LEAVING
_NODE_LEFT, _NODE_LEAVING = NodeState.LEFT, NodeState.LEAVING


class Peer(Struct, frozen=True):
    """One other node as seen from here.

    `heard_at` is when its newest status was first read, or when a vote for it was
    recovered (V4); `first_heard_at` the same for the first status of its incarnation;
    `looked_at` whether an attempt to read it was ever completed; `advanced` whether a second,
    newer status was read since this monitor started: a file left behind by a dead node never
    advances, and such a node is never fenced (docs/reference/fencing.md). `timeout_s` is the
    longest T that it has published and that still counts, `shorter_since` when it first published
    a shorter one (T1).
    """

    node: int
    status: Status | None = None
    heard_at: float | None = None
    first_heard_at: float | None = None
    advanced: bool = False
    looked_at: bool = False
    stale_since: float | None = None
    error: str = ""
    timeout_s: float = 0.0
    shorter_since: float | None = None

    @property
    def inc(self) -> int:
        """The newest incarnation known, 0 if none."""
        return self.status.inc if self.status else 0

    @property
    def answered(self) -> bool:
        """Whether this peer's file was read, or is known not to exist."""
        return self.status is not None or (self.looked_at and self.error in ("", NO_CLSTAT))


def heard(peer: Peer, status: Status, now: float) -> Peer:
    """Return the peer after its status was read at `now`.

    O1: a status that is not newer than the known one is dropped, the peer is returned unchanged.
    """
    known = peer.status
    if known is not None and (status.inc, status.seq) <= (known.inc, known.seq):
        return peer
    new_life = known is None or status.inc > known.inc
    timeout_s, shorter_since = _longest_timeout(peer, status, now)
    # Built from its parts: this runs for every status of every peer, `replace` costs thrice.
    return Peer(
        node=peer.node,
        status=status,
        heard_at=now,
        first_heard_at=now if new_life else peer.first_heard_at,
        advanced=known is not None,
        looked_at=peer.looked_at,
        stale_since=None,
        error=peer.error,
        timeout_s=timeout_s,
        shorter_since=shorter_since,
    )


def _longest_timeout(peer: Peer, status: Status, now: float) -> tuple[float, float | None]:
    """Return which T of a node counts, and since when it has published a shorter one (T1).

    Its earlier leases were made to fit the longer one, which counts until it has passed.
    """
    said_s = status.timeout_s
    if said_s >= peer.timeout_s:
        return said_s, None
    former_s = peer.status.timeout_s if peer.status is not None else 0.0
    since = peer.shorter_since
    if since is None or said_s < former_s:
        since = now
    return (said_s, None) if now - since >= peer.timeout_s else (peer.timeout_s, since)


def tried(peer: Peer, *, began: float, now: float, timeout_s: float, error: str = "") -> Peer:
    """Return the peer after an attempt to read it, begun at `began`, was completed.

    Call it after `heard`. O3: only here does a peer become stale. Only a new status ends that, in
    `heard`: an attempt that hung and ends late, begun before others, proves nothing.
    """
    stale_since, due = peer.stale_since, judge_at(peer, timeout_s)
    if due is not None and began > due:
        stale_since = now
    if peer.looked_at and stale_since == peer.stale_since and error == peer.error:
        return peer  # the usual case: nothing new
    return Peer(
        node=peer.node,
        status=peer.status,
        heard_at=peer.heard_at,
        first_heard_at=peer.first_heard_at,
        advanced=peer.advanced,
        looked_at=True,
        stale_since=stale_since,
        error=error,
        timeout_s=peer.timeout_s,
        shorter_since=peer.shorter_since,
    )


def recovered(peer: Peer, now: float) -> Peer:
    """Return the peer counted as heard at `now`, since a recovered vote names it (V4)."""
    return peer if peer.heard_at is not None else replace(peer, heard_at=now)


def judge_at(peer: Peer, timeout_s: float) -> float | None:
    """Return when the next read of the peer could find it stale; None if it is or never can be.

    If it has published a longer T, that one counts: its leases are made to fit it (T1).
    """
    if peer.heard_at is None or peer.stale_since is not None:
        return None
    return peer.heard_at + max(timeout_s, peer.timeout_s)


def standing(peer: Peer, receipt: Receipt | None) -> Standing:
    """Return how this node sees the peer; a receipt covers incarnations up to the one it names."""
    status = peer.status
    if status is None:
        return Standing.NEVER
    if receipt is not None and receipt.inc >= status.inc:
        return Standing.FENCED
    if status.state is _NODE_LEFT:
        return Standing.LEFT
    if peer.stale_since is not None:
        return Standing.STALE
    return _LEAVING if status.state is _NODE_LEAVING else _FRESH


def speaks(peer: Peer, receipt: Receipt | None) -> bool:
    """Say whether the peer's newest status is fresh: heard from, and not gone."""
    found = standing(peer, receipt)
    return found is _FRESH or found is _LEAVING
