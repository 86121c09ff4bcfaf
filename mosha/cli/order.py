"""Sends an order to this node's monitor, prints the reply, and waits if asked to."""

from __future__ import annotations

from mosha.cli.answer import see_through, tell_reply
from mosha.cli.ask import ask, ask_report
from mosha.cli.progress import Goal, before_move
from mosha.cli.settings import settings_to_ask
from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import GiveOrder
from mosha.core.replication.judging import spread_limit_s
from mosha.core.status import Verb


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
