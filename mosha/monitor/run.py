"""`mosha run` and `HA(...).monitor()`: one monitor from its first line of log to its last."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio

from mosha import logs
from mosha.errors import MoshaError
from mosha.formats.settings import Settings
from mosha.monitor.daemon import Monitor
from mosha.monitor.membership import own_number
from mosha.monitor.reload import reload
from mosha.monitor.service import Service
from mosha.monitor.stomith import Stomith

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


async def run_monitor(
    settings: Settings,
    *,
    stomith: Stomith | None = None,
    read_settings: Callable[[], Settings] | None = None,
) -> int:
    """Run the monitor of this node until it has left; returns the exit status.

    Args:
        settings: of this node.
        stomith: the callable of the Python API.
        read_settings: reads mosha.toml again (SIGHUP); None if there is no file.

    Raises:
        UsageError: no node number, unsafe place, a namesake, another monitor here.
        HostError: directories or sockets that cannot be had.
    """
    monitor = Monitor(settings, own_number(settings), stomith)
    monitor.read_settings = read_settings
    await monitor.prepare()
    service = Service(monitor)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_obey_signals, monitor)
        tasks.start_soon(service.run)
        status = await monitor.run()
        await service.flush()
        tasks.cancel_scope.cancel()
    return status


async def _obey_signals(monitor: Monitor) -> None:
    """TERM, INT and QUIT make the node leave in an orderly way (H6.4), HUP reads settings."""
    with anyio.open_signal_receiver(*STOP_SIGNALS, signal.SIGHUP) as signals:
        async for number in signals:
            if number != signal.SIGHUP:
                monitor.leave()
                continue
            try:
                reload(monitor)
            except MoshaError as error:
                logs.get().warning("settings_refused", node=monitor.me, reason=str(error))
