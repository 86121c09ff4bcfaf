"""The arithmetic of a hardware watchdog: it resets a machine whose clinit hangs, in time.

A watchdog is armed with a time-out, W: it resets the machine W after it was fed last. clinit feeds
it only while each group whose `kill_at` passed more than K ago is gone. So the last feed before a
hang comes no later than R + L + D + K after the renewal R of a lease, and the reset W later. It
stands in for a clinit that hangs if **L + D + K + W is at most 0.99 T**: before any other node may
start the group (docs/explanation/protocol.md).

This is the watchdog device of the machine (/dev/watchdog). The watchdog of systemd (WatchdogSec=)
watches one service and restarts that: `mosha.host.notify`.
"""

from __future__ import annotations

import math

from msgspec import Struct

from mosha.core.cluster.timing import CLOCK_RATE_ERROR, Timing, TimingCheck, kill_s
from mosha.core.durations import number_text

WATCHDOG_TIMEOUT_MIN_S = 1
"""The ioctls of watchdog devices know whole seconds only."""

WATCHDOG_TIMEOUT_MAX_S = 3600

GROUPS_ALLOWED = 100
"""The time-out that is chosen leaves room for K of this many groups."""

SUM = "L + D + K + W, at most 0.99 T"


class ArmedWatchdog(Struct, frozen=True):
    """The watchdog that clinit has armed: its device and the time-out that the device accepted.

    `trouble` says why it is not being fed, "" while it is.
    """

    device: str
    timeout_s: int
    trouble: str = ""


def room_s(timing: Timing, groups: int = GROUPS_ALLOWED) -> float:
    """Return the seconds from R + L + D + K to R + 0.99 T: what W may be at most."""
    limit_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR)
    return limit_s - timing.lease_s - timing.stop_budget_s - kill_s(groups)


def longest_timeout_s(timing: Timing) -> int:
    """Return the longest time-out that fits, in whole seconds; 0 if not even one second does."""
    # A billionth of T is allowed for the last binary digit, as in `timing`.
    return max(0, math.floor(room_s(timing) + timing.timeout_s * 1e-9))


def fits(timing: Timing, groups: int, watchdog_s: int) -> bool:
    """Say whether a machine whose clinit hangs is reset before others start its groups."""
    return watchdog_s <= room_s(timing, groups) + timing.timeout_s * 1e-9


def remedy(timing: Timing) -> str:
    """Return what to change so that a watchdog of one second fits."""
    shorter_s = timing.stop_budget_s + room_s(timing) - WATCHDOG_TIMEOUT_MIN_S
    shorter_s = math.floor(shorter_s * 10) / 10
    if shorter_s <= 0:
        return "lengthen timeout"
    return f"set stop_budget = {number_text(shorter_s)}, or lengthen timeout"


def warning(timing: Timing, groups: int, watchdog_s: int) -> str:
    """Return a warning if the reset may come after the start on another node, or ""."""
    if fits(timing, groups, watchdog_s):
        return ""
    reset_s = round(_reset_s(timing, groups, watchdog_s), 3)
    limit_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR)
    return (
        f"if clinit hangs, the watchdog resets this machine {number_text(reset_s)} s after"
        f" the last renewal, and others may start its groups after {number_text(limit_s)} s:"
        " shorten watchdog_timeout or stop_budget, or lengthen timeout"
    )


def reset_lines(timing: Timing, groups: int, watchdog_s: int) -> list[TimingCheck]:
    """Return the arithmetic of the watchdog, as `mosha check` prints it."""
    text = warning(timing, groups, watchdog_s)
    told = "W: from the last feed of the watchdog to the reset of the machine"
    return [
        TimingCheck("watchdog", told, float(watchdog_s), "ok"),
        TimingCheck(
            "a machine whose clinit hangs is reset",
            SUM if groups else "L + D + W, at most 0.99 T",
            _reset_s(timing, groups, watchdog_s),
            f"warning: {text}" if text else "ok",
        ),
    ]


def _reset_s(timing: Timing, groups: int, watchdog_s: int) -> float:
    return timing.lease_s + timing.stop_budget_s + kill_s(groups) + watchdog_s


def trouble(wanted: str, timeout_s: int, armed: ArmedWatchdog | None) -> str:
    """Return what is wrong with the watchdog of a running clinit, "" if all is as it should be.

    `wanted` is the device of the settings, "" for none, and `timeout_s` its longest time-out.
    """
    again = "end clinit, so that one is started with these settings: restart this node"
    if armed is None:
        return f"the watchdog {wanted} is not armed; {again}" if wanted else ""
    if armed.trouble:
        return (
            f"the watchdog {armed.device} is not fed: {armed.trouble}; it resets this machine"
            f" {armed.timeout_s} s after the last feed"
        )
    if wanted != armed.device:
        others = wanted or "none"
        return f"the watchdog {armed.device} is armed, and the settings want {others}; {again}"
    if armed.timeout_s > timeout_s:
        return (
            f"the watchdog {armed.device} has a time-out of {armed.timeout_s} s, and the settings"
            f" want {timeout_s} s at most; {again}"
        )
    return ""
