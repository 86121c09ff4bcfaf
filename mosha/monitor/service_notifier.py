"""What a monitor tells the service manager, and when.

The watchdog is fed after each completed turn of the publishing loop, by that loop: a monitor
whose loop stands still is restarted, whatever else of it still moves. A cluster file system
that hangs does not make it stand still: writes have a deadline.
"""

from __future__ import annotations

from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import MonitorState
from mosha.host.clock import boottime
from mosha.host.notify import Notifier
from mosha.monitor.daemon import Monitor


class ServiceNotifier:
    """Speaks for one monitor. `published` is to be called after each completed publish."""

    def __init__(self, monitor: Monitor, notifier: Notifier) -> None:
        self._monitor = monitor
        self._notifier = notifier
        self._ready = False

    def waiting(self) -> None:
        """Say for what a monitor waits that has not published yet."""
        self._notifier.status(f"waiting for clinit at {self._monitor.settings.socket_path}")

    def published(self) -> None:
        """Say that the loop goes on, and how things are.

        The first status that is really there makes the service ready: the socket answers
        since before the loop began.
        """
        notifier, state = self._notifier, self._monitor.node.state
        if not notifier.heard:
            return
        text = "; ".join([summary(state), *self._monitor.troubles])
        mute = self._monitor.node.mute(boottime())  # it does what it can: its socket answers
        if not self._ready and (state.published is not None or mute):
            self._ready = notifier.ready(text)
            if notifier.watchdog_s is not None:
                # A turn may take half of `timeout` when writes hang, and that is no fault.
                notifier.watch(max(notifier.watchdog_s, state.timing.timeout_s))
        notifier.status(text)
        notifier.alive()

    def reloading(self) -> None:
        """Say that the settings are being read again."""
        self._notifier.reloading()

    def reloaded(self) -> None:
        """Say that they have been."""
        self._notifier.ready(summary(self._monitor.node.state))

    def stopping(self, why: str) -> None:
        """Say that nothing but the end is left."""
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
