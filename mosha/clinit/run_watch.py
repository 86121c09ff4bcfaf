"""Notices when the runs of one entry are ready, and what they say of themselves.

`ready=` of cltab says what is awaited. What a run says comes by its socket (`notify_socket.py`);
a port and a pid file are looked at (`readiness.py`).

The process that runs an agent, a unit or an address is watched for a stop signal (SIGSTOP): such a
process would neither see its service fail nor stop it, and says nothing. So is the one that stops
an agent at level `stop`. It is killed, which is followed by what follows any kill of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from signal import Signals

import anyio

from mosha.clinit.child import Child
from mosha.clinit.descriptors import explained
from mosha.clinit.notify_socket import Notification, NotifySocket
from mosha.clinit.process_tracker import EntryKey, ProcessTracker
from mosha.clinit.readiness import until_ready
from mosha.core.agent_exits import TURN_VARIABLE
from mosha.core.supervision.process_events import BecameReady, Failing
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Mode, Readiness, ReadyKind
from mosha.host import logs, proc
from mosha.host.abandonable import Abandonable
from mosha.host.notify import SOCKET_VARIABLE

STOPPED_LOOK_S = 2.0
STOPPED_LOOKS = 5
"""So many looks in a row have to find it stopped: 10 s, which do not pass while clinit hangs."""


class RunWatch:
    """Watches one run after the other.

    `said` is the last that the run has said of itself.
    """

    def __init__(
        self,
        key: EntryKey,
        tracker: ProcessTracker,
        happen: Callable[[EntryEvent], object],
        touch: Callable[[Iterable[str]], object],
    ) -> None:
        """Report that a run is ready to `happen`, and a new status to `touch`."""
        self.said = Notification()
        self._key = key
        self._tracker = tracker
        self._happen = happen
        self._touch = touch
        self._socket: NotifySocket | None = None
        self._refused = False
        self._leader = 0
        self._pid_file = Abandonable(f"the pid file of {key.tag}")

    def begin(self, launch: Launch) -> dict[str, str]:
        """Get ready for a run; return what it needs in its environment.

        Raises:
            OSError: it is to have a socket, and none can be made now.
        """
        self.end()
        awaited = _awaited(launch)
        if awaited is None or awaited.kind is not ReadyKind.NOTIFY:
            return {}
        self._socket = NotifySocket(partial(self._hear, launch.run))
        turn = {TURN_VARIABLE: "1"} if launch.entry.mode is Mode.OCF else {}
        return {SOCKET_VARIABLE: self._socket.address, **turn}

    async def until_dead(self, child: Child, launch: Launch) -> None:
        """Return when the leader of a run has ended; watch it until then."""
        self._leader = child.pid
        awaited = _awaited(launch)
        ours = launch.entry.wrapped or launch.entry.stops != ""
        if not ours and (awaited is None or awaited.kind is ReadyKind.NOTIFY):
            await child.died
            return
        async with anyio.create_task_group() as tasks:
            if ours:
                tasks.start_soon(self._kill_if_stopped, child)
            elif awaited is not None:
                tasks.start_soon(self._look, child, launch.run, awaited)
            await child.died
            tasks.cancel_scope.cancel()

    def end(self) -> None:
        """Hear no more of a run."""
        self.said, self._leader, self._refused = Notification(), 0, False
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _look(self, child: Child, run: int, awaited: Readiness) -> None:
        # Shielded: if this is cancelled, what `child` waits for is not.
        if await asyncio.shield(child.executed) == 0:
            await until_ready(awaited, self._is_own, self._pid_file)
            self._tell_ready(run)

    async def _kill_if_stopped(self, child: Child) -> None:
        looks = 0
        while True:
            await asyncio.sleep(STOPPED_LOOK_S)
            looks = looks + 1 if _is_stopped(child.pid) else 0
            if looks < STOPPED_LOOKS:
                continue
            names = {"group": self._key.group, "tag": self._key.tag, "pid": child.pid}
            logs.get().warning("entry_hung", **names, stopped_s=looks * STOPPED_LOOK_S)
            try:
                child.send_signal(Signals.SIGKILL)
            except OSError as error:
                reason = explained(error)
                logs.get().error("signal_failed", **names, signal="SIGKILL", reason=reason)
            looks = 0

    def _is_own(self, pid: int) -> bool:
        """Say whether a process belongs to the entry: its leader does even outside its cgroup.

        Raises:
            OSError: that is not known.
        """
        return pid > 0 and (pid == self._leader or self._tracker.is_of(self._key, pid))

    def _hear(self, run: int, sender: int, notification: Notification) -> None:
        """Believe what a process of the entry says; of another, log the first one."""
        try:
            refusal = "" if self._is_own(sender) else "it is not a process of the entry"
        except OSError as error:
            refusal = explained(error)
        if refusal:
            if not self._refused:
                names = {"group": self._key.group, "tag": self._key.tag}
                logs.get().warning("notification_refused", **names, pid=sender, reason=refusal)
            self._refused = True
            return
        if notification.status is not None and notification.status != self.said.status:
            self.said = notification
            self._touch([self._key.group])
        if notification.ready:
            self._tell_ready(run)
        if notification.stopping:
            self._happen(EntryEvent(self._key.group, self._key.tag, Failing(run)))

    def _tell_ready(self, run: int) -> None:
        self._happen(EntryEvent(self._key.group, self._key.tag, BecameReady(run)))


def _is_stopped(pid: int) -> bool:
    try:
        return proc.is_stopped(pid)
    except OSError:  # no descriptor is left now: a later look tells
        return False


def _awaited(launch: Launch) -> Readiness | None:
    return launch.entry.readiness
