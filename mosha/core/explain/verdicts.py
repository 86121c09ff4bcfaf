"""Why a group is not where it should be, in words that people can act on.

Reads the same state as the step of a group and decides nothing. For each group one line says what
is in the way, and one what to do about it.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.cluster import candidacy, exhaustion, gave_way, preemption, rivals
from mosha.core.cluster.eligibility import NodeRules, eligible, node_rules, obstacles
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.refusals import step_for
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import said
from mosha.core.explain import deaths, failed_stops, quorate, related, resting, unended
from mosha.core.explain.entry_steps import next_step, while_awaited
from mosha.core.explain.may_run import Heard, Unseen, heard, may_run
from mosha.core.explain.problems import ProblemKind
from mosha.core.explain.remedies import remedy_of
from mosha.core.status import DELIBERATE, Grade, GroupLine, GroupState, Trouble, TroubleKind
from mosha.core.supervision import entries
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, Wish


class GroupVerdict(Struct, frozen=True):
    """Whether a group is as wanted; if not, why (one line), what to do next, and which kind."""

    ok: bool
    why: str = ""
    next: str = ""
    what: ProblemKind = ProblemKind.GROUP

    @property
    def kind(self) -> ProblemKind | None:
        """The kind of problem, None if it is as wanted."""
        return None if self.ok else self.what


class GroupSighting(Struct, frozen=True):
    """A group on a node, according to the node's newest status."""

    node: int
    line: GroupLine
    claim: int | None
    standing: Standing | None  # None: this node
    troubles: tuple[Trouble, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether it comes from a fresh status or from this node."""
        return self.standing in (None, Standing.FRESH, Standing.LEAVING)


class Survey(Struct, frozen=True):
    """What is the same for all groups at one moment: to judge many groups it is made once."""

    rules: NodeRules
    heard: Heard
    now: float


def survey(state: MonitorState, now: float) -> Survey:
    """Return what is known of the nodes now."""
    return Survey(node_rules(state, now), heard(state), now)


def sightings(state: MonitorState, group: str, now: float) -> list[GroupSighting]:
    """Return what all statuses report about a group, this node's included."""
    found = []
    report = state.reports.get(group)
    claim = state.record(group).claim
    if report is not None or claim is not None:
        shown = state.report(group)
        line = GroupLine(shown.level, shown.state)
        found.append(GroupSighting(state.me, line, claim, None, state.troubles(group, now)))
    for status in state.view.mentioning(group):
        standing = state.view.standing(status.node)
        wrong = status.troubles_of(group) if status.troubles else ()
        if wrong or status.holds(group):
            line = status.groups.get(group, GroupLine(PLAN_LEVEL, GroupState.STARTING))
            claim = status.claims.get(group)
            found.append(GroupSighting(status.node, line, claim, standing, wrong))
    return sorted(found, key=lambda sighting: sighting.node)


def not_here(
    state: MonitorState, group: str, now: float, around: Survey | None = None
) -> dict[int, str]:
    """Return for each node that may not take the group now why not."""
    found = obstacles(state, group, now, around.rules if around else None)
    return {node: rule.why(case) for node, (case, rule) in found.items()}


def judge(
    state: MonitorState, group: str, now: float, around: Survey | None = None
) -> GroupVerdict:
    """Say whether the group is as hactl wants it, else why not and what to do."""
    around = around or survey(state, now)
    seen = sightings(state, group, now)
    active = [s for s in seen if s.counts and (s.line.active or s.claim is not None)]
    if state.hactl is None or state.cltab_groups is None:
        missing = [("cltab", state.cltab_groups is None), ("hactl", state.hactl is None)]
        step = step_for(state, [name for name, is_missing in missing if is_missing])
        return GroupVerdict(False, "no hactl or no cltab is in force yet", step)
    wish = state.hactl.wishes.get(group)
    if wish is None or wish.level == STOP_LEVEL:
        return _account_of_stop(state, group, active, seen, around)
    wanted = wish.level
    if not state.has_entries(group):
        remedy = f"add {group} to cltab, or take it out of hactl"
        return GroupVerdict(
            False, f"hactl wants it at {wanted}, but cltab has no group {group}", remedy
        )
    if exhaustion.found(state, group) and not any(map(_stop_has_failed, active)):
        step = exhaustion.REMEDY.format(group=group)
        return GroupVerdict(False, exhaustion.said(state, group), step)
    if not state.clinit_known and any(place.node == state.me for place in active):
        return GroupVerdict(
            False, f"clinit of node {state.me} does not answer; this is its last report"
        )
    home = [s for s in active if s.line.level == wanted and _arrived(s.line)]
    if len(home) == 1 and _alone(state, group, home[0], active):
        if state.view.unconfirmed(home[0].node):
            return _unconfirmed([home[0].node])
        if (held := related.before_stop(state, group, home[0].node)).why:
            line = f"{home[0].line.level} {home[0].line.state} on node {home[0].node}"
            return GroupVerdict(False, f"{line}, to be stopped there: {held.why}", held.next)
        return _account_of_troubles(group, home) or GroupVerdict(True)
    if active:
        found = _account_of_move(state, group, active, wanted, now)
    else:
        found = _account_of_nowhere(state, wish, now, around)
    return _with_gave_way(state, group, found, now)


def _with_gave_way(
    state: MonitorState, group: str, verdict: GroupVerdict, now: float
) -> GroupVerdict:
    """Add why a group stopped that nobody has claimed since, where it gave way to another one."""
    text = gave_way.why_stopped(state, group, now)
    if verdict.kind is not ProblemKind.GROUP or not text:
        return verdict
    return replace(verdict, why=f"{verdict.why}; it {text}")


def _alone(
    state: MonitorState, group: str, home: GroupSighting, active: list[GroupSighting]
) -> bool:
    """Say whether nothing but plans is elsewhere, which come to nothing while it has its lease.

    A node that does not hear the owner claims its group; those that do hear it vote for the owner.
    """
    others = [place for place in active if place is not home]
    plans = all(place.line.level == PLAN_LEVEL for place in others)
    return not others or (plans and _is_granted(state, group, home))


def _arrived(line: GroupLine) -> bool:
    return line.state in (GroupState.DONE, GroupState.PASSED)


def _account_of_troubles(group: str, places: list[GroupSighting]) -> GroupVerdict | None:
    """Return what is wrong with the entries of a group that is where it should be, None if nothing.

    A running entry is not replaced when a table is read: an operator chooses the moment.
    """
    place = next((place for place in places if place.troubles), None)
    if place is None:
        return None
    outdated = all(trouble.kind is TroubleKind.OUTDATED for trouble in place.troubles)
    if outdated:
        why = f"runs on node {place.node} as an older cltab had it: {_told(place)}"
        step = f"to apply the new one: mosha restart {group}"
        return GroupVerdict(False, why, step, ProblemKind.OUTDATED)
    why = f"{place.line.level} {place.line.state} on node {place.node}, but {_told(place)}"
    deliberate = all(trouble.kind in DELIBERATE for trouble in place.troubles)
    kind = ProblemKind.STOPPED if deliberate else ProblemKind.ENTRY
    return GroupVerdict(False, why, next_step(group, place.troubles), kind)


def _told(place: GroupSighting) -> str:
    return entries.troubles_text(place.troubles)


def _account_of_stop(
    state: MonitorState,
    group: str,
    active: list[GroupSighting],
    seen: list[GroupSighting],
    around: Survey,
) -> GroupVerdict:
    if not active:
        if (unseen := may_run(state, group, around.heard)) is not None:
            return of_unseen(state, group, unseen, around.now)
        wrong = [place for place in seen if place.counts and place.troubles]
        if not wrong:
            return GroupVerdict(True)
        why = f"stopped on node {wrong[0].node}, but {_told(wrong[0])}"
        step = f"check that all of it is gone there, and repair it; then: mosha cleanup {group}"
        return GroupVerdict(False, why, step, ProblemKind.ENTRY)
    failed = next((place for place in active if _stop_has_failed(place)), None)
    if failed is not None:
        return _stop_failed(state, group, failed, active, around.now)
    place = active[0]
    waits = f"; {_told(place)}" if place.troubles else ""
    line = f"{place.line.level} {place.line.state}"
    waits += unended.clause(state, group, place.node, around.now)
    held = related.before_stop(state, group, place.node)
    waits += f"; {held.why}" if held.why else ""
    step = unended.remedy(state, group, place.node, around.now) or held.next
    step = step or while_awaited(group, place.troubles)
    return GroupVerdict(False, f"still {line} on node {place.node}{waits}", step)


def of_unseen(state: MonitorState, group: str, unseen: Unseen, now: float) -> GroupVerdict:
    """Return the verdict of a group that may run on nodes that are not heard."""
    nodes, node = list(unseen.nodes), unseen.nodes[0]
    if unseen.unconfirmed:
        return _unconfirmed(nodes)
    if unseen.without_quorum:
        held = state.view.holders(group, Grade.OFF_CONFIRMED)
        shown = [node for node in held if node in nodes]
        may = f"; node {_names(sorted(shown) or nodes)} may run it"
        return _without_quorum(state, now, may)
    if unseen.unfenced:
        why = deaths.not_dead_enough(state, group, node, now)
        return GroupVerdict(False, why, deaths.vouch(state, group, node, now))
    silent = f"node {node} {said(state.view.standing(node))}"
    why = f"{silent}, and may run it: it has the vote of node {_names(list(unseen.voters))}"
    return GroupVerdict(False, why, _vouch_if_asked(state, group, node, now))


def _unconfirmed(nodes: list[int]) -> GroupVerdict:
    why = f"node {_names(nodes)} may run it: nothing new was read since this monitor started"
    return GroupVerdict(False, why)


def _without_quorum(state: MonitorState, now: float, more: str = "") -> GroupVerdict:
    lost = state.view.quorum_state is QuorumState.NO
    kind = ProblemKind.NO_QUORUM if lost else ProblemKind.GROUP
    return GroupVerdict(False, quorate.said(state, now) + more, quorate.remedy(state, now), kind)


def _stop_has_failed(place: GroupSighting) -> bool:
    return place.line.level == STOP_LEVEL and place.line.state is GroupState.FAILED


def _stop_failed(
    state: MonitorState, group: str, place: GroupSighting, active: list[GroupSighting], now: float
) -> GroupVerdict:
    node, wrong = place.node, f"; {_told(place)}" if place.troubles else ""
    wrong += unended.clause(state, group, node, now)
    others = [s.node for s in active if s.node != node and s.line.level != PLAN_LEVEL]
    if _is_granted(state, group, place) and not others:
        return GroupVerdict(
            False,
            f"its stop entries failed on node {node}: no other node may start it{wrong}",
            f"repair what failed there, then: mosha cleanup {group} {node}",
        )
    by_now = failed_stops.where_by_now(group, others)
    return GroupVerdict(
        False,
        f"its stop entries failed on node {node}, whose claim is not granted any more: "
        f"{by_now}{wrong}",
        failed_stops.step(state, group, node, place.claim),
    )


def _is_granted(state: MonitorState, group: str, place: GroupSighting) -> bool:
    """Say whether a claim holds a lease; of another node its votes say so."""
    if place.claim is None:
        return False
    if place.node == state.me:
        return state.record(group).granted
    return _votes(state, group, place) >= state.view.needed


def _account_of_move(
    state: MonitorState, group: str, active: list[GroupSighting], wanted: str, now: float
) -> GroupVerdict:
    failed = next((place for place in active if _stop_has_failed(place)), None)
    if failed is not None:
        return _stop_failed(state, group, failed, active, now)
    place = max(active, key=lambda s: (s.claim or 0, s.line.level != PLAN_LEVEL))
    line = place.line
    if line.level == wanted and line.state is GroupState.FAILED:
        return GroupVerdict(
            False, f"failed at {wanted} on node {place.node}; it will be stopped there"
        )
    if line.level == PLAN_LEVEL and place.claim is not None:
        needed = state.view.needed
        votes = min(_votes(state, group, place), needed)
        return GroupVerdict(False, f"planned on node {place.node}: {votes} of {needed} votes")
    if len(active) > 1 and all(s.line.level != PLAN_LEVEL for s in active):
        return _on_several(state, {s.node for s in active})
    waits = f"; {_told(place)}" if place.troubles else ""
    waits += unended.clause(state, group, place.node, now)
    awaited = related.before_start(state, group, place.node)
    waits += f"; {awaited.why}" if awaited.why else ""
    why = f"{line.level} {line.state} on node {place.node}, on its way{waits}"
    if step := unended.remedy(state, group, place.node, now) or awaited.next:
        return GroupVerdict(False, why, step)
    takes_long = all(trouble.kind is TroubleKind.LATE for trouble in place.troubles)
    waited = takes_long or line.level != wanted
    step = while_awaited(group, place.troubles) if waited else next_step(group, place.troubles)
    return GroupVerdict(False, why, step)


def _on_several(state: MonitorState, nodes: set[int]) -> GroupVerdict:
    """Return which of them stop: of nodes with other voters each may have a granted claim."""
    where, view = _names(sorted(nodes)), state.view
    unlike = [s.node for s in view.fresh() if s.node in nodes and view.has_other_voters(s)]
    if not unlike:
        return GroupVerdict(False, f"on several nodes: {where}; those without a granted claim stop")
    return GroupVerdict(
        False,
        f"on several nodes: {where}; node {_names(unlike)} has other `nodes` in mosha.toml than"
        " this node, so each may have a granted claim, and none stops",
        "end it on all of them but one, then make `nodes` the same everywhere",
    )


def _votes(state: MonitorState, group: str, place: GroupSighting) -> int:
    voters = state.view.voters_for(group, place.node, place.claim or 0)
    own = state.record(group).ballot.vote
    mine = own is not None and own.node == place.node and own.term == place.claim
    return len(voters) + (1 if mine else 0)


def _account_of_nowhere(
    state: MonitorState, wish: Wish, now: float, around: Survey
) -> GroupVerdict:
    if state.view.quorum_state is not QuorumState.YES:
        return _without_quorum(state, now)
    unseen = may_run(state, wish.group, around.heard)
    if unseen is not None and unseen.unfenced:
        return of_unseen(state, wish.group, unseen, now)
    if (rival := _of_rivals(state, wish.group, around)) is not None:
        return rival
    if text := resting.said(state, wish.group, now):
        return GroupVerdict(True, text)
    if (awaited := related.before_start_anywhere(state, wish.group)).why:
        return GroupVerdict(False, awaited.why, awaited.next)
    able = eligible(state, wish.group, now, around.rules)
    if not able:
        reasons = not_here(state, wish.group, now, around)
        if waits := preemption.said(state, wish.group):
            return GroupVerdict(False, waits)
        text = "; ".join(f"node {n}: {why}" for n, why in reasons.items())
        return GroupVerdict(False, f"no node can run it: {text}", remedy_of(state, wish, now))
    if state.silent(now) and able == {state.me}:
        left = (state.silent_until or now) - now
        return GroupVerdict(False, f"this node keeps silent for {left:.0f} s after its start (V5)")
    vote = state.record(wish.group).ballot.vote
    if vote is not None and vote.node != state.me and not state.view.speaks(vote.node):
        why = f"the vote of this node is with node {vote.node}, which is not heard from"
        return GroupVerdict(False, why, _vouch_if_asked(state, wish.group, vote.node, now))
    if unheard := candidacy.awaited(state, wish.group):
        return GroupVerdict(
            False, f"others vote for node {_names(sorted(unheard))}, not heard here yet"
        )
    if unseen is not None and unseen.voters:
        return of_unseen(state, wish.group, unseen, now)
    return GroupVerdict(False, f"waiting for a claim by node {_names(sorted(able))}")


def _of_rivals(state: MonitorState, group: str, around: Survey) -> GroupVerdict | None:
    """Return that a rival, of a hactl before or after an edit of `on=all`, has not ended yet."""
    for rival in rivals.rivals(state, group):
        seen = sightings(state, rival, around.now)
        active = [s for s in seen if s.counts and (s.line.active or s.claim is not None)]
        account = _account_of_stop(state, rival, active, seen, around)
        if not account.ok and account.what is ProblemKind.GROUP:
            return GroupVerdict(False, f"{rival} is to end first: {account.why}", account.next)
    return None


def _vouch_if_asked(state: MonitorState, group: str, node: int, now: float) -> str:
    """Return what to do about a node whose death a group asks evidence of, else ""."""
    asks = state.required_grade(group) is not Grade.LEASE_ELAPSED
    return deaths.vouch(state, group, node, now) if asks else ""


def _names(nodes: list[int]) -> str:
    return ", ".join(str(node) for node in nodes) or "none"
