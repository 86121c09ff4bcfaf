"""Sends an order to this node's monitor, prints the reply, and waits if asked to."""

from __future__ import annotations

import queue
import threading

from mosha.cli.answer import see_through, tell_reply
from mosha.cli.ask import ask, ask_report
from mosha.cli.progress import EntryGoal, Goal, before_move, follow_order
from mosha.cli.settings import settings_to_ask
from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import GiveOrder, MonitorReply, OrderEntry
from mosha.core.replication.judging import spread_limit_s
from mosha.core.status import EntryVerb, Verb
from mosha.errors import MoshaError
from mosha.formats.settings import Settings

ENTRY_LIMIT_S = 25.0
"""So long a command waits for the end of an entry: INT, TERM and KILL take 15 s by default."""


def give(
    config: str | None, order: GiveOrder, *, limit_s: float | None = None, as_json: bool
) -> int:
    """Send an order; with `limit_s` wait at most that long until it has taken effect."""
    settings = settings_to_ask(config)
    answer_s = CALL_LIMIT_S + spread_limit_s(settings.timing.heartbeat_s) + (limit_s or 0.0)
    goal = Goal(order.group)
    if limit_s is not None and order.verb == Verb.MOVE:
        goal = before_move(ask_report(settings)[0], order.group, order.node)
    reply = ask(settings, order, answer_s)
    if limit_s is None:
        return tell_reply(reply, as_json=as_json)
    return see_through(settings, reply, goal, limit_s, as_json=as_json)


def order_entry(
    config: str | None,
    verb: EntryVerb,
    group: str,
    tag: str,
    *,
    limit_s: float | None,
    as_json: bool,
) -> int:
    """Order something of one entry; with `limit_s` wait at most that long, and until it is well."""
    settings = settings_to_ask(config)
    obey_s = ENTRY_LIMIT_S if limit_s is None else limit_s
    answer_s = CALL_LIMIT_S + spread_limit_s(settings.timing.heartbeat_s) + obey_s
    order = OrderEntry(verb, group, tag, obey_s)
    if limit_s is None:
        return tell_reply(ask(settings, order, answer_s), as_json=as_json)
    reply = _ask_and_follow(settings, order, answer_s)
    goal = Goal(group, entry=EntryGoal(tag, stopped=verb is EntryVerb.STOP))
    return see_through(settings, reply, goal, limit_s, as_json=as_json)


def _ask_and_follow(settings: Settings, order: OrderEntry, answer_s: float) -> MonitorReply:
    """Send an order, and print what delays it until the reply comes, which may take minutes."""
    replies: queue.SimpleQueue[MonitorReply | MoshaError] = queue.SimpleQueue()
    answered = threading.Event()

    def send() -> None:
        try:
            replies.put(ask(settings, order, answer_s))
        except MoshaError as error:
            replies.put(error)
        finally:
            answered.set()

    # A daemon: an interrupt ends the command, whatever the thread waits for.
    threading.Thread(target=send, daemon=True).start()
    follow_order(settings, order.group, answered.wait)
    reply = replies.get()
    if isinstance(reply, MoshaError):
        raise reply
    return reply
