"""The checker of what follows failures can fail."""

from __future__ import annotations

import pytest

from mosha.core.cluster.group_rules import ROWS, Row
from mosha.core.cluster.state import LogRecord
from mosha.core.ladder import Ladder
from tests.core.story import status
from tests.sim.checks.ladders import Ladders
from tests.sim.truth import Truth, Violation

G = "g1"


class Clock:
    """A time that a test sets."""

    now = 100.0


def watched() -> tuple[Ladders, Clock]:
    """Return the checker of a world that nothing has disturbed since 10 s."""
    clock = Clock()
    found = Ladders({G: Ladder(0, 60.0, 1, 600.0, stops=True)}, lambda: 10.0, 5.0)
    Truth(lambda: clock.now, [found])
    return found, clock


def row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def note(event: str, **more: object) -> LogRecord:
    return LogRecord(event, {"group": G, **more})


GIVEN_UP = note("group_banned", reason="failed 1 time in 1m (on-failure=restart:0/1m,move:1/10m)")


def test_what_why_has_not_predicted_is_a_violation() -> None:
    checker, _ = watched()
    checker.foresees(1, G, ["0 of 1 failures; the next one moves it to node 2"])
    with pytest.raises(Violation, match="nothing left to try; why had said: 0 of 1"):
        checker.stepped(1, G, row("nothing left to try"), granted=True)


def test_what_why_has_predicted_is_none_and_nor_is_a_later_step() -> None:
    checker, clock = watched()
    checker.foresees(1, G, ["0 of 1 failures; the next one moves it to node 2"])
    checker.stepped(1, G, row("fails again and again"), granted=True)
    checker.foresees(1, G, ["0 of 1 failures; the next one moves it to node 2"])
    clock.now += 1.0
    checker.stepped(1, G, row("at home"), granted=True)


def test_a_move_too_many_is_a_violation_until_the_former_one_is_forgotten() -> None:
    checker, clock = watched()
    checker.noted(1, GIVEN_UP)
    clock.now += 700.0
    checker.noted(2, GIVEN_UP)
    clock.now += 100.0
    with pytest.raises(Violation, match="node 3 gives g1 up"):
        checker.noted(3, GIVEN_UP)


def stopped_for_good() -> Ladders:
    checker, _ = watched()
    checker.noted(2, note("group_exhausted", reason="failed 1 time"))
    checker.landed(2, status(2, claims={G: 6}, exhausted={G: "failed 1 time"}), late=False)
    return checker


def test_a_start_of_what_was_stopped_for_good_is_a_violation() -> None:
    checker = stopped_for_good()
    with pytest.raises(Violation, match="node 1 starts g1 at start"):
        checker.started(1, G, 7, "start", clinit=1)


def test_what_its_clinit_starts_before_it_has_heard_of_the_stop_is_none() -> None:
    stopped_for_good().started(2, G, 6, "start", clinit=1)


def test_a_start_of_what_was_freed_is_none() -> None:
    checker = stopped_for_good()
    checker.noted(2, note("group_freed"))
    checker.started(1, G, 7, "start", clinit=1)
