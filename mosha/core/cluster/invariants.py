"""What always holds of what a node knows and has decided, as code.

`check_group` looks at one group and costs next to nothing: an agent calls it after every turn,
also in production. `check` looks at everything; tests and the simulator call it after every event.
A broken one is a bug: it is raised, the monitor ends, and the leases it has given run out by
themselves, which is the safe direction.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core.cluster.state import NEVER, GroupRecord, MonitorState
from mosha.errors import BugError

# A deadline was worked out with a time of the same clock: what differs is rounding.
ROUNDING_S = 1e-6


def check(state: MonitorState, seq: int, now: float) -> None:
    """Look at everything that a node knows; `seq` is the number of its last status.

    Raises:
        BugError: an invariant is broken; the first one that was found.
    """
    claimed = {group for group, record in state.records.items() if record.claim is not None}
    if claimed != state.claimed.keys():
        raise BugError(f"claims are {sorted(claimed)}, and known as {sorted(state.claimed)}")
    published = state.published
    if published is not None and published.inc == state.inc and published.seq > seq:
        raise BugError(f"status {published.seq} is published, the last one made is {seq}")
    for record in state.records.values():
        check_group(state, record, seq, now)


def check_group(state: MonitorState, record: GroupRecord, seq: int, now: float) -> None:
    """Look at one group.

    Raises:
        BugError: an invariant is broken.
    """
    broken = next(_broken(state, record, seq, now), None)
    if broken is not None:
        raise BugError(f"node {state.me}, group {record.group}: {broken}; it is {record}")


def _broken(state: MonitorState, record: GroupRecord, seq: int, now: float) -> Iterator[str]:
    claim, vote = record.claim, record.ballot.vote
    if vote is not None and vote.term > record.ballot.voted:
        yield f"it votes in term {vote.term}, and its highest term is {record.ballot.voted}"  # V2
    if claim is None:
        if record.granted or record.activated or record.killed or record.lease_until != NEVER:
            yield "there is a lease without a claim"  # C3
        if record.shown_from is not None:
            yield "a claim is shown that is none"
        return
    if claim > state.view.terms.get(record.group, 0):
        yield f"it claims term {claim} and knows of none above {state.view.terms.get(record.group)}"
    if vote is not None and vote.node == state.me and vote.term != claim:
        yield f"its own vote is for term {vote.term}, its claim is of term {claim}"  # V3
    if record.granted and record.lease_until == NEVER:
        yield "it is granted without a lease"  # C3
    # An adopted lease (C7) may be of a former life with longer times, until it is renewed.
    if record.kill_at is None and record.lease_until > now + state.timing.lease_s + ROUNDING_S:
        yield f"its lease ends {record.lease_until - now:.3f} s from now"  # C4
    if record.shown_from is not None and record.shown_from > seq:
        yield f"its claim is shown from status {record.shown_from}, the last one is {seq}"
