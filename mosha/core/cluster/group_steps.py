"""When groups take their steps: after a change, or at a due time; one order at a time.

A group with an unanswered tell takes its next step after clinit has answered.
"""

from __future__ import annotations

from mosha.core.cluster.flight_recorder import FlightRecorder
from mosha.core.cluster.invariants import Invariants
from mosha.core.cluster.node import Node
from mosha.core.cluster.timers import Timers
from mosha.core.tell import Tell

# Decisions lead to decisions; what has not settled after this many rounds goes on at once, but
# after other pending events.
ROUNDS_MAX = 50


class GroupSteps:
    """The steps of all groups of one node. Decisions are checked before they leave."""

    def __init__(self, node: Node, invariants: Invariants, recorder: FlightRecorder) -> None:
        self._node, self._state = node, node.state
        self._invariants, self._recorder = invariants, recorder
        self._timers: Timers[str] = Timers()
        self._told: set[str] = set()  # groups with a tell that is not answered yet
        self._held: set[str] = set()  # of those, the ones that need a step when it is

    @property
    def due(self) -> float:
        """When the next step is due by time alone."""
        return self._timers.due

    def take(self, now: float, chance: float) -> list[Tell]:
        """Take all steps that are due, and those that follow from them; return what to tell."""
        tells: list[Tell] = []
        groups = {*self._timers.take_due(now), *self._node.take_to_step()}
        for _ in range(ROUNDS_MAX):
            if not groups:
                return tells
            taken = (self._take(group, now, chance) for group in sorted(groups))
            tells += [tell for tell in taken if tell is not None]
            groups = set(self._node.take_to_step())
        self._state.to_step |= groups
        return tells

    def _take(self, group: str, now: float, chance: float) -> Tell | None:
        if group in self._told:
            self._held.add(group)
            return None
        step = self._node.step(group, now, chance)
        row = step.row.name if step.row is not None else "no clinit"
        self._recorder.record_step(group, now, row, step.tell)
        self._invariants.check_group(self._state.record(group), now)
        self._timers.set(group, step.wake_at)
        if step.tell is not None:
            self._told.add(group)
        return step.tell

    def answered(self, group: str) -> None:
        """Handle clinit's answer: the step that had to wait for it is due."""
        self._told.discard(group)
        if group in self._held:
            self._held.discard(group)
            self._state.to_step.add(group)
