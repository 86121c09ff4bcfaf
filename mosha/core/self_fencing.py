"""When a node that cannot end a group fences itself, and how: `self_fence` of mosha.toml."""

from __future__ import annotations

from mosha.core.cluster.timing import CLOCK_RATE_ERROR, Timing, TimingCheck, kill_s

OFF = "off"
SYSRQ = "sysrq"
"""Writes `b` to /proc/sysrq-trigger: an immediate reboot, nothing is written back to disks."""

HOLD = "hold"
FENCE = "fence"
STOP_FAILURES = (HOLD, FENCE)
"""What follows when the stop of a group fails: its claim stays, or the node fences itself too."""

# A process with much memory takes seconds to be gone after SIGKILL, and a reboot costs all groups.
# What the arithmetic leaves is shared: one half for that, one for the command that fences.
SHARE = 0.5


def fence_after_s(timing: Timing) -> float:
    """Return how long after `kill_at` a node that has processes left of a group fences itself.

    clinit waits at least K, which depends on its groups.
    """
    left_s = timing.timeout_s * (1 - CLOCK_RATE_ERROR) - timing.lease_s - timing.stop_budget_s
    return max(0.0, left_s * SHARE)


def fence_lines(timing: Timing, groups: int) -> list[TimingCheck]:
    """Return the arithmetic of a self-fence, as `mosha check` prints it."""
    after_s = max(fence_after_s(timing), kill_s(groups))
    told = "L + D + half of what is left of 0.99 T"
    value = timing.lease_s + timing.stop_budget_s + after_s
    return [TimingCheck("a node that cannot end a group fences itself", told, value, "ok")]
