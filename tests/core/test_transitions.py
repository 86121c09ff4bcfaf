"""What has changed between two moments: the events that people follow."""

from __future__ import annotations

from mosha.core.cluster.fencing import AIMING, RUNNING, Shot
from mosha.core.cluster.orders import MOVED
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.state import Hold, RestartedInPlace
from mosha.core.explain.transitions import (
    ABSENT,
    FOR_GOOD,
    GIVEN_UP,
    MOVING,
    Transition,
    snapshot,
    transitions,
)
from mosha.core.status import (
    Ban,
    Disarm,
    GaveWay,
    Grade,
    NodeState,
    Receipt,
    Restarts,
    Trouble,
    TroubleKind,
)
from tests.core.story import INC, G, Story, alone_again, one_of_three, says
from tests.core.test_verdicts import at, only_3_is_stale, state, without_quorum


def changes(story: Story, change: object) -> list[Transition]:
    """Return the transitions that `change`, a function without arguments, leads to."""
    before = snapshot(state(story))
    assert callable(change)
    change()
    return transitions(before, snapshot(state(story)))


def test_nothing_changes_while_statuses_only_count_on() -> None:
    story = one_of_three()
    assert changes(story, lambda: story.hear(1, says(2, 7), says(3, 8))) == []


def test_a_group_that_moves_on_is_one_transition_for_each_node() -> None:
    story = one_of_three()
    story.hear(1, says(2, groups=at("plan")))
    found = changes(story, lambda: story.hear(1, says(2, 3, groups=at("start"))))
    assert found == [Transition("group", G, 2, "plan DONE", "start DONE", "")]


def test_the_own_group_has_the_cause_that_clinit_gives() -> None:
    story = one_of_three()
    found = changes(story, lambda: story.step(1))
    assert found == [Transition("group", G, 1, ABSENT, "plan DONE", "tell")]


def test_a_node_that_becomes_stale_is_one_event_and_its_groups_are_what_they_were() -> None:
    story = one_of_three()
    story.hear(1, says(3, groups=at("start")))
    found = changes(story, lambda: only_3_is_stale(story))
    assert found == [Transition("node", "", 3, "fresh", "stale", "")]


def test_entries_and_tables_of_a_stale_node_are_what_they_were_and_go_with_it() -> None:
    story = one_of_three()
    wrong = {(G, "t"): Trouble("t", TroubleKind.OUTDATED)}
    story.hear(1, says(3, troubles=wrong, refused={"hactl": "no"}))
    found = changes(story, lambda: only_3_is_stale(story))
    assert found == [Transition("node", "", 3, "fresh", "stale", "")]
    found = changes(story, lambda: story.nodes[1].confirmed(3, story.now))
    assert [(t.kind, t.after, t.cause) for t in found] == [
        ("node", "fenced", "confirmed by an operator"),
        ("table", ABSENT, "node 3 is fenced"),
        ("entry", ABSENT, "node 3 is fenced"),
    ]


def test_the_groups_of_a_fenced_node_are_gone_because_of_that() -> None:
    story = one_of_three()
    story.hear(1, says(3, groups=at("start")))
    only_3_is_stale(story)
    found = changes(story, lambda: story.nodes[1].confirmed(3, story.now))
    assert found == [
        Transition("node", "", 3, "stale", "fenced", "confirmed by an operator"),
        Transition("group", G, 3, "start DONE", ABSENT, "node 3 is fenced"),
    ]


def test_a_node_that_leaves_says_so_and_its_groups_are_gone() -> None:
    story = one_of_three()
    story.hear(1, says(3, groups=at("start")))
    found = changes(story, lambda: story.hear(1, says(3, 9, state=NodeState.LEFT)))
    assert [(t.kind, t.after, t.cause) for t in found] == [
        ("node", "left", ""),
        ("group", ABSENT, "node 3 is left"),
    ]


def test_a_lost_quorum_comes_first_and_is_counted_out() -> None:
    before = snapshot(state(one_of_three()))
    first, *_ = transitions(before, snapshot(state(without_quorum())))
    assert (first.kind, first.before, first.after) == ("quorum", QuorumState.YES, QuorumState.NO)
    assert first.cause.startswith("1 of 3 nodes fresh")


def test_a_move_by_an_operator_is_no_ban() -> None:
    story = one_of_three()
    reason = f"{MOVED}to node 3 by an operator"
    found = changes(story, lambda: story.hear(1, says(2, bans={G: Ban(240, reason)})))
    assert found == [Transition("ban", G, 2, ABSENT, MOVING, reason)]
    found = changes(story, lambda: story.hear(1, says(2, 3)))
    assert found == [Transition("ban", G, 2, MOVING, ABSENT, "not done: it is not on node 3")]


