"""A group that climbs the ladder of `on-failure=`: it is restarted, moved, stopped for good."""

from __future__ import annotations

import pytest

from mosha.core.cluster import exhaustion, giving_up, orders
from mosha.core.explain.reasons import Holds
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.ladder import Ladder
from mosha.core.status import GroupState, NodeState, Order, Verb
from mosha.core.supervision.entries import EntryReport
from mosha.core.supervision.failures import Severity
from mosha.core.supervision.process_table import ProcessState
from mosha.core.tables import Mode, Wish
from tests.core.story import G, Story, hactl, report
from tests.core.test_giving_up import said, seat_of

WITHIN_S, MOVES_S = 60.0, 900.0
LADDER = Ladder(1, WITHIN_S, 2, MOVES_S, stops=True)
WISH = Wish(G, "start", prefer=(1, 2, 3), on_failure=LADDER)
BRIEF = "restart:1/1m,move:2/15m,stop"


def running(wish: Wish = WISH) -> Story:
    """Three nodes; `g` is at home on node 1."""
    story = Story(wishes=hactl(wish))
    story.live(100.0)
    assert story.at_home() == [1]
    return story


def fails(story: Story, times: int, node: int | None = None) -> None:
    """Let the group have failed so often where it runs, in the last seconds."""
    (home,) = story.at_home() if node is None else [node]
    held = story.clinits[home][G]
    failed_at = tuple(story.now - 0.5 * (times - place) for place in range(times))
    entry = EntryReport(
        "webd", Mode.RESPAWN, ProcessState.PAUSING, exit="exit 1", failed_at=failed_at
    )
    until = {"stop_at": held.stop_at, "kill_at": held.kill_at}
    made = report("start", GroupState.DONE, term=held.term, entries=(entry,), **until)
    story.clinits[home][G] = made
    story.nodes[home].clinit_changed(made)


def fail_and_move(story: Story, to: int) -> None:
    fails(story, 2)
    story.live(10.0)
    assert story.at_home() == [to]


def stopped(wish: Wish = WISH) -> Story:
    """Return a story in which node 3 has stopped the group for good."""
    story = running(wish)
    fail_and_move(story, 2)
    fail_and_move(story, 3)
    fails(story, 2)
    story.live(10.0)
    return story


def exhausted(story: Story) -> list[int]:
    return [node for node, file in story.files.items() if G in file.exhausted]


# --- the moves are those of the cluster ------------------------------------------------------


def test_it_is_restarted_moved_twice_and_then_stopped_and_nobody_starts_it() -> None:
    story = stopped()
    assert exhausted(story) == [3]
    assert story.files[3].exhausted[G] == (
        f"failed 2 times in 1m, moved 2 times in 15m (on-failure={BRIEF}), last entry webd: exit 1"
    )
    claim = story.files[3].claims[G]
    story.live(400.0)  # the bans are over
    assert story.at_home() == []
    assert (exhausted(story), story.files[3].claims[G]) == ([3], claim)
    assert story.files[1].bans == story.files[2].bans == {}


def test_each_node_publishes_only_when_it_gave_the_group_up_itself() -> None:
    story = running()
    fail_and_move(story, 2)
    fail_and_move(story, 3)
    story.live(100.0)
    found = {node: file.given_up.get(G, ()) for node, file in story.files.items()}
    assert [len(found[node]) for node in (1, 2, 3)] == [1, 1, 0]
    assert found[1][0] == pytest.approx(120.0, abs=2.0)
    assert found[2][0] == pytest.approx(110.0, abs=2.0)


def test_a_move_that_is_forgotten_counts_no_more() -> None:
    story = running()
    fail_and_move(story, 2)
    story.live(MOVES_S + 1.0)
    assert story.files[1].given_up == {}
    fail_and_move(story, 1)
    fail_and_move(story, 3)
    fails(story, 2)
    story.live(10.0)
    assert exhausted(story) == [3]


