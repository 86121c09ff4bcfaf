"""One coroutine for each resource group: it sends the orders of its group to clinit.

Each waits for an order, then for clinit's reply, then for the next order; `core.cluster.agent`
decides what is ordered and when. Groups do not wait for each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mosha.core.cluster.events import Event, TellAnswered
from mosha.core.tell import Tell
from mosha.monitor.clinit_link import ClinitLink
from mosha.monitor.no_clinit import NoClinit

Start = Callable[..., None]
"""Starts a task: a coroutine function and its arguments."""


class Tells:
    """The coroutines of all groups of one node."""

    def __init__(
        self, clinit: ClinitLink | NoClinit, start: Start, report: Callable[[Event], None]
    ) -> None:
        self._clinit = clinit
        self._start = start
        self._report = report
        self._orders: dict[str, asyncio.Queue[Tell]] = {}

    def tell(self, order: Tell) -> None:
        """Send an order to clinit; the next one may come only after `TellAnswered` is reported."""
        orders = self._orders.get(order.group)
        if orders is None:
            orders = self._orders[order.group] = asyncio.Queue()
            self._start(self._live, orders)
        orders.put_nowait(order)

    async def _live(self, orders: asyncio.Queue[Tell]) -> None:
        while True:
            order = await orders.get()
            reply = await self._clinit.tell(order)
            refusal = "" if reply is None or reply.ok else reply.text
            self._report(TellAnswered(order.group, order.level, refusal))
