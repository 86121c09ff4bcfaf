"""Operators' orders that are not in hactl: checked, given, and answered when obeyed."""

from __future__ import annotations

import anyio

from mosha.control.protocol import FailGroup, GiveOrder, OrderEntry
from mosha.core.cluster import entry_orders, orders, probation, rivals
from mosha.core.cluster.events import FailureReported, OrderGiven
from mosha.core.cluster.standby import on_standby
from mosha.core.cluster.state import MonitorState
from mosha.core.explain import reasons, unanswered
from mosha.core.explain.addressees import concerned, stops_again, unreached
from mosha.core.explain.verdicts import sightings
from mosha.core.replication.judging import spread_limit_s
from mosha.core.status import EntryAnswer, EntryVerb, Order, Verb
from mosha.core.supervision.entries import is_outdated
from mosha.core.tables import STOP_LEVEL
from mosha.errors import HostError, UsageError
from mosha.formats.agreement import unknown_group
from mosha.host.clock import boottime
from mosha.monitor.daemon import Monitor

DONE = {
    Verb.RESTART: "{group} is stopped and started again on node {nodes}, under the same claim",
    Verb.MOVE: "{group} leaves node {nodes}",
    Verb.CLEANUP: "what failed of {group} is forgotten on node {nodes}",
    Verb.STANDBY: "node {nodes} is on standby: its groups leave it, and it votes",
    Verb.UNSTANDBY: "node {nodes} takes groups again",
}
STOPS_AGAIN = (
    "the stop of {group} that failed runs again on node {nodes}, and is forgotten if it succeeds;"
    " whether it has: mosha why {group}"
)
ALREADY = {
    Verb.CLEANUP: "nothing of {group} is known here to have failed on node {nodes}; what had is"
    " forgotten",
    Verb.STANDBY: "node {nodes} was on standby already: it takes no groups, and votes",
    Verb.UNSTANDBY: "node {nodes} was not on standby: it takes groups",
}
"""The replies if an order finds things as it wants them. It is given nevertheless: the other nodes'
statuses may be out of date.
"""


ENTRY_DONE = {
    EntryVerb.START: "entry {tag} of {group} is started on node {nodes}",
    EntryVerb.STOP: (
        "entry {tag} of {group} is stopped on node {nodes} until it is started (mosha start"
        " {group} {tag}), or its group is started anew"
    ),
    EntryVerb.RESTART: "entry {tag} of {group} is stopped and started again on node {nodes}",
}


async def given(monitor: Monitor, request: GiveOrder | OrderEntry) -> str:
    """Give an order to a group, a node or an entry, and return its result, or raise as they do."""
    if isinstance(request, OrderEntry):
        return await give_to_entry(monitor, request)
    return await give(monitor, request)


async def give(monitor: Monitor, request: GiveOrder) -> str:
    """Give an order, and return its result.

    Raises:
        UsageError: it is not possible now.
        HostError: a node that it concerns did not obey in time.
    """
    state = monitor.node.state
    order = Order(Verb(request.verb), request.group, request.node)
    _check_names(state, order)
    now = boottime()
    nodes = concerned(state, order, now)
    text = _reply(state, order, nodes)
    monitor.report_event(OrderGiven(order))
    number = state.order_number
    text += unreached(state, order, nodes)
    if order.verb == Verb.UNSTANDBY and (left_s := probation.on_probation(state, order.node, now)):
        text += f", but none until its probation ends, in {probation.left_text(left_s)}"
    if order.verb == Verb.RESTART and not request.wait:
        return text
    limit_s = request.limit_s or None if request.wait else spread_limit_s(state.timing.heartbeat_s)
    runs = {node: unanswered.run_of(state, node) for node in nodes}

    def losses() -> dict[int, str]:
        waiting = nodes - orders.have_obeyed(state, nodes, number) if request.wait else ()
        found = {n: unanswered.loss(state, order, n, number, runs[n]) for n in waiting}
        return {node: why for node, why in found.items() if why}

    with anyio.move_on_after(limit_s):
        while not nodes <= orders.have_obeyed(state, nodes, number) and not losses():
            seen = monitor.news
            with anyio.move_on_after(state.timing.heartbeat_s):
                await monitor.next_change(seen)
        if lost := losses():
            raise HostError(_lost(order, lost))
        return _unclaimed(state, order, nodes) or text
    late = ", ".join(map(str, sorted(nodes - orders.have_obeyed(state, nodes, number))))
    if request.wait:
        raise HostError(
            f"{order.group} has not started again on node {late} within {limit_s:g} s; what is in"
            f" the way: mosha why {order.group}"
        )
    raise HostError(
        f"node {late} has not obeyed within {limit_s:g} s: it does not hear this node, or its "
        "version of mosha does not support orders"
    )


def _reply(state: MonitorState, order: Order, nodes: frozenset[int]) -> str:
    """Return what an order does that is given now."""
    words = ALREADY if _is_so_already(state, order, nodes) else DONE
    again, text = stops_again(state, order, nodes), words[Verb(order.verb)]
    rest = nodes - again if again else nodes
    told = [text.format(group=order.group, nodes=", ".join(map(str, sorted(rest))))] if rest else []
    if again:
        where = ", ".join(map(str, sorted(again)))
        told.insert(0, STOPS_AGAIN.format(group=order.group, nodes=where))
    return "; ".join(told)


