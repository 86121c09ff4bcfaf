"""What follows failures: as `mosha why` predicted it, no more moves than hactl allows, and an end.

- Each failure of an entry is followed by what `why` had said just before.
- Where it moves it starts first on the node that `why` had named, in worlds where all nodes see the
  same at once, and where no node boots.
- A group that runs, of which a monitor fails, is restarted if `why` had said so: at once where
  hactl counts restarts, else when it has run for a minute.
- No more restarts than that, whatever its monitor says: hactl's number within its time, or one in a
  minute.
- Within the time that hactl names, no more nodes give a group up than it allows.
- A group that was stopped for good is started nowhere until it is freed.

The last three are judged only where no fault but failing entries has been in force for a while: a
node that was not heard, or has forgotten, cannot count.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable

from mosha.core.cluster.group_rules import Row
from mosha.core.cluster.restarting import PAUSE_S
from mosha.core.cluster.state import LogRecord
from mosha.core.ladder import Ladder, Rung
from mosha.core.status import GroupState, Status, Verb
from mosha.core.supervision.group import Group
from tests.sim.checks import Checker

MOVE, STOP, STAY = (rung.name.lower() for rung in (Rung.MOVE, Rung.STOP, Rung.STAY))
RESTART = "restart"

# How each rung is told before the next failure -> what follows.
SAID = {
    "the next one moves it": MOVE,
    "the next one stops it for good": STOP,
    "it stays, however often it fails": STAY,
    " more": STAY,
    "on-failure=stay": STAY,
}

# How it is told that a monitor that fails has the group restarted: where hactl counts that, and at
# most once a minute.
COUNTED, SLOWLY = "restarted in place at once", "a monitor that fails has it restarted"

# The row of a step that follows a failure -> what it does; others have another cause.
DONE = {
    "fails again and again": MOVE,
    "nothing left to try": STOP,
    "at home": STAY,
    "in transition": STAY,
    "its monitor fails": RESTART,
}


class Restarting(enum.Enum):
    """Whether a group is restarted, as far as its monitors and its age are concerned."""

    NO = enum.auto()
    COUNTED = enum.auto()  # if hactl counts it
    YES = enum.auto()


# Clocks differ by half a percent, and what is published is rounded.
SLACK = 0.98


class Ladders(Checker):
    """What was predicted, which nodes gave a group up, and which groups are stopped for good."""

    name = "ladders"

    def __init__(
        self,
        ladders: dict[str, Ladder],
        disturbed_at: Callable[[], float],
        pause_s: float,
        *,
        named: bool,
    ) -> None:
        self._ladders = ladders
        self._names = named
        self._disturbed_at, self._pause_s = disturbed_at, pause_s
        self._foreseen: dict[tuple[int, str], tuple[float, str, Restarting]] = {}
        self._restarted: dict[tuple[int, str, object], list[float]] = {}  # by the term, too
        self._began: dict[tuple[int, str], float] = {}  # when it last arrived at a level
        self._named: dict[str, tuple[float, int]] = {}  # where it is to move, and since when
        self._terms: dict[str, int] = {}  # under which it was started last
        self._gave_up: dict[str, list[float]] = {}
        self._noted: dict[str, tuple[int, float]] = {}  # stopped for good: by whom, when
        self._ended: dict[str, tuple[int, int]] = {}  # by whom, under which term; it is published

    def foresees(
        self, node: int, group: str, said: str, *, restarts: Restarting = Restarting.NO
    ) -> None:
        """Take in what `why` says on a node just before it hears of one more failure."""
        self._foreseen.pop((node, group), None)
        if said:
            self._foreseen[node, group] = self.truth.now(), said, restarts

    def stepped(self, node: int, group: str, row: Row, *, granted: bool) -> None:
        """Judge the step that follows a failure, if it does so at once and under a lease."""
        at, text, restarts = self._foreseen.pop((node, group), (-1.0, "", Restarting.NO))
        predicted = next((rung for words, rung in SAID.items() if words in text), None)
        if predicted == STAY and restarts is not Restarting.NO:
            slow = restarts is Restarting.YES and SLOWLY in text
            predicted = RESTART if slow or COUNTED in text else STAY
        done = DONE.get(row.name)
        if at != self.truth.now() or not granted or predicted is None or done is None:
            return
        if done != predicted:
            raise self.truth.violated(
                self.name, f"node {node} does with {group}: {row.name}; why had said: {text}"
            )
        self.truth.cover(f"rule failure predicted: {predicted}")
        named = re.search(r"the next one moves it to node (\d+)", text)
        if done == MOVE and named is not None:
            self._named[group] = at, int(named[1])

    def shown(self, node: int, group: Group) -> None:
        """Take in that a group has arrived at a level."""
        if group.state is GroupState.DONE:
            self._began[node, group.name] = self.truth.now()

    def noted(self, node: int, note: LogRecord) -> None:
        """Take in what a node has decided."""
        group = str(note.fields.get("group", ""))
        if note.event == "group_banned" and "(on-failure=" in str(note.fields["reason"]):
            self._moves(node, group)
        elif note.event == "group_restarted":
            self._restarts(node, group, note.fields["term"])
        elif note.event == "group_exhausted":
            self._noted[group] = node, self.truth.now()
        elif note.event == "group_freed":
            self._free(group)
        elif note.event == "order_given" and note.fields["verb"] == Verb.CLEANUP:
            self._gave_up.pop(group, None)
            self._free(group)
            self._forget_restarts(group)
        elif note.event == "order_given" and note.fields["verb"] == Verb.RESTART:
            self._forget_restarts(group)

    def _forget_restarts(self, group: str) -> None:
        for key in [key for key in self._restarted if key[1] == group]:
            del self._restarted[key]

    def _restarts(self, node: int, group: str, term: object) -> None:
        """Judge a restart in place: of the number that hactl allows, or after a minute."""
        ladder, now = self._ladders.get(group), self.truth.now()
        since = self._disturbed_at() + self._pause_s
        times = [at for at in self._restarted.get((node, group, term), ()) if at > since]
        rapid = now - self._began.get((node, group), -math.inf) < SLACK * PAUSE_S
        if rapid and now > since:
            allowed = ladder.restarts if ladder is not None else 0
            within_s = SLACK * ladder.within_s if ladder is not None else 0.0
            if len([at for at in times if at > now - within_s]) >= allowed:
                raise self.truth.violated(
                    self.name, f"node {node} restarts {group} ({ladder}), as it did at {times}"
                )
            self.truth.cover("rule restart that counts")
        self._restarted[node, group, term] = [*times, now]

    def _free(self, group: str) -> None:
        self._noted.pop(group, None)
        self._ended.pop(group, None)

    def _moves(self, node: int, group: str) -> None:
        ladder, now = self._ladders[group], self.truth.now()
        since = self._disturbed_at() + self._pause_s
        times = [at for at in self._gave_up.get(group, ()) if at > since]
        if ladder.moves is not None:
            recent = [at for at in times if at > now - SLACK * ladder.moves_within_s]
            if now > since and len(recent) >= ladder.moves:
                raise self.truth.violated(
                    self.name, f"node {node} gives {group} up ({ladder}), as others did at {recent}"
                )
            self.truth.cover("rule move that counts")
        self._gave_up[group] = [*times, now]

    def landed(self, node: int, status: Status, *, late: bool) -> None:
        if late or not status.exhausted:
            return
        for group in status.exhausted:
            by, at = self._noted.get(group, (0, 0.0))
            if by == node and at > self._disturbed_at() + self._pause_s:
                self._ended[group] = node, status.claims.get(group, 0)

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        del clinit
        if term != self._terms.get(group):  # else clinit has not heard that it moves
            self._has_moved(node, group)
        self._terms[group] = term
        by, claim = self._ended.get(group, (0, 0))
        if not by or (node == by and term <= claim):  # clinit has not heard it yet
            return
        if self._noted[group][1] > self._disturbed_at():
            raise self.truth.violated(
                self.name,
                f"node {node} starts {group} at {level} (term {term}): node {by} has stopped it for"
                " good",
            )
        self._free(group)

    def _has_moved(self, node: int, group: str) -> None:
        """Judge where a group starts that has moved, if nothing has happened since but failures."""
        at, named = self._named.pop(group, (-math.inf, node))
        # At first nodes are still booting.
        calm = at > max(self._disturbed_at() + self._pause_s, self._pause_s / 3) and self._names
        if calm and node != named:
            raise self.truth.violated(
                self.name, f"{group} moves to node {node}; why had said at {at:.4f}: node {named}"
            )
        if calm:
            self.truth.cover("rule move to the node predicted")

    def killed(self, node: int) -> None:
        for group in [group for group, (by, _) in self._ended.items() if by == node]:
            self._free(group)
