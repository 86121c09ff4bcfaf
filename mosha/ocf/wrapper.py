"""The process that clinit runs for one entry with a resource agent.

It probes, starts, says that it is ready (sd_notify(3)), and monitors until SIGTERM or SIGINT tells
it to stop. Its exit status (`core.agent_exits`) is 0 if the agent's stop has succeeded after that.
When a monitor fails it says so (`STOPPING=1`) if that is answered, waits for SIGTERM, which comes
when what needs the service is gone, stops the service and ends: whoever runs it starts it again,
with his throttle. If told `--stop-only` it stops the service, makes sure that it is stopped, and
ends.

What the probe finds running is stopped first. It was started by somebody else, or by a wrapper that
was killed: only what this one starts is certainly below clinit and in the cgroup of its group, and
ends with them.

There is one for each entry with an agent, so it imports next to nothing.
"""

from __future__ import annotations

import os
import select
import sys
import time

from mosha.core.agent_exits import (
    FAILED,
    STOP_FAILED,
    STOPPED_WELL,
    TURN_VARIABLE,
    UNUSABLE_HERE,
)
from mosha.errors import UsageError
from mosha.formats.agent_xml import MetadataError
from mosha.host.telling import notify, say
from mosha.ocf.action import META_DATA, ActionEnded, run_action
from mosha.ocf.agents import root_of, why_no_agent
from mosha.ocf.environment import Resource, rsctmp_of
from mosha.ocf.kin import adopt_orphans, alive_below, kill_below
from mosha.ocf.metadata import OcfMetadata, parse_metadata
from mosha.ocf.monitors import RepeatedMonitor, next_monitor, planned_monitors
from mosha.ocf.results import HARD, RUNNING, STOPPED, WARNING, exit_after, told_result
from mosha.ocf.rsctmp import make_rsctmp
from mosha.ocf.signals import Signals
from mosha.ocf.wrapper_words import WrapperWords, read_wrapper_words

METADATA_LIMIT_S = 10.0
TURN_LIMIT_S = 600.0
"""So long at most a failed service is kept for what needs it and is being stopped."""

ASK_AGAIN_S = 1.0


