"""Which nodes may take a group: one table of rules, for decisions and for explanations.

Placement, steps and orders ask whether the rules hold; `mosha status`, `why` and `why-not` report
which one does not, and what to do about it. A rule of `NODE` is about a node and any group, one of
`GROUP` about a group on any node, one of `PAIR` about a group on a node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from mosha.core.cluster import capacity, exhaustion, probation
from mosha.core.cluster.capacity_rule import CAPACITY
from mosha.core.cluster.eligibility_rule import Case, Rule, do
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.refusals import step_for
from mosha.core.cluster.relation_rules import AFTER, APART, with_rule
from mosha.core.cluster.standby import is_let_in, is_witness, on_standby
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.wording import explained, way_back
from mosha.core.instance_names import INSTANCE_MARK, node_of, single
from mosha.core.status import NodeState
from mosha.core.tables import STOP_LEVEL, Wish
from mosha.core.wish_options import option_words

# --- a node and any group ----------------------------------------------------------------------


def _is_up(case: Case) -> bool:
    if case.mine:
        return case.state.node_state is NodeState.UP
    return case.state.view.standing(case.node) is Standing.FRESH


def _not_up(case: Case) -> str:
    return "this node is leaving" if case.mine else explained(case.state.view.standing(case.node))


def _up_said(case: Case) -> str:
    if case.mine:
        return f"node {case.node} is {'up' if _is_up(case) else 'leaving'}"
    error = case.state.view.peer(case.node).error
    text = explained(case.state.view.standing(case.node), verb=True)
    return f"node {case.node} {text}" + (f" ({error})" if error else "")


def _bring_up(case: Case) -> str:
    standing = Standing.LEAVING if case.mine else case.state.view.standing(case.node)
    return way_back(case.node, standing)


def _sees_quorum(case: Case) -> bool:
    if case.mine:
        return case.state.view.quorum_state is not QuorumState.NO
    return case.status is not None and case.status.quorum


def _standby_said(case: Case) -> str:
    if is_witness(case.state, case.node):
        return f"node {case.node} is a witness: it only votes"
    if case.mine and case.state.pills_taken:
        nodes = ", ".join(map(str, sorted(case.state.pills_taken)))
        return f"node {case.node} ends all its groups, by order of node {nodes} (poison)"
    return f"node {case.node} is {'' if on_standby(case.state, case.node) else 'not '}on standby"


def _let_in(case: Case) -> bool:
    return is_let_in(case.state, case.node, case.group)


def _storage_said(case: Case) -> str:
    if _let_in(case):
        return f"the storage of node {case.node} lets it in"
    why = f": {case.state.cut_off}" if case.mine else ""
    return f"node {case.node} is cut off from its storage{why}"


def _probation_said(case: Case) -> str:
    left_s = probation.on_probation(case.state, case.node, case.now)
    if not left_s:
        return f"node {case.node} is not on probation"
    times = f"{case.state.fencing.probation} times within an hour"
    return f"node {case.node} was found dead {times}: on probation for {left_s} s more"


NODE = (
    Rule(
        "number",
        "no other node uses the number of this one; reported only where one does",
        lambda c: not (c.mine and c.state.displaced),
        lambda _: "another node uses this node's number",
        lambda c: f"another node uses number {c.node}",
        do("give each node its own number, and start the monitor of node {node} again"),
    ),
    Rule(
        "node",
        "the node is up and heard from (O1 to O3)",
        _is_up,
        _not_up,
        _up_said,
        _bring_up,
    ),
    Rule(
        "storage",
        "the storage lets the node in, where fence agents can cut it off (`unfence`); reported only"
        " where it does not",
        _let_in,
        lambda _: "cut off from its storage",
        _storage_said,
        do("see mosha status on node {node}: why its storage does not let it in"),
    ),
    Rule(
        "standby",
        "the node is not on standby (`mosha standby`, `mosha unstandby`)",
        lambda c: not on_standby(c.state, c.node),
        lambda c: "a witness: it only votes" if is_witness(c.state, c.node) else "on standby",
        _standby_said,
        lambda c: (
            "let another node take it"
            if is_witness(c.state, c.node)
            else do("mosha unstandby {node}")(c)
        ),
    ),
    Rule(
        "probation",
        "the node was not found dead too often lately (`fencing.probation`); reported only where it"
        " was",
        lambda c: not probation.on_probation(c.state, c.node, c.now),
        lambda _: "on probation: found dead too often",
        _probation_said,
        do("look at node {node}; its probation ends by itself"),
    ),
    Rule(
        "quorum",
        "the node sees a quorum, and the count (O4)",
        _sees_quorum,
        lambda c: "no quorum" if c.mine else "sees no quorum",
        lambda c: f"node {c.node} sees {'a' if _sees_quorum(c) else 'no'} quorum",
        do("bring nodes back"),
    ),
)


# --- a group and any node ----------------------------------------------------------------------


def _has_entries(case: Case) -> bool:
    return case.state.cltab_groups is None or case.state.has_entries(case.group)


def _level(case: Case) -> str:
    return case.wish.level if case.wish is not None else STOP_LEVEL


def _unwished(case: Case) -> str:
    """Return what hactl says in place of a line for the group, "" if it does not name it at all."""
    group = single(case.group)
    if case.group != group and case.state.written is not None:
        wish = case.state.written.wishes.get(group)
        if wish is not None and not wish.on_all:
            return f"hactl has {group} on one node, without on=all"
        return f"hactl has no instance of {group} there" if wish is not None else ""
    return f"hactl has it on each node: {group}{INSTANCE_MARK}1 …" if _on_all(case) else ""


def _on_all(case: Case) -> bool:
    return case.wish is None and case.state.is_on_all(case.group)


def _wish_said(case: Case) -> str:
    if case.wish is None:
        return f"{_unwished(case) or 'hactl does not name it'}: it is to be stopped"
    if _level(case) == STOP_LEVEL:
        return _STOP
    return f"hactl wants it at {wish_text(_as_written(case, case.wish))}"


def _as_written(case: Case, wish: Wish) -> Wish:
    """Return a wish as hactl has it: that of an instance is the line of its group."""
    hactl = case.state.written if node_of(case.group) else None
    return hactl.wishes.get(single(case.group), wish) if hactl is not None else wish


def wish_text(wish: Wish) -> str:
    """Return a wish in the form of hactl, including options at their defaults."""
    return " ".join((wish.level, *option_words(wish, defaults=True)))


_STOP = "hactl says stop"

ENTRIES = Rule(
    "entries",
    "cltab has entries of the group",
    _has_entries,
    lambda _: "not in cltab",
    lambda c: f"cltab has {'entries' if _has_entries(c) else 'no entry'} of it",
    do("add entries of {group} to cltab"),
)
WISH = Rule(
    "wish",
    "hactl wants the group at a level; its line, with the options that stand at their defaults",
    lambda c: _level(c) != STOP_LEVEL,
    lambda c: (_unwished(c) or "not in hactl") if c.wish is None else _STOP,
    _wish_said,
    do("mosha set {group} start"),
)
EXHAUSTED = Rule(
    "exhausted",
    "the failures of the group have not used up `on-failure=`, else it is stopped until an operator"
    " cleans up; reported only where they have",
    lambda c: exhaustion.found(c.state, c.group) is None,
    lambda c: exhaustion.said(c.state, c.group),
    lambda c: exhaustion.said(c.state, c.group) or "on-failure= is not used up",
    do(exhaustion.REMEDY),
)


GROUP = (
    Rule(
        "cltab",
        "a cltab is in force on this node: its version, and the age of the edit; for"
        " `why-not` also if that node has another one",
        lambda c: c.state.cltab_groups is not None,
        lambda _: "no cltab is in force",
        lambda c: f"{'a' if c.state.cltab_groups is not None else 'no'} cltab is in force here",
        lambda c: step_for(c.state, ["cltab"]),
    ),
    Rule(
        "hactl",
        "a hactl is in force on this node, reported like the cltab",
        lambda c: c.state.hactl is not None,
        lambda _: "no hactl is in force",
        lambda c: f"{'a' if c.state.hactl is not None else 'no'} hactl is in force here",
        lambda c: step_for(c.state, ["hactl"]),
    ),
    ENTRIES,
    WISH,
    EXHAUSTED,
)


# --- a group on a node -------------------------------------------------------------------------


def _allowed(case: Case) -> bool:
    return case.wish is None or case.wish.allows(case.node)


def _only_said(case: Case) -> str:
    if node := node_of(case.group):
        return f"it is the instance of node {node}"
    if case.wish is None or not case.wish.only:
        return "only= names no node: any may have it"
    only = ",".join(map(str, case.wish.only))
    return f"only={only} {'has' if _allowed(case) else 'leaves out'} node {case.node}"


def _banned(case: Case) -> str:
    if case.ban is None:
        return ""
    left_s, reason = case.ban
    return f"banned here: {reason}" if case.mine else f"banned there for {left_s:.0f} s: {reason}"


def _ban_said(case: Case) -> str:
    if case.ban is None:
        return f"no ban on node {case.node}"
    left_s, reason = case.ban
    heard_at = None if case.mine else case.state.view.peer(case.node).heard_at
    left_s -= 0.0 if heard_at is None else case.now - heard_at
    return f"it is banned on node {case.node} for {max(left_s, 0.0):.0f} s more: {reason}"


ONLY = Rule(
    "only",
    "`only=` of hactl has the node; reported only where hactl has one",
    _allowed,
    lambda c: (
        f"it is the instance of node {node_of(c.group)}"
        if node_of(c.group)
        else "only= leaves this node out"
    ),
    _only_said,
    lambda c: "" if node_of(c.group) else do("mosha set {group} {level} only={only},{node}")(c),
)


PAIR = (
    AFTER,
    ONLY,
    with_rule(lambda case: broken(case)),  # noqa: PLW0108 - it is defined below
    Rule(
        "ban",
        "the group did not fail there recently, and was not moved away",
        lambda c: c.ban is None,
        _banned,
        _ban_said,
        do("repair what failed there; the ban ends by itself, or: mosha cleanup {group} {node}"),
    ),
    APART,
    CAPACITY,
)
"""Those that hold as soon as other groups are gone come last (`preemption`)."""


class NodeRules(Struct, frozen=True):
    """The nodes that may take groups, and for each other member the first rule that is broken.

    `room` is how much weight is free on those that have a capacity.
    """

    able: frozenset[int]
    kept: Mapping[int, Rule]
    room: Mapping[int, int]


# --- questions ---------------------------------------------------------------------------------


ALL = (*NODE, *GROUP, *PAIR)


def broken(case: Case, rules: Iterable[Rule] = ALL) -> Rule | None:
    """Return the first rule that does not hold, None if the node may take the group."""
    for rule in rules:
        if not rule.holds(case):
            return rule
    return None


def may_take(state: MonitorState, group: str, node: int, now: float) -> bool:
    """Say whether the node may take the group if it is free."""
    return broken(Case(state, group, node, now)) is None


def eligible(
    state: MonitorState, group: str, now: float, rules: NodeRules | None = None
) -> frozenset[int]:
    """Return the nodes that may take a group; `rules` are those of `node_rules`, if known."""
    if broken(Case(state, group, state.me, now), GROUP) is not None:
        return frozenset()
    everywhere = rules or node_rules(state, now)
    return everywhere.able - _kept_from(state, group, everywhere, now).keys()


def _kept_from(
    state: MonitorState, group: str, everywhere: NodeRules, now: float
) -> dict[int, Rule]:
    """Return which of the able nodes a rule about the pair keeps from a group.

    Without `after=`, `only=` and `with=` it can be a ban or another group alone, and that is in a
    status that mentions one of them; or too little room.
    """
    nodes, weight = everywhere.able, capacity.weight_of(state, group)
    crowded = {node for node, room in everywhere.room.items() if room < weight}
    wish = state.hactl.wishes.get(group) if state.hactl else None
    if wish is None or not (wish.after or wish.only or wish.with_):
        named = (group, *state.relations.apart.get(group, ()))
        told = (status.node for name in named for status in state.view.mentioning(name))
        nodes &= {state.me, *told, *crowded}
    cases = (Case(state, group, node, now) for node in nodes)
    return {case.node: rule for case in cases if (rule := broken(case, PAIR)) is not None}


def node_rules(state: MonitorState, now: float) -> NodeRules:
    """Apply the rules about a node to this node and to each member, once for all groups."""
    nodes = sorted({*state.view.members, state.me})
    found = {node: broken(Case(state, "", node, now), NODE) for node in nodes}
    kept = {node: rule for node, rule in found.items() if rule is not None}
    able = frozenset(found.keys() - kept.keys())
    rooms = {node: capacity.room_of(state, node) for node in able}
    return NodeRules(able, kept, {n: room for n, room in rooms.items() if room is not None})


def unwanted_because(state: MonitorState, group: str, now: float) -> str:
    """Return in a clause why the group must not run on this node now, "" if it may."""
    case = Case(state, group, state.me, now)
    rule = broken(case)
    return "" if rule is None else rule.why(case)


def obstacles(
    state: MonitorState, group: str, now: float, rules: NodeRules | None = None
) -> dict[int, tuple[Case, Rule]]:
    """Return for each node that may not take the group the first rule that does not hold.

    A rule about the group itself is reported for this node only. `rules`: as for `eligible`.
    """
    everywhere = rules or node_rules(state, now)
    found = {**everywhere.kept, **_kept_from(state, group, everywhere, now)}
    if state.me in everywhere.able:
        rule = broken(Case(state, group, state.me, now), GROUP)
        if rule is not None:
            found[state.me] = rule
    return {node: (Case(state, group, node, now), found[node]) for node in sorted(found)}
