"""Why a group is not on a given node: `mosha why-not GROUP NODE`, in the order of the rules.

The node has to be alive and fit, allowed, not banned, free to vote, and first in rank; and
the group has to be free (C1 and the placement). The first rule that does not hold
is the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

from mosha.core.cluster import gave_way
from mosha.core.cluster.candidacy import in_vain
from mosha.core.cluster.capacity import capacity_of
from mosha.core.cluster.capacity_rule import CAPACITY
from mosha.core.cluster.eligibility import ALL, NODE, PAIR
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import said
from mosha.core.explain import deaths, quorate, unended, verdicts
from mosha.core.explain.addressees import stop_has_failed
from mosha.core.explain.may_run import may_run
from mosha.core.explain.reasons import (
    Explanation,
    Holds,
    Reason,
    age_of,
    as_reason,
    nodes_text,
    of_fences,
    of_quorum,
    of_tables,
    of_wish,
    ranking,
)
from mosha.core.status import Grade, Vote
from mosha.core.tables import STOP_LEVEL, Wish


def why_not(state: MonitorState, group: str, node: int, now: float, wall_s: float) -> Explanation:
    """Explain what keeps the group from `node`; `wall_s` ages the tables only."""
    place = next((p for p in verdicts.sightings(state, group, now) if p.node == node), None)
    reasons = (
        *_of_node(state, group, node, now),
        *of_tables(state, wall_s),
        *_of_other_tables(state, node, now),
        *of_wish(state, group, node, now),
        *_of_pair(state, group, node, now),
        *_of_room(state, group, node, now),
        *_of_vote(state, group, node, now),
        *_of_giving_way(state, group, node, now),
        *_of_holders(state, group, node, now),
        *_of_rank(state, group, node, now),
        *_of_failback(state, group, node, now),
    )
    if place is not None and place.counts and (place.line.active or place.claim is not None):
        text = f"it is there: {place.line.level} {place.line.state} on node {node}"
        return Explanation(group, state.me, node, True, text, "", reasons)
    against = next((reason for reason in reasons if reason.holds is Holds.NO), None)
    if against is None:
        text = f"nothing keeps it from node {node}: that is the next one to claim it"
        return Explanation(group, state.me, node, True, text, "", reasons)
    step = _step(state, group, node, against, now)
    return Explanation(group, state.me, node, False, against.said, step, reasons)


# --- the node ------------------------------------------------------------------------------------


def _of_node(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    case, age_s = Case(state, group, node, now), age_of(state, node, now)
    if node != state.me and node not in state.view.members:
        text = f"node {node} is not a member of this cluster: {nodes_text(_members(state))} are"
        yield Reason("member", Holds.NO, text, state.me)
    rules = {rule.name: rule for rule in NODE}
    if not rules["number"].holds(case):
        yield as_reason(rules["number"], case, state.me, age_s)
    yield as_reason(rules["node"], case, state.me, age_s)
    yield from of_fences(state, group, node, now)
    if not rules["storage"].holds(case):
        yield as_reason(rules["storage"], case, node, age_s)
    elif case.status is not None:
        yield as_reason(rules["standby"], case, node, age_s)
    if not rules["probation"].holds(case):
        yield as_reason(rules["probation"], case, state.me, age_s)
    if node != state.me and case.status is not None:
        yield as_reason(rules["quorum"], case, node, age_s)
    if node == state.me or state.view.quorum_state is not QuorumState.YES:
        yield of_quorum(state, now)
    if node == state.me and state.silent(now):
        left_s = (state.silent_until or now) - now
        text = f"node {node} does not vote for {left_s:.1f} s more after its start (V5)"
        yield Reason("silence", Holds.NO, text, node)


def _members(state: MonitorState) -> list[int]:
    return sorted({*state.view.members, state.me})


def _of_other_tables(state: MonitorState, node: int, now: float) -> Iterator[Reason]:
    status = Case(state, "", node, now).status
    if node == state.me or status is None or not status.tables:
        return
    for name, version in sorted(state.tables.items()):
        there = status.tables.get(name)
        if there != version:
            has = f"version {there.digest[:8]}" if there else "none"
            text = f"node {node} has another {name} in force than this node: {has}"
            yield Reason(name, Holds.MOOT, text, node, age_of(state, node, now))


# --- the tables ----------------------------------------------------------------------------------


def _of_pair(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    """Yield whether hactl and the node itself allow it to take the group."""
    case = Case(state, group, node, now)
    wish = case.wish or Wish(group, STOP_LEVEL)
    apart = state.relations.apart.get(group, ())
    asked = {"only": wish.only, "with": wish.with_, "apart": apart}
    for rule in PAIR:
        if asked.get(rule.name):
            yield as_reason(rule, case, state.me)
        elif rule.name == "ban" and case.status is not None:
            yield as_reason(rule, case, node, age_of(state, node, now))
    if capacity_of(state, node) is not None:
        yield as_reason(CAPACITY, case, node, age_of(state, node, now))


def _of_room(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    if text := gave_way.there(state, group, node, now):
        yield Reason("gave-way", Holds.MOOT, text, node, age_of(state, node, now))


# --- the group -----------------------------------------------------------------------------------


def _vote_of(state: MonitorState, group: str, node: int, now: float) -> Vote | None:
    """Return the vote that a node has given, as far as known here."""
    if node == state.me:
        return state.record(group).ballot.vote
    status = Case(state, "", node, now).status
    return status.votes.get(group) if status is not None else None


def _of_vote(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    """Yield which node has the vote of the node: C1 requires a free one."""
    status = Case(state, "", node, now).status
    vote = _vote_of(state, group, node, now)
    if status is None and node != state.me:
        return  # not reported by any node
    if vote is None:
        yield Reason("vote", Holds.YES, f"node {node} has its vote free", node)
    elif vote.node != node:
        text = f"node {node} has given its vote to node {vote.node}, term {vote.term}"
        # A vote for the node that runs it is not a separate obstacle: the group is not free.
        running = (
            vote.node in state.view.holders(group, Grade.OFF_CONFIRMED) or vote.node == state.me
        )
        stands = Holds.MOOT if running else Holds.NO
        yield Reason("vote", stands, text, node, age_of(state, node, now))


def _of_holders(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    """Yield which node holds the group, or may hold it unseen: it runs on one node only."""
    held, unseen = False, may_run(state, group)
    doubtful = [other for other in unseen.nodes if other != node] if unseen is not None else []
    for place in verdicts.sightings(state, group, now):
        if place.node == node or not (place.line.active or place.claim is not None):
            continue
        if not place.counts and place.node not in doubtful:
            continue
        held = True
        text = f"node {place.node} has it, {place.line.level} {place.line.state}"
        if not place.counts and place.standing is not None:
            text = f"node {place.node} {said(place.standing)} and may still run it"
            text += f" ({place.line.level})"
        yield Reason("free", Holds.NO, text, place.node, age_of(state, place.node, now))
        if place.standing is Standing.STALE:
            yield from of_fences(state, group, place.node, now)
    if held:
        return
    if doubtful:
        text = f"node {nodes_text(doubtful)} may run it"
        # A claim does not wait until all that was found at the start is confirmed.
        waits = unseen is not None and not unseen.unconfirmed
        said_by = doubtful[0] if len(doubtful) == 1 else state.me
        yield Reason("free", Holds.NO if waits else Holds.MOOT, text, said_by)
    else:
        yield Reason("free", Holds.YES, "no other node has it", state.me)


def _of_rank(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    order = ranking(state, group, now)
    if node not in order:
        return
    before = order[: order.index(node)]
    if not before:
        yield Reason("rank", Holds.YES, f"node {node} is the first choice", state.me)
        return
    wish = Case(state, group, state.me, now).wish
    preferred = [n for n in before if wish is not None and n in wish.prefer]
    by = "by prefer=" if preferred else "it carries less, or comes first by the hash"
    text = f"node {node} has rank {len(before)}: first choice is node {before[0]} ({by})"
    yield Reason("rank", Holds.NO, text, state.me)


def _of_giving_way(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    until = in_vain(state, group, node, now)
    if until is not None:
        text = f"a failback to node {node} has just failed; none for {until - now:.0f} s"
        yield Reason("failback", Holds.NO, text, state.me)


def _of_failback(state: MonitorState, group: str, node: int, now: float) -> Iterator[Reason]:
    wish = Case(state, group, state.me, now).wish
    if wish is not None and node in wish.prefer and not wish.failback:
        text = f"prefer= names node {node}, but failback=no leaves a group where it runs"
        yield Reason("failback", Holds.MOOT, text, state.me)


# --- what to do ----------------------------------------------------------------------------------

_STEPS = {
    "member": "add node {node} to `nodes` in mosha.toml on all nodes",
    "silence": "wait until it votes",
    "rank": "mosha set {group} {level} prefer={node}",
    "failback": "repair what failed there; a restart of its monitor (no group notices) or an edit"
    " of a table ends the pause",
}


def _step_of_vote(state: MonitorState, vote: Vote | None) -> str:
    """Return what to do about a vote for another node: only one that is silent may be dead."""
    if vote is None:
        return "wait until the vote is free"
    if vote.node == state.me or state.view.speaks(vote.node):
        return f"wait: node {vote.node} is heard, and takes the group or releases the vote"
    return f"wait until node {vote.node} is heard, or, if it is off: mosha confirm {vote.node}"


def _step(state: MonitorState, group: str, node: int, against: Reason, now: float) -> str:
    if against.rule == "quorum" and against.said_by == state.me:
        return quorate.remedy(state, now)
    for rule in ALL:
        if rule.name == against.rule:
            return rule.remedy(Case(state, group, node, now))
    if against.rule == "vote":
        return _step_of_vote(state, _vote_of(state, group, node, now))
    if against.rule in {"receipt", "shot"}:
        return deaths.vouch(state, group, node, now)
    if against.rule == "free":
        holder = against.said_by
        if stop_has_failed(state, group, holder):
            return verdicts.judge(state, group, now).next
        if step := unended.remedy(state, group, holder, now):
            return step
        if holder in state.view.fresh_nodes():
            return f"to move it there: mosha move {group} {node}"
        unseen = may_run(state, group)
        return verdicts.of_unseen(state, group, unseen, now).next if unseen is not None else ""
    level = (Case(state, group, state.me, now).wish or Wish(group, STOP_LEVEL)).level
    return _STEPS.get(against.rule, "").format(group=group, node=node, level=level)
