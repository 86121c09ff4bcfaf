"""The monitor's tie to clinit: starts it, hears every change, hands it tells and deadlines.

clinit runs in a session of its own and survives the monitor. If it dies it is started again
at once, then with growing pauses; if it does not answer it is killed first, for an unwatched
supervisor is worse than none: its processes die with it (parent-death signal) and what
is left is ended by the next one before that answers.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from mosha import logs
from mosha.control.client import Client, connect, subscribe
from mosha.control.protocol import (
    ClinitRequest,
    GroupReport,
    Hello,
    Lease,
    Reply,
    Shutdown,
    Subscribe,
    Tell,
    Update,
)
from mosha.core.node import Renewal
from mosha.errors import HostError

START_LIMIT_S = 10.0
PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# A clinit that lived this long has earned an immediate start again.
STEADY_S = 60.0
# After a time-out clinit gets this much longer: a monitor that was stopped itself finds the
# answer waiting, but its timers fire first.
GRACE_S = 0.5

log = logs.get()


@dataclass(frozen=True, slots=True)
class ClinitPlace:
    """Where clinit lives: its socket, its cltab (the one in force) and its state directory."""

    socket: Path
    cltab: Path
    state_dir: Path
    node: int


class ClinitLink:
    """Keeps one clinit running and connected.

    `on_full` gets everything after each (re)connection, `on_update` each change after that,
    `on_lost` is called when the connection breaks.
    """

    def __init__(
        self,
        place: ClinitPlace,
        *,
        limit_s: float,
        on_full: Callable[[Update], None],
        on_update: Callable[[Update], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.groups: dict[str, GroupReport] = {}
        self.cltab_errors: tuple[str, ...] = ()
        self.trouble = ""
        self._place = place
        self._limit_s = limit_s
        self._on_full, self._on_update, self._on_lost = on_full, on_update, on_lost
        self._client: Client | None = None
        self._pid = 0
        self._ending = False
        self._known = asyncio.Event()
        self._gone = asyncio.Event()

    # --- what the monitor asks -------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether clinit can be asked at this moment."""
        return self._client is not None

    async def known(self) -> None:
        """Wait until clinit has told everything for the first time."""
        await self._known.wait()

    async def tell(self, message: Tell) -> Reply | None:
        """Tell a level; None if clinit does not answer (it is being started again)."""
        return await self._ask(message)

    async def renew(self, renewals: list[Renewal]) -> None:
        """Hand over new deadlines; without any, ask for a sign of life."""
        leases = {r.group: (r.term, r.stop_at, r.kill_at) for r in renewals}
        await self._ask(Lease(leases=leases) if leases else Hello())

    async def shut_down(self) -> None:
        """End clinit and wait until it is gone."""
        self._ending = True
        pid = self._pid
        if await self._ask(Shutdown()) is not None:
            await self._gone.wait()
            await _ended(pid)

    # --- the connection --------------------------------------------------------------

    async def run(self) -> None:
        """Keep clinit running and the subscription open, for ever."""
        failures = 0
        while not self._ending:
            started = anyio.current_time()
            try:
                await self._connected()
            except HostError as error:
                self.trouble = f"clinit does not answer: {error}"
                if not self._ending:
                    log.warning("clinit_failed", reason=str(error))
            if self._known.is_set():
                self._on_lost()
            self._gone.set()
            failures = 0 if anyio.current_time() - started > STEADY_S else failures + 1
            await anyio.sleep(PAUSES_S[min(failures - 1, len(PAUSES_S) - 1)] if failures else 0.0)

    async def _connected(self) -> None:
        """Connect, starting clinit if nobody answers; return when the connection breaks."""
        client = self._client = await self._reach()
        try:
            async with subscribe(self._place.socket, Subscribe()) as updates:
                async for update in updates:
                    self._take(update)
        finally:
            self._client = None
            await client.close()

    def _take(self, update: Update) -> None:
        if update.full:
            self.groups.clear()
            self._gone.clear()
            self._pid = update.pid
            self.trouble = ""
        for group in update.groups:
            self.groups[group.group] = group
        for name in update.gone:
            self.groups.pop(name, None)
        if update.cltab_errors is not None:
            self.cltab_errors = update.cltab_errors
        (self._on_full if update.full else self._on_update)(update)
        if update.full:
            self._known.set()

    async def _reach(self) -> Client:
        try:
            return await connect(self._place.socket)
        except HostError:
            pass
        process = await self._start()
        deadline = anyio.current_time() + START_LIMIT_S
        while True:
            try:
                return await connect(self._place.socket)
            except HostError:
                if process.returncode is not None:
                    raise HostError(
                        f"clinit ended with status {process.returncode} at its start"
                    ) from None
                if anyio.current_time() > deadline:
                    raise HostError(f"no answer {START_LIMIT_S:g} s after its start") from None
                await anyio.sleep(0.02)

    async def _start(self) -> asyncio.subprocess.Process:
        place = self._place
        log.info("clinit_starting", socket=str(place.socket))
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "mosha.cli.clinit",
            "-d",
            "--managed",
            "-c",
            str(place.cltab),
            "-s",
            str(place.socket),
            "--state-dir",
            str(place.state_dir),
            "--node",
            str(place.node),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def _ask(self, message: ClinitRequest) -> Reply | None:
        client = self._client
        if client is None:
            return None
        # The link has its own limit, which forgives a monitor that was stopped itself.
        task = asyncio.ensure_future(client.request(message, limit_s=2 * self._limit_s + GRACE_S))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._limit_s)
            if not done:
                done, _ = await asyncio.wait({task}, timeout=GRACE_S)
            if not done:
                self._kill()
                return None
            return task.result()
        except HostError:
            return None
        finally:
            task.cancel()

    def _kill(self) -> None:
        """End a clinit that does not answer: its children die with it."""
        log.critical("clinit_hung", pid=self._pid, limit_s=self._limit_s)
        if self._pid:
            try:
                os.kill(self._pid, signal.SIGKILL)
            except ProcessLookupError:
                return


async def _ended(pid: int) -> None:
    """Wait until a process is gone: its sockets close a little earlier."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        await anyio.wait_readable(handle)
    finally:
        os.close(handle)
