"""How a monitor starts after an earlier run: rules V4, V4b, V5, T1, N1 and C7.

Votes, terms, claims and receipts survive the monitor in two places: in the memory on the local
disk and in this node's clstat. What still runs goes on under its claim. A node that may have
forgotten a promise keeps silent until that cannot matter; one that may have left a clinit behind
that it does not find publishes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.cluster import arming, exhaustion, gave_way, giving_up, restarting, rivals
from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.state import NEVER, MonitorState
from mosha.core.cluster.timing import TIMEOUT_MAX_S
from mosha.core.status import NodeState, Stamp, Status, Term, Vote
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL

NOTHING = Memory()

CLSTAT_LOST = "this node's clstat is older than what it has published: its medium lost writes"
CLSTAT_SET_BACK = (
    "this node's clstat was set back to that of an earlier run (a backup, a snapshot); it is"
    " correct again, the tables may not be"
)
MEMORY_LOST = "others have read later statuses of this node than it remembers: its disk lost writes"


class Startup(Struct, frozen=True, kw_only=True):
    """What a node knows about itself when its monitor starts.

    `inc` is greater than any incarnation of this node that the shell knows (persisted, wall
    clock); `boot` and `run` as published; `machine` identifies the machine, "" if it has no id.
    `former` is this node's clstat of an earlier run, if complete, `memory` what the local disk
    has; `clinit_lives`: that of the former run is still there, so the node did not end with it.
    """

    me: int
    inc: int
    run: str
    boot: str
    now: float
    machine: str = ""
    former: Status | None = None
    memory: Memory = NOTHING
    clinit_lives: bool = False


def recover(state: MonitorState, startup: Startup) -> None:
    """Restore what is remembered (V4, V4b), the longer T (T1); be silent or mute if needed."""
    former, memory, now = startup.former, startup.memory, startup.now
    _keep_timeout(state, memory, former, now)
    until = now + state.timeout_s(now)
    known = former is not None and memory.knows(former.run, startup.machine)
    others = state.view.electorate.nodes - {state.me}
    here = (memory.boot, memory.machine) == (startup.boot, startup.machine)
    behind = memory.landed and (former is None or former.inc < memory.inc)
    if others and (former is None or former.boot != startup.boot or not here or behind):
        state.silent_until = until
    if behind:
        lose(state, CLSTAT_LOST, now)
    _be_mute(state, startup, until, known=known)
    state.standby = memory.standby
    state.former_run = former.run if known and former is not None else memory.run
    state.former_stamp = former.stamp if former is not None else Stamp(0, 0)
    state.former_bound = max(state.former_stamp, memory.bound)
    state.inc = max(state.inc, state.former_bound.inc + 1)
    state.born_inc = state.inc
    goes_on = here and startup.clinit_lives and memory.life_inc and not memory.left
    state.view.life_inc = memory.life_inc if goes_on else state.inc
    state.view.gone_before = frozenset(memory.gone if goes_on else ())
    if former is not None:
        state.view.remembered(former.fenced)
        arming.hear(state, former, now)
        if former.boot == startup.boot:  # else it is of who knows when
            state.deaths.resume(former, now)
    state.view.remembered(memory.fenced)
    state.deaths.note(state.view.receipts, NEVER)
    _recover_ballots(state, memory, former, now, until)
    if former is not None and known and former.boot == startup.boot:
        giving_up.recover(state, former, now)
        exhaustion.recover(state, former, now)
        restarting.recover(state, former, now)
        gave_way.recover(state, former, now)


def _keep_timeout(state: MonitorState, memory: Memory, former: Status | None, now: float) -> None:
    """Use the T of the earlier run, if it is longer, until it has passed (T1).

    Deadlines sent to clinit then, votes given then, and nodes that have read the former status all
    depend on it.
    """
    longest_s = max(memory.timeout_ms / 1000, former.timeout_s if former is not None else 0.0)
    if longest_s > state.timing.timeout_s:
        state.long_timeout_s = min(longest_s, TIMEOUT_MAX_S)
        state.long_until = now + state.long_timeout_s
        state.log("timeout_kept", timeout_s=state.long_timeout_s, left_s=state.long_timeout_s)


def _be_mute(state: MonitorState, startup: Startup, until: float, *, known: bool) -> None:
    """Publish nothing for now, if a clinit of an earlier run may still run out of reach (N1)."""
    former, memory = startup.former, startup.memory
    if former is not None:
        if known or former.state is NodeState.LEFT:
            return
        state.mute_until = until
        state.log("status_withheld", left_s=until - startup.now, run=former.run)
    elif not memory.run or (memory.boot and memory.machine != startup.machine):
        # The others know whether this node ever existed: they have to be read first.
        state.mute_until, state.stranger = until, True


def look_for_traces(state: MonitorState, now: float) -> None:
    """Find out from the others whether this node, which remembers nothing, existed before (N1).

    A failed read proves nothing: a node that this one cannot read may well read this one, and
    would take its first status for the end of all its claims (V3a).
    """
    view = state.view
    if not state.stranger or state.mute_until is None:
        return
    if now >= state.mute_until:
        state.stranger, state.mute_until = False, None
        return
    if any(state.me in status.seen for status in view.known()):
        state.stranger = False
        state.log("status_withheld", left_s=round(state.mute_until - now, 3), run="")
    elif all(view.peer(node).answered for node in view.members):
        state.stranger, state.mute_until = False, None


def mute(state: MonitorState, now: float) -> bool:
    """Say whether this node must not publish anything yet (N1)."""
    until = state.mute_until
    return until is not None and state.published is None and now < until


def lose(state: MonitorState, what: str, now: float) -> None:
    """Handle: something published is no longer remembered; be silent for T (V4b)."""
    until = state.started_at + state.timeout_s(now)
    if what != state.lost:
        state.log("writes_lost", reason=what)
    state.lost, state.lost_until = what, now + state.timeout_s(now)
    if now < until and state.view.electorate.nodes - {state.me}:
        state.silent_until = max(until, state.silent_until or NEVER)


def find_set_back(state: MonitorState, now: float) -> None:
    """Handle: this node's status was set back to an older one while it runs; report it.

    No silence: this run's promises are in memory and on the local disk. A node that reads the
    older status meanwhile has read newer ones, or reads a stale file, which may always happen.
    """
    state.log("writes_lost", reason=CLSTAT_SET_BACK)
    state.lost, state.lost_until = CLSTAT_SET_BACK, now + state.timeout_s(now)


def hear_of_self(state: MonitorState, echo: Stamp, now: float, seq: int) -> bool:
    """Handle which status of this node a peer has read; return whether a new incarnation is due.

    `seq` is the last status begun. An echo of one that neither the clstat nor the memory had at
    the start proves that one or both lost writes.
    """
    if echo > Stamp(state.inc, seq):
        lose(state, MEMORY_LOST, now)
        return True
    if echo.inc < state.born_inc and echo > state.former_stamp:
        lose(state, MEMORY_LOST if echo > state.former_bound else CLSTAT_LOST, now)
    return False


def troubles(state: MonitorState, now: float) -> list[str]:
    """Return what an operator should know about the earlier run, while it matters."""
    found = []
    if state.lost and now < state.lost_until:
        found.append(state.lost)
    if mute(state, now) and not state.stranger and state.mute_until is not None:
        found.append(
            f"nothing is published for {state.mute_until - now:.0f} s: the former status of this"
            " node is not remembered in its rundir, so a clinit of it may still be at work"
        )
    return found


# --- ballots -----------------------------------------------------------------------------


def _recover_ballots(
    state: MonitorState, memory: Memory, former: Status | None, now: float, until: float
) -> None:
    """Combine the votes, terms and claims of the local memory and of this node's clstat."""
    terms: dict[str, Term] = {}
    votes: dict[str, Vote] = {}
    # The one written last comes last: of two votes in one term its vote counts.
    parts: list[Memory | Status] = [memory] if memory.boot else []  # older versions kept none
    if former is not None:
        parts.append(former)
    for part in sorted(parts, key=lambda part: (part.inc, part is memory)):
        for group, term in part.terms.items():
            at = terms.get(group, Term(0))
            voted = max(at.voted, term.voted or term.known)
            terms[group] = Term(max(at.known, term.known), voted)
        for group, vote in part.votes.items():
            if group not in votes or vote.term >= votes[group].term:
                votes[group] = vote
        for group, claim in part.claims.items():
            state.view.know_term(group, claim)
        state.former_claims = part.claims
    for group, term in terms.items():
        state.view.know_term(group, term.known)
        state.record(group).ballot = Ballot(None, term.voted)
    for group in [*votes, *terms]:
        state.view.instances.know(group)
    for group, vote in _bound(state, votes, parts, until).items():
        record = state.record(group)
        record.ballot = Ballot(vote, max(vote.term, record.ballot.voted))
        state.view.know_term(group, vote.term)
        state.view.recovered(vote.node, now)


