"""The checker of who gets the room of a node can fail."""

from __future__ import annotations

import pytest

from mosha.core.cluster.state import LogRecord, MonitorState
from mosha.core.tables import Wish
from tests.core.story import Story, hactl, report
from tests.sim.checks.room import PREEMPTED_MAX, Room
from tests.sim.truth import Truth, Violation

HIGH, G = Wish("high", "start", weight=2, priority=1), Wish("g", "start")


def watched(*restless: str) -> Room:
    found = Room(restless)
    Truth(lambda: 100.0, [found])
    return found


def holding(most: int | None) -> MonitorState:
    """Node 1 of three, on which group `g` runs under a claim."""
    story = Story(wishes=hactl(HIGH, G))
    story.show(1, report("start"))
    state = story.nodes[1].state
    state.record("g").claim = 1
    state.claimed["g"] = state.record("g")
    state.capacity = most
    return state


def test_a_claim_beyond_the_capacity_is_a_violation() -> None:
    watched().claimed(holding(None), "g")
    watched().claimed(holding(1), "g")
    with pytest.raises(Violation, match=r"node 1 claims g, and holds 1 of 0: \['g'\]"):
        watched().claimed(holding(0), "g")


def test_a_group_waits_only_where_there_is_no_room_beside_its_betters() -> None:
    room = watched()
    assert "node 1 has room beside []" in room.waits("high", [holding(2)])  # g is lower
    assert room.waits("high", [holding(1)]) == ""
    assert "node 1 has room beside ['g']" in room.waits("gone", [holding(2)])
    assert room.waits("gone", [holding(1)]) == ""
    assert "has room" in room.waits("gone", [holding(1), holding(None)])


def test_a_group_that_gives_way_again_and_again_is_a_violation() -> None:
    room, note = watched(), LogRecord("group_preempted", {"group": "g", "by": "high"})
    for _ in range(PREEMPTED_MAX + 1):
        room.noted(note, calm=False)
    for _ in range(PREEMPTED_MAX):
        room.noted(note, calm=True)
    with pytest.raises(Violation, match="g gives way to high again and again"):
        room.noted(note, calm=True)
    restless = watched("high")
    for _ in range(PREEMPTED_MAX + 1):
        restless.noted(note, calm=True)
