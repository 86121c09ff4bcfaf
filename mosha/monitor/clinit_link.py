"""The monitor's link to clinit: starts it, gets its updates, sends it tells and deadlines.

clinit runs in its own session and survives the monitor. If it dies it is started again at once,
then with growing pauses; if it does not answer it is killed first, for an unresponsive supervisor
is worse than none: its processes die with it (parent-death signal) and the next clinit ends what
is left before it answers. A connection that breaks for any other reason is made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import msgspec

from mosha.control.client import Client, NoAnswerError, connect, subscribe
from mosha.control.protocol import (
    Ask,
    ClinitRequest,
    Hello,
    Lease,
    Reply,
    Shutdown,
    Subscribe,
    Update,
)
from mosha.core.cluster.events import ClinitLost, GroupsReported
from mosha.core.cluster.node import Renewal
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.core.watchdog import ArmedWatchdog
from mosha.errors import HostError
from mosha.host import logs, proc
from mosha.host.clock import boottime
from mosha.monitor.clinit_place import ClinitPlace, living_clinit

START_LIMIT_S = 10.0
START_POLL_S = 0.02
# A running clinit checks its socket every second: ten times that.
RESTORE_POLL_S = 0.1
RESTORE_LOOKS = 100
PAUSES_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Checking whether another process has started it costs nothing.
WAITS_S = (0.0, 0.1, 0.2, 0.5)
# A clinit that ran this long is restarted immediately again.
STEADY_S = 60.0
# After a timeout clinit gets this much longer: a monitor that was itself stopped finds the answer
# waiting, but its timers fire first.
GRACE_S = 0.5
# A clinit that answered a moment ago is alive.
SIGN_OF_LIFE_S = 0.9
KEEP_S = 60.0
"""A connection that is idle for longer is used: clinit ends one after some minutes (`server`), and
the next tell would be lost, which may come after days."""


class ClinitLink:
    """Keeps one clinit running and connected; with `starts` false, only connected.

    `report` gets the groups: all of them after each (re)connection, then each change; and that the
    connection is lost. `lost_at` is when that was (boottime).
    """

    def __init__(
        self,
        place: ClinitPlace,
        *,
        limit_s: float,
        report: Callable[[GroupsReported | ClinitLost], None],
        starts: bool = True,
    ) -> None:
        self.groups: dict[str, GroupReport] = {}
        self.cltab_errors: tuple[str, ...] = ()
        self.no_cgroups = ""
        self.watchdog: ArmedWatchdog | None = None
        self.trouble = ""
        self._place = place
        self._limit_s = limit_s
        self._starts = starts
        self._pauses_s = PAUSES_S if starts else WAITS_S
        self._report = report
        self._processes: list[subprocess.Popen[bytes]] = []
        self._client: Client | None = None
        self._pulse: Client | None = None
        self._scope = anyio.CancelScope()
        self.pid = 0
        self._asked_at = self._heard_at = self._told_at = -math.inf
        self._killed = 0
        self._full = False
        self._ending = False
        self.lost_at: float | None = None
        self._known = asyncio.Event()
        self._over = asyncio.Event()

    # --- requests --------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether clinit can be asked now."""
        return self._client is not None

    @property
    def reported(self) -> bool:
        """Whether clinit has reported everything since the connection was made."""
        return self._full

    async def known(self) -> None:
        """Wait for clinit's first full update."""
        await self._known.wait()

    async def tell(self, message: Tell) -> Reply | None:
        """Tell a level; None if clinit does not answer (it is being started again)."""
        self._told_at = anyio.current_time()
        return await self._ask(self._client, message)

    async def renew(self, renewals: Sequence[Renewal]) -> None:
        """Send new deadlines; without any, check periodically that clinit answers.

        On a separate connection: a deadline must not wait for the replies to a thousand tells.
        """
        leases = {r.group: (r.term, r.stop_at, r.kill_at) for r in renewals}
        if leases:
            await self._ask(self._pulse, Lease(leases=leases))
        elif anyio.current_time() - self._asked_at >= SIGN_OF_LIFE_S:
            await self._ask(self._pulse, Hello())

    async def everything(self, limit_s: float) -> dict[str, GroupReport]:
        """Return the groups with the last output of their entries; without it if that fails.

        On a separate connection: updates on the other one carry as few lines as possible.
        """
        reply = await self.apart(Ask(), limit_s)
        if reply is None:
            return self.groups
        found = reply.update.groups if reply.update is not None else ()
        return {group.group: group for group in found}

    async def apart(self, request: ClinitRequest, limit_s: float) -> Reply | None:
        """Send one request on a separate connection; None if there is no reply to it.

        A clinit of an older version ends a connection on which it gets an unknown request.
        """
        try:
            async with await connect(self._place.socket) as client:
                return await client.request(request, limit_s)
        except (HostError, msgspec.MsgspecError):
            return None

    async def shut_down(self) -> None:
        """End clinit and wait until it is gone, unless systemd starts and ends it."""
        self._ending = True
        if not self._starts:
            return
        reply = await self._ask(self._client, Shutdown())
        if reply is None:  # that connection broke, which need not be the end of clinit
            reply = await self.apart(Shutdown(), 2 * self._limit_s + GRACE_S)
        if reply is None and living_clinit(self._place.state_dir) == self.pid:
            self._kill()  # no group is left, and it would be waited for without end
        await self._over.wait()
        if self.pid:
            await _ended(self.pid)

    # --- the connection --------------------------------------------------------------

    async def run(self) -> None:
        """Keep clinit running and the subscription open, until it is shut down."""
        failures = 0
        while not self._ending:
            started = anyio.current_time()
            try:
                await self._connected()
            except (HostError, msgspec.MsgspecError) as error:
                trouble, self.trouble = self.trouble, f"clinit does not answer: {error}"
                if not self._ending and (self._starts or self.trouble != trouble):
                    logs.get().warning("clinit_failed", reason=str(error))
            if self._full and not self._ending:
                self.lost_at = boottime()
                self._report(ClinitLost())
            self._full = False
            self.watchdog = None
            if not self._ending:
                steady = anyio.current_time() - started > STEADY_S
                failures = 0 if steady else failures + 1
                pauses_s = self._pauses_s
                await anyio.sleep(pauses_s[min(failures, len(pauses_s)) - 1] if failures else 0.0)
        self._over.set()

    async def _connected(self) -> None:
        """Connect, starting clinit if none answers; return when the connection breaks."""
        async with await self._reach() as client:
            self.pid = client.server_pid
            try:
                async with await connect(self._place.socket) as pulse:
                    self._client, self._pulse = client, pulse
                    await self._follow(client)
            except NoAnswerError as error:
                if isinstance(error.__cause__, TimeoutError):
                    self._kill()
                raise
            finally:
                self._client = self._pulse = None

    async def _follow(self, client: Client) -> None:
        with anyio.CancelScope() as self._scope:
            limit_s = 2 * self._limit_s + GRACE_S
            if self._ending:  # the end came while it was being started
                await client.request(Shutdown(), limit_s)
                return
            keeping = asyncio.ensure_future(self._keep(client))
            try:
                async with subscribe(self._place.socket, Subscribe(), limit_s) as updates:
                    async for update in updates:
                        self._take(update)
            finally:
                keeping.cancel()

    async def _keep(self, client: Client) -> None:
        """Use the connection for tells before it has been idle for too long."""
        while True:
            await anyio.sleep(KEEP_S)
            if anyio.current_time() - self._told_at >= KEEP_S:
                await self._ask(client, Hello())

    def _take(self, update: Update) -> None:
        self._heard_at = anyio.current_time()
        if update.full:
            self.lost_at = None
            self.groups.clear()
            self._full = True
            self.trouble = ""
            self.no_cgroups = update.no_cgroups
            self.watchdog = update.watchdog
        elif update.watchdog is not None:
            self.watchdog = update.watchdog
        for group in update.groups:
            self.groups[group.group] = group
        for name in update.gone:
            self.groups.pop(name, None)
        if update.cltab_errors is not None:
            self.cltab_errors = update.cltab_errors
        self._report(GroupsReported(update.groups, update.gone, full=update.full))
        if update.full:
            self._known.set()

    async def _reach(self) -> Client:
        try:
            return await _connect_to_living(self._place.socket)
        except HostError as error:
            if not self._starts:
                raise HostError(f"{error}; systemd starts it: see mosha-clinit.service") from error
        if living := living_clinit(self._place.state_dir):
            return await self._wait_for(living)
        process = self._start()
        try:
            return await self._first_answer(process)
        except BaseException:
            process.kill()  # it holds nothing yet, and must not be in the next one's way
            raise

    async def _wait_for(self, pid: int) -> Client:
        """Wait until a clinit whose socket was removed has made it again; else end it.

        Its processes run under deadlines that cannot be renewed. Attempts are counted, not time:
        they stop with this process if it is stopped.
        """
        logs.get().warning("clinit_unreachable", pid=pid, socket=str(self._place.socket))
        for _ in range(RESTORE_LOOKS):
            await anyio.sleep(RESTORE_POLL_S)
            with contextlib.suppress(NoAnswerError):
                return await _connect_to_living(self._place.socket)
            if living_clinit(self._place.state_dir) != pid:
                raise HostError(f"clinit {pid} ended")
        self.pid = pid
        self._kill()
        raise HostError(f"clinit {pid} has made no socket")

    async def _first_answer(self, process: subprocess.Popen[bytes]) -> Client:
        deadline = anyio.current_time() + START_LIMIT_S
        while True:
            await anyio.sleep(START_POLL_S)
            status = process.poll()
            try:
                return await connect(self._place.socket)
            except HostError:
                if status is not None:
                    raise HostError(f"clinit ended with status {status} at its start") from None
                if anyio.current_time() > deadline:
                    raise HostError(f"no answer {START_LIMIT_S:g} s after its start") from None

    def _start(self) -> subprocess.Popen[bytes]:
        logs.get().info("clinit_starting", socket=str(self._place.socket))
        # Ended processes are reaped here, so that no zombie stays.
        self._processes = [process for process in self._processes if process.poll() is None]
        process = self._place.start()
        self._processes.append(process)
        return process

    async def _ask(self, client: Client | None, message: ClinitRequest) -> Reply | None:
        if client is None:
            return None
        self._asked_at = anyio.current_time()
        # The link has its own limit, which tolerates a monitor that was itself stopped.
        task = asyncio.ensure_future(client.request(message, limit_s=2 * self._limit_s + GRACE_S))
        try:
            while not task.done():
                if not await self._lives(task):
                    self._kill()
                    return None
            reply = task.result()
        except (HostError, msgspec.MsgspecError):
            if client in (self._client, self._pulse):
                self._scope.cancel()  # nothing more can be asked on this connection
            return None
        else:
            self._heard_at = anyio.current_time()
            return reply
        finally:
            task.cancel()

    async def _lives(self, task: asyncio.Task[Reply]) -> bool:
        """Wait for a reply; return whether it came, or another sign of life meanwhile.

        A clinit with a thousand requests answers one after the other: it is busy, not hung.
        """
        heard = self._heard_at
        for patience_s in (self._limit_s, GRACE_S):
            await asyncio.wait({task}, timeout=patience_s)
            if task.done() or self._heard_at > heard:
                return True
        return False

    def _kill(self) -> None:
        """End a clinit that does not answer, once: its children die with it."""
        if self.pid == self._killed:
            return
        self._killed = self.pid
        logs.get().critical("clinit_hung", pid=self.pid, limit_s=self._limit_s)
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return


async def _connect_to_living(path: Path) -> Client:
    """Connect to clinit; a killed one that is still dying keeps its socket."""
    client = await connect(path)
    try:
        dead = proc.is_dying(pid := client.server_pid)
    except OSError as error:  # it has ended meanwhile, and the connection with it
        await client.close()
        raise NoAnswerError(f"the clinit at {path} went away: {error.strerror}") from error
    if dead:
        await client.close()
        raise NoAnswerError(f"clinit {pid} is dead, but in a call that hangs")
    return client


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