async def give_to_entry(monitor: Monitor, request: OrderEntry) -> str:
    """Order something of one entry of a group, and return what came of it.

    Raises:
        UsageError: it is not possible now, or was refused where the group runs.
        HostError: it was not carried out in time.
    """
    state = monitor.node.state
    if not request.tag:  # without one it would be an order for the whole group
        raise UsageError(f"which entry of {request.group}? its tag is empty")
    order = Order(request.verb, request.group, tag=request.tag)
    _check_names(state, order)
    nodes = concerned(state, order, boottime())
    runs = {node: unanswered.run_of(state, node) for node in nodes}
    monitor.report_event(OrderGiven(order))
    mine = state.order_number

    def answers() -> dict[int, EntryAnswer | None]:
        return {node: entry_orders.answer_to(state, node, mine) for node in nodes}

    def losses() -> dict[int, str]:
        waiting = [node for node, answer in answers().items() if answer is None]
        found = {n: unanswered.loss(state, order, n, mine, runs[n]) for n in waiting}
        return {node: text for node, text in found.items() if text}

    with anyio.move_on_after(request.limit_s):
        while None in answers().values() and not losses():
            seen = monitor.news
            with anyio.move_on_after(state.timing.heartbeat_s):
                await monitor.next_change(seen)
    found = answers()
    for node, answer in sorted(found.items()):
        if answer is not None and not answer.ok:
            raise UsageError(f"by node {node}: {answer.text}")
    if lost := losses():
        raise HostError(_lost(order, lost))
    late = [node for node in sorted(nodes) if found[node] is None]
    if late:
        text = "; ".join(unanswered.delay(state, order, node) for node in late)
        where = ", ".join(map(str, late))
        stands = "; the order still stands" if mine in state.orders else ""
        raise HostError(f"node {where} has not obeyed within {request.limit_s:g} s: {text}{stands}")
    said = next((answer.text for answer in found.values() if answer and answer.text), "")
    where = ", ".join(map(str, sorted(nodes)))
    done = said or ENTRY_DONE[request.verb].format(tag=order.tag, group=order.group, nodes=where)
    return done + _older(state, order, nodes)


def _older(state: MonitorState, order: Order, nodes: frozenset[int]) -> str:
    """Return that an entry runs as an older cltab had it: an order for it does not change that."""
    found = [
        trouble
        for group in rivals.named(state, order.group)
        for place in sightings(state, group, boottime())
        for trouble in place.troubles
        if place.node in nodes and trouble.tag == order.tag
    ]
    if not any(map(is_outdated, found)):
        return ""
    return (
        "; it is the definition that it was started with, and cltab is newer: to apply that: mosha"
        f" restart {order.group}"
    )


def _unclaimed(state: MonitorState, order: Order, nodes: frozenset[int]) -> str:
    """Return that a restart that was obeyed came to nothing, as the claim it needs has ended.

    Raises:
        HostError: the group is to be stopped by now: it will not start again.
    """
    ended = [] if order.tag else sorted(node for node in nodes if not _claims(state, order, node))
    if order.verb != Verb.RESTART or not ended:
        return ""
    where = ", ".join(map(str, ended))
    if rivals.level_of(state, order.group) == STOP_LEVEL:
        raise HostError(
            f"{order.group} is not started again: its claim on node {where} has ended, and hactl"
            f" was changed meanwhile: it is to be stopped; to start it: mosha start {order.group}"
        )
    return (
        f"the claim of {order.group} on node {where} ended during its restart: it starts as soon"
        f" as a node claims it; what is in the way: mosha why {order.group}"
    )


def _claims(state: MonitorState, order: Order, node: int) -> bool:
    """Say whether a node claims the group of an order, as far as known here."""
    group = rivals.at(state, order.group, node)
    if node == state.me:
        return state.record(group).claim is not None
    status = state.view.peer(node).status
    return status is not None and group in status.claims


def _lost(order: Order, lost: dict[int, str]) -> str:
    """Return that nodes will not answer an order any more, and what to do."""
    nodes, facts = ", ".join(map(str, sorted(lost))), "; ".join(lost.values())
    again = f"mosha {order.verb} {order.group} {order.tag}".rstrip()
    return (
        f"{facts}; node {nodes} has not confirmed that it obeyed: see mosha status {order.group},"
        f" and if need be again: {again}"
    )


def failed(monitor: Monitor, request: FailGroup) -> str:
    """Handle a watcher's report that a group failed here.

    Raises:
        UsageError: it does not run here.
    """
    state = monitor.node.state
    _check_names(state, Order(Verb.RESTART, request.group))
    group = rivals.at(state, request.group, state.me)
    if refusal := orders.fail_refusal(state, group):
        raise UsageError(refusal)
    monitor.report_event(FailureReported(group, request.reason))
    ban_s = state.timing.ban_s
    return f"{group} is stopped here, and banned on node {state.me} for {ban_s:g} s"


def _is_so_already(state: MonitorState, order: Order, nodes: frozenset[int]) -> bool:
    """Say whether all nodes that an order concerns are already as it wants, as far as known."""
    if order.verb in (Verb.STANDBY, Verb.UNSTANDBY):
        return on_standby(state, order.node) == (order.verb == Verb.STANDBY)
    if order.verb == Verb.CLEANUP:
        return not any(orders.has_failed(state, order.group, node) for node in nodes)
    return False


def _check_names(state: MonitorState, order: Order) -> None:
    nodes = state.view.members | {state.me} | state.view.electorate.nodes
    if order.node and order.node not in nodes:
        known = ", ".join(map(str, sorted(nodes)))
        raise UsageError(f"there is no node {order.node}; nodes are {known}")
    if order.group and not reasons.is_known(state, order.group):
        doubt = unknown_group(order.group, sorted(reasons.known_groups(state)))
        raise UsageError(f"{doubt.text}; {doubt.remedy}")
