"""Who could run a group and whose turn it is: C1, placement, H5.12 and H5.20 of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from mosha.core.cluster.candidacy import (
    SHORT_WAIT_MAX_S,
    SHORT_WAIT_MIN_S,
    awaited,
    joint_plan,
    rank_due_at,
    ranks,
    short_wait_s,
    wanted_level,
)
from mosha.core.cluster.capacity import loads
from mosha.core.cluster.eligibility import eligible, unwanted_because
from mosha.core.cluster.state import MonitorState
from mosha.core.cluster.timing import derive
from mosha.core.status import Ban, GroupLine, GroupState, NodeState, Vote
from mosha.core.tables import Wish
from tests.core.story import (
    INC,
    TIMING,
    G,
    Story,
    alone_again,
    hactl,
    one_of_three,
    report,
    says,
    status,
)

T = TIMING.timeout_s
DONE = GroupState.DONE


def state(story: Story) -> MonitorState:
    return story.nodes[1].state


def due(story: Story) -> float:
    return rank_due_at(state(story), state(story).record(G), story.now)


# --- whose turn it is ------------------------------------------------------------------------


@pytest.mark.parametrize(("prefer", "rank"), [((1,), 0), ((2, 1), 1), ((2, 3, 1), 2)])
def test_rank_0_claims_at_once_and_rank_k_after_k_short_waits(
    prefer: tuple[int, ...], rank: int
) -> None:
    story = one_of_three(Wish(G, "start", prefer=prefer))
    assert due(story) == story.now + rank * short_wait_s(state(story))


@pytest.mark.parametrize(
    ("timeout_s", "wait_s"), [(0.5, SHORT_WAIT_MIN_S), (10.0, 0.5), (600.0, SHORT_WAIT_MAX_S)]
)
def test_a_short_wait_is_half_a_heartbeat_within_bounds(timeout_s: float, wait_s: float) -> None:
    story = one_of_three()
    state(story).timing = derive(timeout_s)
    assert short_wait_s(state(story)) == wait_s


def test_the_waiting_counts_from_when_the_group_was_first_seen_free() -> None:
    story = one_of_three(Wish(G, "start", prefer=(2, 1)))
    first = due(story)
    story.now += 0.3
    assert due(story) == first
    story.hear(1, says(2, 2, claims={G: 1}))
    assert due(story) == math.inf
    story.now += 5.0
    story.hear(1, says(2, 3))
    assert due(story) == story.now + short_wait_s(state(story))


UNABLE: dict[str, Callable[[Story], None]] = {
    "banned": lambda s: s.hear(1, says(2, bans={G: Ban(30, "entry t1: exit 1")})),
    "standby": lambda s: s.hear(1, says(2, state=NodeState.LEAVING)),
    "left": lambda s: s.hear(1, says(2, state=NodeState.LEFT)),
    "without a quorum of its own": lambda s: s.hear(1, says(2, quorum=False)),
}


@pytest.mark.parametrize("unable", UNABLE.values(), ids=UNABLE.keys())
def test_a_node_that_cannot_take_the_group_is_passed_over(unable: Callable[[Story], None]) -> None:
    story = one_of_three(Wish(G, "start", prefer=(2, 1)))
    assert due(story) > story.now
    unable(story)
    assert state(story).plan is None  # it is worked out anew
    assert due(story) == story.now


def test_an_unreachable_node_is_passed_over() -> None:
    story = one_of_three(Wish(G, "start", prefer=(2, 1)))
    story.now += T + 1
    story.hear(1, says(3))
    story.miss(1, 2)
    assert due(story) == story.now


def votes_for(node: int) -> dict[str, Vote]:
    return {G: Vote(term=4, node=node, inc=INC, seq=1)}


def test_c1_no_claim_while_a_node_never_heard_has_the_votes_it_would_need() -> None:
    story = alone_again()
    story.hear(1, says(2, votes=votes_for(3)))
    assert due(story) == math.inf
    assert awaited(state(story), G) == {3}
    story.hear(1, says(2, 3))  # it has released the vote: nothing is heard of node 3 there either
    assert due(story) == story.now
    assert awaited(state(story), G) == set()


def test_c1_the_votes_that_are_left_may_be_enough() -> None:
    story = alone_again(range(1, 6))
    story.hear(1, says(2), says(3, votes=votes_for(5)), says(4))
    assert due(story) == story.now
    story.hear(1, says(2, 3, votes=votes_for(5)), says(4, 3, votes=votes_for(5)))
    assert due(story) == math.inf


def test_c1_a_node_that_comes_back_does_not_spend_the_vote_that_what_runs_will_need() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    story.live(3.0)
    assert story.at_home() == [1]
    story.files[3] = status(3, story.files[3].seq, state=NodeState.LEFT)
    del story.memories[3]  # the vote was released before it left
    story.start(3, inc=INC + 1)
    story.write(3)
    story.read(3, 2)  # and not node 1 yet, which runs the group
    story.step(3)
    assert story.nodes[3].state.record(G).claim is None
    story.live(3.0)
    story.die(2)
    story.live(2 * T)
    assert story.at_home() == [1]
    assert story.nodes[1].state.record(G).claim == 1


def test_h5_12_free_groups_are_shared_out_so_that_all_nodes_claim_at_once() -> None:
    groups = [f"g{i}" for i in range(9)]
    story = Story(wishes=hactl(*(Wish(group, "start") for group in groups)))
    story.live(2.0)
    assert {len(story.clinits[node]) for node in story.ids} == {3}
    assert all(story.at_home(group) for group in groups)


def test_the_joint_plan_counts_what_the_nodes_hold_already() -> None:
    story = one_of_three(Wish(G, "start"))
    busy = {group: GroupLine("start", DONE) for group in ("x", "y")}
    story.hear(1, says(2, groups=busy), says(3, claims={"z": 1}))
    assert joint_plan(state(story), story.now)[G] == (1, 3, 2)


def test_a_claim_and_a_line_of_the_same_group_are_one_group() -> None:
    story = one_of_three()
    story.hear(1, says(2, claims={"x": 4}, groups={"x": GroupLine("start", DONE)}))
    story.show(1, report("start", group="y"))
    assert loads(state(story)) == {1: 1, 2: 1, 3: 0}


def test_what_is_held_or_unwanted_or_not_in_cltab_is_not_placed() -> None:
    wishes = hactl(Wish("a", "start"), Wish("b", "stop"), Wish("c", "start"), Wish("d", "start"))
    story = one_of_three()
    story.hear(1, says(2, claims={"c": 1}))
    story.nodes[1].tables_adopted(wishes, frozenset("abc"), {}, {})
    assert set(joint_plan(state(story), story.now)) == {"a"}


# --- who may run it ----------------------------------------------------------------------------


def test_only_leaves_the_other_nodes_out() -> None:
    story = one_of_three(Wish(G, "start", only=(2, 3)))
    wish = state(story).wish(G)
    assert wish is not None
    assert eligible(state(story), G, story.now) == {2, 3}


def test_for_choosing_among_claims_every_fresh_node_has_a_rank() -> None:
    story = one_of_three(Wish(G, "start", prefer=(2,), only=(2,)))
    assert ranks(state(story), G, story.now)[2] == 0
    assert ranks(state(story), G, story.now).keys() == {1, 2, 3}
    assert ranks(state(story), "unknown", story.now).keys() == {1, 2, 3}


def displaced(story: Story) -> None:
    story.nodes[1].displaced()


def without_quorum(story: Story) -> None:
    story.now += T + 1
    story.miss(1, 2, 3)


REASONS: list[tuple[Callable[[Story], object], str]] = [
    (lambda s: s, ""),
    (displaced, "another node uses this node's number"),
    (lambda s: s.nodes[1].leave(), "this node is leaving"),
    (without_quorum, "no quorum"),
    (lambda s: s.nodes[1].tables_adopted(hactl(), frozenset(), {}, {}), "not in cltab"),
    (lambda s: s.adopt_tables(1, hactl(Wish("h", "start"))), "not in hactl"),
    (lambda s: s.adopt_tables(1, hactl(Wish(G, "stop"))), "hactl says stop"),
    (lambda s: s.adopt_tables(1, hactl(Wish(G, "start", only=(3,)))), "only= leaves this node out"),
    (lambda s: s.nodes[1].tell_refused(G, "plan", "no!", s.now), "banned here: clinit: no!"),
]


@pytest.mark.parametrize(("change", "reason"), REASONS, ids=[row[1] or "may" for row in REASONS])
def test_why_a_group_shall_not_run_here_is_said_in_words(
    change: Callable[[Story], object], reason: str
) -> None:
    story = one_of_three()
    change(story)
    assert unwanted_because(state(story), G, story.now) == reason
    level = wanted_level(state(story), state(story).record(G), story.now)
    assert level == ("stop" if reason else "start")


def test_an_unknown_quorum_stops_nothing() -> None:
    # A monitor that has just started and adopts what runs has not looked at anybody yet.
    story = Story()
    assert unwanted_because(state(story), G, story.now) == ""
