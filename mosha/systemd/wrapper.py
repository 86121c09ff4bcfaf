"""The process that clinit runs for one entry with a unit of systemd.

It has systemd start the unit, says that it is ready (sd_notify(3)), and watches it until SIGTERM or
SIGINT tells it to stop it. Its exit status is 0 if after that the unit was seen to be inactive,
with no process in its cgroup. When the unit ends by itself, this process ends too: whoever runs it
starts it again, with his throttle.

A unit that runs already is stopped first. Somebody else has started it, outside the slice of the
entry (`drop_in.py`), or a wrapper that was killed: only what this one starts is certainly in that
slice, which clinit kills with the entry.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from mosha.core.agent_exits import FAILED, STOP_FAILED, STOPPED_WELL, UNUSABLE_HERE
from mosha.formats.units import SLICE_VARIABLE
from mosha.host.telling import notify, say
from mosha.systemd.bus import BusLostError, RefusedError, SystemdBus, is_booted
from mosha.systemd.drop_in import DropIn
from mosha.systemd.fitness import objections_to

T = TypeVar("T")

READ_BYTES = 512
RETRY_S = 1.0
MADE_LOOK_S = 0.02
PLACE_LOOK_S = 10.0
"""How often it is looked where the main process is: nobody tells that it was moved."""

EMPTY_LIMIT_S = 10.0
"""How long what was killed takes to be gone, unless the kernel holds it."""

ENDED = frozenset({"inactive", "failed"})
RUNNING = frozenset({"active", "reloading", "refreshing"})
_CODES = {1: "exit status", 2: "signal", 3: "signal"}  # CLD_EXITED, CLD_KILLED, CLD_DUMPED


class EndError(Exception):
    """The wrapper has to end with this status; the text is its last line."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class UnitWrapper:
    """One use of a unit; `cgroup` is that of its slice."""

    def __init__(self, unit: str, cgroup: Path | None) -> None:
        self._unit = unit
        self._has_slice = cgroup is not None
        self._cgroup = cgroup or Path()
        self._slice = self._cgroup.name
        self._drop_in = DropIn(unit, self._slice)
        self._bus = SystemdBus(unit)
        self._main_pid = 0
        self._stopping = False
        self._silent = False
        self._fd, writer = os.pipe()
        for fd in (self._fd, writer):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._be_told)

    def run(self) -> int:
        """Run the unit until it is to be stopped, or ends; return the exit status."""
        try:
            self._judge()
            self._stop()  # what somebody else has started
            self._prepare()
            self._start()
            self._watch()
            notify("STOPPING=1")
            self._stop()
        except EndError as end:
            say(str(end))
            return end.status
        except RefusedError as error:
            say(f"systemd does not tell of {self._unit}: {error}")
            return FAILED
        except OSError as error:
            say(f"{self._unit}: {error.filename or 'the system'}: {error.strerror}")
            return FAILED
        return STOPPED_WELL

    # --- the steps ---------------------------------------------------------------------------

    def _judge(self) -> None:
        if not is_booted():
            raise EndError(UNUSABLE_HERE, "systemd is not the service manager of this machine")
        if not self._has_slice:
            text = "clinit can run no units: it needs root, and cgroups of version 2"
            raise EndError(UNUSABLE_HERE, text)
        found = self._ask(lambda bus: objections_to(self._unit, bus))
        if found:
            raise EndError(UNUSABLE_HERE, f"refused: {', and '.join(map(str, found))}")

    def _prepare(self) -> None:
        """Have the drop-in in force, and the cgroup made.

        Raises:
            EndError: what a kill needs is not there.
        """
        if self._drop_in.write() or self._look()["NeedDaemonReload"]:
            self._order("Reload")
        facts = {**self._look(), **self._ask(lambda bus: bus.properties("Service"))}
        if problem := self._drop_in.why_not_in_force(facts):
            # Somebody else may be changing the unit at this moment: that is over soon.
            status = FAILED if facts["NeedDaemonReload"] else UNUSABLE_HERE
            raise EndError(status, f"the drop-in of mosha is not in force: {problem}")
        # Before the unit: a kill freezes it, and needs it there (`clinit/unit_tracker.py`).
        self._order("StartUnit", "ss", self._slice, "replace")
        self._ask(self._until_made)
        for name in ("cgroup.freeze", "cgroup.kill"):
            if not (self._cgroup / name).exists():
                text = f"there is no {self._cgroup}/{name}: units need Linux 5.14 with cgroups v2"
                raise EndError(UNUSABLE_HERE, text)

    def _until_made(self, bus: SystemdBus) -> None:
        while (facts := bus.properties(unit=self._slice))["ActiveState"] != "active":
            if facts["Job"][0] == 0:
                raise EndError(UNUSABLE_HERE, f"systemd does not make {self._slice}")
            bus.wait(self._fd, MADE_LOOK_S)
            self._take()

    def _start(self) -> None:
        if self._told_to_stop():
            return
        # The throttle counts the starts, not its StartLimitBurst=. What is not loaded has none.
        with contextlib.suppress(RefusedError):
            self._ask(lambda bus: bus.ask("ResetFailedUnit", "s", self._unit))
        self._drop_in.allow()
        job = self._order("StartUnit", "ss", self._unit, "replace")
        facts = self._look()
        settled = ENDED | RUNNING
        while _has_job(facts) or facts["ActiveState"] not in settled:
            if self._told_to_stop():
                return
            facts = self._next()
        if self._told_to_stop():
            return
        if facts["ActiveState"] in ENDED:
            result = self._ask(lambda bus: bus.result(job))
            how = "ended as soon as it was started" if result == "done" else "was not started"
            raise EndError(FAILED, f"{self._unit} {how}: {self._why(result)}")
        notify("READY=1", "STATUS=started")

    def _watch(self) -> None:
        """Watch it until it is to be stopped.

        A job is what somebody has ordered: `systemctl restart` and `reload` are seen through. Not
        if the drop-in was removed before: then a kill of the slice would miss the unit.
        """
        facts = self._look()
        while not self._told_to_stop():
            if facts["ActiveState"] in ENDED and not _has_job(facts):
                raise EndError(FAILED, f"{self._unit} has ended: {self._why('')}")
            if facts["ActiveState"] not in ENDED and (text := self._outside()):
                say(f"{text}: out of reach of a kill")
                self._stop()  # the next wrapper starts it in its slice, with the drop-in
                raise EndError(FAILED, text)
            while not self._ask(lambda bus: bus.wait(self._fd, PLACE_LOOK_S)):
                if self._main_elsewhere():
                    break
            self._take()
            facts = self._look()

    def _outside(self) -> str:
        """Say that the unit, or its main process, is not in the slice of its entry, else ""."""
        facts = self._ask(lambda bus: bus.properties("Service"))
        found, self._main_pid = facts["ControlGroup"], facts["MainPID"]
        if found and self._slice not in found.split("/"):
            return f"{self._unit} was started without the drop-in of mosha, in {found}"
        found = self._main_elsewhere()
        return f"the main process of {self._unit} was moved to {found}" if found else ""

    def _main_elsewhere(self) -> str:
        """Return the cgroup of the main process if that is not in the slice, else "".

        systemd does not hear of a process that somebody moves, and names the cgroup of the unit.
        """
        if self._main_pid == 0:
            return ""
        try:
            text = Path(f"/proc/{self._main_pid}/cgroup").read_text(encoding="utf-8")
        except (FileNotFoundError, ProcessLookupError):  # it has ended: systemd says so
            return ""
        found = next((line[3:] for line in text.splitlines() if line.startswith("0::")), "")
        return found if self._slice not in found.split("/") else ""

    def _stop(self) -> None:
        """Stop the unit.

        Raises:
            EndError: it was not seen to be gone.
        """
        facts = self._look()
        if facts["ActiveState"] not in ENDED or _has_job(facts):
            say(f"{self._unit} is {facts['ActiveState']}: stopped")
            # At once: at a shutdown its own job waits for mosha to end.
            try:
                self._order("StopUnit", "ss", self._unit, "ignore-dependencies")
            except EndError as end:
                raise EndError(STOP_FAILED, str(end)) from end
            while facts["ActiveState"] not in ENDED or _has_job(facts):
                facts = self._next()
            if facts["ActiveState"] != "inactive":
                say(f"{self._unit} is stopped, but not well: {self._why('')}")
        self._drop_in.forbid()
        self._sweep()

    def _sweep(self) -> None:
        """Kill what the unit has left in its slice (KillMode=process).

        Raises:
            EndError: it is still there.
        """
        try:
            events = os.open(self._cgroup / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # nothing was ever started in it
            return
        try:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            for _ in range(2):
                if b"populated 1" not in os.pread(events, 1024, 0):
                    return
                say(f"{self._unit} has left processes behind: killed")
                (self._cgroup / "cgroup.kill").write_bytes(b"1")
                poll.poll(EMPTY_LIMIT_S * 1000)
        finally:
            os.close(events)
        raise EndError(STOP_FAILED, f"{self._unit} is stopped, and processes of it are alive")

    # --- systemd -----------------------------------------------------------------------------

    def _look(self) -> Mapping[str, Any]:
        return self._ask(lambda bus: bus.properties())

    def _next(self) -> Mapping[str, Any]:
        """Return what is after something has happened."""
        self._ask(lambda bus: bus.wait(self._fd))
        self._take()
        return self._look()

    def _why(self, result: str) -> str:
        """Return how the unit ended, in the words of systemd."""
        if result == "assert":
            return "an assertion of it is not met"
        if result and not self._look()["ConditionResult"]:
            return "a condition of it is not met"
        if result not in {"", "done", "failed"}:
            return f"the job of systemd ended with {result}"
        facts = self._ask(lambda bus: bus.properties("Service"))
        code, status = facts["ExecMainCode"], facts["ExecMainStatus"]
        last = f", {_CODES[code]} {status}" if code in _CODES else ""
        return f"Result={facts['Result']}{last} (journalctl -u {self._unit})"

    def _order(self, member: str, signature: str = "", *arguments: str) -> str:
        """Have systemd do something; return the job.

        Raises:
            EndError: it refuses.
        """
        try:
            return self._ask(lambda bus: bus.ask(member, signature, *arguments))
        except RefusedError as error:
            raise EndError(FAILED, f"systemd refuses {member} of {self._unit}: {error}") from error

    def _ask(self, question: Callable[[SystemdBus], T]) -> T:
        """Ask until there is an answer: without one nothing can be done but wait for the end."""
        while True:
            try:
                answer = question(self._bus)
            except BusLostError as error:
                if not self._silent:
                    say(f"{error}; the unit goes on, and is asked after again")
                self._silent = True
                select.select([self._fd], [], [], RETRY_S)
                self._take()
            else:
                self._silent = False
                return answer

    def _told_to_stop(self) -> bool:
        return self._stopping

    def _be_told(self, *_: object) -> None:
        self._stopping = True

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, READ_BYTES)


def _has_job(facts: Mapping[str, Any]) -> bool:
    return bool(facts["Job"][0])


def main() -> None:
    """Run as a process: for the unit that its only argument names, in the slice of $MOSHA_SLICE."""
    cgroup = os.environ.get(SLICE_VARIABLE, "")
    sys.exit(UnitWrapper(sys.argv[1], Path(cgroup) if cgroup else None).run())