def _bound(
    state: MonitorState, votes: Mapping[str, Vote], parts: Iterable[Memory | Status], until: float
) -> dict[str, Vote]:
    """Return those of the recovered votes that this node is still bound to.

    A vote in a lower term than one for the group or a rival had been released before. If one record
    has a vote and the other a vote for a rival in the same term, it is not known which of them was
    released: this node is bound to neither, and silent for T.
    """
    voted: dict[str, int] = {}
    for part in parts:
        for group, term in part.terms.items():
            voted[group] = max(voted.get(group, 0), term.voted)
    bound = {}
    for group, vote in votes.items():
        rivals = state.view.instances.rivals(group)
        if any(vote.term < voted.get(name, 0) for name in (group, *rivals)):
            continue
        if not any(name in votes and votes[name].term == vote.term for name in rivals):
            bound[group] = vote
        elif state.view.electorate.nodes - {state.me}:
            state.silent_until = max(until, state.silent_until or NEVER)
    return bound


def adopt(state: MonitorState, report: GroupReport, now: float) -> None:
    """Continue the claim of a running group (C7); one that was only planned is stopped."""
    record = state.record(report.group)
    # Also if only planned: a node that lost its clstat must not start below that term.
    state.view.know_term(report.group, report.term)
    if record.claim is not None or not report.present:
        return
    if report.term == 0:
        _keep_former(state, report, now)
    if report.term == 0 or report.wanted == PLAN_LEVEL:
        return
    former = state.former_claims
    withdrawn = former is not None and former.get(report.group) != report.term
    if withdrawn and not report.exclusive:
        return  # a planner that gave up its claim: stopping needs none
    record.claim, record.claimed_at, record.activated = report.term, now, True
    state.claimed[record.group] = record
    record.lease_until = NEVER if report.stop_at is None else report.stop_at
    # The settings may have changed: the deadlines of the earlier run hold until they are renewed.
    record.lease_sent, record.kill_at = record.lease_until, report.kill_at
    record.granted = now < record.lease_until
    state.log("group_adopted", group=report.group, term=report.term, level=report.level)


