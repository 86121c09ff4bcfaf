"""A group that fails again and again on a node: `on-failure=` of hactl."""

from __future__ import annotations

import pytest

from mosha.core.cluster import giving_up, orders
from mosha.core.cluster.group_rules import Action
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.escalation import Limits
from mosha.core.explain.reasons import Holds, Reason
from mosha.core.explain.why import why
from mosha.core.ladder import move_after
from mosha.core.status import GroupState, Order, Verb
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.failures import REMEMBERED_MAX
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    Exit,
    Exited,
    SpawnFailed,
    Started,
    StopAsked,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import Mode, Wish
from tests.core.story import START_S, TIMING, G, Story, hactl, report
from tests.core.unit_world import entry

MOVES = Wish(G, "start", prefer=(1, 2), on_failure=move_after(3, 600.0))
LIMITS = Limits()


# --- what is a failure ---------------------------------------------------------------------


def lived(ends: list[Exit], life_s: float, mode: str = "respawn") -> Process:
    """Return an entry whose runs end like this, each after so long; the first begins at 100 s."""
    now = 100.0
    process, _ = advance(new_process(entry(f"g:a:1:{mode}:x")), Started(1), now, LIMITS)
    for end in ends:
        now += life_s
        process, _ = advance(process, Exited(process.run, end), now, LIMITS)
        if process.state is ProcessState.PAUSING:
            now = process.due or now
            process, _ = advance(process, AlarmRang(), now, LIMITS)
    return process


def test_each_run_of_a_respawn_entry_that_ends_badly_is_a_failure() -> None:
    process = lived([Exit(1), Exit(0), Exit(-9)], 5.0)
    assert process.failed_at == (105.0, 115.0)
    process, _ = advance(process, SpawnFailed(process.run, "cannot execute: x"), 130.0, LIMITS)
    assert process.failed_at == (105.0, 115.0, 130.0)


def test_a_pause_is_a_failure_of_its_own_only_if_the_runs_ended_well() -> None:
    assert len(lived([Exit(1)] * 7, 0.1).failed_at) == 7
    assert len(lived([Exit(0)] * 7, 0.1).failed_at) == 1
    assert lived([Exit(0)] * 6, 0.1).failed_at == ()


@pytest.mark.parametrize("mode", ["once", "wait", "test"])
def test_what_is_not_kept_running_does_not_count(mode: str) -> None:
    assert lived([Exit(1)], 5.0, mode).failed_at == ()


def test_what_is_stopped_has_not_failed_and_leaving_forgets() -> None:
    process = lived([Exit(1)], 5.0)
    process, _ = advance(process, StopAsked(), 110.0, LIMITS)
    process, _ = advance(process, Exited(process.run, Exit(-2)), 111.0, LIMITS)
    assert (process.state, process.failed_at) == (ProcessState.WAITING, ())


def test_no_more_failures_are_remembered_than_hactl_can_ask_for() -> None:
    found = lived([Exit(1)] * 50, 2.0).failed_at
    assert len(found) == REMEMBERED_MAX
    assert found[-1] == 200.0


# --- what a node does about it -------------------------------------------------------------


def failing(*failed_at: float, tag: str = "webd") -> EntryReport:
    """Return an entry that failed at these times, in seconds after the start of the story."""
    times = tuple(START_S + at for at in failed_at)
    return EntryReport(
        tag, Mode.RESPAWN, ProcessState.PAUSING, exit="exit 1", said=("no",), failed_at=times
    )


def running(wish: Wish = MOVES) -> Story:
    """Three nodes; `g` is at home on node 1, for a while."""
    story = Story(wishes=hactl(wish))
    story.live(100.0)
    assert story.at_home() == [1]
    return story


def fails(story: Story, *found: EntryReport, state: GroupState = GroupState.DONE) -> None:
    """Let clinit of node 1 report entries of `g` that have failed."""
    held = story.clinits[1][G]
    until = {"stop_at": held.stop_at, "kill_at": held.kill_at}
    made = report("start", state, term=held.term, entries=found, **until)
    story.clinits[1][G] = made
    story.nodes[1].clinit_changed(made)


def test_after_so_many_failures_within_the_time_another_node_takes_it() -> None:
    story = running()
    fails(story, failing(1.0, 2.0))
    story.live(5.0)
    assert story.at_home() == [1]
    fails(story, failing(1.0, 2.0, 3.0))
    story.live(10.0)
    assert story.at_home() == [2]
    reason = "failed 3 times in 10m (on-failure=move:3/10m), last entry webd: exit 1: no"
    assert story.files[1].bans[G].reason == reason


@pytest.mark.parametrize("failback", [True, False])
def test_with_failback_it_comes_back_when_the_ban_is_over_and_may_fail_there_again(
    *, failback: bool
) -> None:
    wish = Wish(G, "start", prefer=(1, 2), failback=failback, on_failure=move_after(1, 600.0))
    story = running(wish)
    for _ in range(2):
        fails(story, failing(story.now - START_S))
        story.live(10.0)
        assert story.at_home() == [2]
        story.live(580.0)  # node 1 has been up all the time, and keeps off it
        assert story.at_home() == [2]
        story.live(20.0)
        assert story.at_home() == [1 if failback else 2]
        if not failback:
            return