class ServiceEndedError(Exception):
    """The wrapper has to end with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Wrapper:
    """One use of an agent, from the probe to the stop."""

    def __init__(self, words: WrapperWords) -> None:
        root = root_of(os.environ)
        instance = words.instance or words.agent.type
        self._words = words
        self._resource = Resource(words.agent, instance, words.parameters, root)
        self._metadata = OcfMetadata()
        self._signals = Signals()
        self._degraded = ""

    def run(self) -> int:
        """Run the service until it is stopped, or fails; return the exit status."""
        try:
            self._prepare()
            if self._words.stop_only:
                self._stop_for_good()
                return STOPPED_WELL
            self._clear()
            self._start()
            self._watch()
            notify("STOPPING=1")
            self._stop()
        except ServiceEndedError as ended:
            return ended.status
        return STOPPED_WELL

    # --- the steps ---------------------------------------------------------------------------

    def _prepare(self) -> None:
        adopt_orphans()
        problem = why_no_agent(self._resource.agent, self._resource.root)
        if problem:
            say(f"{problem}: install the package of the agent")
            raise ServiceEndedError(UNUSABLE_HERE)
        place = rsctmp_of(os.environ)
        try:
            make_rsctmp(place)
        except OSError as error:
            say(f"cannot make {place}, which agents need: {error.strerror}")
            raise ServiceEndedError(UNUSABLE_HERE) from error
        ended = self._act(META_DATA, METADATA_LIMIT_S, stoppable=False)
        try:
            self._metadata = parse_metadata(ended.output)
        except MetadataError as error:
            say(told_result(META_DATA, ended.status, str(error), limit_s=METADATA_LIMIT_S))
            cut = ended.status is None or ended.status < 0
            raise ServiceEndedError(FAILED if cut else UNUSABLE_HERE) from error

    def _clear(self) -> None:
        """Stop what runs already, or is in a state that the probe cannot tell."""
        limit_s = self._limit_s("timeout", "monitor")
        ended = self._act("monitor", limit_s)
        if ended.interrupted or ended.status in STOPPED:
            return
        say(told_result("probe", ended.status, ended.cause, limit_s=limit_s))
        if ended.status in HARD:
            raise ServiceEndedError(exit_after("probe", ended.status))
        say("it was not started by this process: stopped first")
        self._stop()

    def _start(self) -> None:
        if self._signals.stopping:
            return
        limit_s = self._limit_s("start", "start")
        ended = self._act("start", limit_s)
        if ended.interrupted:
            return
        if ended.status == 0:
            notify("READY=1", "STATUS=started")
            return
        text = told_result("start", ended.status, ended.cause, limit_s=limit_s)
        self._fail(text, exit_after("start", ended.status))

    def _watch(self) -> None:
        """Run the monitors until it is told to stop."""
        monitors = planned_monitors(
            self._metadata, self._words.intervals, self._words.limits["timeout"], time.monotonic()
        )
        while not self._signals.stopping:
            due = next_monitor(monitors)
            left_s = due.due - time.monotonic()
            if left_s <= 0:
                self._monitor(due)
            elif self._sleep(left_s):
                # A process of the service has ended: look at once what that means.
                first = min(monitors, key=lambda each: each.depth)
                first.due = min(first.due, time.monotonic())

    def _sleep(self, seconds: float) -> bool:
        """Wait for a signal, for so long at most; say whether a process has ended."""
        poll = select.poll()
        poll.register(self._signals.fd, select.POLLIN)
        poll.poll(seconds * 1000 + 1)
        return self._signals.take()

    def _monitor(self, one: RepeatedMonitor) -> None:
        began = time.monotonic()
        ended = self._act("monitor", one.limit_s, interval_s=one.interval_s, depth=one.depth)
        one.ran(began, time.monotonic())
        if ended.interrupted:
            return
        # What it complains of may be another line each time: that would be news each time.
        cause = ended.reason if ended.status in WARNING else ended.cause
        text = told_result("monitor", ended.status, cause, limit_s=one.limit_s)
        if ended.status not in RUNNING:
            self._await_turn(text)
            self._fail(text, exit_after("monitor", ended.status))
        degraded = text if ended.status in WARNING else ""
        if degraded != self._degraded:
            say(degraded or "no longer degraded")
            notify(f"STATUS={degraded or 'started'}", *(["X_DEGRADED=1"] if degraded else []))
        self._degraded = degraded

    def _await_turn(self, text: str) -> None:
        """Say that the service has failed, and how; wait for SIGTERM: what needs it is gone.

        A clinit that sends none, as it is older, is not waited for.
        """
        if TURN_VARIABLE not in os.environ:
            return
        until = time.monotonic() + TURN_LIMIT_S
        while not self._signals.stopping and time.monotonic() < until:
            if not notify("STOPPING=1", f"STATUS={text}"):
                return
            self._sleep(ASK_AGAIN_S)

    def _fail(self, text: str, status: int) -> None:
        """Stop what has failed, so that nothing of it is left, and end.

        An agent that refuses to start refuses to stop, too: that says no more than its start.

        Raises:
            ServiceEndedError: always.
        """
        say(text)
        stopped = self._try_to_stop()
        _end_rest()
        if stopped not in {0, *HARD}:
            raise ServiceEndedError(STOP_FAILED)
        say(text)  # the last line is what people are shown
        raise ServiceEndedError(max(status, exit_after("stop", stopped) if stopped else status))

    def _stop(self) -> None:
        """Run the agent's stop.

        Raises:
            ServiceEndedError: it did not succeed.
        """
        if self._try_to_stop() != 0:
            raise ServiceEndedError(STOP_FAILED)

    def _try_to_stop(self) -> int | None:
        """Run the agent's stop, and return how it ended, as `ActionEnded.status`."""
        limit_s = self._limit_s("stop", "stop")
        ended = self._act("stop", limit_s, stoppable=False)
        if ended.status != 0:
            say(told_result("stop", ended.status, ended.cause, limit_s=limit_s))
        return ended.status

    def _stop_for_good(self) -> None:
        """Stop the service, and make sure that it is: a stop may lie.

        Of an agent that refuses to stop, whose program is missing here, say, the probe decides.

        Raises:
            ServiceEndedError: it is not stopped.
        """
        if self._try_to_stop() not in {0, *HARD}:
            raise ServiceEndedError(STOP_FAILED)
        limit_s = self._limit_s("timeout", "monitor")
        ended = self._act("monitor", limit_s, stoppable=False)
        if ended.status not in STOPPED:
            say(told_result("probe after stop", ended.status, ended.cause, limit_s=limit_s))
            raise ServiceEndedError(STOP_FAILED)

    def _limit_s(self, option: str, action: str) -> float:
        return self._words.limits[option] or self._metadata.limit_s(action)

    def _act(
        self,
        action: str,
        limit_s: float,
        *,
        interval_s: float = 0.0,
        depth: int = 0,
        stoppable: bool = True,
    ) -> ActionEnded:
        return run_action(
            self._resource,
            action,
            limit_s=limit_s,
            interval_s=interval_s,
            depth=depth,
            says=say,
            signals=self._signals,
            stoppable=stoppable,
        )


def _end_rest() -> None:
    """Kill the processes that the agent's stop has left: they would be in the way of a new start.

    A service that is frozen, or has lost its first process, has some that no agent finds.
    """
    left = alive_below()
    if left:
        gone = kill_below()
        say(f"killed, as its stop had left them: processes {', '.join(map(str, left))}")
        if not gone:
            say("some of them hang in the kernel")


def main() -> None:
    """Run as a process; the words are those of `wrapper_words`."""
    try:
        words = read_wrapper_words(sys.argv[1:])
    except UsageError as error:
        say(str(error))
        sys.exit(UNUSABLE_HERE)
    sys.exit(Wrapper(words).run())
