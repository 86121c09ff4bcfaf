"""Groups that were killed so late that another node may have run them at the same time.

Each node publishes its own, so that all show them, until an operator says that he has looked at the
data (`mosha cleanup`). Condition 1 of docs/explanation/protocol.md did not hold there.
"""

from __future__ import annotations

from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.timing import CLOCK_RATE_ERROR, Timing

MS_PER_S = 1000


def room_s(timing: Timing) -> float:
    """Return how late after `kill_at` a kill may be: what lease and stop budget leave of T."""
    return timing.timeout_s * (1 - CLOCK_RATE_ERROR) - timing.lease_s - timing.stop_budget_s


def own(state: MonitorState) -> dict[str, int]:
    """Return the groups that were killed here too late, and how late in milliseconds."""
    least_s = room_s(state.timing)
    found = {}
    for group, report in sorted(state.reports.items()):
        if report.killed_late_s > max(least_s, state.record(group).late_seen_s):
            found[group] = round(report.killed_late_s * MS_PER_S)
    return found