def test_a_move_that_has_arrived_is_just_over() -> None:
    story = one_of_three()
    reason = f"{MOVED}to node 3 by an operator"
    story.hear(1, says(2, bans={G: Ban(240, reason)}), says(3, groups=at("start")))
    found = changes(story, lambda: story.hear(1, says(2, 3)))
    assert found == [Transition("ban", G, 2, MOVING, ABSENT, "")]


def test_bans_refused_tables_and_shots_are_events_too() -> None:
    story = one_of_three()
    ban = {G: Ban(240, "exit 1")}
    refused = {"hactl": "hactl:1:1: no"}
    found = changes(story, lambda: story.hear(1, says(2, bans=ban, refused=refused)))
    assert found == [
        Transition("table", "hactl", 2, ABSENT, "refused", "hactl:1:1: no"),
        Transition("ban", G, 2, ABSENT, "banned", "exit 1"),
    ]
    story.now += 30
    story.hear(1, says(3, 20))
    story.hear(1, says(2, 20))
    story.now += 11
    story.hear(1, says(2, 21))
    story.miss(1, 3)
    found = changes(story, lambda: story.shots(1))
    assert found == [Transition("shot", "", 3, ABSENT, "running", "")]


def test_who_disarms_fencing_and_that_it_is_armed_again_are_events() -> None:
    story = one_of_three()
    told = says(2, 9, disarms={1: Disarm(2, 30, "switch 3 is replaced")})
    found = changes(story, lambda: story.hear(1, told))
    cause = "from node 2: switch 3 is replaced"
    assert found == [Transition("fencing", "", 1, "armed", "disarmed", cause)]

    def ends() -> None:
        story.now += 31
        story.nodes[1].fence_orders(story.now)

    assert changes(story, ends) == [Transition("fencing", "", 1, "disarmed", "armed", "")]


def test_that_shots_are_held_back_is_an_event_and_that_they_are_not_any_more() -> None:
    story = one_of_three()
    found = changes(story, lambda: state(story).holds.update({3: Hold("budget", (2,))}))
    cause = "within ten minutes a minority of the nodes was shot or found dead already (2)"
    assert found == [Transition("hold", "", 3, ABSENT, "held back: budget", cause)]
    found = changes(story, state(story).holds.clear)
    assert found == [Transition("hold", "", 3, "held back: budget", ABSENT, "")]


def test_that_a_node_is_on_probation_is_an_event_and_its_end_too() -> None:
    story = one_of_three()
    found = changes(story, lambda: story.hear(1, says(2, 9, probations={3: 60, 2: 5}), says(3)))
    cause = "found dead 3 times within an hour, it owns no group"
    both = [Transition("probation", "", node, ABSENT, "on probation", cause) for node in (2, 3)]
    assert found == both
    over = changes(story, lambda: story.hear(1, says(2, 10, probations={2: 4}), says(3)))
    assert over == [Transition("probation", "", 3, "on probation", ABSENT, "")]


def test_a_node_is_fenced_by_a_method_or_by_an_operator() -> None:
    story = one_of_three()
    only_3_is_stale(story)
    proof = {3: Receipt(INC, "fence_apc", Grade.OFF_CONFIRMED)}
    found = changes(story, lambda: story.hear(1, says(2, 20, fenced=proof)))
    assert found == [Transition("node", "", 3, "stale", "fenced", "fence_apc, off-confirmed")]


def test_a_kill_that_came_too_late_on_another_node_is_an_event_until_it_was_looked_at() -> None:
    story = one_of_three()
    found = changes(story, lambda: story.hear(1, says(2, 7, late_kills={G: 4000})))
    late = ("killed too late", "it may have run on two nodes")
    assert found == [Transition("late-kill", G, 2, ABSENT, *late)]
    found = changes(story, lambda: story.hear(1, says(2, 8)))
    assert found == [Transition("late-kill", G, 2, "killed too late", ABSENT, "")]


def test_a_shot_is_an_event_when_it_begins_and_not_while_it_is_only_announced() -> None:
    story = one_of_three()
    shots = state(story).shots
    assert changes(story, lambda: shots.update({3: Shot(3, INC, 0.0, AIMING, "")})) == []
    found = changes(story, lambda: shots.update({3: Shot(3, INC, 0.0, RUNNING, "ipmi")}))
    assert found == [Transition("shot", "", 3, ABSENT, "running (ipmi)", "")]


def test_a_clinit_that_has_not_answered_yet_has_not_died() -> None:
    story = Story()
    assert state(story).published is None
    assert changes(story, story.nodes[1].clinit_lost) == []


