"""Which nodes an order of an operator concerns now, or why it is refused.

`mosha.core.cluster.orders` gives and obeys orders; this is what is checked before.
"""

from __future__ import annotations

from msgspec.structs import replace

from mosha.core.cluster import rivals
from mosha.core.cluster.eligibility import ONLY, may_take
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.orders import has_failed
from mosha.core.cluster.standby import is_witness
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import said
from mosha.core.explain import verdicts
from mosha.core.explain.may_run import may_run
from mosha.core.instance_names import node_of, single
from mosha.core.status import EntryVerb, GroupState, Order, Verb
from mosha.core.supervision.entry_refusals import by_mode, other_level, unknown_entry
from mosha.core.tables import STOP_LEVEL, level_matches
from mosha.errors import UsageError


def concerned(state: MonitorState, order: Order, now: float) -> frozenset[int]:
    """Return the nodes that have to obey an order that is given now.

    Raises:
        UsageError: it is not possible now.
    """
    heard = frozenset(state.view.fresh_nodes()) | {state.me}
    group, node = order.group, order.node
    if order.verb == Verb.CLEANUP and not node:
        return heard
    if order.verb in (Verb.CLEANUP, Verb.STANDBY, Verb.UNSTANDBY):
        if node not in heard:
            raise UsageError(f"node {node} is not heard; give the order when it is, or there")
        if order.verb == Verb.UNSTANDBY and is_witness(state, node):
            raise UsageError(f'node {node} is a witness: it only votes (role = "witness")')
        return frozenset({node})
    if order.verb == Verb.MOVE and (node_of(group) or state.is_on_all(group)):
        raise UsageError(_never_moves(state, single(group), node))
    if (names := rivals.named(state, group)) != (group,):
        return _of_instances(state, order, names, now)
    return _of_group(state, order, now)


def _of_group(state: MonitorState, order: Order, now: float) -> frozenset[int]:
    """Return the nodes that have the group of an order; refuse what it rules out there."""
    group, node = order.group, order.node
    wish = state.hactl.wishes.get(group) if state.hactl is not None else None
    if wish is not None and state.cltab_groups is not None and not state.has_entries(group):
        raise UsageError(f"cltab has no group {group} any more: it is stopped")
    if state.wish_level(group) == STOP_LEVEL:
        raise UsageError(f"hactl wants {group} stopped; to start it: mosha start {group}")
    here = frozenset(places(state, group))
    if not here:
        raise UsageError(_nowhere(state, group, now))
    if order.tag:
        return _of_entry(state, order, here)
    done = {Verb.RESTART: "restarted", Verb.MOVE: "moved"}.get(Verb(order.verb))
    if done and any(stop_has_failed(state, group, it) for it in here):
        verdict = verdicts.judge(state, group, now)
        raise UsageError(f"{group} cannot be {done}: {verdict.why}; {verdict.next}")
    if order.verb == Verb.MOVE:
        _check_move(state, group, node, here, now)
    return here


def _of_instances(
    state: MonitorState, order: Order, names: tuple[str, ...], now: float
) -> frozenset[int]:
    """Return the nodes whose instances can obey; refuse an order that none can obey."""
    found: frozenset[int] = frozenset()
    refusals: list[UsageError] = []
    for name in names:
        try:
            found |= concerned(state, replace(order, group=name), now)
        except UsageError as error:
            refusals.append(error)
    if not found:
        raise refusals[0]
    return found


def _never_moves(state: MonitorState, group: str, node: int) -> str:
    """Return the refusal of a move of an instance."""
    allowed = sorted({it for name in rivals.named(state, group) if (it := node_of(name))})
    others = ",".join(str(it) for it in allowed if it != (node or state.me))
    keep = f"mosha set {group} {rivals.level_of(state, group)} only={others}"
    return (
        f"{group} runs on each node (on=all in hactl): there is nothing to move; to keep it off a"
        f" node leave that out of only=: {keep}"
    )


