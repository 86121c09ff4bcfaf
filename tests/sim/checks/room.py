"""Who gets the room of a node: no more weight than its capacity, and nobody twice pushed out.

- A node that claims a group holds no more weight then than its capacity.
- A group stays without a node only where what has the same or a higher priority leaves no room.
- In calm weather a group gives way to another one a few times at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from mosha.core.cluster.state import LogRecord, MonitorState
from mosha.core.tables import Wish
from tests.sim.checks import Checker

PREEMPTED_MAX = 2
"""With views that differ just after the last fault a group may stop for nothing, once."""


class Room(Checker):
    """What each node took, and who had to give way to whom since the faults ended."""

    name = "room"

    def __init__(self, restless: Iterable[str]) -> None:
        # Their services fail to the end: after each ban they get room again.
        self._restless = frozenset(restless)
        self._given: Counter[tuple[str, str]] = Counter()

    def claimed(self, state: MonitorState, group: str) -> None:
        """Judge what a node holds when it has claimed a group."""
        load = sum(_wish(state, it).weight for it in _held(state))
        if state.capacity is None or not _wish(state, group).weight:
            return
        self.truth.cover("rule claim within a capacity")
        if load > state.capacity:
            what = f"{load} of {state.capacity}"
            raise self.truth.violated(
                self.name, f"node {state.me} claims {group}, and holds {what}: {_held(state)}"
            )

    def noted(self, note: LogRecord, *, calm: bool) -> None:
        """Judge that a group gives way."""
        if note.event != "group_preempted" or not calm:
            return
        pair = (str(note.fields["group"]), str(note.fields["by"]))
        self._given[pair] += 1
        if self._given[pair] > PREEMPTED_MAX and pair[1] not in self._restless:
            raise self.truth.violated(
                self.name, f"{pair[0]} gives way to {pair[1]} again and again"
            )

    def waits(self, group: str, states: Iterable[MonitorState]) -> str:
        """Say which of these nodes has, or could make, room for a group that runs nowhere."""
        for state in states:
            wish = _wish(state, group)
            kept = [it for it in _held(state) if not _gives_way(state, it, wish)]
            load = sum(_wish(state, it).weight for it in kept)
            if state.capacity is None or load + wish.weight <= state.capacity:
                return f"{group} runs nowhere, and node {state.me} has room beside {kept}"
        self.truth.cover("rule no room")
        return ""


def _held(state: MonitorState) -> list[str]:
    present = (group for group, report in state.reports.items() if report.present)
    return sorted({*state.claimed, *present})


def _wish(state: MonitorState, group: str) -> Wish:
    found = state.hactl.wishes.get(group) if state.hactl is not None else None
    return found or Wish(group, "stop")


def _gives_way(state: MonitorState, group: str, wish: Wish) -> bool:
    report, record = state.report(group), state.record(group)
    fixed = report.stop_failed or record.exhausted or record.claim is None
    return not fixed and _wish(state, group).priority < wish.priority
