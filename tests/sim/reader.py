"""The readers of one monitor: a look at a peer when there is news, and when it may be stale.

A look that would find what the last one found changes nothing in the brain, so the polls of
the product are left out here except for those that matter: the first one, the one after each
new version, the one that could find the peer stale, and those that had an error.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from mosha.core.peers import NO_CLSTAT
from mosha.core.status import Stamp, Status
from tests.sim.world import Fault

if TYPE_CHECKING:
    from tests.sim.monitor import Monitor


class Readers:
    """Looks at all peers of one monitor, one abandonable thread for each."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.me = monitor.machine.id
        self.files = monitor.cluster.files
        self.peers = sorted(monitor.machine.nodes - {self.me})
        self._last: dict[int, Status | None] = {}
        self._newest: dict[int, Stamp] = {}
        self._error: dict[int, str] = {}
        self._hung: set[int] = set()
        self._judging: dict[int, float] = {}
        self._retrying: set[int] = set()

    def open(self) -> None:
        """Look at everybody once, and again after T: then a lack of nodes means something."""
        self._look_at_all()
        timing = self.monitor.timing
        self.monitor.at_local(
            self.monitor.now + timing.timeout_s + timing.poll_s, self._look_at_all
        )

    def _look_at_all(self) -> None:
        for node in self.peers:
            self.look(node, forced=True)

    def notice(self, node: int) -> None:
        """Look at a node of which a new version became visible."""
        if self.monitor.ready and node in self.peers:
            self.look(node)

    def look(self, node: int, *, forced: bool = False) -> None:
        """Read a peer's status; a hung read ends when what hangs it does."""
        monitor = self.monitor
        began = monitor.now
        if node in self._hung:
            # Its thread is stuck; the attempt is over all the same when its time is up.
            if forced:
                self._done(node, began, None, "no answer", forced=True)
            return
        hang = self._hang(node) if monitor.weather.in_force else None
        if hang is not None:
            self._hung.add(node)
            monitor.machine.cover("fault hanging read")
            early = self.files.read(self.me, node) if monitor.rng.random() < 0.5 else None
            ends_s = max(0.0, hang.at + hang.lasts - monitor.machine.agenda.now)
            later_s = ends_s + monitor.world.lag_s * (0.01 + monitor.rng.random())
            monitor.soon(later_s, partial(self._unhung, node, began, early))
            return
        status, error = self.files.read(self.me, node)
        self._done(node, began, status, error, forced=forced)

    def _hang(self, node: int) -> Fault | None:
        """Return the fault that keeps a read of a node from ending."""
        weather = self.monitor.weather
        cut = weather.cut(self.me, node)
        if cut is not None and cut.word.startswith("hang"):
            return cut
        return weather.of("hangread", self.me)

    def _unhung(self, node: int, began: float, early: tuple[Status | None, str] | None) -> None:
        self._hung.discard(node)
        status, error = early or self.files.read(self.me, node)
        self._done(node, began, status, error, forced=True)
        self.look(node)

    def _done(
        self, node: int, began: float, status: Status | None, error: str, *, forced: bool
    ) -> None:
        monitor = self.monitor
        new = status is not None and status is not self._last.get(node)
        if new or forced or error != self._error.get(node, ""):
            told = NO_CLSTAT if error == "ENOENT" else error
            monitor.node.peer_read(node, status, began=began, now=monitor.now, error=told)
            self._error[node] = error
            if new and status is not None:
                self._last[node] = status
                if node not in self._newest or status.stamp > self._newest[node]:
                    self._newest[node] = status.stamp
                    monitor.cluster.shots.hears(self.me, status)
                    monitor.cluster.evidence.hears(monitor, status)
                monitor.heard(status)
                monitor.want_renewals()
        if error not in ("", "ENOENT") and node not in self._retrying:
            self._retrying.add(node)
            monitor.soon(monitor.timing.heartbeat_s, partial(self._retry, node))
        self._judge_later(node)

    def _retry(self, node: int) -> None:
        self._retrying.discard(node)
        self.look(node)

    def _judge_later(self, node: int) -> None:
        """Look again when a look could find the peer stale (O3)."""
        if node in self._judging:
            return
        due = self.monitor.node.look_at(node)
        if due < math.inf:
            self._judging[node] = due
            poll_s = self.monitor.timing.poll_s * (0.1 + self.monitor.rng.random())
            look_at = max(due, self.monitor.now) + poll_s
            self.monitor.at_local(look_at, partial(self._judge, node))

    def _judge(self, node: int) -> None:
        del self._judging[node]
        if self.monitor.node.look_at(node) < self.monitor.now:
            self.look(node, forced=True)
        self._judge_later(node)