def test_a_monitor_that_is_restarted_goes_on_counting_the_moves() -> None:
    story = running()
    fail_and_move(story, 2)
    story.start(1, inc=200)
    story.live(30.0)
    assert len(story.files[1].given_up[G]) == 1
    fail_and_move(story, 1)  # a ban is forgotten with its monitor
    fails(story, 2)
    story.live(10.0)
    assert exhausted(story) == [1]


def test_a_node_that_is_not_heard_any_more_has_still_given_it_up() -> None:
    story = running()
    fail_and_move(story, 2)
    story.die(1)
    story.live(100.0)
    fail_and_move(story, 3)
    fails(story, 2)
    story.live(10.0)
    assert exhausted(story) == [3]


def test_without_stop_it_stays_until_a_move_is_forgotten() -> None:
    story = running(Wish(G, "start", prefer=(1, 2, 3), on_failure=Ladder(0, 600.0, 1, 120.0)))
    fails(story, 1)
    story.live(10.0)
    assert story.at_home() == [2]
    fails(story, 1)
    story.live(60.0)
    assert story.at_home() == [2]
    (reason,) = said(story, 2)
    assert "1 of 1 moves in 2m" in reason.said
    assert "it has moved often enough: it stays, however often it fails" in reason.said
    story.live(60.0)
    assert story.at_home() == [3]


def test_a_step_is_due_when_the_oldest_move_is_forgotten() -> None:
    story = running(Wish(G, "start", prefer=(1, 2, 3), on_failure=Ladder(0, 600.0, 1, 120.0)))
    fails(story, 1)
    story.live(10.0)
    state, record = seat_of(story, 2)
    assert giving_up.ease_at(state, record, story.now) == pytest.approx(story.now + 110.0, abs=2.0)


# --- what an agent says of other nodes -----------------------------------------------------------

WHY = "entry fs: start: exit 6 (wrong parameters on any node): no device"


def refuses(story: Story, severity: Severity, why: str = WHY) -> None:
    """Let an agent say that it cannot run its service, here or anywhere."""
    (home,) = story.at_home()
    held = story.clinits[home][G]
    entry = EntryReport("fs", Mode.OCF, ProcessState.FAILED, severity=severity)
    until = {"stop_at": held.stop_at, "kill_at": held.kill_at}
    shown = {"term": held.term, "cause": why, "entries": (entry,)}
    made = report("start", GroupState.FAILED, **shown, **until)
    story.clinits[home][G] = made
    story.nodes[home].clinit_changed(made)


def test_a_group_that_can_run_nowhere_is_stopped_for_good_at_once() -> None:
    story = running(Wish(G, "start", prefer=(1, 2, 3)))
    refuses(story, Severity.FATAL)
    story.live(100.0)
    assert (story.at_home(), exhausted(story)) == ([], [1])
    assert story.files[1].exhausted[G] == WHY
    assert story.files[1].bans == {}
    verdict = judge(story.nodes[2].state, G, story.now)
    assert verdict.why == f"stopped for good on node 1: {WHY}"
    assert verdict.next == f"repair what failed, then: mosha cleanup {G}"


def test_a_group_whose_agent_cannot_run_here_moves_at_once_with_its_reason() -> None:
    story = running(Wish(G, "start", prefer=(1, 2, 3)))
    refuses(story, Severity.HARD, "entry fs: start: exit 5 (a program is missing on this node)")
    story.live(10.0)
    assert (story.at_home(), exhausted(story)) == ([2], [])
    reason = story.files[1].bans[G].reason
    assert reason == "entry fs: start: exit 5 (a program is missing on this node)"


# --- stopped where nothing else is left --------------------------------------------------------


@pytest.mark.parametrize(
    "ladder",
    [
        pytest.param(Ladder(1, WITHIN_S, 0, stops=True), id="no move"),
        pytest.param(Ladder(1, WITHIN_S, None, stops=True), id="nowhere to move to"),
        pytest.param(LADDER, id="nowhere to move to, though moves are left"),
    ],
)
def test_where_it_cannot_move_it_is_stopped(ladder: Ladder) -> None:
    story = running(Wish(G, "start", only=(1,), on_failure=ladder))
    fails(story, 1)
    story.live(5.0)
    assert (story.at_home(), exhausted(story)) == ([1], [])
    fails(story, 2)
    story.live(5.0)
    assert (story.at_home(), exhausted(story)) == ([], [1])


