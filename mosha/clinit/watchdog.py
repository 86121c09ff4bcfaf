"""Feeds the watchdog of the machine, as long as clinit keeps the deadlines of its groups.

The promise (docs/explanation/protocol.md, condition 1) needs somebody who acts if clinit does not.
The watchdog does: it resets the machine when it was not fed for its time-out. So

- it is fed from clinit's event loop, after a step of the engine, and from nowhere else: if the loop
  hangs, so does the feeding;
- it is not fed while a process has outlived `kill_at` by more than K: a kill that does not work
  (state D, a process that may not be signalled) ends with the machine, unless it works after all;
- it is disarmed only by an orderly end with no process of any group left, or if the start fails
  before there can be any. Whatever else ends clinit leaves it armed: then the next clinit has to
  open it within the time-out. That one first ends what this one left (`state_dir.py`).

A watchdog that was asked for and cannot be armed ends the start of clinit: groups whose operator
counts on one must not run without. One that fails later is reported, but ends nothing.
"""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

from msgspec.structs import replace

from mosha.clinit.engine import Engine
from mosha.clinit.reset_note import ResetNote
from mosha.control.protocol import Update
from mosha.core.cluster.timing import kill_s
from mosha.core.supervision.group import GroupTimePassed
from mosha.core.watchdog import WATCHDOG_TIMEOUT_MIN_S, ArmedWatchdog
from mosha.errors import HostError
from mosha.formats.names import listed
from mosha.formats.self_reset import WATCHDOG
from mosha.host import logs
from mosha.host.clock import boottime
from mosha.host.watchdog_device import OpenWatchdog, WatchdogPort

FEEDS_PER_TIMEOUT = 4
"""Three are promised; the fourth allows for a late one."""

# A clinit that was killed holds the device until it is buried, a little longer than its lock.
BUSY_LIMIT_S = 2.0
BUSY_LOOK_S = 0.05


async def arm(path: Path, timeout_s: int, open_watchdog: OpenWatchdog) -> Watchdog:
    """Open the device and set its time-out, at most `timeout_s`.

    Raises:
        HostError: it is missing, taken, no watchdog, or would reset the machine too late or not if
            clinit is killed. It is disarmed again: nothing runs yet.
    """
    try:
        device = await _opened(path, open_watchdog)
    except HostError as error:
        raise HostError(f"watchdog: {error}") from error
    except OSError as error:
        text = error.strerror or str(error)
        if error.errno == errno.EBUSY:
            text += "; another program has it (RuntimeWatchdogSec= of systemd?)"
        raise HostError(f"watchdog: {path}: {text}") from error
    try:
        accepted_s = _set(device, path, timeout_s)
    except (HostError, OSError) as error:
        _disarm(device, path)
        text = str(error) if isinstance(error, HostError) else f"{path}: {error.strerror or error}"
        raise HostError(f"watchdog: {text}") from error
    return Watchdog(device, ArmedWatchdog(str(path), accepted_s))


async def _opened(path: Path, open_watchdog: OpenWatchdog) -> WatchdogPort:
    """Open it; for a moment, one that is taken may belong to a clinit that is dying."""
    deadline = boottime() + BUSY_LIMIT_S
    while True:
        try:
            return open_watchdog(path)
        except OSError as error:
            if error.errno != errno.EBUSY or boottime() >= deadline:
                raise
        await asyncio.sleep(BUSY_LOOK_S)


def _set(device: WatchdogPort, path: Path, timeout_s: int) -> int:
    """Set the time-out and return the one that the device has accepted."""
    ability = device.ability
    if not ability.magic_close:
        raise HostError(
            f"{path} ({ability.identity}) is disarmed by every close (no WDIOF_MAGICCLOSE), so also"
            " if clinit is killed; use another device, or softdog"
        )
    if ability.sets_timeout:
        device.set_timeout(timeout_s)
    else:
        logs.get().warning("watchdog_timeout_fixed", device=str(path), identity=ability.identity)
    accepted_s = device.timeout()
    if not WATCHDOG_TIMEOUT_MIN_S <= accepted_s <= timeout_s:
        raise HostError(
            f"{path} ({ability.identity}) has a time-out of {accepted_s} s, not 1 to {timeout_s} s;"
            " lengthen timeout, shorten stop_budget, or use another device"
        )
    names = {"device": str(path), "identity": ability.identity}
    logs.get().info("watchdog_armed", **names, timeout_s=accepted_s)
    return accepted_s


def _disarm(device: WatchdogPort, path: Path) -> None:
    try:
        device.disarm()
    except OSError as error:
        logs.get().critical("watchdog_failed", device=str(path), reason=str(error))


class Watchdog:
    """An armed watchdog, fed from now on."""

    def __init__(self, device: WatchdogPort, armed: ArmedWatchdog) -> None:
        """Begin to feed; needs a running loop. Until `watch` there is no group to look at."""
        self.armed = armed
        self._device = device
        self._engine: Engine | None = None
        self._note: ResetNote | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._go_on()

    def watch(self, engine: Engine, note: ResetNote | None = None) -> None:
        """Feed only as long as the deadlines of this engine's groups are kept; else `note` it."""
        self._engine = engine
        self._note = note
        engine.watchdog = self.armed

    def end(self, left: list[str]) -> None:
        """Stop feeding and disarm it, unless something of these groups is left."""
        if self._timer is not None:
            self._timer.cancel()
        names = {"device": self.armed.device}
        if left:
            text = f"processes of {listed(left)} are left"
            logs.get().critical("watchdog_left_armed", **names, reason=text)
            return
        _disarm(self._device, Path(self.armed.device))
        logs.get().info("watchdog_disarmed", **names)

    def give_up(self) -> None:
        """Stop feeding: clinit ends by an error. Disarm it only if no group can have run.

        A clinit that cannot start must not reset the machine again and again.
        """
        if self._engine is None:
            self.end([])
        elif self._timer is not None:
            self._timer.cancel()

    def _go_on(self) -> None:
        # First: an error of the engine must not end with another feed.
        reason = self._why_not()
        if not reason:
            try:
                self._device.feed()
            except OSError as error:
                reason = f"it cannot be fed: {error.strerror or error}"
        self._tell(reason)
        pause_s = self.armed.timeout_s / FEEDS_PER_TIMEOUT
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._go_on)

    def _why_not(self) -> str:
        """Let the engine do what is due; return why the machine has to be reset, or ""."""
        engine = self._engine
        if engine is None:
            return ""
        engine.happen(GroupTimePassed())
        left = self._outliving(engine)
        return f"processes of {listed(left)} have outlived kill_at" if left else ""

    def _outliving(self, engine: Engine) -> list[str]:
        return engine.outliving(kill_s(len(engine.supervisor.units)))

    def _tell(self, reason: str) -> None:
        if reason == self.armed.trouble:
            return
        self.armed = replace(self.armed, trouble=reason)
        names = {"device": self.armed.device, "timeout_s": self.armed.timeout_s}
        if reason:
            logs.get().critical("watchdog_not_fed", **names, reason=reason)
        else:
            logs.get().warning("watchdog_fed_again", **names)
        if self._engine is not None:
            if self._note is not None and reason:
                self._note.put(WATCHDOG, reason, self._outliving(self._engine))
            elif self._note is not None:
                self._note.withdraw()
            self._engine.watchdog = self.armed
            self._engine.news.tell(Update(watchdog=self.armed))
