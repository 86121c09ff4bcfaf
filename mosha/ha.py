"""The Python API, with the parameters of the original's `OpenMosix::HA->new(...)`.

from mosha import HA

HA(mynode=2, nodes=[1, 2, 3], stomith=shoot).monitor()
"""

from __future__ import annotations

from collections.abc import Mapping

import anyio

from mosha.formats.settings import Settings, settings_from
from mosha.host import logs
from mosha.host.loop_room import require_loop_room
from mosha.monitor.fence_callable import Stomith
from mosha.monitor.run import run_monitor


class HA:
    """One node of a cluster; `monitor()` runs it.

    Args:
        stomith: called with the number of a stale node; returning True is a receipt, the
            proof that the node is dead. It may be a coroutine function.
        parameters: the keys of mosha.toml: mfsbase, hpcbase, mynode, varpath, timeout,
            mwhois, and all others. Defaults as there.

    Raises:
        UsageError: an unknown parameter, a wrong type, an unsafe set of times.
    """

    def __init__(self, *, stomith: Stomith | None = None, **parameters: object) -> None:
        self.stomith = stomith
        given: Mapping[str, object] = parameters
        self.settings: Settings = settings_from(given, "HA(...)")

    def monitor(self) -> int:
        """Run the monitor until this node has left; return the exit status.

        Logs go where `mosha.host.logs.configure` or the caller's structlog sends them, by default
        to stderr.

        Raises:
            UsageError, HostError: as `mosha.monitor.run.run_monitor`.
        """
        logs.configure_if_nobody_has()

        async def run() -> int:
            return await run_monitor(self.settings, stomith=self.stomith)

        require_loop_room()
        return anyio.run(run)
