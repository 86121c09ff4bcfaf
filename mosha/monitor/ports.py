"""The ports of the monitor: they carry out each effect of its agent, in separate tasks.

Each effect with an outcome is answered by one event. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup

from mosha.control.protocol import MALFORMED
from mosha.core.cluster import effects, shots
from mosha.core.cluster.events import (
    ClinitEnded,
    EntryOrderAnswered,
    Event,
    LeasesRenewed,
    MethodBegun,
    ShotEnded,
    StatusWritten,
    WriteFailed,
)
from mosha.core.cluster.fencing import FenceOrder
from mosha.core.cluster.state import LogRecord
from mosha.core.tell import EntryOrder, Tell
from mosha.host.clock import boottime
from mosha.monitor import fencing, log_records
from mosha.monitor.fence_callable import GOES_ON, goes_on
from mosha.monitor.fence_outcome import ShotOutcome
from mosha.monitor.fence_poison import Pill
from mosha.monitor.tables.ports import TablePorts
from mosha.monitor.tells import Tells

if TYPE_CHECKING:
    from mosha.monitor.daemon import Monitor


ENTRY_ORDER_LIMIT_S = 10.0
"""clinit replies at once; one that reads a cltab on a slow disk gets some time."""


OLD_CLINIT = "its clinit is of an older version, which has no orders for entries"


class Ports:
    """The ports of one monitor. Effects that come while they are shut start when they open."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._report: Callable[[Event], None] = monitor.report_event
        self._tells = Tells(monitor.clinit, self._start, self._report)
        places = (monitor.layout, monitor.me, monitor.settings.state_path)
        self.tables = TablePorts(*places, self._start, self._report)
        self._tasks: TaskGroup | None = None
        self._early: list[tuple[Callable[..., Any], tuple[object, ...]]] = []

    def open(self, tasks: TaskGroup) -> None:
        """Start all tasks in this group from now on, until it is to end (`shut`)."""
        self._tasks = tasks
        early, self._early = self._early, []
        for work, args in early:
            tasks.start_soon(work, *args)

    def shut(self) -> None:
        """Start nothing before the ports are opened again."""
        self._tasks = None

    def table(self) -> dict[type, Callable[[Any], None]]:
        """Return the port of each kind of effect."""
        monitor = self._monitor
        return {
            effects.ReadStatus: monitor.reader.read,
            effects.WriteStatus: lambda order: self._start(self._write, order),
            Tell: self._tells.tell,
            EntryOrder: lambda order: self._start(self._order_entry, order),
            effects.RenewLeases: lambda order: self._start(self._renew, order),
            FenceOrder: lambda order: self._start(self._shoot, order),
            LogRecord: lambda note: log_records.write(monitor.log, note),
            effects.WatchNodes: lambda order: monitor.watch(order.nodes),
            effects.LookAround: lambda _: monitor.watcher.look(),
            **self.tables.table(),
            effects.HurryWatch: lambda _: monitor.watcher.hurry(),
            effects.FeedWatchdog: lambda _: monitor.on_published(),
            effects.Announce: lambda _: monitor.announce(),
            effects.EndClinit: lambda _: self._start(self._end_clinit),
            effects.EndMonitor: lambda order: monitor.has_left(stranded=order.stranded),
        }

    def _start(self, work: Callable[..., Any], *args: object) -> None:
        if self._tasks is None:
            self._early.append((work, args))
        else:
            self._tasks.start_soon(work, *args)

    async def _write(self, order: effects.WriteStatus) -> None:
        if await self._monitor.publisher.publish(order.status, order.memory):
            self._monitor.trouble("publish", "")
            self._report(StatusWritten(order.status))
        else:
            self._report(WriteFailed())

    async def _renew(self, order: effects.RenewLeases) -> None:
        await self._monitor.clinit.renew(order.renewals)
        self._report(LeasesRenewed())

    async def _order_entry(self, order: EntryOrder) -> None:
        reply = await self._monitor.clinit.apart(order, ENTRY_ORDER_LIMIT_S)
        ok, text = (reply.ok, reply.text) if reply is not None else (None, "")
        text = OLD_CLINIT if text.startswith(MALFORMED) else text
        self._report(EntryOrderAnswered(order, ok, text))

    async def _shoot(self, order: FenceOrder) -> None:
        """Shoot a node; what runs is killed, and no other method begins, once it is heard again."""
        monitor = self._monitor
        methods = monitor.settings.fencing.methods
        ended = ShotOutcome("failed", "none", "given up")
        async with monitor.fence_schedule.shooting(), anyio.create_task_group() as tasks:

            async def give_up() -> None:
                nonlocal ended
                while not (why := shots.is_void(monitor.node.state, order, boottime())):
                    await monitor.next_change(monitor.news)
                more = f"; {GOES_ON}" if goes_on(monitor.on_stomith) else ""
                text = f"given up: {why}{more}"
                ended = ShotOutcome("failed", "none", text, may_be_off=True)
                tasks.cancel_scope.cancel()

            tasks.start_soon(give_up)
            ended = await fencing.shoot(
                order.node,
                methods,
                monitor.on_stomith,
                required=order.required,
                pill=Pill(monitor, order),
                begun=lambda method, failed: self._report(MethodBegun(order, method, failed)),
            )
            tasks.cancel_scope.cancel()
        failure = (ended.detail or ended.method) if ended.outcome == "failed" else ""
        monitor.fence_schedule.shot_ended(order.node, failure)
        self._report(
            ShotEnded(
                order,
                ended.outcome,
                ended.method,
                ended.detail,
                ended.grade,
                may_be_off=ended.may_be_off,
            )
        )

    async def _end_clinit(self) -> None:
        await self._monitor.clinit.shut_down()
        self._report(ClinitEnded())
