"""`mosha run` and `HA(...).monitor()`: one monitor from its first log line to its last."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable

import anyio

from mosha.control.listener import LOOK_S
from mosha.core.replication.table_events import StoredTablesLost
from mosha.core.status import NodeState
from mosha.errors import HostError, UsageError
from mosha.formats.settings import Settings
from mosha.host import logs, notify, signals
from mosha.host.terminal import Terminal
from mosha.monitor import own_reset
from mosha.monitor.daemon import Monitor
from mosha.monitor.fence_callable import Stomith
from mosha.monitor.files.membership import own_number
from mosha.monitor.files.outsiders import OutsiderWatch
from mosha.monitor.reload import reload
from mosha.monitor.service import Service, farewell
from mosha.monitor.service_notifier import ServiceNotifier

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
HAND_OVER_SIGNAL = signal.SIGUSR1
"""Its default action does the same, less tidily: so it works at any moment of a start too."""


async def run_monitor(
    settings: Settings,
    *,
    stomith: Stomith | None = None,
    read_settings: Callable[[], Settings] | None = None,
    starts_clinit: bool = True,
) -> int:
    """Run the monitor of this node until it has left or hands over; return the exit status.

    It is minus `HAND_OVER_SIGNAL` if it was asked to end and keep the groups running.

    Args:
        settings: of this node.
        stomith: the callable of the Python API.
        read_settings: reads mosha.toml again (SIGHUP); None if there is no file.
        starts_clinit: whether this monitor starts and ends clinit, or systemd.

    Raises:
        UsageError: no node number, unsafe place, a namesake, another monitor here.
        HostError: directories or sockets that cannot be made.
    """
    notifier = notify.take()
    terminal = Terminal()
    signals.reset()
    me = own_number(settings)
    logs.say_always(node=me)
    monitor = Monitor(settings, me, stomith, starts_clinit=starts_clinit)
    monitor.read_settings = read_settings
    service_notifier = ServiceNotifier(monitor, notifier)
    await monitor.prepare()
    service_notifier.waiting()
    monitor.on_published = service_notifier.published
    try:
        return await _live(monitor, service_notifier, terminal)
    finally:
        monitor.lock.close()  # a thread that hangs on a dead mount would hold it


async def _live(monitor: Monitor, service_notifier: ServiceNotifier, terminal: Terminal) -> int:
    service = Service(monitor)
    async with anyio.create_task_group() as tasks:
        orders = _Signals(monitor, service_notifier, terminal)
        tasks.start_soon(orders.obey)
        tasks.start_soon(service.run)
        tasks.start_soon(_keep_state, monitor)
        tasks.start_soon(_watch_outsiders, monitor)
        tasks.start_soon(own_reset.tell, monitor)
        status = await monitor.run()
        service_notifier.stopping("handing over" if orders.handing_over else farewell(monitor))
        await service.flush()
        tasks.cancel_scope.cancel()
    return -HAND_OVER_SIGNAL if orders.handing_over else status


async def _watch_outsiders(monitor: Monitor) -> None:
    """Watch for nodes that publish here and are not in `nodes`; without a list none is outside."""
    if monitor.settings.nodes:
        timeout_s = monitor.settings.timing.timeout_s
        report = functools.partial(monitor.trouble, "outsiders")
        members = frozenset({monitor.me, *monitor.settings.nodes})
        await OutsiderWatch(monitor.layout, members, report, timeout_s=timeout_s).run()


async def _keep_state(monitor: Monitor) -> None:
    """Check periodically that the state directory still exists, and make it again if not."""
    while True:
        await anyio.sleep(LOOK_S)
        trouble = ""
        try:
            if monitor.lock.restore():
                logs.get().warning("state_restored", path=str(monitor.lock.path.parent))
                monitor.report_event(StoredTablesLost())
                await monitor.publisher.restore()
        except (HostError, OSError) as error:
            trouble = f"the state directory {monitor.lock.path.parent} is gone: {error}"
        monitor.trouble("state", trouble)


class _Signals:
    """TERM, INT and QUIT make the node leave in an orderly way (H6.4), HUP reads settings.

    A HUP because the terminal was closed makes it leave as well.

    USR1 ends only the monitor: a restart that no group notices.
    """

    def __init__(
        self, monitor: Monitor, service_notifier: ServiceNotifier, terminal: Terminal
    ) -> None:
        self.handing_over = False
        self._monitor = monitor
        self._service_notifier = service_notifier
        self._terminal = terminal

    async def obey(self) -> None:
        numbers = (*STOP_SIGNALS, HAND_OVER_SIGNAL, signal.SIGHUP)
        with anyio.open_signal_receiver(*numbers) as received:
            async for number in received:
                if number == signal.SIGHUP:
                    await self._hang_up()
                elif number == HAND_OVER_SIGNAL:
                    self._hand_over()
                else:
                    self._monitor.leave()

    def _hand_over(self) -> None:
        # Groups that are already being halted need this monitor to finish.
        if self._monitor.node.state.node_state is NodeState.UP:
            logs.get().info("monitor_handing_over", node=self._monitor.me)
            self.handing_over = True
            self._monitor.hand_over()

    async def _hang_up(self) -> None:
        if await self._terminal.was_closed():
            logs.get().warning("terminal_closed", node=self._monitor.me)
            self._monitor.leave()
        else:
            self._reload()

    def _reload(self) -> None:
        self._service_notifier.reloading()
        try:
            reload(self._monitor)
        except (UsageError, HostError) as error:
            logs.get().warning("settings_refused", node=self._monitor.me, reason=str(error))
        self._service_notifier.reloaded()
