"""Gives an order to the monitor of this node, prints its answer, and waits if asked to."""

from __future__ import annotations

from mosha.cli.ask import ask
from mosha.cli.exits import AS_WANTED, NOT_AS_WANTED
from mosha.cli.progress import Reached, wait_for
from mosha.cli.set import tell
from mosha.cli.settings import load_settings
from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import GiveOrder
from mosha.core.replication import spread_limit_s


def give(
    config: str | None,
    order: GiveOrder,
    reached: Reached | None = None,
    *,
    limit_s: float | None = None,
    as_json: bool,
) -> int:
    """Give an order; `limit_s`: wait so long until the group has `reached` what it shall."""
    settings = load_settings(config)
    answer_s = CALL_LIMIT_S + spread_limit_s(settings.timing.heartbeat_s) + (limit_s or 0.0)
    reply = ask(settings, order, answer_s)
    tell(reply.text, ok=reply.ok, as_json=as_json)
    if reply.ok and reached is not None and limit_s is not None:
        return wait_for(settings, order.group, reached, limit_s)
    return AS_WANTED if reply.ok else NOT_AS_WANTED