def test_the_failures_of_all_its_entries_count() -> None:
    story = running()
    fails(story, failing(1.0, 3.0), failing(2.0, tag="other"))
    story.live(10.0)
    assert story.at_home() == [2]


def test_a_group_that_fails_while_it_starts_moves_as_well() -> None:
    story = running()
    fails(story, failing(1.0, 2.0, 3.0), state=GroupState.STARTING)
    assert story.nodes[1].step(G, story.now, 0.0).row.do is Action.BAN  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wish", "failed_at"),
    [
        pytest.param(Wish(G, "start", prefer=(1,)), (1.0, 2.0, 3.0, 4.0), id="stay, the default"),
        pytest.param(MOVES, (-550.0, 2.0, 3.0), id="one was too long ago"),
        pytest.param(
            Wish(G, "start", only=(1,), on_failure=move_after(3, 600.0)),
            (1.0, 2.0, 3.0),
            id="no other node may have it",
        ),
    ],
)
def test_it_stays(wish: Wish, failed_at: tuple[float, ...]) -> None:
    story = running(wish)
    fails(story, failing(*failed_at))
    story.live(10.0)
    assert story.at_home() == [1]
    assert G not in story.files[1].bans


def test_it_stays_while_the_others_are_banned_and_moves_when_one_is_not() -> None:
    story = running()
    for node in (2, 3):
        record = story.nodes[node].state.record(G)
        record.ban_until, record.ban_reason = story.now + 20.0, "failed there"
        story.nodes[node].state.changed()
    story.live(3.0)
    fails(story, failing(1.0, 2.0, 3.0))
    story.live(10.0)
    assert story.at_home() == [1]
    story.live(15.0)
    assert story.at_home() == [2]


def test_cleanup_forgets_the_failures_on_that_node() -> None:
    story = running()
    fails(story, failing(1.0, 2.0))
    orders.give(story.nodes[2].state, Order(Verb.CLEANUP, G, 1), story.now)
    story.live(3.0)
    fails(story, failing(1.0, 2.0, story.now - START_S))
    story.live(10.0)
    assert story.at_home() == [1]
    assert len(giving_up.tally(*seat_of(story, 1), story.now).failed_at) == 1


def test_a_monitor_that_is_restarted_counts_on() -> None:
    story = running()
    fails(story, failing(1.0, 2.0))
    story.start(1, inc=200)
    story.live(3.0)
    fails(story, failing(1.0, 2.0, 3.0))
    story.live(15.0)
    assert story.at_home() == [2]


# --- what `mosha why` predicts -------------------------------------------------------------


def seat_of(story: Story, node: int) -> tuple[MonitorState, GroupRecord]:
    state = story.nodes[node].state
    return state, state.record(G)


def said(story: Story, node: int) -> list[Reason]:
    found = why(story.nodes[node].state, G, story.now, 0.0)
    return [reason for reason in found.reasons if reason.rule == "failures"]


def test_why_says_what_the_next_failure_does_and_it_does_it() -> None:
    story = running()
    (few,) = said(story, 1)
    assert few.holds is Holds.YES
    assert few.said == (
        "0 of 3 failures in 10m on node 1; it moves to node 2 after 3 more (on-failure=move:3/10m)"
    )
    fails(story, failing(90.0, 95.0))
    (next_one,) = said(story, 1)
    assert next_one.said == (
        "2 of 3 failures in 10m on node 1; the next one moves it to node 2;"
        " the oldest is forgotten in 590 s, the last in 595 s (on-failure=move:3/10m)"
    )
    fails(story, failing(90.0, 95.0, 99.0))
    story.live(10.0)
    assert story.at_home() == [2]


def test_why_says_that_it_stays_where_no_other_node_may_have_it() -> None:
    story = running(Wish(G, "start", only=(1,), on_failure=move_after(1, 60.0)))
    fails(story, failing(99.0))
    (reason,) = said(story, 1)
    assert reason.holds is Holds.NO
    assert "1 of 1 failures in 1m on node 1; no other node may have it: it stays" in reason.said


def test_why_on_another_node_names_the_one_that_counts() -> None:
    story = running()
    (reason,) = said(story, 3)
    assert reason.holds is Holds.MOOT
    assert reason.said == "node 1 counts the failures (on-failure=move:3/10m): ask it"


def test_why_says_nothing_of_failures_where_hactl_says_nothing() -> None:
    story = running(Wish(G, "start", prefer=(1,)))
    fails(story, failing(99.0))
    assert said(story, 1) == []


@pytest.mark.parametrize(("within_s", "left_s"), [(600.0, 600.0), (TIMING.ban_s / 2, TIMING.ban_s)])
def test_the_ban_lasts_until_the_failures_are_forgotten_or_as_any_other(
    within_s: float, left_s: float
) -> None:
    story = running(Wish(G, "start", prefer=(1, 2), on_failure=move_after(1, within_s)))
    fails(story, failing(99.0))
    story.live(1.0)
    assert story.files[1].bans[G].left_s == pytest.approx(left_s, abs=2.0)
