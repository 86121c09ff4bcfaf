"""Groups that give way to one of a higher priority, which no node has room for (P1).

Every node works out alike where that group is to go, and which groups give way there: those of a
lower priority, no more of them than needed. Only the node that runs them acts, and only by its own
view. Nodes with different views may choose different nodes: then a group of a lower priority stops
for nothing, once. What gave way has a lower priority, and cannot push the other one out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from mosha.core.cluster import capacity, gave_way, placement
from mosha.core.cluster.capacity_rule import CAPACITY
from mosha.core.cluster.eligibility import GROUP, PAIR, NodeRules, broken
from mosha.core.cluster.eligibility_rule import Case
from mosha.core.cluster.placement import Free, wish_order
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.relation_rules import APART
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.instance_names import single
from mosha.core.status import SETTLED, GroupLine, GroupState
from mosha.core.tables import STOP_LEVEL, Wish

ROOM = (APART, CAPACITY)
"""The rules that hold as soon as other groups are gone; the last ones of `PAIR`."""

_ENDING = frozenset({GroupState.STOPPING, GroupState.DUMPING, GroupState.HALTING})


class Preemptions(NamedTuple):
    """What gives way: each group, to which other and on which node; and where those go."""

    victims: dict[str, tuple[str, int]]
    nodes: dict[str, int]


def find(
    state: MonitorState, plan: Mapping[str, tuple[int, ...]], rules: NodeRules, now: float
) -> Preemptions:
    """Return the groups that are to give way, as all nodes find them; `plan` has all free groups.

    Where a group waits only for what is being stopped already, nothing more gives way to it.
    """
    waiting = _waiting(state, plan)
    found = Preemptions({}, {})
    if not waiting or not _is_sure(state, now):
        return found
    nodes = {node: _Taken(state, node, plan) for node in rules.able}
    for wish in waiting:
        chosen = _choose(state, wish, nodes, now)
        if chosen is not None:
            node, victims = chosen
            nodes[node].take(wish.group, victims)
            found.nodes[wish.group] = node
            found.victims.update(dict.fromkeys(victims, (wish.group, node)))
    return found


def preempted(state: MonitorState, group: str) -> str:
    """Return to which group a group gives way on this node, "" if it does not."""
    by, node = state.preempted.get(group, ("", 0))
    return by if node == state.me else ""


def give_way(state: MonitorState, record: GroupRecord, now: float) -> None:
    """Remember that a group is stopped here for one of a higher priority."""
    gave_way.note(state, record, preempted(state, record.group), now)


def said(state: MonitorState, group: str) -> str:
    """Return where room is made for a group, and what gives way there, "" if none is made."""
    node = state.promised.get(group)
    if node is None:
        return ""
    victims = sorted(victim for victim, (by, _) in state.preempted.items() if by == group)
    ends = f"{', '.join(victims)} gives way there (priority=)" if victims else "others stop there"
    return f"waits for room on node {node}: {ends}"


def _waiting(state: MonitorState, plan: Mapping[str, tuple[int, ...]]) -> list[Wish]:
    """Return the free groups without a node, those of the highest priority first.

    A group whose vote is given, or that may be found on a node that was not heard yet, is not free.
    """
    wishes = state.hactl.wishes if state.hactl is not None else {}
    lowest = min((wish.priority for wish in wishes.values()), default=0)
    groups = (group for group, order in plan.items() if not order)
    found = [
        wishes[group]
        for group in groups
        if wishes[group].priority > lowest
        and state.record(group).ballot.vote is None
        and not state.view.unheard(group)
    ]
    return sorted(found, key=wish_order)


def _is_sure(state: MonitorState, now: float) -> bool:
    """Say whether this node sees enough of the cluster for its view to be that of the others."""
    return state.view.quorum_state is QuorumState.YES and not state.silent(now)


class _Taken:
    """What a node holds, and will hold by the plan."""

    def __init__(self, state: MonitorState, node: int, plan: Mapping[str, tuple[int, ...]]) -> None:
        self.most = capacity.capacity_of(state, node)
        self.fixed: set[str] = set()
        self.planned = {group for group, order in plan.items() if order[:1] == (node,)}
        self.movable: set[str] = set()
        for group, line, claimed in _lines(state, node):
            if _ends(state, group, line):
                continue
            (self.movable if claimed and line.level != STOP_LEVEL else self.fixed).add(group)
        self._state = state

    def take(self, group: str, victims: Iterable[str]) -> None:
        """Count a group that goes there, and not those that give way to it."""
        self.movable -= set(victims)
        self.fixed.add(group)

    def load(self, wish: Wish) -> int:
        """Return the weight of what is there, and of what is placed there before a group."""
        groups = self.fixed | self.movable | self.before(wish)
        return sum(capacity.weight_of(self._state, it) for it in groups)

    def before(self, wish: Wish) -> set[str]:
        """Return what is placed there before a group."""
        known = {it: self._state.wish(it) for it in self.planned}
        return {it for it, other in known.items() if other and wish_order(other) < wish_order(wish)}


def _lines(state: MonitorState, node: int) -> Iterator[tuple[str, GroupLine, bool]]:
    """Yield what a node holds, and whether it claims it."""
    planned = GroupLine("plan", GroupState.STARTING)
    for group in capacity.held(state, node):
        if node == state.me:
            report, record = state.report(group), state.record(group)
            level = record.told_level or report.wanted
            shown = GroupLine(report.level, report.state)
            if level == STOP_LEVEL and not (report.level == level and report.settled):
                shown = GroupLine(report.level, GroupState.STOPPING)
            yield group, shown, record.claim is not None
        else:
            status = state.view.peer(node).status
            if status is not None:
                yield group, status.groups.get(group, planned), group in status.claims


def _ends(state: MonitorState, group: str, line: GroupLine) -> bool:
    """Say whether a group is being stopped, or has to be; what failed at `stop` stays."""
    if line.level == STOP_LEVEL:
        return line.state not in SETTLED
    return line.state in _ENDING or state.wish_level(group) == STOP_LEVEL


def _choose(
    state: MonitorState, wish: Wish, nodes: Mapping[int, _Taken], now: float
) -> tuple[int, list[str]] | None:
    """Return the node where the least harm makes room for a group, and what gives way there."""
    if broken(Case(state, wish.group, state.me, now), GROUP) is not None:
        return None
    options: dict[int, list[str]] = {}
    for node, taken in nodes.items():
        rule = broken(Case(state, wish.group, node, now), PAIR)
        if rule is None or rule in ROOM:
            victims = _victims(state, wish, taken)
            if victims is not None:
                options[node] = victims
    if not options:
        return None
    loads = {node: nodes[node].load(wish) for node in options}
    order = placement.ranking(Free(wish, frozenset(options)), loads)

    def harm(node: int) -> tuple[int, int, int]:
        priorities = [_priority(state, victim) for victim in options[node]]
        return (max(priorities, default=-(10**9)), len(priorities), order.index(node))

    best = min(options, key=harm)
    return best, options[best]


def _victims(state: MonitorState, wish: Wish, taken: _Taken) -> list[str] | None:
    """Return the fewest groups, of the lowest priorities, that make room; None: they cannot."""
    apart = set(state.relations.apart.get(wish.group, ()))
    if apart & (taken.fixed | taken.before(wish)):
        return None
    needed = _needed(state, wish)
    lower = [it for it in taken.movable - needed if _priority(state, it) < wish.priority]
    if apart & taken.movable - set(lower):
        return None
    lower.sort(key=lambda it: (it not in apart, _priority(state, it), it))
    surplus = 0 if taken.most is None else taken.load(wish) + wish.weight - taken.most
    chosen: list[str] = []
    for group in lower:
        if group in apart or surplus > 0:
            chosen.append(group)
            surplus -= capacity.weight_of(state, group)
    if surplus > 0:
        return None
    for group in reversed(chosen[:]):
        weight = capacity.weight_of(state, group)
        if group not in apart and surplus + weight <= 0:
            chosen.remove(group)
            surplus += weight
    return chosen


def _needed(state: MonitorState, wish: Wish) -> set[str]:
    """Return the groups that have to run for this one to run (`after=`, `with=`)."""
    found: set[str] = set()
    wishes = state.hactl.wishes if state.hactl is not None else {}
    queue = [wish]
    for each in queue:
        for group in (*each.after, *each.with_):
            if group not in found:
                names = [name for name in wishes if single(name) == group]
                found.update((group, *names))
                queue += [wishes[name] for name in names]
    return found


def _priority(state: MonitorState, group: str) -> int:
    wish = state.hactl.wishes.get(group) if state.hactl is not None else None
    return 0 if wish is None else wish.priority
