"""Notifies the service manager of the monitor's state.

The publishing loop feeds the watchdog after each completed iteration: a monitor whose loop stalls
is restarted, whatever else of it still runs. A hung cluster file system does not stall it: writes
have a deadline.
"""

from __future__ import annotations

from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.host.clock import boottime
from mosha.host.notify import Notifier
from mosha.monitor.daemon import Monitor


class ServiceNotifier:
    """The notifier of one monitor. Call `published` after each completed publication."""

    def __init__(self, monitor: Monitor, notifier: Notifier) -> None:
        self._monitor = monitor
        self._notifier = notifier
        self._ready = False

    def waiting(self) -> None:
        """Report what a monitor that has not published yet waits for."""
        self._notifier.status(f"waiting for clinit at {self._monitor.settings.socket_path}")

    def published(self) -> None:
        """Report that the loop runs, and its status.

        The first status that is really written makes the service ready: the socket answers
        since before the loop started.
        """
        notifier, state = self._notifier, self._monitor.node.state
        if not notifier.heard:
            return
        text = "; ".join([summary(state), *self._monitor.troubles])
        mute = self._monitor.node.mute(boottime())  # it does all it can: its socket answers
        if not self._ready and (state.published is not None or mute):
            self._ready = notifier.ready(text)
            if notifier.watchdog_s is not None:
                # An iteration may take half of `timeout` when writes hang, which is not a fault.
                notifier.watch(max(notifier.watchdog_s, state.timing.timeout_s))
        notifier.status(text)
        notifier.alive()

    def reloading(self) -> None:
        """Report that the settings are being read again."""
        self._notifier.reloading()

    def reloaded(self) -> None:
        """Report that the settings have been read."""
        self._notifier.ready(summary(self._monitor.node.state))

    def stopping(self, why: str) -> None:
        """Report that the monitor is about to end."""
        self._notifier.stopping(why)


def summary(state: MonitorState) -> str:
    """Return one line for `systemctl status`: nodes, groups here, quorum."""
    view = state.view
    nodes = view.electorate.nodes | view.members | {state.me}
    fresh = len(view.fresh_nodes()) + 1
    here = sum(1 for report in state.reports.values() if report.present)
    quorum = {QuorumState.YES: "yes", QuorumState.NO: "NO"}.get(view.quorum_state, "not known yet")
    groups = "1 group" if here == 1 else f"{here} groups"
    return f"{fresh} of {len(nodes)} nodes fresh, {groups} here, quorum {quorum}"
