"""Whether a group goes back to the node that hactl prefers: `failback=yes`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from mosha.core.cluster.candidacy import better_home
from mosha.core.explain.why_not import why_not
from mosha.core.status import TableVersion
from mosha.core.tables import Wish
from tests.core.story import INC, TIMING, G, Story, hactl, one_of_three, says
from tests.core.test_candidacy import UNABLE, state

T = TIMING.timeout_s
HOME = Wish(G, "start", prefer=(2,), failback=True)
YIELDS = [
    ("to a preferred node that is up for T", Wish(G, "start", (2,), failback=True), True),
    ("to a better one in the order", Wish(G, "start", (2, 1), failback=True), True),
    ("not to a worse one", Wish(G, "start", (1, 2), failback=True), False),
    ("not without failback", Wish(G, "start", (2,)), False),
    ("not without prefer", Wish(G, "start", failback=True), False),
    ("not to a node that only= leaves out", Wish(G, "start", (2,), (1, 3), failback=True), False),
]


@pytest.mark.parametrize(
    ("wish", "expected"), [row[1:] for row in YIELDS], ids=[row[0] for row in YIELDS]
)
def test_a_group_goes_back(*, wish: Wish, expected: bool) -> None:
    story = one_of_three(wish)
    assert better_home(state(story), G, story.now + T - 0.01) is None
    assert better_home(state(story), G, story.now + T) == (2 if expected else None)


@pytest.mark.parametrize("unable", UNABLE.values(), ids=UNABLE.keys())
def test_a_group_does_not_go_back_to_a_node_that_cannot_take_it(
    unable: Callable[[Story], None],
) -> None:
    story = one_of_three(Wish(G, "start", prefer=(2,), failback=True))
    unable(story)
    assert better_home(state(story), G, story.now + T) is None


def test_the_preferred_node_has_to_be_up_for_t_in_this_life() -> None:
    story = one_of_three(Wish(G, "start", prefer=(2,), failback=True))
    story.now += 2 * T
    story.hear(1, says(2, 1, inc=INC + 1))
    assert better_home(state(story), G, story.now + T / 2) is None
    assert better_home(state(story), G, story.now + T) == 2


# --- in vain -------------------------------------------------------------------------------------


def without_home() -> tuple[Story, int]:
    """Three nodes, and the one that `g` runs on: not node 2, which it prefers, and which boots."""
    story = Story(wishes=hactl(HOME))
    story.die(2)
    story.live(3 * T)
    (owner,) = story.at_home()
    story.reboot(2)
    return story, owner


def moves(story: Story, seconds: float) -> list[int]:
    """Let time pass; return the nodes on which the group was at home, each time it changed."""
    seen: list[int] = []
    until = story.now + seconds
    while story.now < until:
        story.live(0.25)
        if (home := story.at_home()) and seen[-1:] != home:
            seen += home
    return seen


def test_a_group_goes_back_when_the_preferred_node_has_been_up_for_t() -> None:
    story, owner = without_home()
    assert moves(story, 3 * T) == [owner, 2]
    assert story.nodes[owner].state.record(G).failbacks == {}


def test_for_a_node_that_fails_its_test_it_is_interrupted_ever_more_rarely() -> None:
    story, owner = without_home()
    story.fails[2, "test"] = "entry t1: exit 1"
    tried = []
    for _ in range(int(40 * TIMING.ban_s)):
        story.live(1.0)
        causes = [n.fields.get("cause") for n in story.nodes[owner].take_notes()]
        tried += [story.now] * causes.count("gives way")
    pauses = [round((b - a) / TIMING.ban_s) for a, b in pairwise(tried)]
    assert pauses == [2, 4, 8, 16]
    assert story.at_home() == [owner]


def test_a_node_that_was_only_too_slow_is_given_way_to_again_after_the_time_of_a_ban() -> None:
    story, owner = without_home()
    story.live(T - 1.0)
    story.cuts |= {(2, node) for node in story.ids - {2}}  # it is seen, and does not see
    assert moves(story, 3.0) == [owner]
    story.cuts.clear()
    assert moves(story, TIMING.ban_s - 2.0) == [owner]
    assert moves(story, 4.0) == [owner, 2]


@pytest.mark.parametrize("what", ["another life", "an edit"])
def test_it_is_tried_once_more_after(what: str) -> None:
    story, owner = without_home()
    story.fails[2, "test"] = "entry t1: exit 1"
    story.live(3 * T + 2 * TIMING.ban_s)
    assert story.at_home() == [owner]
    del story.fails[2, "test"]
    if what == "an edit":
        version = {"hactl": TableVersion(1, "d")}
        for node in story.nodes.values():
            node.tables_adopted(story.wishes, frozenset({G}), version, {})
    else:
        story.start(2, boot="boot", inc=INC + 9)
    assert moves(story, 3 * T)[-1] == 2


def test_the_owner_says_why_it_does_not_give_way_again() -> None:
    story, owner = without_home()
    story.fails[2, "test"] = "entry t1: exit 1"
    story.live(T + TIMING.ban_s + 5.0)  # it is banned there no more
    told = why_not(story.nodes[owner].state, G, 2, story.now, 0.0)
    assert told.verdict.startswith("a failback to node 2 has just failed; none for ")
    assert "restart of its monitor" in told.next
