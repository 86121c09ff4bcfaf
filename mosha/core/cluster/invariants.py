"""The invariants of a node's state and decisions, as code.

`check_group` looks at one group and costs next to nothing: an agent calls it after every step and
before it renews leases, also in production. `check` looks at everything; tests and the simulator
call it after every event. Both remember the last values, since many must never fall. A broken one
is a bug: it is raised, the monitor ends, and the leases it has given run out by themselves, which
is the safe direction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import attrgetter

from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.flight_recorder import FlightRecorder
from mosha.core.cluster.node import Node
from mosha.core.cluster.rivals import rivals
from mosha.core.cluster.state import NEVER, GroupRecord
from mosha.errors import BugError

# A deadline was computed from a time of the same clock: any difference is rounding.
ROUNDING_S = 1e-6

Looked = tuple[int | None, Ballot, float, float | None, int | None, bool, bool, bool]

# What is checked of a group. While it is unchanged, so is the verdict: a lease only comes nearer to
# its end, and the number of the last status only grows.
_looked_at: Callable[[GroupRecord], Looked] = attrgetter(
    "claim", "ballot", "lease_until", "kill_at", "shown_from", "granted", "activated", "killed"
)
_NEW: Looked = (None, Ballot(), NEVER, None, None, False, False, False)


class Invariants:
    """The invariants of one node, and its values at the last check."""

    def __init__(self, node: Node, recorder: FlightRecorder) -> None:
        self._node, self._state, self._recorder = node, node.state, recorder
        self._groups: dict[str, Looked] = {}
        self._claims = 0
        self._terms: dict[str, int] = {}
        self._seq, self._inc = node.seq, node.state.inc
        self._looked: tuple[object, ...] = ()

    def check(self, now: float) -> None:
        """Check everything that the node knows.

        Raises:
            BugError: an invariant is broken: the first one found, with the last events of its
                subject.
        """
        state, known = self._state, self._groups
        for group, record in state.records.items():
            if known.get(group) != _looked_at(record):
                self.check_group(record, now)
        if broken := self._broken_of_node():
            self._break(state.me, f"node {state.me}: {broken}", now)

    def check_group(self, record: GroupRecord, now: float) -> None:
        """Check one group.

        Raises:
            BugError: an invariant is broken.
        """
        looked, former = _looked_at(record), self._groups.get(record.group, _NEW)
        if looked == former:
            return
        found = (*self._broken(record, now), *self._beside_rivals(record))
        for broken in (*found, *_fallen(looked, former)):
            about = f"node {self._state.me}, group {record.group}"
            self._break(record.group, f"{about}: {broken}; it is {record}", now)
        self._groups[record.group] = looked
        self._claims += (looked[0] is not None) - (former[0] is not None)

    def _broken_of_node(self) -> str:
        state, seq, terms = self._state, self._node.seq, self._state.view.terms
        published = state.published
        looked = (seq, state.inc, published, len(state.claimed), self._claims)
        if looked == self._looked and terms == self._terms:
            return ""
        if published is not None and published.inc == state.inc and published.seq > seq:
            return f"status {published.seq} is published, the last one made is {seq}"
        if seq < self._seq or state.inc < self._inc:
            return f"it was at status {self._seq} of {self._inc}, and is at {seq} of {state.inc}"
        self._seq, self._inc = seq, state.inc
        if len(state.claimed) != self._claims:
            claims = sorted(
                record.group for record in state.records.values() if record.claim is not None
            )
            return f"claims are {claims}, and known as {sorted(state.claimed)}"
        if terms != self._terms:
            for group, term in self._terms.items():
                if terms.get(group, 0) < term:
                    return f"of group {group} it knew term {term}, and knows {terms.get(group)}"
            self._terms = dict(terms)
        self._looked = looked
        return ""

    def _broken(self, record: GroupRecord, now: float) -> Iterator[str]:
        state, seq = self._state, self._node.seq
        claim, vote = record.claim, record.ballot.vote
        if vote is not None and vote.term > record.ballot.voted:
            highest = record.ballot.voted
            yield f"it votes in term {vote.term}, and its highest term is {highest}"  # V2
        if (claim is not None) is not (state.claimed.get(record.group) is record):
            yield f"its claim is {claim}, and claims are known of {sorted(state.claimed)}"
        if claim is None:
            if record.granted or record.activated or record.killed or record.lease_until != NEVER:
                yield "there is a lease without a claim"  # C3
            if record.shown_from is not None:
                yield "a claim is shown that is none"
            return
        known = state.view.terms.get(record.group, 0)
        if claim > known:
            yield f"it claims term {claim}, and the highest term known is {known}"  # C2
        if vote is not None and vote.node == state.me and vote.term != claim:
            yield f"its own vote is for term {vote.term}, its claim is of term {claim}"  # V3
        if record.granted and record.lease_until == NEVER:
            yield "it is granted without a lease"  # C3
        # An adopted lease (C7) may be of an earlier run with longer times, until it is renewed.
        if record.kill_at is None and record.lease_until > now + state.timing.lease_s + ROUNDING_S:
            yield f"its lease ends {record.lease_until - now:.3f} s from now"  # C4
        if record.shown_from is not None and record.shown_from > seq:
            yield f"its claim is shown from status {record.shown_from}, the last one is {seq}"

    def _beside_rivals(self, record: GroupRecord) -> Iterator[str]:
        vote = record.ballot.vote
        for rival in map(self._state.records.get, rivals(self._state, record.group)):
            if rival is None:
                continue
            if vote is not None and rival.ballot.vote is not None:
                yield f"it votes for node {vote.node}, and also votes for {rival.group}"  # V1
            if record.claim is not None and rival.claim is not None:
                yield f"it claims it, and also claims {rival.group}"  # C1

    def _break(self, about: str | int, text: str, now: float) -> None:
        for line in self._state.log_records:
            self._recorder.record_log(line, now)
        raise BugError(f"{text}{self._recorder.story(about)}")


def _fallen(looked: Looked, former: Looked) -> Iterator[str]:
    """Yield forbidden changes since the last check of a group."""
    (claim, ballot, lease_until, *_), (had, cast, lease_was_until, *_) = looked, former
    if ballot.voted < cast.voted:
        yield f"its highest term was {cast.voted}, and is {ballot.voted}"  # V2
    if ballot.vote is not None and ballot.vote != cast.vote and ballot.vote.term < cast.voted:
        yield f"it votes in term {ballot.vote.term}, and had voted in term {cast.voted}"  # V2
    if had is None or claim is None:
        return
    if claim < had:
        yield f"its claim was of term {had}, and is of term {claim}"  # C2
    if claim != had and (former[5] or former[6]):
        yield f"it ran under term {had}, which was not released, and claims term {claim}"  # C2
    if claim == had and lease_until < lease_was_until:
        yield f"its lease was until {lease_was_until:.3f}, and is until {lease_until:.3f}"  # C4
