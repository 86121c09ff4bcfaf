"""One action of an agent: run with a time limit that kills all that it has started.

The agent gets one argument, the action, and a process group of its own. What a start leaves behind,
the service, outlives the action unless that is killed. So a start has a session of its own. Every
other action stays in the session of its caller: a supervisor that finds the caller dead ends what
runs in that session, the action and not the service. Of a caller that dies before its start is over
it ends all. So no action runs beside one of the next caller.

Part of the wrapper: it imports next to nothing.
"""

from __future__ import annotations

import os
import select
import signal
import time

from mosha.ocf.agents import path_of
from mosha.ocf.environment import REASON_PREFIX, action_environment
from mosha.ocf.kin import children, kill_action, reap
from mosha.ocf.outputs import ActionOutput
from mosha.ocf.results import ERR_INSTALLED

TYPE_CHECKING = False  # as in typing, which the wrapper does not import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mosha.ocf.environment import Resource
    from mosha.ocf.signals import Signals

START = "start"
META_DATA = "meta-data"
REASON_MAX_CHARS = 500

_OWN_GROUP: dict[str, Any] = {"setpgroup": 0}
_OWN_SESSION: dict[str, Any] = {"setsid": True}  # and so a process group

_RESET = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP)


class ActionEnded:
    """How an action ended, after how many seconds.

    `status` is its exit status, minus the number of a signal, or None if it was killed: because it
    was late, or, if `interrupted`, because its caller was told to stop. `reason` is what the agent
    gave as the cause, `complaint` the last other line on its standard error. `output` is what
    `meta-data` printed. `undead`: processes of it could not be killed.
    """

    __slots__ = ("complaint", "interrupted", "output", "reason", "status", "took_s", "undead")

    def __init__(self) -> None:
        self.status: int | None = None
        self.took_s = 0.0
        self.reason = ""
        self.complaint = ""
        self.output = b""
        self.interrupted = False
        self.undead = False

    @property
    def cause(self) -> str:
        """Why it failed: its reason; of an agent that gives none what it complained of last."""
        return self.reason or self.complaint


_running: set[int] = set()
"""The processes of the actions that run now: each is reaped by who waits for it."""


def run_action(
    resource: Resource,
    action: str,
    *,
    limit_s: float,
    interval_s: float = 0.0,
    depth: int = 0,
    says: Callable[[str], None],
    signals: Signals,
    stoppable: bool = True,
) -> ActionEnded:
    """Run one action for at most `limit_s`; one that is `stoppable` not when told to stop.

    `says` gets each line that it prints except its reason; of `meta-data` not its output. The
    caller is the subreaper of its descendants (`kin.adopt_orphans`). An agent that cannot be
    executed ends as one that is not installed.
    """
    environment = action_environment(
        resource,
        action,
        limit_s=limit_s,
        interval_s=interval_s,
        depth=depth,
        inherited=os.environ,
    )
    begun = BegunAction(resource, action, environment, says)
    return begun.end(limit_s, signals, stoppable=stoppable)


class BegunAction:
    """An action that has been started; `end` waits for its end. Several may run at once."""

    def __init__(
        self,
        resource: Resource,
        action: str,
        environment: dict[str, str],
        says: Callable[[str], None],
    ) -> None:
        self._ended = ActionEnded()
        self._says = says
        self._stdout = ActionOutput(None if action == META_DATA else says)
        self._stderr = ActionOutput(self._complain)
        self._began = time.monotonic()
        self._before = children()
        self._pid = 0
        path = path_of(resource.agent, resource.root)
        try:
            self._pid = _spawn([path, action], environment, self._stdout, self._stderr)
            _running.add(self._pid)
        except OSError as error:
            self._ended.status = ERR_INSTALLED
            self._ended.reason = f"cannot execute {path}: {error.strerror}"

    def end(self, limit_s: float, signals: Signals, *, stoppable: bool) -> ActionEnded:
        """Wait for the end, and kill it if it is late, or its caller is told to stop."""
        ended = self._ended
        with self._stdout, self._stderr:
            if self._pid:
                self._wait(self._began + limit_s, signals, stoppable=stoppable)
            self._stdout.read_rest()
            self._stderr.read_rest()
        ended.output = self._stdout.whole
        ended.took_s = time.monotonic() - self._began
        return ended

    def _complain(self, line: str) -> None:
        if line.startswith(REASON_PREFIX):
            reason = line.removeprefix(REASON_PREFIX).strip()
            self._ended.reason = reason[:REASON_MAX_CHARS]
        else:
            self._ended.complaint = line[:REASON_MAX_CHARS]
            self._says(line)

    def _wait(self, until: float, signals: Signals, *, stoppable: bool) -> None:
        pid, ended = self._pid, self._ended
        over = False
        pidfd = os.pidfd_open(pid)
        try:
            over = self._poll_until_over(pidfd, until, signals, stoppable=stoppable)
        finally:
            os.close(pidfd)
            if not over:
                ended.undead = not kill_action(pid, self._before | _running - {pid})
            _running.discard(pid)
        # One that hangs in the kernel is reaped when it has ended.
        found, status = os.waitpid(pid, 0 if over else os.WNOHANG)
        reap(_running)
        if over and found:
            ended.status = os.waitstatus_to_exitcode(status)
        ended.interrupted = not over and stoppable and signals.stopping

    def _poll_until_over(
        self, pidfd: int, until: float, signals: Signals, *, stoppable: bool
    ) -> bool:
        """Take what is printed until the process has ended; say whether it has."""
        poll = select.poll()
        by_fd = {output.reader: output for output in (self._stdout, self._stderr)}
        for fd in (pidfd, signals.fd, *by_fd):
            poll.register(fd, select.POLLIN)
        while not (stoppable and signals.stopping):
            left_s = until - time.monotonic()
            if left_s <= 0:
                break
            ready = [fd for fd, _ in poll.poll(left_s * 1000 + 1)]
            if pidfd in ready:
                return True
            if signals.fd in ready:
                signals.take(_running)
            for fd in by_fd.keys() & ready:
                if not by_fd[fd].read():
                    poll.unregister(fd)
        return False


def _spawn(
    words: list[str], environment: dict[str, str], stdout: ActionOutput, stderr: ActionOutput
) -> int:
    pid = os.posix_spawn(
        words[0],
        words,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, stdout.writer, 1),
            (os.POSIX_SPAWN_DUP2, stderr.writer, 2),
        ],
        **(_OWN_SESSION if words[1] == START else _OWN_GROUP),
        setsigmask=(),
        setsigdef=_RESET,
    )
    stdout.close_writer()
    stderr.close_writer()
    return pid
