"""The log lines of what was done to entries: one for each effect that somebody may look for."""

from __future__ import annotations

from mosha.core.supervision import process_events
from mosha.core.supervision.supervisor import Effect
from mosha.core.supervision.unit import SignalLeft
from mosha.core.tables import Entry
from mosha.host import logs
from mosha.host.clock import boottime


def log_effect(effect: Effect, pids: list[int]) -> None:
    """Log what was done; `pids` are the processes that were signalled."""
    match effect:
        case process_events.Signal(entry, _, name, scope) if pids:
            if scope is process_events.Scope.SESSION:
                logs.get().info("leftover_ended", **_names(entry), signal=name, pids=pids)
            else:
                logs.get().info("entry_signalled", **_names(entry), signal=name, pids=pids)
        case SignalLeft(group, name) if pids:
            logs.get().info("leftover_ended", group=group, signal=name, pids=pids)
        case process_events.Throttled(entry, until):
            pause_s = round(until - boottime())
            text = f"{entry.tag} respawning too rapidly: sleeping {pause_s} seconds"  # C3.9
            logs.get().warning("entry_throttled", **_names(entry), text=text)
        case process_events.Retried(entry, reason):
            logs.get().error("entry_not_started", **_names(entry), reason=reason)
        case process_events.TimedOut(entry, limit_s):
            logs.get().warning("entry_timed_out", **_names(entry), limit_s=limit_s)
        case process_events.NotReady(entry, limit_s):
            logs.get().warning("entry_not_ready", **_names(entry), limit_s=limit_s)
        case process_events.Unhealthy(entry, failures):
            logs.get().warning("monitor_failed", **_names(entry), failures=failures)
        case process_events.Healthy(entry):
            logs.get().info("monitor_recovered", **_names(entry))
        case process_events.Ready(entry, after_s):
            logs.get().info("entry_ready", **_names(entry), after_s=round(after_s, 3))


def _names(entry: Entry) -> dict[str, str]:
    return {"group": entry.group, "tag": entry.tag}