def test_where_nothing_follows_the_restarts_it_stays() -> None:
    story = running(Wish(G, "start", prefer=(1,), on_failure=Ladder(1, WITHIN_S, 0)))
    fails(story, 20)
    story.live(10.0)
    assert (story.at_home(), exhausted(story)) == ([1], [])


# --- failed tests and levels are moves ----------------------------------------------------------


@pytest.mark.parametrize("level", ["test", "start"])
def test_a_group_that_can_run_nowhere_is_stopped_when_its_moves_are_used_up(level: str) -> None:
    story = Story(wishes=hactl(WISH))
    cause = f"{level} entry probe: exit 1"
    story.fails |= {(node, level): cause for node in story.nodes}
    story.live(30.0)
    assert (story.at_home(), exhausted(story)) == ([], [3])
    told = f"{cause}, moved 2 times in 15m (on-failure={BRIEF})"
    assert story.files[3].exhausted[G] == told
    assert story.files[1].bans[G].reason == f"{cause} (on-failure={BRIEF})"
    story.fails.clear()
    orders.give(story.nodes[2].state, Order(Verb.CLEANUP, G), story.now)
    story.live(10.0)
    assert story.at_home() == [1]


@pytest.mark.parametrize(
    "ladder",
    [
        pytest.param(None, id="stay"),
        pytest.param(Ladder(1, WITHIN_S, 0, stops=True), id="never moved"),
        pytest.param(Ladder(1, WITHIN_S, None, stops=True), id="moves are not counted"),
        pytest.param(Ladder(1, WITHIN_S, 2, MOVES_S), id="no stop"),
    ],
)
def test_where_hactl_counts_no_moves_or_has_no_stop_a_failed_test_only_bans(
    ladder: Ladder | None,
) -> None:
    story = Story(wishes=hactl(Wish(G, "start", on_failure=ladder)))
    story.fails |= {(node, "test"): "no disk" for node in story.nodes}
    story.live(100.0)
    assert exhausted(story) == []
    story.fails.clear()
    story.live(40.0)
    assert len(story.at_home()) == 1


def test_a_failed_test_and_failures_of_entries_are_moves_together() -> None:
    story = running()
    story.fails[2, "test"] = "no disk"
    fails(story, 2)
    story.live(10.0)
    assert story.at_home() == [3]
    assert [len(story.files[node].given_up[G]) for node in (1, 2)] == [1, 1]
    fails(story, 2)
    story.live(10.0)
    assert exhausted(story) == [3]


def test_what_a_watcher_says_is_no_move() -> None:
    story = running()
    for home in (1, 2):
        orders.fail(story.nodes[home].state, G, "no answer", story.now)
        story.live(10.0)
    assert story.at_home() == [3]
    assert all(file.given_up == {} for file in story.files.values())


# --- until an operator, or the end of its node -------------------------------------------------


def test_every_node_says_so_and_what_to_do() -> None:
    story = stopped()
    for node in (1, 2, 3):
        state = story.nodes[node].state
        verdict = judge(state, G, story.now)
        assert not verdict.ok
        assert verdict.why.startswith("stopped for good on node 3: failed 2 times in 1m, moved 2")
        assert verdict.next == f"repair what failed, then: mosha cleanup {G}"
        assert said(story, node) == []
        for found in (why(state, G, story.now, 0.0), why_not(state, G, 1, story.now, 0.0)):
            (reason,) = (reason for reason in found.reasons if reason.rule == "exhausted")
            assert (reason.holds, reason.said, reason.said_by) == (Holds.NO, verdict.why, 3)


@pytest.mark.parametrize("asked", [1, 3])
def test_cleanup_starts_it_and_forgets_all_moves(asked: int) -> None:
    story = stopped()
    assert orders.has_failed(story.nodes[1].state, G, 3)
    orders.give(story.nodes[asked].state, Order(Verb.CLEANUP, G), story.now)
    story.live(10.0)
    assert (story.at_home(), exhausted(story)) == ([1], [])
    assert all(file.given_up == {} for file in story.files.values())
    fail_and_move(story, 2)


