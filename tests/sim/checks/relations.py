"""What relates keeps its order and its place (S1 to S4).

- Nothing goes to its level unless what it comes after was at its level a while ago at most.
- Nothing starts beside what it is apart from, and two that are apart do not stay on one node.
- Nothing starts where what it is with is not.
- A node that stops a group in good order has let those stop that come after it, if it hears them.
- After the faults nothing starts again and again.

Which relations there are is what the node itself has in force.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

from mosha.core.cluster.relations import HOLD_LIMIT_S
from mosha.core.cluster.state import LogRecord, MonitorState
from mosha.core.status import GroupState
from mosha.core.tables import BUILT_IN_LEVELS, Wish
from tests.sim.checks import Checker

IN_ORDER = frozenset(
    {
        *("not wanted", "restart asked", "gives way", "at another level"),
        *("fails again and again", "nothing left to try", "its monitor fails"),
        "gives way to a higher priority",
    }
)
"""The rows of steps that wait for the groups that have to stop first."""

STARTS_MAX = 8
"""After the faults a group starts so often at most: it may be banned, moved back, and follow."""

# A status counts for T, and its reader and its clinit may be slow: in T.
SEEN_AGO = 3.0
# Clocks differ by half a percent.
SLACK = 0.98
# The usual signals of a stop, of a group and of one that has to stop before it.
STOPS_S = 40.0


class Decider(NamedTuple):
    """What a node knows and has decided, and what time it is there."""

    state: MonitorState
    now: float


class Relations(Checker):
    """What is at its level where, and since when each node has its hactl in force.

    `decider` is None for a node without a monitor; `well_since`: since when no node was hidden from
    another, or came back.
    """

    name = "relations"

    def __init__(
        self,
        timeout_s: float,
        decider: Callable[[int], Decider | None],
        well_since: Callable[[], float],
        restless: Container[str] = (),
    ) -> None:
        self._timeout_s, self._decider, self._well_since = timeout_s, decider, well_since
        self._restless = restless
        self._at_level: dict[str, dict[int, str]] = {}
        self._left_at: dict[str, float] = {}
        self._running: dict[tuple[int, int], dict[str, float]] = {}
        self._begun: set[tuple[int, str, int, str]] = set()
        self._adopted_at: dict[int, float] = {}
        self._beside_since: dict[tuple[int, int, str, str], float] = {}
        self._starts: dict[str, int] = {}
        self.calm = False

    # --- what happens ------------------------------------------------------------------

    def adopted(self, node: int) -> None:
        """Take in that a node has another hactl in force."""
        self._adopted_at[node] = self.truth.now()

    def shown(self, node: int, group: str, level: str, state: GroupState) -> None:
        """Take in what a clinit shows of a group."""
        places = self._at_level.setdefault(group, {})
        arrived = level not in BUILT_IN_LEVELS and state in (GroupState.DONE, GroupState.PASSED)
        if node in places and not (arrived and places[node] == level):
            self._left(node, group)
        if arrived:
            places[node] = level

    def ended(self, node: int, group: str, *, clinit: int) -> None:
        self._running.get((node, clinit), {}).pop(group, None)  # it may be respawned

    def killed(self, node: int) -> None:
        for group in self._at_level:
            self._left(node, group)

    def _left(self, node: int, group: str) -> None:
        if self._at_level.get(group, {}).pop(node, None) is not None:
            self._left_at[group] = self.truth.now()

    # --- starts ------------------------------------------------------------------------

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        running = self._running.setdefault((node, clinit), {})
        running.setdefault(group, self.truth.now())
        begun, decider = (node, group, term, level), self._decider(node)
        hactl = decider.state.hactl if decider is not None else None
        wish = hactl.wishes.get(group) if hactl is not None else None
        if begun in self._begun or decider is None or wish is None or self._edited(node):
            return
        self._begun.add(begun)
        if level not in BUILT_IN_LEVELS:
            self._judge_order(node, wish)
        self._judge_company(node, wish)
        for other in decider.state.relations.apart.get(group, ()):
            if other in running:
                raise self.truth.violated(
                    self.name, f"{group} starts on node {node} beside {other} (apart=)"
                )
            self.truth.cover("rule started apart")
        if wish.after or wish.with_ or wish.apart:
            self._count(group)

    def _edited(self, node: int) -> bool:
        """Say whether what starts may have been told under an earlier table."""
        return self.truth.now() - self._adopted_at.get(node, 0.0) < self._timeout_s

    def _judge_order(self, node: int, wish: Wish) -> None:
        for other in wish.after:
            ago_s = self.truth.now() - self._left_at.get(other, -self.truth.now() - 1e6)
            if not self._at_level.get(other) and ago_s > SEEN_AGO * self._timeout_s:
                raise self.truth.violated(
                    self.name, f"{wish.group} starts on node {node} before {other} (after=)"
                )
            self.truth.cover("rule started after another")

    def _judge_company(self, node: int, wish: Wish) -> None:
        for other in wish.with_:
            for (there, _), groups in self._running.items():
                if there != node and other in groups and self._is_well():
                    raise self.truth.violated(
                        self.name,
                        f"{wish.group} starts on node {node}, {other} runs on node {there} (with=)",
                    )
            self.truth.cover("rule started with another")

    def _is_well(self) -> bool:
        return self.truth.now() - self._well_since() > SEEN_AGO * self._timeout_s

    def _count(self, group: str) -> None:
        if not self.calm or group in self._restless:
            return
        self._starts[group] = self._starts.get(group, 0) + 1
        if self._starts[group] > STARTS_MAX:
            raise self.truth.violated(self.name, f"{group} starts again and again after the faults")

    # --- stops -------------------------------------------------------------------------

    def noted(self, node: int, note: LogRecord) -> None:
        """Judge a stop in good order: nothing that comes after it is seen to run."""
        decider = self._decider(node) if note.event == "group_told" else None
        if decider is None or note.fields["cause"] not in IN_ORDER or not self._is_well():
            return
        state, group = decider.state, str(note.fields["group"])
        record, report = state.record(group), state.report(group)
        forced = state.displaced or state.pills_taken or not record.granted
        at_level = report.settled and report.present and report.state is not GroupState.FAILED
        waited_s = decider.now - record.leaving_since if record.leaving else 0.0
        if forced or not at_level or report.level in BUILT_IN_LEVELS:
            return
        if waited_s > SLACK * HOLD_LIMIT_S:
            self.truth.cover("rule stop waited no longer")
            return
        for other in state.relations.dependants.get(group, ()):
            self.truth.cover("rule stopped in order")
            for (there, _), groups in self._running.items():
                since = groups.get(other, self.truth.now())
                heard = there == node or state.view.speaks(there)
                if heard and since < self.truth.now() - self._timeout_s:
                    raise self.truth.violated(
                        self.name,
                        f"node {node} stops {group} ({note.fields['cause']}) before {other}, which"
                        f" runs on node {there} (after=)",
                    )

    # --- looks -------------------------------------------------------------------------

    def look(self, node: int) -> None:
        """Judge what runs on a node that nothing hinders: not both of two that are apart."""
        decider = self._decider(node)
        apart = decider.state.relations.apart if decider is not None else {}
        now, found = self.truth.now(), {}
        for (there, clinit), groups in self._running.items():
            for group in groups if there == node else ():
                for other in apart.get(group, ()):
                    if other in groups:
                        key = (node, clinit, group, other)
                        found[key] = self._beside_since.get(key, now)
        self._beside_since = {
            key: since for key, since in self._beside_since.items() if key[0] != node
        } | found
        limit_s = HOLD_LIMIT_S + STOPS_S + SEEN_AGO * self._timeout_s
        for (_, _, group, other), since in found.items():
            if now - max(since, self._well_since()) > limit_s:
                raise self.truth.violated(
                    self.name, f"{group} and {other} stay on node {node} (apart=)"
                )
