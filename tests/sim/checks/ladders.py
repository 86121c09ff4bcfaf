"""What follows failures: as `mosha why` predicted it, no more moves than hactl allows, and an end.

- Each failure of an entry is followed by what `why` had said just before.
- Within the time that hactl names, no more nodes give a group up than it allows.
- A group that was stopped for good is started nowhere until it is freed.

The last two are judged only where no fault but failing entries has been in force for a while: a
node that was not heard, or has forgotten, cannot count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mosha.core.cluster.group_rules import Row
from mosha.core.cluster.state import LogRecord
from mosha.core.ladder import Ladder, Rung
from mosha.core.status import Status, Verb
from tests.sim.checks import Checker

# How each rung is told before the next failure -> what follows.
SAID = {
    "the next one moves it": Rung.MOVE,
    "the next one stops it for good": Rung.STOP,
    "it stays, however often it fails": Rung.STAY,
    " more": Rung.STAY,
}

# The row of a step that follows a failure -> the rung; others have another cause.
DONE = {
    "fails again and again": Rung.MOVE,
    "nothing left to try": Rung.STOP,
    "at home": Rung.STAY,
    "in transition": Rung.STAY,
}

# Clocks differ by half a percent, and what is published is rounded.
SLACK = 0.98


class Ladders(Checker):
    """What was predicted, which nodes gave a group up, and which groups are stopped for good."""

    name = "ladders"

    def __init__(
        self, ladders: dict[str, Ladder], disturbed_at: Callable[[], float], pause_s: float
    ) -> None:
        self._ladders = ladders
        self._disturbed_at, self._pause_s = disturbed_at, pause_s
        self._foreseen: dict[tuple[int, str], tuple[float, str]] = {}
        self._gave_up: dict[str, list[float]] = {}
        self._noted: dict[str, tuple[int, float]] = {}  # stopped for good: by whom, when
        self._ended: dict[str, tuple[int, int]] = {}  # by whom, under which term; it is published

    def foresees(self, node: int, group: str, said: Iterable[str]) -> None:
        """Take in what `why` says on a node just before it hears of one more failure."""
        self._foreseen.pop((node, group), None)
        for text in said:
            self._foreseen[node, group] = self.truth.now(), text

    def stepped(self, node: int, group: str, row: Row, *, granted: bool) -> None:
        """Judge the step that follows a failure, if it does so at once and under a lease."""
        at, text = self._foreseen.pop((node, group), (-1.0, ""))
        predicted = next((rung for words, rung in SAID.items() if words in text), None)
        done = DONE.get(row.name)
        if at != self.truth.now() or not granted or predicted is None or done is None:
            return
        if done is not predicted:
            raise self.truth.violated(
                self.name, f"node {node} does with {group}: {row.name}; why had said: {text}"
            )
        self.truth.cover(f"rule failure predicted: {predicted.name.lower()}")

    def noted(self, node: int, note: LogRecord) -> None:
        """Take in what a node has decided."""
        group = str(note.fields.get("group", ""))
        if note.event == "group_banned" and "(on-failure=" in str(note.fields["reason"]):
            self._moves(node, group)
        elif note.event == "group_exhausted":
            self._noted[group] = node, self.truth.now()
        elif note.event == "group_freed":
            self._free(group)
        elif note.event == "order_given" and note.fields["verb"] == Verb.CLEANUP:
            self._gave_up.pop(group, None)
            self._free(group)

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

    def killed(self, node: int) -> None:
        for group in [group for group, (by, _) in self._ended.items() if by == node]:
            self._free(group)