def test_cleanup_of_another_node_leaves_it_stopped() -> None:
    story = stopped()
    orders.give(story.nodes[1].state, Order(Verb.CLEANUP, G, 1), story.now)
    story.live(10.0)
    assert (story.at_home(), exhausted(story)) == ([], [3])


def test_level_stop_in_hactl_ends_it() -> None:
    story = stopped()
    for node in story.nodes:
        story.adopt_tables(node, hactl(Wish(G, "stop")))
    story.live(5.0)
    assert exhausted(story) == []
    assert all(G not in file.claims for file in story.files.values())


def test_a_restart_of_the_monitor_does_not_start_it() -> None:
    story = stopped()
    claim = story.files[3].claims[G]
    story.start(3, inc=300)
    story.live(100.0)
    assert (story.at_home(), exhausted(story)) == ([], [3])
    assert story.files[3].claims[G] == claim
    orders.give(story.nodes[1].state, Order(Verb.CLEANUP, G), story.now)
    story.live(10.0)
    assert story.at_home() == [1]


def test_nor_does_one_that_has_not_read_its_tables_yet() -> None:
    story = stopped()
    claim = story.files[3].claims[G]
    state = story.start(3, inc=300).state
    state.hactl = state.cltab_groups = None
    story.step(3)
    record = state.record(G)
    assert (bool(record.exhausted), record.claim, record.activated) == (True, claim, True)


def test_a_node_that_is_displaced_has_stopped_nothing_for_good_any_more() -> None:
    story = stopped()
    brain = story.nodes[3]
    brain.take_to_step()
    brain.state.displaced = True
    exhaustion.settle(brain.state, brain.state.record(G))
    assert brain.state.record(G).exhausted == ""
    assert G in brain.take_to_step()


def test_if_its_node_dies_another_one_starts_it() -> None:
    story = stopped()
    story.die(3)
    story.live(400.0)
    assert story.at_home() == [1]


def test_who_was_cut_off_and_overtaken_has_stopped_nothing_for_good_any_more() -> None:
    story = stopped()
    story.cuts |= {(reader, writer) for reader in (1, 2) for writer in (3,)}
    story.cuts |= {(3, writer) for writer in (1, 2)}
    story.live(100.0)
    assert (story.at_home(), exhausted(story)) == ([1], [3])
    story.cuts.clear()
    story.live(10.0)
    assert (story.at_home(), exhausted(story)) == ([1], [])
    assert G not in story.files[3].claims


def test_if_its_node_leaves_another_one_starts_it() -> None:
    story = stopped()
    story.nodes[3].leave()
    story.live(100.0)  # until the bans of the others are over
    assert story.nodes[3].state.node_state is NodeState.LEAVING
    assert (story.at_home(), exhausted(story)) == ([1], [])


# --- what `mosha why` predicts -------------------------------------------------------------------


def test_why_says_for_every_rung_what_follows_and_when_it_is_forgotten() -> None:
    story = running()
    (reason,) = said(story, 1)
    assert reason.said == (
        "0 of 2 failures in 1m on node 1, 0 of 2 moves in 15m; it moves to node 2 after 2 more"
        f" (on-failure={BRIEF})"
    )
    fail_and_move(story, 2)
    fails(story, 1)
    (reason,) = said(story, 2)
    assert "1 of 2 failures in 1m on node 2, 1 of 2 moves in 15m" in reason.said
    assert "; the next one moves it to node 3; the oldest is forgotten in 60 s;" in reason.said
    assert "; the oldest move is forgotten in 89" in reason.said
    fail_and_move(story, 3)
    fails(story, 1)
    (reason,) = said(story, 3)
    assert "2 of 2 moves in 15m; the next one stops it for good" in reason.said
    assert "the oldest move is forgotten in 88" in reason.said
    state, record = seat_of(story, 3)
    assert giving_up.prediction(state, record, story.now) == reason.said