def unreached(state: MonitorState, order: Order, nodes: frozenset[int]) -> str:
    """Return which members an order for all nodes does not reach as they are not heard, else ""."""
    if order.verb != Verb.CLEANUP or order.node:
        return ""
    others = sorted(state.view.members - nodes)
    failed = [node for node in others if has_failed(state, order.group, node)]
    silent = [f"node {node} {said(state.view.standing(node))}" for node in others]
    if not silent:
        return ""
    text = f"; not reached: {', '.join(silent)}"
    if failed:
        text += f" (failed on node {', '.join(map(str, failed))}, by the last status)"
    return f"{text}; when they are heard again: mosha cleanup {order.group}"


def stops_again(state: MonitorState, order: Order, nodes: frozenset[int]) -> frozenset[int]:
    """Return the nodes on which a cleanup runs a stop again that has failed.

    Where the claim was overtaken it forgets the failure, and runs nothing.
    """
    if order.verb != Verb.CLEANUP:
        return frozenset()
    return frozenset(node for node in nodes if _stops_again(state, order.group, node))


def _stops_again(state: MonitorState, group: str, node: int) -> bool:
    meant = rivals.at(state, group, node)
    status = state.view.peer(node).status
    claims = status.claims if status is not None else {}
    claim = state.record(meant).claim if node == state.me else claims.get(meant)
    overtaken = claim is None or state.view.terms.get(meant, 0) > claim
    return stop_has_failed(state, meant, node) and not overtaken


def places(state: MonitorState, group: str, *, level: str = "") -> list[int]:
    """Return the nodes on which a group is, according to current statuses.

    With `level`: only those where it is at that level; a planned group is nowhere yet.
    """
    lines = ((status.node, status.groups.get(group)) for status in state.view.fresh())
    there = [
        node
        for node, line in lines
        if line is not None and line.active and level in ("", line.level)
    ]
    report = state.report(group)
    here = report.present and level in ("", report.level)
    return sorted([*there, state.me] if here else there)


def stop_has_failed(state: MonitorState, group: str, node: int) -> bool:
    """Say whether a group has failed at `stop` on a node, as far as known here."""
    if node == state.me:
        return state.report(group).stop_failed
    status = state.view.peer(node).status
    line = status.groups.get(group) if status is not None else None
    return line is not None and (line.level, line.state) == (STOP_LEVEL, GroupState.FAILED)


def _nowhere(state: MonitorState, group: str, now: float) -> str:
    """Return the refusal for a group that no node shows that is heard."""
    unseen = may_run(state, group)
    if unseen is None:
        return f"{group} runs nowhere; see mosha why {group}"
    verdict = verdicts.of_unseen(state, group, unseen, now)
    return f"no node that is heard runs {group}: {verdict.why}; see mosha why {group}"


def _of_entry(state: MonitorState, order: Order, here: frozenset[int]) -> frozenset[int]:
    """Return the nodes on which the group is at its level; refuse what cltab here rules out."""
    group, level = order.group, state.wish_level(order.group)
    entries = state.entries_of(group) or ()
    entry = next((entry for entry in entries if entry.tag == order.tag), None)
    if entry is None and entries:
        raise UsageError(unknown_entry(group, order.tag, [entry.tag for entry in entries]))
    if entry is not None and not level_matches(entry.level, level):
        raise UsageError(other_level(entry, level))
    if entry is not None and (refusal := by_mode(entry, EntryVerb(order.verb))):
        raise UsageError(refusal)
    there = frozenset(places(state, group, level=level))
    if not there:
        nodes = ", ".join(map(str, sorted(here)))
        raise UsageError(f"{group} is on its way to {level} on node {nodes}; see mosha why {group}")
    return there


def _check_move(
    state: MonitorState, group: str, node: int, here: frozenset[int], now: float
) -> None:
    wish = state.wish(group)
    if node in here:
        raise UsageError(f"{group} is on node {node} already")
    if wish is not None and node and not wish.allows(node):
        remedy = ONLY.remedy(Case(state, group, node, now))
        raise UsageError(f"only= of {group} leaves out node {node}: {remedy}")
    others = (state.view.members | {state.me}) - here
    able = {n for n in others if may_take(state, group, n, now)}
    if node and node not in able:
        raise UsageError(f"node {node} cannot take {group} now: mosha why-not {group} {node}")
    if not able:
        raise UsageError(f"no other node can take {group} now: mosha why {group}")