def test_a_clinit_that_dies_and_one_that_answers_again_are_events() -> None:
    story = one_of_three()
    assert story.nodes[1].state.published is not None
    found = changes(story, story.nodes[1].clinit_lost)
    assert found == [Transition("clinit", "", 1, ABSENT, "does not answer", "")]
    found = changes(story, lambda: story.nodes[1].clinit_answered([], story.now))
    assert Transition("clinit", "", 1, "does not answer", ABSENT, "") in found


def test_an_entry_that_is_not_well_is_an_event_until_it_is() -> None:
    story = one_of_three()
    wrong = {(G, "d"): Trouble("d", TroubleKind.PAUSING, 6, 1, "exit 1: no port")}
    found = changes(story, lambda: story.hear(1, says(2, 3, troubles=wrong)))
    assert found == [Transition("entry", G, 2, ABSENT, "d pausing", "exit 1: no port")]
    later = {(G, "d"): Trouble("d", TroubleKind.PAUSING, 6, 9, "exit 1: no port")}
    assert changes(story, lambda: story.hear(1, says(2, 4, troubles=later))) == []
    found = changes(story, lambda: story.hear(1, says(2, 5)))
    assert found == [Transition("entry", G, 2, "d pausing", ABSENT, "")]


# --- failures, and what follows ------------------------------------------------------------------


def kinds(found: list[Transition]) -> list[tuple[str, str, str, str]]:
    return [(it.kind, it.before, it.after, it.cause) for it in found]


def test_a_monitor_that_fails_and_each_restart_for_it_are_events() -> None:
    story = one_of_three()
    story.hear(1, says(2, 2, claims={G: 3}))
    ill = {(G, "ok"): Trouble("ok", TroubleKind.UNHEALTHY, text="exit 7")}
    found = changes(story, lambda: story.hear(1, says(2, 3, claims={G: 3}, troubles=ill)))
    assert kinds(found) == [
        ("health", ABSENT, "unhealthy", "monitor ok fails: exit 7"),
        ("entry", ABSENT, "ok unhealthy", "exit 7"),
    ]
    for seq, count in ((4, 1), (5, 2)):
        known = {G: Restarts(count, 0, "start", (), "monitor ok failed")}
        found = changes(
            story,
            lambda: story.hear(1, says(2, seq, claims={G: 3}, restarts=known)),  # noqa: B023 - at once
        )
    assert kinds(found) == [("restart", "1 time", "2 times", "monitor ok failed")]
    assert changes(story, lambda: story.hear(1, says(2, 6, claims={G: 3}))) == []


def test_a_group_that_is_given_up_stopped_for_good_and_freed_is_an_event_each_time() -> None:
    story = one_of_three()
    story.hear(1, says(3, 2))
    reason = "failed 3 times in 10m (on-failure=move:3/10m), last entry webd"
    found = changes(story, lambda: story.hear(1, says(3, 3, bans={G: Ban(9, reason)})))
    assert kinds(found) == [("ban", ABSENT, GIVEN_UP, reason)]
    held = {"claims": {G: 4}, "exhausted": {G: reason}}
    found = changes(story, lambda: story.hear(1, says(3, 4, **held)))
    assert ("exhausted", ABSENT, FOR_GOOD, reason) in kinds(found)
    found = changes(story, lambda: story.hear(1, says(3, 5)))
    assert kinds(found) == [("exhausted", FOR_GOOD, ABSENT, "")]


def test_what_this_node_restarts_and_stops_for_good_are_events_too() -> None:
    story = one_of_three()
    record = state(story).record(G)

    def happens() -> None:
        record.in_place = RestartedInPlace(1, story.now, "start", (), "monitor ok failed")
        record.exhausted = "failed 3 times"

    assert kinds(changes(story, happens)) == [
        ("restart", ABSENT, "1 time", "monitor ok failed"),
        ("exhausted", ABSENT, FOR_GOOD, "failed 3 times"),
    ]


def test_what_a_node_did_before_it_was_heard_is_no_event() -> None:
    story = alone_again()
    known = {
        "restarts": {G: Restarts(1, 500, "start", (), "monitor ok failed")},
        "gave_way": {G: GaveWay("db", 10, 4, 500)},
    }
    found = changes(story, lambda: story.hear(1, says(2, 2, **known)))
    assert [it.kind for it in found] == ["quorum", "node"]
    again = {"gave_way": {G: GaveWay("mail", 7, 6, 0)}}
    found = changes(story, lambda: story.hear(1, says(2, 3, **again)))
    assert [it.kind for it in found] == ["gave-way"]
    assert found[0].after == "gave way to mail (priority 7)"
