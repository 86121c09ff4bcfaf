"""What really happens, told to the checkers: no checker asks the core what it believes.

Every checker is in a file of its own under `checks`; it has the methods it needs out of
those of `Checker` and raises `Violation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from mosha.core.status import Grade, Status
from tests.sim.checks import Checker

Clock = Callable[[], float]


class Violation(Exception):  # noqa: N818 - it is what a checker found, not a fault of its own
    """A promise was broken. `checker` names which, `text` tells the story."""

    def __init__(self, checker: str, text: str, at: float) -> None:
        super().__init__(f"{at:.4f} {checker}: {text}")
        self.checker, self.text, self.at = checker, text, at


class Truth:
    """Passes on what really happens to all checkers, and counts."""

    def __init__(self, now: Clock, checkers: list[Checker]) -> None:
        self.now = now
        self.checkers = checkers
        self._readers = [c for c in checkers if type(c).landed is not Checker.landed]
        self.counts: Counter[str] = Counter()
        self.story: list[tuple[float, str]] = []
        self.telling = False
        for checker in checkers:
            checker.truth = self

    def tell(self, text: str) -> None:
        """Add a line to the story, if one is wanted."""
        if self.telling:
            self.story.append((self.now(), text))

    def cover(self, what: str) -> None:
        """Count a fault that took effect or a rule that was exercised."""
        self.counts[what] += 1

    def violated(self, checker: str, text: str) -> Violation:
        """Make a violation of this moment."""
        return Violation(checker, text, self.now())

    # --- facts -------------------------------------------------------------------------

    def started(self, node: int, group: str, term: int, level: str, *, clinit: int) -> None:
        """A process of a level that needs a lease was started, by this clinit of the node."""
        for checker in self.checkers:
            checker.started(node, group, term, level, clinit=clinit)

    def ended(self, node: int, group: str, *, clinit: int) -> None:
        """The last such process of a group that one clinit had has ended on a node."""
        for checker in self.checkers:
            checker.ended(node, group, clinit=clinit)

    def undoes(self, node: int, group: str, term: int, *, clinit: int) -> None:
        """An entry of `stop` was started, by this clinit of the node."""
        for checker in self.checkers:
            checker.undoes(node, group, term, clinit=clinit)

    def undone(self, node: int, group: str, *, clinit: int) -> None:
        """The last such process of a group that one clinit had has ended on a node."""
        for checker in self.checkers:
            checker.undone(node, group, clinit=clinit)

    def landed(self, node: int, status: Status, *, late: bool = False) -> None:
        """A status is on the file system; `late`: that of a monitor which is dead."""
        for checker in self._readers:
            checker.landed(node, status, late=late)

    def stood_still(self, node: int) -> None:
        """The clock of a node stands still, or has just gone on: it may be a ghost (G1)."""
        for checker in self.checkers:
            checker.stood_still(node)

    def forgot(self, node: int) -> None:
        """A node lost its directory."""
        for checker in self.checkers:
            checker.forgot(node)

    def killed(self, node: int) -> None:
        """A machine is down: nothing of it is alive."""
        for checker in self.checkers:
            checker.killed(node)

    def receipt(self, node: int, inc: int, grade: Grade, *, honest: bool) -> None:
        """Somebody says that a node is dead up to an incarnation, rightly or not."""
        for checker in self.checkers:
            checker.receipt(node, inc, grade, honest=honest)
