"""Orders of operators for one entry of a group: carried out by clinit where the group runs.

Like the other orders (`orders`) they stand in the status of the node where they were given. The
node that runs the group under a granted claim passes each on to its clinit once, with the term of
the claim, and answers it in its status: when clinit reports that it was carried out, or when it is
refused or void. Older versions skip both lines, and do not answer.
"""

from __future__ import annotations

from msgspec.structs import replace

from mosha.core.cluster.state import MonitorState, StandingAnswer, WaitingEntryOrder
from mosha.core.status import EntryAnswer, EntryVerb, Order, Stamp
from mosha.core.tell import EntryOrder

ENTRY_ORDERS_MAX = 64
"""How many of them wait, and how many answers stand; beyond that the oldest is dropped."""

ORDER_MIN_S = 30.0
"""How long an order or its answer stands at least: each node reads the others every heartbeat."""

VOID = "the group was stopped or started anew meanwhile"
NO_REPLY = "clinit did not answer; whether it was carried out: mosha status"
VERBS = frozenset(verb.value for verb in EntryVerb)


def pass_on(state: MonitorState, order: Order, issuer: int, stamp: Stamp, now: float) -> None:
    """Order it from clinit if the group is here; with an unknown verb it is for a later version."""
    record, report = state.record(order.group), state.report(order.group)
    if not report.present or order.verb not in VERBS:
        return
    key, name = (issuer, stamp.seq), f"{issuer}.{stamp.inc}.{stamp.seq}"
    state.entry_orders[key] = WaitingEntryOrder(
        stamp.inc, order.verb, order.group, order.tag, name, report.term, report.wanted
    )
    while len(state.entry_orders) > ENTRY_ORDERS_MAX:
        del state.entry_orders[next(iter(state.entry_orders))]
    if record.claim is None or not (record.granted and record.activated):
        _answer(state, key, now, ok=False, text=f"{order.group} has no lease on node {state.me}")
    elif not state.clinit_known:
        _answer(state, key, now, ok=False, text=f"clinit of node {state.me} does not answer")
    else:
        verb = EntryVerb(order.verb)
        state.to_clinit.append(EntryOrder(order.group, order.tag, verb, name, record.claim))


def replied(
    state: MonitorState, order: EntryOrder, *, ok: bool | None, text: str, now: float
) -> None:
    """Handle clinit's reply to an order; `ok` None: there was none."""
    key = next((k for k, waits in state.entry_orders.items() if waits.name == order.order), None)
    if key is None:
        return
    if ok:
        state.entry_orders[key].reply = text
        state.wake((order.group,))  # its report may have come before
        return
    refusal = NO_REPLY if ok is None else text
    names = {"group": order.group, "tag": order.tag, "verb": order.verb}
    state.log("entry_order_refused", **names, reason=refusal)
    _answer(state, key, now, ok=False, text=refusal)


def settle(state: MonitorState, group: str, now: float) -> None:
    """Answer the orders for a group that clinit reports as carried out, or that are void."""
    report = state.report(group)
    for key, waits in list(state.entry_orders.items()):
        if waits.group != group:
            continue
        entry = next((entry for entry in report.entries if entry.tag == waits.tag), None)
        if entry is not None and waits.name in entry.obeyed:
            if waits.reply is None:
                continue
            if entry.error and waits.verb != EntryVerb.STOP:
                text = f"entry {waits.tag} of {group} {entry.error}"
                _answer(state, key, now, ok=False, text=text)
            elif not entry.ready and waits.verb != EntryVerb.STOP:
                text = f"entry {waits.tag} of {group} has not become ready: {entry.exit}"
                _answer(state, key, now, ok=False, text=text)
            elif entry.unattended and waits.verb == EntryVerb.STOP:
                text = f"entry {waits.tag} of {group} may not be stopped, its stop failed"
                said = ": ".join(filter(None, (text, entry.exit, entry.exit_said)))
                _answer(state, key, now, ok=False, text=said)
            else:
                _answer(state, key, now, ok=True, text=waits.reply)
        elif (report.term, report.wanted) != (waits.term, waits.level):
            _answer(state, key, now, ok=False, text=VOID)


def go_on_counting(state: MonitorState, issuer: int, before: int, inc: int) -> None:
    """Handle: a node has begun a new incarnation while it runs, and its orders are those of before.

    It looks for answers to orders of its present incarnation.
    """
    for (node, _), waits in state.entry_orders.items():
        if node == issuer and waits.inc == before:
            waits.inc = inc
    for key, standing in tuple(state.answers.items()):
        if key[0] == issuer and standing.answer.inc == before:
            answer = replace(standing.answer, inc=inc)
            state.answers[key] = standing._replace(answer=answer)


def drop_old_answers(state: MonitorState, now: float) -> None:
    """Drop the answers that have stood long enough: each node reads every other often."""
    for key in [key for key, standing in state.answers.items() if standing.until <= now]:
        del state.answers[key]


def answer_to(state: MonitorState, node: int, number: int) -> EntryAnswer | None:
    """Return what a node has answered to an order that was given here, None if nothing yet."""
    key = (state.me, number)
    if node == state.me:
        standing = state.answers.get(key)
        found = standing.answer if standing is not None else None
    else:
        status = state.view.peer(node).status
        found = status.answers.get(key) if status is not None else None
    return found if found is not None and found.inc == state.inc else None


def _answer(state: MonitorState, key: tuple[int, int], now: float, *, ok: bool, text: str) -> None:
    waits = state.entry_orders.pop(key)
    until = now + max(ORDER_MIN_S, 2 * state.timing.timeout_s)
    state.answers[key] = StandingAnswer(EntryAnswer(waits.inc, ok, text), until)
    while len(state.answers) > ENTRY_ORDERS_MAX:
        del state.answers[next(iter(state.answers))]
    state.changed()