def _keep_former(state: MonitorState, report: GroupReport, now: float) -> None:
    """Keep the claim under which agents ran that a new clinit stops, unless it was overtaken.

    Until that has succeeded no other node may start the group. The claim has no lease: all that ran
    under it has ended with the earlier clinit.
    """
    record, former = state.record(report.group), state.former_claims or {}
    claim, vote = former.get(report.group, 0), record.ballot.vote
    if state.published is not None or report.wanted != STOP_LEVEL:
        return
    other = vote is not None and vote.node == state.me and vote.term != claim
    if claim == 0 or other or rivals.known_term(state, report.group) > claim:
        return
    record.claim, record.claimed_at, record.activated = claim, now, True
    state.claimed[record.group] = record
    record.lease_until = record.lease_sent = record.kill_at = now
    state.log("group_adopted", group=report.group, term=claim, level=report.level)


# --- silence ---------------------------------------------------------------------------------


def hear_timeout(state: MonitorState, status: Status) -> None:
    """Keep silent for another node's T if it is longer than this node's."""
    if state.silent_until is not None:
        state.silent_until = max(state.silent_until, state.started_at + status.timeout_s)


def hear_echo(state: MonitorState, status: Status, now: float) -> None:
    """End the silence when every node has echoed this incarnation (V5).

    A claim in the first echo of a node may be older than that echo and rely on a vote of a run
    that was forgotten here: while it is shown, no other claim for its group gets a vote until T
    after the start (`doubtful`).
    """
    seen = status.seen.get(state.me)
    if seen is None or seen.inc != state.inc or state.silent_until is None:
        return
    state.doubts.setdefault(status.node, dict(status.claims))
    if state.view.all_echo(state.inc):
        state.doubt_until, state.silent_until = state.silent_until, now
        state.log("silence_ended", cause="all nodes have echoed this incarnation")
        state.wake_all()


def doubtful(state: MonitorState, group: str, node: int, now: float) -> bool:
    """Say whether a claim of a node other than `node` may rely on a vote forgotten here."""
    if now >= state.doubt_until:
        return False
    rivals = state.view.instances.rivals(group)
    for other, claims in state.doubts.items():
        shown = {name for name in rivals if name in claims}
        if group in claims and other != node:
            shown.add(group)
        status = state.view.peer(other).status
        if shown and (status is None or any(status.claims.get(it) == claims[it] for it in shown)):
            return True
    return False
