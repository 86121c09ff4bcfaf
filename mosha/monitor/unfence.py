"""Lets this node in to its storage again: the action `on` of fence agents that cut nodes off.

A node does it itself (`on_target` of an agent's metadata), whenever it is not known whether it may
use its storage (`core.cluster.access`). `status` is asked first. `on` waits until clinit has no
process of any group here: one that was cut off might go on writing. Until the storage says that it
lets the node in, the core claims nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from mosha.core.cluster.events import StorageAnswered
from mosha.formats.fencing_methods import FencingMethod
from mosha.formats.names import listed
from mosha.host.abandonable import Abandonable
from mosha.monitor.fence_agent import Prepared, ask, is_on, prepared, told
from mosha.monitor.fence_outcome import why_not_started
from mosha.monitor.fence_test import LOOK_LIMIT_S

if TYPE_CHECKING:
    from mosha.monitor.daemon import Monitor

RETRY_S = 30.0
"""As a failed shot: a device that is busy is not asked more often."""


class Unfencing:
    """The unfencing of one monitor."""

    def __init__(self, monitor: Monitor, *, retry_s: float = RETRY_S) -> None:
        self._monitor = monitor
        self._retry_s = retry_s
        self._files = Abandonable("the programs and secrets of unfencing")
        self._refusal = ""

    async def run(self) -> None:
        """Ask the storage whenever it has to be asked, until it lets this node in."""
        monitor = self._monitor
        while True:
            while not monitor.node.state.cut_off:
                await monitor.next_change(monitor.news)
            doubt = monitor.node.state.storage_doubts
            refusal = await self._ask_all()
            if not refusal:
                self._test_again()
            self._show(refusal)
            monitor.report_event(StorageAnswered(doubt, refusal))
            if refusal:
                await anyio.sleep(self._retry_s)

    def _show(self, refusal: str) -> None:
        if refusal and not self._refusal:
            self._monitor.log.warning("unfence_failed", reason=refusal)
        self._refusal = refusal
        text = f"this node claims no group: its storage does not let it in: {refusal}"
        self._monitor.trouble("storage", text if refusal else "")

    def _test_again(self) -> None:
        """Replace what a test of this node said while it was cut off."""
        schedule, me = self._monitor.fence_schedule, self._monitor.me
        if any(it.node == me and it.failure for it in schedule.records):
            schedule.test_soon(me)

    async def _ask_all(self) -> str:
        """Have all methods let this node in; return why one did not, "" if all did."""
        me = self._monitor.me
        if self._monitor.node.state.witness:  # it has no groups that could use the storage
            return ""
        for method in self._monitor.settings.fencing.methods:
            if not method.unfence or me not in method.targets:
                continue
            try:
                agent = await self._files.run(partial(prepared, me, method), LOOK_LIMIT_S)
                refusal = agent if isinstance(agent, str) else await self._let_in(agent, method)
            except (OSError, ValueError) as error:
                refusal = why_not_started(error)
            if refusal:
                return f"{method.name}: {refusal}"
        return ""

    async def _let_in(self, agent: Prepared, method: FencingMethod) -> str:
        answer = await ask(agent, "status", method.limit)
        if is_on(answer):
            return ""
        said = told(agent, "status", answer, method.limit)
        if busy := self._busy():
            return f"{said}; on waits: {busy}"
        ordered = await ask(agent, "on", method.limit)
        said = told(agent, "on", ordered, method.limit)
        if ordered.status != 0:
            return said
        answer = await ask(agent, "status", method.limit)
        if not is_on(answer):
            return f"{said}; {told(agent, 'status', answer, method.limit)}"
        self._monitor.log.info("unfenced", method=method.name)
        return ""

    def _busy(self) -> str:
        """Return why this node may not be let in now: what was cut off may be alive."""
        state = self._monitor.node.state
        if not state.clinit_known:
            return "clinit does not answer"
        alive = sorted(group for group, report in state.reports.items() if report.present)
        return f"processes of {listed(alive)} are still here" if alive else ""
