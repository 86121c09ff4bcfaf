"""The turn of a group: the life that follows a grant (H5), lost tells, no tables, laws."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mosha.core.cluster.state import TOLD_LIMIT_S
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    Status,
    Vote,
)
from mosha.core.tables import Hactl, Wish
from tests.core.owner import PLAN_LIMIT_S, L, T, at, backs, brain, claims, planned, record, running
from tests.core.story import INC, TIMING, G, Story, hactl, one_of_three, says

# --- the life that follows (H5) --------------------------------------------------------------


def test_h5_3_h5_5_plan_test_and_the_level_of_hactl_follow_each_other() -> None:
    story = running()
    assert story.clinits[1][G].level == "start"
    assert story.step(1).row is not None
    assert brain(story).next_status(story.now).groups == at("start")


def test_h5_16_a_change_of_level_goes_straight_there_on_the_same_node() -> None:
    story = running()
    story.adopt_tables(1, hactl(Wish(G, "2")))
    step = story.step(1)
    assert step.tell is not None
    assert (step.tell.level, step.tell.term) == ("2", 1)
    assert step.tell.stop_at == 1000.0 + L


@pytest.mark.parametrize(
    "wishes",
    [
        pytest.param((Wish(G, "stop"),), id="at stop"),
        pytest.param((Wish("h", "start"),), id="missing"),
        pytest.param((Wish(G, "start", only=(2,)),), id="not allowed here any more"),
    ],
)
def test_h5_1_h5_17_a_group_that_is_not_wanted_is_stopped(wishes: tuple[Wish, ...]) -> None:
    story = running()
    story.adopt_tables(1, hactl(*wishes))
    step = story.step(1)
    assert step.tell is not None
    assert step.tell.level == "stop"


def test_h2_6_all_groups_are_stopped_when_the_quorum_is_lost() -> None:
    story = running()
    story.now = 1000.0 + L - 0.5  # still under a lease
    story.write(1)
    brain(story).state.view.tried(2, began=3000.0, now=3000.0, timeout_s=T)
    brain(story).peer_read(3, None, began=3000.0, now=3000.0)
    step = story.step(1)
    assert step.row is not None
    assert step.row.name == "not wanted"
    assert not claims(story)


@pytest.mark.parametrize("level", ["test", "start"])
def test_h5_4_h5_19_h5_20_what_fails_is_stopped_banned_here_and_tried_elsewhere(
    level: str,
) -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2))))
    story.fails = {(1, level): "entry t1: exit 1"}
    story.live(5.0)
    assert story.at_home() == [2]
    assert record(story).ban_reason == "entry t1: exit 1"
    ban = story.files[1].bans[G]
    assert ban.reason == "entry t1: exit 1"
    assert 0 < ban.left_s <= TIMING.ban_s


def test_h5_20_a_ban_ends_by_itself_and_the_group_is_tried_again() -> None:
    story = Story(wishes=hactl(Wish(G, "start", only=(1,))))
    story.fails = {(1, "test"): "entry t1: exit 1"}
    story.live(5.0)
    assert story.at_home() == []
    assert record(story).claim is None
    story.fails = {}
    story.live(TIMING.ban_s)
    assert story.at_home() == [1]
    assert story.files[1].bans == {}


def test_a_ban_is_published_at_once_and_so_is_its_end() -> None:
    story = one_of_three()
    story.fails = {(1, "plan"): "entry p1: exit 1"}
    assert claims(story)
    story.write(1)
    story.step(1)
    assert brain(story).dirty
    ended_at = story.now + TIMING.ban_s
    assert record(story).ban_until == ended_at
    story.step(1)
    story.now = ended_at - 1.0
    story.hear(1, says(2, 9), says(3, 9))
    story.write(1)
    assert story.step(1).wake_at <= ended_at
    assert not brain(story).dirty
    brain(story).take_notes()
    story.now = ended_at
    story.fails = {}
    assert claims(story)
    assert "ban_ended" in [note.event for note in brain(story).take_notes()]
    assert brain(story).next_status(story.now).bans == {}


def test_a_banned_node_votes_for_others() -> None:
    story = one_of_three()
    brain(story).tell_refused(G, "plan", "no such group", story.now)
    story.hear(1, says(2, 2, claims={G: 1}))
    story.step(1)
    assert record(story).ballot.vote is not None


def test_failback_gives_way_to_a_preferred_node_that_has_been_up_for_t() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2), failback=True)))
    story.live(2.0)
    assert story.at_home() == [1]
    story.die(1)
    story.live(T + 2.0)
    assert story.at_home() == [2]
    story.reboot(1)
    story.live(T - 1.0)
    assert story.at_home() == [2]
    story.live(L + 3.0)
    assert story.at_home() == [1]


def test_h3_9_without_failback_a_group_stays_where_it_is() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1, 2))))
    story.live(2.0)
    story.die(1)
    story.live(T + 2.0)
    story.reboot(1)
    story.live(3 * T)
    assert story.at_home() == [2]


# --- tells that are not seen ------------------------------------------------------------------


def test_a_tell_is_not_repeated_while_it_is_on_its_way() -> None:
    story = one_of_three()
    assert brain(story).step(G, story.now, 0.0).tell is not None
    step = brain(story).step(G, story.now, 0.0)
    assert step.tell is None
    assert step.wake_at == story.now + PLAN_LIMIT_S


def test_a_tell_that_was_lost_is_told_again() -> None:
    story = planned()
    story.hear(1, backs(2, 2))
    assert brain(story).step(G, story.now, 0.0).tell is not None  # test, never seen
    story.now += TOLD_LIMIT_S
    step = brain(story).step(G, story.now, 0.0)
    assert step.tell is not None
    assert step.tell.level == "test"


def test_a_lost_tell_of_plan_frees_the_group_again() -> None:
    story = one_of_three()
    brain(story).step(G, story.now, 0.0)
    brain(story).state.timing = replace(TIMING, plan_limit_s=60.0)
    story.now += TOLD_LIMIT_S
    step = brain(story).step(G, story.now, 0.0)
    assert step.row is not None
    assert step.row.name == "gone"


def test_a_stop_that_clinit_refuses_is_told_again_after_a_while_and_not_at_once() -> None:
    story = running()
    brain(story).tables_adopted(hactl(Wish(G, "stop")), frozenset({G}), {}, {})
    tell = brain(story).step(G, story.now, 0.0).tell
    assert tell is not None
    assert tell.level == "stop"
    brain(story).tell_refused(G, "stop", "all groups halting", story.now)
    step = brain(story).step(G, story.now, 0.0)
    assert (step.tell, step.wake_at) == (None, story.now + TOLD_LIMIT_S)
    story.now += TOLD_LIMIT_S
    assert brain(story).step(G, story.now, 0.0).tell == tell


# --- without tables ---------------------------------------------------------------------------


def untabled(wishes: Hactl | None = None, groups: frozenset[str] | None = None) -> Story:
    story = running()
    brain(story).tables_adopted(wishes, groups, {}, {})
    return story


@pytest.mark.parametrize(
    ("wishes", "groups"), [(None, None), (hactl(), None), (None, frozenset({G}))]
)
def test_without_tables_what_runs_stays_where_it_is(
    wishes: Hactl | None, groups: frozenset[str] | None
) -> None:
    assert untabled(wishes, groups).step(1).tell is None


def test_without_tables_a_node_that_leaves_still_stops_its_groups() -> None:
    story = untabled()
    brain(story).leave()
    step = story.step(1)
    assert step.tell is not None
    assert step.tell.level == "stop"
    story.step(1)
    assert brain(story).halted()


def test_without_tables_a_lost_lease_still_stops_the_group() -> None:
    story = untabled()
    story.now += L
    step = story.step(1)
    assert step.tell is not None
    assert step.tell.level == "stop"


# --- laws --------------------------------------------------------------------------------------


PEER_STATUSES = st.builds(
    lambda node, seq, claim, line, vote, ban: says(
        node,
        seq,
        claims={} if claim is None else {G: claim},
        groups={} if line is None else {G: line},
        votes={} if vote is None else {G: vote},
        bans={G: Ban(3, "x")} if ban else {},
    ),
    st.sampled_from((2, 3)),
    st.integers(2, 30),
    st.none() | st.integers(1, 6),
    st.none()
    | st.builds(
        GroupLine, st.sampled_from(("plan", "test", "start", "stop")), st.sampled_from(GroupState)
    ),
    st.none()
    | st.builds(Vote, st.integers(1, 6), st.integers(1, 3), st.just(INC), st.integers(1, 9)),
    st.booleans(),
)
EVENTS = st.lists(PEER_STATUSES | st.sampled_from(("write", "wait", "miss")), max_size=25)


@given(EVENTS, st.floats(0, 0.99))
def test_whatever_is_heard_the_rules_of_votes_and_claims_hold(
    events: list[Status | str], chance: float
) -> None:
    story = one_of_three(Wish(G, "start"))
    voted, claimed = 0, 0
    for event in events:
        before = record(story).ballot.vote
        match event:
            case "write":
                story.write(1)
            case "wait":
                story.now += 2.0
            case "miss":
                story.miss(1, 2, 3)
            case Status():
                story.hear(1, event)
        step = story.step(1, chance=chance)
        kept, now = record(story), record(story).ballot.vote
        assert kept.ballot.voted >= voted  # terms voted for never fall
        if kept.claim is not None and kept.claim != claimed:
            assert kept.claim > claimed  # C2
            claimed = kept.claim
        if now is not None and before is not None and now != before:
            assert (before.node == 1) or now.term >= before.term  # V1: released in between
        if step.tell is not None and step.tell.level in {"test", "start"}:
            assert kept.granted  # C5
            assert step.tell.stop_at is not None
            assert step.tell.stop_at > story.now
        if kept.claim is not None and not kept.activated:
            assert now is not None  # who claims has voted for itself, and for nobody else
            assert (now.node, now.term) == (1, kept.claim)
        assert step.wake_at > story.now or math.isinf(step.wake_at)
        voted = kept.ballot.voted
