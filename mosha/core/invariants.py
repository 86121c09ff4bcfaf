"""What always holds of what a node knows and has decided, as code.

`check_group` looks at one group and costs next to nothing: an agent calls it after every turn,
also in production. `check` looks at everything; tests and the simulator call it after every event.
A broken one is a bug: it is raised, the monitor ends, and the leases it has given run out by
themselves, which is the safe direction.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core.seat import NEVER, Mind, Seat
from mosha.errors import BugError

# A deadline was worked out with a time of the same clock: what differs is rounding.
ROUNDING_S = 1e-6


def check(mind: Mind, seq: int, now: float) -> None:
    """Look at everything that a node knows; `seq` is the number of its last status.

    Raises:
        BugError: an invariant is broken; the first one that was found.
    """
    claimed = {group for group, seat in mind.seats.items() if seat.claim is not None}
    if claimed != mind.claimed.keys():
        raise BugError(f"claims are {sorted(claimed)}, and known as {sorted(mind.claimed)}")
    published = mind.published
    if published is not None and published.inc == mind.inc and published.seq > seq:
        raise BugError(f"status {published.seq} is published, the last one made is {seq}")
    for seat in mind.seats.values():
        check_group(mind, seat, seq, now)


def check_group(mind: Mind, seat: Seat, seq: int, now: float) -> None:
    """Look at one group.

    Raises:
        BugError: an invariant is broken.
    """
    broken = next(_broken(mind, seat, seq, now), None)
    if broken is not None:
        raise BugError(f"node {mind.me}, group {seat.group}: {broken}; it is {seat}")


def _broken(mind: Mind, seat: Seat, seq: int, now: float) -> Iterator[str]:
    claim, vote = seat.claim, seat.ballot.vote
    if vote is not None and vote.term > seat.ballot.voted:
        yield f"it votes in term {vote.term}, and its highest term is {seat.ballot.voted}"  # V2
    if claim is None:
        if seat.granted or seat.proven or seat.killed or seat.lease_until != NEVER:
            yield "there is a lease without a claim"  # C3
        if seat.shown_from is not None:
            yield "a claim is shown that is none"
        return
    if claim > mind.view.terms.get(seat.group, 0):
        yield f"it claims term {claim} and knows of none above {mind.view.terms.get(seat.group)}"
    if vote is not None and vote.node == mind.me and vote.term != claim:
        yield f"its own vote is for term {vote.term}, its claim is of term {claim}"  # V3
    if seat.granted and seat.lease_until == NEVER:
        yield "it is granted without a lease"  # C3
    # An adopted lease (C7) may be of a former life with longer times, until it is renewed.
    if seat.kill_at is None and seat.lease_until > now + mind.timing.lease_s + ROUNDING_S:
        yield f"its lease ends {seat.lease_until - now:.3f} s from now"  # C4
    if seat.shown_from is not None and seat.shown_from > seq:
        yield f"its claim is shown from status {seat.shown_from}, the last one is {seq}"
