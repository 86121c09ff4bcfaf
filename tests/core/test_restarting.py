"""A group whose monitor fails: restarted in place, then what else `on-failure=` says."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders, restarting
from mosha.core.cluster.restarting import PAUSE_S
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why import why
from mosha.core.ladder import Ladder
from mosha.core.status import GroupState, Order, Restarts, Verb
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import STOP_LEVEL, Mode, Wish
from tests.core.story import TIMING, G, Story, hactl, report, status
from tests.core.test_giving_up import said, seat_of

LADDER = Ladder(2, 600.0, 1, 3600.0, stops=True)
WISH = Wish(G, "start", prefer=(1, 2, 3), on_failure=LADDER)
BRIEF = "restart:2/10m,move:1/1h,stop"
REASON = "monitor ok failed 3 times in a row: exit 7: no answer"


def running(wish: Wish = WISH) -> Story:
    """Three nodes; `g` is at home on node 1, with a monitor that is content."""
    story = Story(wishes=hactl(wish))
    story.live(100.0)
    assert story.at_home() == [1]
    watched(story)
    return story


def monitor(
    *failed_at: float, failures: int = 0, held: bool = False, unproven: bool = False
) -> EntryReport:
    """Return a monitor as clinit reports it: three failures in a row are one of the group."""
    state = ProcessState.STOPPED if held else ProcessState.IDLE
    return EntryReport(
        "ok",
        Mode.MONITOR,
        state,
        exit="exit 7",
        said=("no answer",),
        failed_at=failed_at,
        failures=failures,
        failures_max=3,
        held=held,
        unproven=unproven,
    )


def watched(
    story: Story,
    entry: EntryReport | None = None,
    *,
    state: GroupState = GroupState.DONE,
    age_s: float = 1000.0,
) -> None:
    """Let clinit of the owner report a monitor beside the group, there for so many seconds."""
    (home,) = story.owners()
    held = story.clinits[home][G]
    until = {"stop_at": held.stop_at, "kill_at": held.kill_at}
    entries = (entry or monitor(),)
    since = story.now - age_s
    made = report("start", state, term=held.term, since=since, entries=entries, **until)
    story.show(home, made)


def fails(story: Story, times: int = 1, *, age_s: float = 1000.0) -> None:
    """Let the monitor of the group have failed often enough, so many times within a moment."""
    failed_at = tuple(story.now - 0.25 * (times - 1 - place) for place in range(times))
    watched(story, monitor(*failed_at, failures=3 * times), age_s=age_s)


def told(story: Story, node: int) -> list[str]:
    """Return what the node tells of the group until nothing more is to be told."""
    rows = []
    while (step := story.step(node)).tell is not None:
        rows.append(f"{step.tell.level}: {step.row.name if step.row else ''}")
    return rows


IN_PLACE = ["stop: its monitor fails", "test: stopped to start again", "start: passed its tests"]


def test_a_monitor_that_fails_has_it_restarted_where_it_is_under_its_claim() -> None:
    story = running()
    term = story.nodes[1].state.record(G).claim
    fails(story)
    assert told(story, 1) == IN_PLACE
    assert (story.at_home(), story.nodes[1].state.record(G).claim) == ([1], term)
    assert told(story, 1) == []


def test_after_the_restarts_that_hactl_allows_it_moves_and_then_it_is_stopped() -> None:
    story = running()
    for home in (1, 2):
        for _ in range(2):
            fails(story)
            story.live(5.0)
            assert story.at_home() == [home]
            watched(story)
        fails(story)
        story.live(10.0)
    assert story.at_home() == []
    assert (
        story.files[2]
        .exhausted[G]
        .startswith(
            f"failed 3 times in 10m, moved 1 time in 1h (on-failure={BRIEF}), last entry ok: exit 7"
        )
    )


def test_after_a_restart_the_problem_stays_until_a_run_of_the_monitor_has_succeeded() -> None:
    story = running()
    watched(story, monitor(unproven=True))
    assert story.nodes[1].state.troubles(G, story.now) == ()
    fails(story)
    told(story, 1)
    watched(story, monitor(unproven=True), age_s=1.0)
    story.live(2.0)
    for node in (1, 2):
        verdict = judge(story.nodes[node].state, G, story.now)
        told_of = "but monitor ok fails: no run has succeeded since the group was restarted"
        assert told_of in verdict.why
    fails(story, age_s=1.0)
    assert len(story.nodes[1].state.troubles(G, story.now)) == 1
    watched(story, monitor(failures=1), age_s=1.0)
    assert story.nodes[1].state.troubles(G, story.now) == ()


def test_what_is_counted_is_forgotten_with_the_time_of_the_ladder() -> None:
    story = running()
    for _ in range(4):
        fails(story)
        story.live(5.0)
        watched(story)
        story.live(301.0)
    assert story.at_home() == [1]
    known = story.nodes[1].state.records[G].in_place
    assert known is not None
    assert known.count == 4


def test_failures_of_respawn_entries_and_of_monitors_count_together() -> None:
    story = running()
    fails(story)
    told(story, 1)
    times = (story.now - 2.0, story.now - 1.0)
    watched(story, EntryReport("webd", Mode.RESPAWN, ProcessState.RUNNING, failed_at=times))
    story.live(10.0)
    assert story.at_home() == [2]


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param(Wish(G, "start", prefer=(1,)), id="stay"),
        pytest.param(Wish(G, "start", only=(1,), on_failure=Ladder(0, 600.0)), id="no other node"),
        pytest.param(Wish(G, "start", prefer=(1,), on_failure=Ladder(0, 600.0, 0)), id="no rung"),
    ],
)
def test_a_restart_that_nothing_counts_waits_until_it_has_run_for_a_minute(wish: Wish) -> None:
    story = running(wish)
    fails(story, age_s=PAUSE_S - 30.0)
    step = story.step(1)
    assert step.tell is None
    assert step.wake_at <= story.now + 30.0
    assert "it is restarted in place in 30 s" in said(story, 1)[0].said
    story.live(29.0)
    assert story.nodes[1].state.records[G].in_place is None
    story.live(2.0)
    assert story.at_home() == [1]
    known = story.nodes[1].state.records[G].in_place
    assert known is not None
    assert known.count == 1


def test_it_is_left_alone_while_it_starts_or_stops_and_where_an_operator_stopped_the_monitor() -> (
    None
):
    story = running()
    ill = monitor(story.now, failures=3)
    watched(story, ill, state=GroupState.STARTING)
    assert told(story, 1) == []
    watched(story, monitor(story.now, failures=3, held=True))
    assert told(story, 1) == []
    for node in story.nodes:
        story.adopt_tables(node, hactl(Wish(G, STOP_LEVEL)))
    watched(story, ill)
    assert told(story, 1) == ["stop: not wanted"]


def test_a_restart_whose_test_fails_moves_it() -> None:
    story = running(Wish(G, "start", prefer=(1, 2)))
    story.fails[1, "test"] = "test entry t: exit 1"
    fails(story)
    story.live(10.0)
    assert story.at_home() == [2]


def test_a_monitor_of_this_node_that_is_restarted_goes_on_counting() -> None:
    story = running()
    fails(story)
    story.live(5.0)
    watched(story)
    story.start(1, inc=200)
    story.live(30.0)
    known = story.files[1].restarts[G]
    assert (known.count, known.level, known.reason) == (1, "start", REASON)
    assert known.failed[0] == pytest.approx(35, abs=2)
    fails(story)
    story.live(5.0)
    assert story.at_home() == [1]
    fails(story)
    story.live(10.0)
    assert story.at_home() == [2]
    assert story.files[1].restarts == {}


def test_a_restart_by_an_operator_and_cleanup_begin_anew() -> None:
    for order in (Order(Verb.RESTART, G), Order(Verb.CLEANUP, G)):
        story = running()
        for _ in range(2):
            fails(story)
            story.live(5.0)
            watched(story)
        orders.give(story.nodes[2].state, order, story.now)
        story.live(10.0)
        assert story.files[1].restarts == {}
        watched(story)
        fails(story)
        story.live(10.0)
        assert story.at_home() == [1]


def test_failures_at_another_level_do_not_count() -> None:
    story = running()
    fails(story)
    told(story, 1)
    state, record = seat_of(story, 1)
    assert len(restarting.carried(state, record)) == 1
    for node in story.nodes:
        story.adopt_tables(node, hactl(Wish(G, "other", on_failure=LADDER)))
    assert restarting.carried(state, record) == ()


# --- what `mosha why` says -----------------------------------------------------------------


def test_why_says_before_each_failure_what_it_does() -> None:
    story = running()
    before = "before that a monitor that fails has it restarted in place at once"
    assert f"it moves to node 2 after 3 more, {before}" in said(story, 1)[0].said
    fails(story)
    assert "; monitor ok fails: it is restarted in place now" in said(story, 1)[0].said
    story.live(5.0)
    fails(story)
    story.live(5.0)
    watched(story)
    (reason,) = said(story, 1)
    assert reason.said.startswith("2 of 3 failures in 10m on node 1, 0 of 1 moves in 1h; the next")
    assert "the next one moves it to node 2;" in reason.said


def test_why_says_of_a_group_that_stays_what_its_monitor_does() -> None:
    story = running(Wish(G, "start", prefer=(1,)))
    (reason,) = said(story, 1)
    assert reason.said == (
        "a monitor that fails has it restarted in place, at most once a minute (on-failure=stay)"
    )


def test_every_node_says_why_it_was_restarted() -> None:
    story = running()
    fails(story)
    story.live(20.0)
    for node in (1, 2, 3):
        state = story.nodes[node].state
        found = [it for it in why(state, G, story.now, 0.0).reasons if it.rule == "restarts"]
        (reason,) = found
        assert reason.said_by == 1
        assert reason.said.startswith("restarted in place on node 1 1 time, last ")
        assert reason.said.endswith(f" s ago: {REASON}")
        assert restarting.said(state, G, story.now) == reason.said


def test_what_a_node_that_is_not_heard_has_restarted_is_not_told() -> None:
    story = Story(wishes=hactl(WISH))
    story.write(1)
    known = Restarts(1, 3, "start", (5,), REASON)
    story.hear(1, status(2, claims={G: 7}, restarts={G: known}))
    state = story.nodes[1].state
    assert restarting.known(state, G, story.now + 2.0) == (2, Restarts(1, 5, "start", (5,), REASON))
    story.now += TIMING.timeout_s + 1
    story.miss(1, 2)
    assert restarting.known(state, G, story.now) is None


def test_a_monitor_speaks_only_of_the_level_that_is_wanted() -> None:
    story = running()
    watched(story, monitor(story.now, failures=3))
    assert restarting.failing(story.nodes[1].state, G) is not None
    story.adopt_tables(1, hactl(replace(WISH, level="half")))
    assert restarting.failing(story.nodes[1].state, G) is None
