"""The checker of what follows failures can fail."""

from __future__ import annotations

import pytest

from mosha.core.cluster.group_rules import ROWS, Row
from mosha.core.cluster.state import LogRecord
from mosha.core.ladder import Ladder
from mosha.core.status import GroupState, Verb
from mosha.core.supervision.group import Group
from tests.core.story import status
from tests.sim.checks.ladders import Ladders, Restarting
from tests.sim.truth import Truth, Violation

G = "g1"


class Clock:
    """A time that a test sets."""

    now = 100.0


LADDER = Ladder(0, 60.0, 1, 600.0, stops=True)


def watched(ladder: Ladder | None = LADDER) -> tuple[Ladders, Clock]:
    """Return the checker of a world that nothing has disturbed since 10 s."""
    clock = Clock()
    found = Ladders({G: ladder} if ladder is not None else {}, lambda: 10.0, 5.0, named=True)
    Truth(lambda: clock.now, [found])
    return found, clock


def row(name: str) -> Row:
    return next(row for row in ROWS if row.name == name)


def note(event: str, **more: object) -> LogRecord:
    return LogRecord(event, {"group": G, **more})


GIVEN_UP = note("group_banned", reason="failed 1 time in 1m (on-failure=restart:0/1m,move:1/10m)")


def test_what_why_has_not_predicted_is_a_violation() -> None:
    checker, _ = watched()
    checker.foresees(1, G, "0 of 1 failures; the next one moves it to node 2")
    with pytest.raises(Violation, match="nothing left to try; why had said: 0 of 1"):
        checker.stepped(1, G, row("nothing left to try"), granted=True)


def test_what_why_has_predicted_is_none_and_nor_is_a_later_step() -> None:
    checker, clock = watched()
    checker.foresees(1, G, "0 of 1 failures; the next one moves it to node 2")
    checker.stepped(1, G, row("fails again and again"), granted=True)
    checker.foresees(1, G, "0 of 1 failures; the next one moves it to node 2")
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


# --- restarts in place -----------------------------------------------------------------------

BEFORE = "it moves after 2 more, before that a monitor that fails has it restarted in place at once"
STAYS = "a monitor that fails has it restarted in place, at most once a minute (on-failure=stay)"
RESTARTED = note("group_restarted", term=3, reason="monitor ok failed 3 times in a row")


@pytest.mark.parametrize(
    ("said", "restarts", "done"),
    [
        (BEFORE, Restarting.COUNTED, "its monitor fails"),
        (BEFORE, Restarting.NO, "at home"),
        (STAYS, Restarting.YES, "its monitor fails"),
        (STAYS, Restarting.COUNTED, "at home"),
        (STAYS, Restarting.NO, "in transition"),
    ],
)
def test_a_restart_is_predicted_where_why_says_that_a_monitor_has_it_restarted(
    said: str, restarts: Restarting, done: str
) -> None:
    checker, _ = watched()
    checker.foresees(1, G, said, restarts=restarts)
    checker.stepped(1, G, row(done), granted=True)
    other = "at home" if done == "its monitor fails" else "its monitor fails"
    checker.foresees(1, G, said, restarts=restarts)
    with pytest.raises(Violation, match="why had said"):
        checker.stepped(1, G, row(other), granted=True)


def arrived(checker: Ladders) -> None:
    checker.shown(1, Group(G, "start", GroupState.DONE))


def test_more_restarts_than_hactl_counts_are_a_violation_unless_it_has_run_for_a_minute() -> None:
    checker, clock = watched(Ladder(1, 600.0))
    arrived(checker)
    checker.noted(1, RESTARTED)
    clock.now += 10.0
    arrived(checker)
    with pytest.raises(Violation, match=r"node 1 restarts g1 .* as it did at \[100.0\]"):
        checker.noted(1, RESTARTED)
    clock.now += 60.0
    checker.noted(1, RESTARTED)


def test_restarts_under_another_claim_or_before_an_operators_word_are_counted_apart() -> None:
    for between in (note("order_given", verb=Verb.RESTART), note("order_given", verb=Verb.CLEANUP)):
        checker, _ = watched(Ladder(1, 600.0))
        arrived(checker)
        checker.noted(1, RESTARTED)
        checker.noted(2, between)
        checker.noted(1, RESTARTED)
        checker.noted(1, note("group_restarted", term=4, reason="monitor ok"))


def test_without_a_ladder_no_restart_comes_within_a_minute() -> None:
    checker, _ = watched(None)
    arrived(checker)
    with pytest.raises(Violation, match="node 1 restarts g1"):
        checker.noted(1, RESTARTED)


# --- where it moves --------------------------------------------------------------------------

TO_2 = "0 of 1 failures; the next one moves it to node 2"


def moved(node: int, term: int) -> None:
    """Let a group that runs on node 1 under term 4 be given up there, and start on a node."""
    checker, _ = watched()
    checker.started(1, G, 4, "start", clinit=1)
    checker.foresees(1, G, TO_2)
    checker.stepped(1, G, row("fails again and again"), granted=True)
    checker.started(node, G, term, "test", clinit=1)


def test_a_move_to_another_node_than_why_has_named_is_a_violation() -> None:
    moved(2, 5)
    moved(1, 4)  # clinit has not heard of it yet
    with pytest.raises(Violation, match="g1 moves to node 3; why had said at 100"):
        moved(3, 5)
