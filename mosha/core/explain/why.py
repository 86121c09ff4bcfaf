"""Why a group is where it is: `mosha why GROUP`, rule by rule.

Reads what the step of the group reads (docs/explanation/protocol.md) and reports it. The verdict is
that of `verdicts.judge`, which `mosha status` shows too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from mosha.core.cluster import (
    exhaustion,
    gave_way,
    giving_up,
    group_rules,
    restarting,
    rivals,
    wording,
)
from mosha.core.cluster.candidacy import awaited, rank_due_at
from mosha.core.cluster.group_step import facts_of
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.explain import unended, verdicts
from mosha.core.explain.may_run import may_run
from mosha.core.explain.reasons import (
    Explanation,
    Holds,
    Reason,
    age_of,
    holds,
    of_fences,
    of_quorum,
    of_shots,
    of_tables,
    of_wish,
    ranking,
)
from mosha.core.explain.verdicts import GroupSighting, GroupVerdict
from mosha.core.status import Vote
from mosha.core.supervision import entries
from mosha.core.tables import STOP_LEVEL

UNDER_WAY = "wait: it is in progress; follow it with `mosha events -f`"


def why(state: MonitorState, group: str, now: float, wall_s: float) -> Explanation:
    """Explain where the group is; `wall_s` (seconds since 1970) ages the tables only."""
    if (names := rivals.named(state, group)) != (group,):
        return _of_instances(state, group, names, now, wall_s)
    verdict = verdicts.judge(state, group, now)
    seen = verdicts.sightings(state, group, now)
    reasons = (
        *of_tables(state, wall_s),
        *of_wish(state, group, state.me, now),
        of_quorum(state, now),
        *_of_places(state, group, seen, now),
        *(item for place in seen if place.counts for item in _of_entries(state, place, group, now)),
        *_of_failures(state, group, seen, now),
        *_of_giving_way(state, group, now),
        *_of_candidates(state, group, now),
        *_of_votes(state, group, seen, now),
        *_of_lease(state, state.record(group), now),
        *_of_own_limits(state, state.record(group), now),
        *_of_dead(state, group, seen, now),
        _of_turn(state, group, now),
    )
    text = _as_wanted(state, group, seen, verdict) if verdict.ok else verdict.why
    step = "" if verdict.ok else verdict.next or UNDER_WAY
    return Explanation(group, state.me, None, verdict.ok, text, step, reasons)


def _of_instances(
    state: MonitorState, group: str, names: Sequence[str], now: float, wall_s: float
) -> Explanation:
    """Explain where the instances of a group with `on=all` are, each in one line."""
    found = [why(state, name, now, wall_s) for name in names]
    bad = [one for one in found if not one.ok]
    reasons = [
        *of_tables(state, wall_s),
        *of_wish(state, names[0], state.me, now),
        of_quorum(state, now),
        *(Reason("instance", holds(it.ok), f"{it.group}: {it.verdict}", state.me) for it in found),
    ]
    text = f"as hactl wants it: {len(found)} instance{'s' * (len(found) != 1)}"
    if bad:
        text = (
            f"{len(bad)} of {len(found)} instances not as wanted: {bad[0].group}: {bad[0].verdict}"
        )
    step = f"mosha why {bad[0].group}" if bad else ""
    return Explanation(group, state.me, None, not bad, text, step, tuple(reasons))


def _as_wanted(
    state: MonitorState, group: str, seen: list[GroupSighting], verdict: GroupVerdict
) -> str:
    wish = state.hactl.wishes.get(group) if state.hactl else None
    if wish is None or wish.level == STOP_LEVEL:
        return "as hactl wants it: it runs nowhere"
    places = [place for place in seen if place.counts and place.line.active]
    if not places:  # the node of an instance takes no group
        return f"as hactl wants it: it runs nowhere; {verdict.why}"
    text = ", ".join(
        f"{place.line.level} {place.line.state} on node {place.node}" for place in places
    )
    return f"as hactl wants it: {text}"


# --- where it is ---------------------------------------------------------------------------------


def _of_places(
    state: MonitorState, group: str, seen: list[GroupSighting], now: float
) -> Iterator[Reason]:
    wanted, unseen = state.wish_level(group), may_run(state, group)
    shown = [place for place in seen if place.line.active or place.claim is not None]
    for place in shown:
        claim = f", claimed with term {place.claim}" if place.claim is not None else ""
        standing = ""
        if place.standing is not None and not place.counts:
            standing = f" (node {place.node} {wording.said(place.standing)})"
        if missed := state.view.heartbeats_missed(place.node, state.timing.heartbeat_s):
            standing = f" (node {place.node} {wording.late(missed)})"
        text = f"{place.line.level} {place.line.state} on node {place.node}{claim}{standing}"
        stands = holds(place.counts and place.line.level == wanted)
        if not place.counts and (unseen is None or place.node not in unseen.nodes):
            stands = Holds.MOOT  # its report blocks nothing
        yield Reason("place", stands, text, place.node, age_of(state, place.node, now))
    if not shown:
        free = wanted == STOP_LEVEL and unseen is None
        yield Reason("place", holds(free), "no status shows it anywhere", state.me)


def _of_entries(
    state: MonitorState, place: GroupSighting, group: str, now: float
) -> Iterator[Reason]:
    """Yield the entries: on this node all, on another one those in trouble."""
    age_s, wrong = age_of(state, place.node, now), {trouble.tag for trouble in place.troubles}
    for trouble in place.troubles:
        text = f"{entries.trouble_text(trouble)} (node {place.node})"
        yield Reason("entry", Holds.NO, text, place.node, age_s)
    for entry in state.report(group).entries if place.node == state.me else ():
        if entry.tag not in wrong:
            text = f"entry {entry.tag} ({entry.mode}) is {entry.state}"
            text += f", pid {entry.pid}" if entry.pid else ""
            text += f" for {entry.for_s(now):.0f} s" if entry.since is not None else ""
            text += f", last {entry.exit}" if entry.exit else ""
            yield Reason("entry", Holds.YES, text, place.node, age_s)


def _of_failures(
    state: MonitorState, group: str, seen: list[GroupSighting], now: float
) -> Iterator[Reason]:
    """Yield what the next failure of an entry will do, and what has been restarted in place."""
    record, wish = state.record(group), state.wish(group)
    if wish is None or exhaustion.found(state, group):
        return
    ladder = wish.on_failure
    if (found := restarting.known(state, group, now)) is not None:
        node, age_s = found[0], age_of(state, found[0], now)
        yield Reason("restarts", Holds.MOOT, restarting.said(state, group, now), node, age_s)
    text = giving_up.prediction(state, record, now) if record.claim is not None else ""
    if text:
        failures = len(giving_up.tally(state, record, now).failed_at)
        few = ladder is None or failures < ladder.failures
        yield Reason("failures", holds(few), text, state.me)
    for place in seen:
        if ladder is not None and place.node != state.me and place.claim is not None:
            text = f"node {place.node} counts the failures (on-failure={ladder}): ask it"
            yield Reason("failures", Holds.MOOT, text, state.me)


def _of_giving_way(state: MonitorState, group: str, now: float) -> Iterator[Reason]:
    if (found := gave_way.last(state, group, now)) is not None:
        text, age_s = gave_way.said(state, group, now), age_of(state, found[0], now)
        yield Reason("gave-way", Holds.MOOT, text, found[0], age_s)


def _of_candidates(state: MonitorState, group: str, now: float) -> Iterator[Reason]:
    """Yield for each node whether it could take the group, by rank, or why it could not."""
    reasons = verdicts.not_here(state, group, now)
    order = ranking(state, group, now)
    for rank, node in enumerate(order):
        text = f"node {node} could take it, rank {rank}"
        yield Reason("candidate", Holds.YES, text, node, age_of(state, node, now))
    for node, reason in sorted(reasons.items()):
        text = f"node {node} cannot take it: {reason}"
        yield Reason("candidate", Holds.NO, text, node, age_of(state, node, now))


# --- votes and leases ----------------------------------------------------------------------------


def _of_votes(
    state: MonitorState, group: str, seen: list[GroupSighting], now: float
) -> Iterator[Reason]:
    votes: dict[int, Vote] = {
        s.node: s.votes[group] for s in state.view.known() if group in s.votes
    }
    own = state.record(group).ballot.vote
    if own is not None:
        votes[state.me] = own
    for place in (place for place in seen if place.claim is not None):
        mine = sorted(
            node
            for node, vote in votes.items()
            if (vote.node, vote.term) == (place.node, place.claim)
            and node in state.view.electorate.nodes
        )
        needed = state.view.needed
        claim = f"the claim of node {place.node}, term {place.claim}"
        text = f"{claim}, has {len(mine)} votes, {needed} needed"
        stands = holds(len(mine) >= needed) if place.counts else Holds.MOOT
        yield Reason("votes", stands, text, state.me)
    claims = {(place.node, place.claim) for place in seen}
    for node, vote in sorted(votes.items()):
        text = f"node {node} votes for node {vote.node}, term {vote.term}"
        counts = (vote.node, vote.term) in claims
        if not counts:
            text += "; no such claim is seen (any more)"
        yield Reason("vote", holds(counts), text, node, age_of(state, node, now))


def _of_lease(state: MonitorState, record: GroupRecord, now: float) -> Iterator[Reason]:
    if record.claim is None:
        return
    left_s = record.lease_until - now
    if left_s > 0:
        text = f"the lease of this node runs {left_s:.1f} s more"
    elif record.activated:
        text = "the lease of this node has run out: clinit stops the group"
    else:
        limit_s = record.claimed_at + state.timing.plan_limit_s - now
        text = f"no lease yet: the claim is withdrawn if not granted within {limit_s:.1f} s"
    since = None if record.claimed_at == -math.inf else round(now - record.claimed_at, 3)
    yield Reason("lease", holds(left_s > 0), text, state.me, since)


def _of_own_limits(state: MonitorState, record: GroupRecord, now: float) -> Iterator[Reason]:
    """Yield what makes this node wait."""
    if state.silent(now):
        left_s = (state.silent_until or now) - now
        text = f"this node does not vote for {left_s:.1f} s more after its start (V5)"
        yield Reason("silence", Holds.NO, text, state.me)
    if record.backoff_until > now:
        left_s = record.backoff_until - now
        text = f"this node waits {left_s:.1f} s more after a collision (C6)"
        yield Reason("back-off", Holds.NO, text, state.me)
    for node in sorted(awaited(state, record.group)):
        text = f"others vote for node {node}, which this node has not heard yet (C1)"
        yield Reason("unheard", Holds.NO, text, state.me)


def _of_dead(
    state: MonitorState, group: str, seen: Sequence[GroupSighting], now: float
) -> Iterator[Reason]:
    """Yield what is known of the deaths of the nodes that have it, and of shots they ask for."""
    for place in seen:
        if place.node != state.me and place.standing in (Standing.STALE, Standing.FENCED):
            yield from of_fences(state, group, place.node, now)
        elif (it := unended.found(state, group, place.node)) is not None and it.asks:
            yield from of_shots(state, place.node, now, awaited=True)


# --- what this node does next --------------------------------------------------------------------


def _of_turn(state: MonitorState, group: str, now: float) -> Reason:
    """Return which row of `group_rules` holds on this node, evaluated on a copy of its record."""
    record, plan = replace(state.record(group)), state.plan
    try:
        row = group_rules.decide(facts_of(state, record, now))
        due = rank_due_at(state, record, now)
    finally:
        state.plan = plan
    if not state.clinit_known:
        text = f"node {state.me} does nothing: its clinit does not answer"
        return Reason("turn", Holds.NO, text, state.me)
    text = f"node {state.me} does: {row.do} (row: {row.name})"
    if now < due < math.inf:
        text += f"; it may claim in {due - now:.1f} s"
    return Reason("turn", Holds.MOOT, text, state.me)
