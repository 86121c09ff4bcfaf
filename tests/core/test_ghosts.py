"""G1: an owner that meets a higher term at work elsewhere is killed at once."""

from __future__ import annotations

import pytest

from mosha.core.cluster.node import Node
from mosha.core.status import GroupState, Status
from mosha.core.tables import STOP_LEVEL
from mosha.core.tell import Tell
from tests.core.owner import D, L, at, brain, record, running
from tests.core.story import G, Story, report, says


def told(story: Story) -> Tell | None:
    """The tell of one turn, which clinit does not carry out yet."""
    node: Node = brain(story)
    return node.step(G, story.now, 0.0).tell


def test_g1_a_ghost_is_killed_at_once_and_its_claim_stays_until_it_is_gone() -> None:
    story = running()  # with term 1, its lease is good: its clock stood still
    story.hear(1, says(2, 9, claims={G: 9}, groups=at("start")))
    assert G in brain(story).take_to_step()
    tell = told(story)
    assert tell == Tell(G, STOP_LEVEL, 1, "1", stop_at=story.now, kill_at=story.now)
    assert "ghost_killed" in [note.event for note in brain(story).take_notes()]
    assert told(story) is None
    assert brain(story).next_status(story.now).claims == {G: 1}  # C7
    story.obey(1, tell)
    story.step(1)
    assert brain(story).next_status(story.now).claims == {}


def test_g1_what_stops_by_the_ladder_already_is_killed_all_the_same() -> None:
    story = running()
    story.show(1, report("start", GroupState.STOPPING, wanted=STOP_LEVEL, term=1))
    story.hear(1, says(2, 9, claims={G: 9}, groups=at("start")))
    tell = told(story)
    assert tell is not None
    assert tell.kill_at == story.now


def test_g1_a_kill_that_was_lost_on_the_way_is_told_again() -> None:
    story = running()
    story.hear(1, says(2, 9, claims={G: 9}, groups=at("start")))
    assert told(story) is not None
    story.now += 6.0
    story.hear(1, says(2, 10, claims={G: 9}, groups=at("start")))
    again = told(story)
    assert again is not None
    assert again.kill_at == story.now


NO_GHOSTS = [
    ("a lower term", says(2, 9, claims={G: 0}, groups=at("start"))),
    ("a planner", says(2, 9, claims={G: 9}, groups=at("plan"))),
    ("a planner that stops", says(2, 9, claims={G: 9}, groups=at("stop", GroupState.STOPPING))),
    ("a claim alone", says(2, 9, claims={G: 9})),
    ("a group without a claim", says(2, 9, groups=at("start"))),
]


@pytest.mark.parametrize("said", [row[1] for row in NO_GHOSTS], ids=[row[0] for row in NO_GHOSTS])
def test_g1_nothing_less_than_a_higher_term_at_work_kills_an_owner(said: Status) -> None:
    story = running()
    story.hear(1, said)
    assert told(story) is None
    assert story.at_home() == [1]


def test_g1_what_a_stale_node_had_said_kills_nobody() -> None:
    story = running()
    story.hear(1, says(3, 9, claims={G: 9}, groups=at("start")))
    brain(story).state.view.tried(3, began=story.now + 11, now=story.now + 11, timeout_s=10)
    assert told(story) is None


def test_g1_a_monitor_that_was_paused_leaves_alone_what_clinit_has_killed() -> None:
    story = running()
    story.now += L + D
    story.hear(1, says(2, 9, claims={G: 9}, groups=at("start")))
    tell = told(story)  # it has not read yet what clinit reports
    assert tell == Tell(G, STOP_LEVEL, 1, "1")


def test_g1_a_claim_that_was_not_granted_withdraws_as_ever() -> None:
    story = running()
    record(story).activated = record(story).granted = False
    record(story).lease_until = 0.0
    story.hear(1, says(2, 9, claims={G: 9}, groups=at("start")))
    tell = told(story)
    assert tell is None or tell.kill_at is None
