"""The checker of leftovers can fail, and blames nobody for what was not promised."""

from __future__ import annotations

import pytest

from mosha.core.status import Grade
from tests.sim.checks.leftovers import Leftovers
from tests.sim.truth import Truth, Violation

BLAME_S = 30.0


class Scene:
    """A checker, and the time."""

    def __init__(self, asked: Grade = Grade.COMMAND_SAID_SO, *, apart: bool = False) -> None:
        self.now = 100.0
        self.checker = Leftovers(BLAME_S, lambda _one, _other: apart, {"g": asked})
        self.truth = Truth(lambda: self.now, [self.checker])

    def lie(self, node: int) -> None:
        self.truth.receipt(node, 1, Grade.COMMAND_SAID_SO, honest=False)

    def start(self, node: int, term: int) -> None:
        self.truth.started(node, "g", term, "start", clinit=1)


def test_what_is_made_on_two_nodes_is_a_violation() -> None:
    scene = Scene()
    scene.checker.made(1, "g")
    with pytest.raises(Violation, match="what it made on node 1 at 100"):
        scene.checker.made(2, "g")


def test_what_was_undone_or_lost_with_its_machine_is_not_there_any_more() -> None:
    scene = Scene()
    scene.checker.made(1, "g")
    scene.checker.unmade(1, "g")
    scene.checker.made(2, "g")
    scene.truth.killed(2)
    scene.checker.made(3, "g")


def test_without_evidence_of_a_death_nothing_is_promised() -> None:
    scene = Scene(Grade.LEASE_ELAPSED)
    scene.checker.made(1, "g")
    scene.checker.made(2, "g")
    assert scene.truth.counts["rule leftover without evidence of a death"] == 1


def test_the_adaptive_quorum_promises_less() -> None:
    scene = Scene(apart=True)
    scene.checker.made(1, "g")
    scene.checker.made(2, "g")


def test_who_was_said_to_be_dead_and_lives_is_excused_for_what_it_has() -> None:
    scene = Scene()
    scene.checker.made(1, "g")
    scene.lie(1)
    scene.now += 10 * BLAME_S
    scene.checker.made(2, "g")
    scene.now += 10 * BLAME_S
    with pytest.raises(Violation, match="on node 2"):
        scene.checker.made(3, "g")


def test_a_lie_excuses_what_is_made_soon_after_it_and_nothing_later() -> None:
    scene = Scene()
    scene.lie(1)
    scene.now += BLAME_S / 2
    scene.checker.made(1, "g")
    scene.checker.made(2, "g")
    scene.checker.unmade(1, "g")
    scene.now += BLAME_S
    with pytest.raises(Violation):
        scene.checker.made(1, "g")


def test_a_banned_node_is_not_tried_before_its_ban_ends() -> None:
    scene = Scene()
    scene.start(1, 4)
    scene.checker.banned(1, "g", 60.0)
    scene.start(1, 4)  # clinit has not heard it yet
    scene.start(2, 5)
    with pytest.raises(Violation, match="which has banned itself"):
        scene.start(1, 6)
    scene.now += 60.0
    scene.start(1, 7)


def test_a_ban_is_void_after_an_order_or_with_another_monitor() -> None:
    for group, node in (("g", 0), ("", 1)):
        scene = Scene()
        scene.checker.banned(1, "g", 60.0)
        scene.checker.lifted(group, node)
        scene.start(1, 6)
