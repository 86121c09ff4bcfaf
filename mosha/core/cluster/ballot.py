"""How a node votes on the claims for one group: rules V1 to V3.

A vote is a promise to support no other node until it is released. It makes two owners
impossible: two majorities share a voter. V4 and V5 (votes survive a restart of the monitor; a
node without its memory keeps silent) are in `core.cluster.recovery`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.cluster.peers import Peer, speaks
from mosha.core.status import Grade, Receipt, Status, Vote
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL


class Ballot(Struct, frozen=True):
    """This node's ballot for a group: at most one vote (V1), and the highest term voted for."""

    vote: Vote | None = None
    voted: int = 0


class Claim(Struct, frozen=True):
    """A claim as a voter sees it: the node, the term, in which status, running already or not."""

    node: int
    inc: int
    seq: int
    term: int
    running: bool


def claim_of(status: Status, group: str) -> Claim | None:
    """Return the claim for `group` in a status, if there is one."""
    term = status.claims.get(group)
    if term is None:
        return None
    line = status.groups.get(group)
    running = line is not None and line.active and line.level not in (PLAN_LEVEL, STOP_LEVEL)
    return Claim(status.node, status.inc, status.seq, term, running)


def runs_in(status: Status, group: str) -> bool:
    """Say whether a status shows the group active at more than `plan`, which needs no lease."""
    line = status.groups.get(group)
    return line is not None and line.active and line.level != PLAN_LEVEL


def release_cause(
    vote: Vote,
    group: str,
    candidate: Peer,
    receipt: Receipt | None,
    *,
    required: Grade,
) -> str:
    """Return why the vote for another node may be released (V3), or "".

    (a) a status newer than the one voted on no longer shows the claim; (b) a receipt that
    covers every known incarnation, of the `required` grade or a better one; (c) no receipt is
    required and the claimant was not heard from for T, which only `peers.tried` can find.
    """
    status = candidate.status
    if status is not None and status.stamp > vote.stamp and status.claims.get(group) != vote.term:
        return "claim withdrawn"
    if receipt is not None and receipt.covers(max(vote.inc, candidate.inc), required):
        return "claimant fenced"
    if required is Grade.LEASE_ELAPSED and candidate.stale_since is not None:
        return "claimant not heard from"
    return ""


def may_vote(
    ballot: Ballot, claim: Claim, group: str, views: Iterable[tuple[Peer, Receipt | None]]
) -> bool:
    """Say whether V2 allows a vote for this claim by a voter that is not silent.

    The term must be higher than any voted for. One exception: a claim that runs already was
    granted by others under this term, and supporting it late cannot create a second owner of the
    term; without this, a collision would leave the winner with a bare quorum.
    """
    if ballot.vote is not None:
        return False
    if claim.term < ballot.voted or (claim.term == ballot.voted and not claim.running):
        return False
    for peer, receipt in views:
        if peer.node == claim.node or peer.status is None or not speaks(peer, receipt):
            continue
        if runs_in(peer.status, group):
            return False
    return True


def choose(claims: Iterable[Claim], ranks: Mapping[int, int]) -> Claim | None:
    """Choose one of several claims: one that runs, best placement rank, lowest node (V2)."""
    last = len(ranks)
    return min(
        claims,
        key=lambda claim: (not claim.running, ranks.get(claim.node, last), claim.node),
        default=None,
    )
