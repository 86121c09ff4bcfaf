"""What is said of the quorum: how it is judged, what is waited for without one, what to do."""

from __future__ import annotations

from mosha.core.cluster.quorum import Policy, QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.core.explain import shooting

BRING_BACK = "bring nodes back"

_WORD = {
    QuorumState.YES: "a quorum",
    QuorumState.NO: "no quorum",
    QuorumState.UNKNOWN: "quorum not known yet",
}


def count(state: MonitorState) -> tuple[int, int]:
    """Return how many nodes count as seen, and how many are needed, by the policy in force."""
    electorate, up = state.view.electorate, {*state.view.fresh_nodes(), state.me}
    if electorate.policy is Policy.ADAPTIVE:
        return len(up), -(-6 * electorate.remembered // 10)
    return len(up & electorate.nodes), state.view.needed


def awaits_clinit(state: MonitorState) -> bool:
    """Say whether clinit has not answered since this monitor started.

    Until then the monitor reads no other node and publishes nothing (C7).
    """
    return state.published is None and not state.clinit_known


def reason(state: MonitorState) -> str:
    """Return in one line how the quorum is judged now."""
    if awaits_clinit(state):
        return f"no other node is read before clinit of node {state.me} answers"
    electorate = state.view.electorate
    seen, needed = count(state)
    if electorate.policy is Policy.ADAPTIVE:
        return f"{seen} nodes fresh; at least {needed} of the last {electorate.remembered}"
    missing = sorted(electorate.nodes - {*state.view.fresh_nodes(), state.me})
    tail = f"; not fresh: {shooting.names(missing)}" if missing else ""
    return f"{seen} of {len(electorate.nodes)} nodes fresh, {needed} needed{tail}"


def said(state: MonitorState, now: float) -> str:
    """Return whether there is a quorum and by what count; of one half, what it waits for."""
    text = f"{_WORD[state.view.quorum_state]}: {reason(state)}"
    waits = of_half(state, now)
    return f"{text}; {waits}" if waits else text


def of_half(state: MonitorState, now: float) -> str:
    """Return what half of an even cluster waits for to go on alone (E1), "" if it is none."""
    rest = _other_half(state)
    if not rest:
        return ""
    shots = {node: shooting.account(state, node, now).said for node in rest}
    told = [f"node {node}: {text}" if rest[1:] else text for node, text in shots.items() if text]
    why = f": {'; '.join(told)}" if told else ""
    return f"this half goes on alone when node {shooting.names(rest)} is certainly off{why}"


def remedy(state: MonitorState, now: float) -> str:
    """Return what to do for a quorum; of one half, how the other is known to be off."""
    rest = _other_half(state)
    if awaits_clinit(state):
        return f"see why clinit of node {state.me} does not answer: mosha status there"
    if not rest:
        return BRING_BACK
    steps = dict.fromkeys(shooting.account(state, node, now).next for node in rest)
    off = shooting.names(rest)
    orders = "; ".join(f"mosha confirm {node}" for node in rest)
    last = f"or bring node {off} back; if you are sure that node {off} is off: {orders}"
    return "; ".join([*filter(None, steps), last])


def _other_half(state: MonitorState) -> list[int]:
    """Return the voters whose end half of an even cluster waits for, without a quorum."""
    view = state.view
    if not view.is_half or view.quorum_state is not QuorumState.NO:
        return []
    return sorted(view.electorate.nodes - {*view.fresh_nodes(), state.me} - view.gone)
