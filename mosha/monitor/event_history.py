"""Keeps the latest transitions for `mosha events`, and sends new ones to followers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime

from mosha.core.cluster.state import MonitorState
from mosha.core.explain.homes import Arrival, Home, follow
from mosha.core.explain.transitions import ABSENT, Picture, Transition, snapshot, transitions
from mosha.formats.events import ClusterEvent, cluster_event, render_happenings
from mosha.formats.self_reset import SelfReset
from mosha.host.clock import boottime

KEPT_MAX = 1000
"""Some minutes in the worst case, days of an ordinary cluster; the log has the rest."""

RESET = "reset"

LOOK_MIN_S = 0.02
LOOK_SHARE = 0.05
"""What comparing snapshots may cost while everything changes, as a share of a processor."""


class EventHistory:
    """The transitions that this node has seen; `seq` is the number of the last one."""

    def __init__(self) -> None:
        self._kept: deque[ClusterEvent] = deque(maxlen=KEPT_MAX)
        self._last: Picture | None = None
        self._homes: dict[str, Home] = {}
        self._clinit_pid = 0
        self.seq = 0
        self._tell: list[Callable[[bytes], bool]] = []
        self.pause_s = LOOK_MIN_S

    def go_on(self, me: int, kept: Sequence[ClusterEvent], reset: SelfReset | None = None) -> None:
        """Continue after an earlier monitor's events: what happened in between is not known.

        Only of a `reset` of this node there is a note.
        """
        self._kept.extendleft(reversed(kept[-KEPT_MAX:]))
        self.seq += max((one.seq for one in kept), default=0)
        if reset is not None and (RESET, reset.time) not in {(one.kind, one.time) for one in kept}:
            seen = Transition(RESET, "", me, before=ABSENT, after=reset.how, cause=reset.reason)
            self._add(me, [seen], reset.time)
        self._add(me, [Transition("monitor", "", me, before=ABSENT, after="started", cause="")])

    def look(self, state: MonitorState, clinit_pid: int = 0) -> None:
        """Record what has changed since the last snapshot, and send it to the followers."""
        # Of this thread: on a busy machine more time passes, and what happens meanwhile is missed.
        began, used_s = boottime(), time.thread_time()
        now = snapshot(state)
        before, self._last = self._last, now
        self._homes, arrivals = follow(self._homes, state, now, began)
        if before is not None:
            replaced = list(self._of_clinit(state.me, clinit_pid))
            found = [it for it in transitions(before, now) if not (replaced and _answers(it))]
            self._add(state.me, [*replaced, *found, *map(_moved, arrivals)])
        self._clinit_pid = clinit_pid or self._clinit_pid
        self.pause_s = max(LOOK_MIN_S, (time.thread_time() - used_s) / LOOK_SHARE)

    def _of_clinit(self, me: int, pid: int) -> Iterator[Transition]:
        """Yield a transition if clinit is another process than before."""
        if pid and self._clinit_pid not in (0, pid):
            was, now = f"process {self._clinit_pid}", f"process {pid}"
            yield Transition("clinit", "", me, before=was, after=now, cause="")

    def _add(self, me: int, seen: Iterable[Transition], stamp: str = "") -> None:
        now = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        found: list[ClusterEvent] = []
        for transition in seen:
            self.seq += 1
            found.append(cluster_event(transition, seq=self.seq, time=stamp or now, said_by=me))
        self._kept.extend(found)
        if found and self._tell:
            data = render_happenings(found)
            self._tell = [tell for tell in self._tell if tell(data)]

    def kept(self) -> bytes:
        """Return the latest transitions, the oldest first, as JSON."""
        return render_happenings(list(self._kept))

    def follow(self, tell: Callable[[bytes], bool]) -> None:
        """Pass every new list of transitions to `tell`, until that returns False."""
        self._tell.append(tell)


def _answers(transition: Transition) -> bool:
    """Say whether a transition is that clinit answers again."""
    return transition.kind == "clinit" and transition.after == ABSENT


def _moved(arrival: Arrival) -> Transition:
    return Transition(
        *("move", arrival.group, arrival.node),
        before=str(arrival.was),
        after=str(arrival.node),
        cause="",
        away_s=round(arrival.away_s, 1),
    )
