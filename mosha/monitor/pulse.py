"""The pulse of a monitor: it publishes its status and renews its leases, once a heartbeat or more.

What else is to be done once a heartbeat is set off by this too (`look`): a process that wakes
once for three things costs hardly more than for one.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import anyio

from mosha.clock import boottime
from mosha.core.node import Node
from mosha.monitor.clinit_link import ClinitLink
from mosha.monitor.publisher import Publisher
from mosha.monitor.waking import set_within

# Bursts of changes go out as one status (O5).
GATHER_S = 0.01
# While much is published, it is not looked around after each status; while nothing can be, after
# somewhat more than a heartbeat all the same.
LOOK_SOONEST = 0.5
LOOK_LATEST = 1.25
# Leases are counted again at most this many times in a heartbeat.
RENEWALS_PER_HEARTBEAT = 4


class Pulse:
    """Publishing and renewing for the brain `node`; each is a task of the caller's.

    `settle` carries out what the brain asks for, `published` is called after each status,
    `look` once a heartbeat.
    """

    def __init__(
        self,
        node: Node,
        publisher: Publisher,
        clinit: ClinitLink,
        *,
        settle: Callable[[], None],
        published: Callable[[], None],
        look: Callable[[], None],
    ) -> None:
        self._node = node
        self._publisher = publisher
        self._clinit = clinit
        self._settle = settle
        self._published = published
        self._look = look
        self._looked_at = -math.inf
        self._publish_wanted = asyncio.Event()
        self._renew_wanted = asyncio.Event()
        self._scope = anyio.CancelScope()

    def want_publish(self) -> None:
        """Publish soon: the status says something new (O5)."""
        self._publish_wanted.set()

    def want_renewals(self) -> None:
        """Count the leases soon: a vote or an echo may be new (C4)."""
        self._renew_wanted.set()

    async def publishing(self) -> None:
        """Publish at each heartbeat and at once when something changed, until `last`."""
        heartbeat_s = self._node.mind.timing.heartbeat_s
        due = boottime()
        with self._scope:
            while not self._node.mind.displaced:
                await set_within(self._publish_wanted, due - boottime())
                if (gather_s := min(GATHER_S, due - boottime())) > 0:
                    await asyncio.sleep(gather_s)
                self._publish_wanted.clear()
                now = boottime()
                due = now + heartbeat_s
                if not self._node.mute(now):
                    await self._publish()
                self._published()
                # After the write: its thread and those of the look would hinder each other.
                self._look_around(heartbeat_s * LOOK_SOONEST)

    async def renewing(self) -> None:
        """Hand renewed leases to clinit; at least once a heartbeat ask for a sign of life."""
        heartbeat_s = self._node.mind.timing.heartbeat_s
        pause_s, last = heartbeat_s / RENEWALS_PER_HEARTBEAT, -math.inf
        while True:
            await set_within(self._renew_wanted, heartbeat_s)
            if (early_s := last + pause_s - boottime()) > 0:
                await asyncio.sleep(early_s)
            last = boottime()
            self._renew_wanted.clear()
            renewals = self._node.renewals(last)
            self._settle()
            self._look_around(heartbeat_s * LOOK_LATEST)
            if self._clinit.connected:
                await self._clinit.renew(renewals)

    def _look_around(self, soonest_s: float) -> None:
        now = boottime()
        if now >= self._looked_at + soonest_s:
            self._looked_at = now
            self._look()

    async def last(self) -> None:
        """End the publishing, with the status that says that this node has left."""
        self._scope.cancel()
        # A mute node cannot say that nothing runs under its number (N1).
        if not self._node.mind.displaced and not self._node.mute(boottime()):
            await self._publish(left=True)

    async def _publish(self, *, left: bool = False) -> None:
        status = self._node.next_status(boottime(), left=left)
        await self._publisher.publish(status, self._node.memory(status))
