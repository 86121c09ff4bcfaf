"""What status says of a node that outlives a shot, and of one that its storage does not let in."""

from __future__ import annotations

from typing import Any

import pytest

from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FenceOrder, FencingRules
from mosha.core.cluster.peers import Standing
from mosha.core.explain.problems import ProblemKind
from mosha.core.status import Grade, Stamp, Status
from mosha.monitor.report import HostFacts, make
from tests.core.story import INC, TIMING, Story, status

T = TIMING.timeout_s
OFF, SAID = Grade.OFF_CONFIRMED, Grade.COMMAND_SAID_SO


def says(node: int, seq: int, **more: Any) -> Status:
    return status(node, seq, **({"seen": {1: Stamp(INC, 1)}} | more))


def shot(grade: Grade = OFF) -> Story:
    """Told from node 1 of three: node 3 is heard, and was shot from here with a receipt."""
    story = Story((1, 2, 3), rules=FencingRules(required=True))
    story.write(1)
    story.hear(1, says(2, 1), says(3, 1))
    story.now += 1.0
    order = FenceOrder(3, INC, asked=True)
    story.nodes[1].shot(ShotEnded(order, "receipt", "fence_x", "", grade), story.now)
    return story


def answers(story: Story, seq: int, **more: Any) -> None:
    """Let node 3 read what node 1 writes now, and node 1 what node 3 writes then."""
    story.now += 1.0
    story.write(1)
    story.hear(1, says(2, seq), says(3, seq, seen={1: story.files[1].stamp}, **more))


def problems(story: Story) -> list[tuple[list[str], str, str]]:
    found = make(story.nodes[1], HostFacts(), story.now).problem_list
    kind = ProblemKind.SHOT_OUTLIVED
    return [(it.subjects, it.text.partition(" (")[2], it.next) for it in found if it.kind == kind]


STEP = "correct it, then on this node: systemctl reload mosha; mosha fence --test 3"
WRONG_PLUG = (
    ["3"],
    "fence_x, off-confirmed) and is still heard: the plug is that of another machine",
    STEP,
)


def test_a_node_that_reads_what_was_written_after_it_was_off_has_another_plug() -> None:
    story = shot()
    assert problems(story) == []
    story.now += 1.0
    story.hear(1, says(3, 2))
    assert problems(story) == [], "it may have been written before the shot"
    answers(story, 3)
    assert problems(story) == [WRONG_PLUG]
    logged = [it.event for it in story.nodes[1].take_notes()]
    assert logged.count("shot_outlived") == 1


def test_the_receipt_of_a_wrong_plug_does_not_count_when_its_node_goes_silent() -> None:
    story = shot()
    answers(story, 2)
    story.now += T + 0.1
    story.hear(1, says(2, 3))
    story.miss(1, 3)
    assert story.nodes[1].state.view.standing(3) is Standing.STALE
    assert story.nodes[1].state.pending == {}
    assert problems(story) == [], "it is not heard any more"


def test_a_node_that_reads_nothing_any_more_has_outlived_it_when_the_receipt_lapses() -> None:
    story = shot()
    for seq in range(2, 8):
        story.now += T / 2
        story.hear(1, says(2, seq), says(3, seq))
    assert problems(story) == [WRONG_PLUG]


@pytest.mark.parametrize("cut_off", [False, True])
def test_who_is_not_said_to_be_off_may_be_heard_for_a_while(*, cut_off: bool) -> None:
    story = shot(SAID)
    answers(story, 2)
    assert problems(story) == []
    for seq in range(3, 9):
        story.now += T / 2
        story.hear(1, says(2, seq), says(3, seq, cut_off=cut_off))
    text = (
        "fence_x, command-said-so) and is still heard: the plug is that of another machine, or"
        " this method does not end a node"
    )
    assert problems(story) == ([] if cut_off else [(["3"], text, STEP)])


@pytest.mark.parametrize("how", ["a later life", "another shot"])
def test_it_is_over_with_a_later_life_or_another_shot(how: str) -> None:
    story = shot()
    answers(story, 2)
    if how == "a later life":
        story.hear(1, says(3, 1, inc=INC + 1))
    else:
        ended = ShotEnded(FenceOrder(3, INC, asked=True), "receipt", "fence_x", "", OFF)
        story.nodes[1].shot(ended, story.now)
    assert problems(story) == []


@pytest.mark.parametrize(
    ("cut_off", "text"),
    [
        ((), None),
        ((2,), "node 2 is cut off from its storage, and can take no group"),
        ((2, 3), "nodes 2, 3 are cut off from their storage, and can take no group"),
    ],
)
def test_a_node_that_is_cut_off_from_its_storage_is_a_problem_on_the_others(
    cut_off: tuple[int, ...], text: str | None
) -> None:
    story = Story((1, 2, 3))
    story.write(1)
    story.hear(1, *(says(node, 1, cut_off=node in cut_off) for node in (2, 3)))
    found = make(story.nodes[1], HostFacts(), story.now).problem_list
    told = [(it.text, it.next) for it in found if it.kind == ProblemKind.NODE_CUT_OFF]
    assert told == ([(text, "mosha status on node 2 says why")] if text else [])
