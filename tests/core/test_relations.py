"""Groups that relate: `after`, `with`, `apart`, and the reverse order of stopping (relations)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders, relations
from mosha.core.cluster.peers import Standing
from mosha.core.cluster.quorum import QuorumState
from mosha.core.cluster.relation_graph import NO_RELATIONS, graph_of
from mosha.core.cluster.relations import HOLD_LIMIT_S
from mosha.core.status import GroupLine, GroupState, NodeState, Order, Verb
from mosha.core.tables import STOP_LEVEL, Hactl, Wish
from tests.core.story import INC, STEP_S, TIMING, Story, hactl, status

DB, WEB = "db", "web"
T = TIMING.timeout_s
SETTLED_S = 2.0


def told(*wishes: Wish, nodes: Iterable[int] = (1, 2, 3)) -> Story:
    """Nodes that hear each other, with these wishes in force, some time after their start."""
    story = Story(nodes, wishes=hactl(*wishes))
    story.live(3 * T)
    return story


def edit(story: Story, *wishes: Wish) -> None:
    story.wishes = Hactl({**story.wishes.wishes, **{wish.group: wish for wish in wishes}})
    for node in story.nodes:
        story.adopt_tables(node)


def order(story: Story, verb: Verb, group: str = "", *, on: int = 1, node: int = 0) -> None:
    orders.give(story.nodes[on].state, Order(verb, group, node), story.now)


def level_of(story: Story, group: str) -> str:
    levels = [
        held[group].level
        for held in story.clinits.values()
        if group in held and held[group].present
    ]
    return levels[0] if levels else "nowhere"


ORDERED = (Wish(DB, "start", prefer=(1,)), Wish(WEB, "start", prefer=(2,), after=(DB,)))


# --- after ---------------------------------------------------------------------------------------


def test_a_group_starts_once_what_it_comes_after_is_at_its_level() -> None:
    story = told(*ORDERED)
    assert (story.at_home(DB), story.at_home(WEB)) == ([1], [2])


def test_it_is_not_claimed_before() -> None:
    story = told(Wish(DB, "stop"), ORDERED[1])
    assert story.owners(WEB) == []
    assert not any(WEB in brain.state.claimed for brain in story.nodes.values())
    edit(story, ORDERED[0])
    story.live(SETTLED_S)
    assert (story.at_home(DB), story.at_home(WEB)) == ([1], [2])


def test_it_waits_at_test_while_the_node_of_the_other_is_not_heard() -> None:
    story = told(*ORDERED)
    edit(story, replace(ORDERED[1], level="stop"))
    story.live(SETTLED_S)
    story.cuts |= {(2, 1), (3, 1)}
    for _ in range(round(2 * T / STEP_S)):  # claimed in the last moment in which it is seen
        if story.nodes[2].state.view.speaks(1):
            edit(story, replace(ORDERED[1], level="stop"))
            story.step(2, WEB)
            edit(story, ORDERED[1])
            story.step(2, WEB)
            story.live(STEP_S)
    rows = []
    for _ in range(8):
        story.live(STEP_S)
        row = story.step(2, WEB).row
        rows.append((level_of(story, WEB), row.name if row is not None else ""))
    assert ("test", "waits to go on") in rows
    story.cuts.clear()
    story.live(2 * T)
    assert len(story.at_home(WEB)) == 1


def test_a_group_is_bound_to_one_instance() -> None:
    story = told(*ORDERED)
    term = story.clinits[2][WEB].term
    bound = story.nodes[2].state.record(WEB).bound
    bound[DB] = bound[DB]._replace(term=bound[DB].term + 1)  # it has not seen how that one ended
    story.live(SETTLED_S)
    assert (story.at_home(WEB), story.clinits[2][WEB].term > term) == ([2], True)


def test_what_waits_for_a_group_that_was_stopped_for_good_waits_no_longer() -> None:
    story = told(*ORDERED)
    state = story.nodes[2].state
    state.record(WEB).bound.clear()  # as at its tests
    assert relations.unmet(state, WEB, state.me) == ""
    stopped = {DB: GroupLine(STOP_LEVEL, GroupState.DONE)}
    claims = {DB: story.clinits[1][DB].term}
    story.hear(2, status(1, 10**6, claims=claims, groups=stopped, exhausted={DB: "failed"}))
    assert "after=" in relations.unmet(state, WEB, state.me)


def test_silence_alone_stops_nothing() -> None:
    story = told(Wish(DB, "start", only=(1,)), ORDERED[1])
    term = story.clinits[2][WEB].term
    story.die(1)
    story.live(3 * T)
    assert (story.at_home(WEB), story.clinits[2][WEB].term) == ([2], term)


def test_a_death_that_is_known_stops_what_came_after_the_dead() -> None:
    story = told(Wish(DB, "start", only=(1,)), ORDERED[1])
    story.die(1)
    story.live(2 * T)
    assert story.at_home(WEB) == [2]
    story.nodes[2].confirmed(1, story.now)
    story.live(SETTLED_S)
    assert story.owners(WEB) == []


def test_a_move_lasts_as_long_as_what_has_to_stop_first() -> None:
    story = told(*ORDERED)
    story.slow.add(2)
    order(story, Verb.MOVE, DB)
    story.live(2 * TIMING.ban_s)
    assert story.owners(DB) == [1]
    story.slow.clear()
    story.stopped(2, WEB)
    story.live(T)
    assert story.at_home(DB) in ([2], [3])


def test_a_stop_in_good_order_stops_first_what_comes_after() -> None:
    story = told(*ORDERED)
    story.slow.add(2)
    edit(story, replace(ORDERED[0], level="stop"))
    story.live(SETTLED_S)
    assert story.clinits[2][WEB].state is GroupState.STOPPING
    assert story.owners(DB) == [1]
    story.stopped(2, WEB)
    story.live(SETTLED_S)
    assert (story.owners(DB), story.owners(WEB)) == ([], [])


@pytest.mark.parametrize("verb", [Verb.RESTART, Verb.MOVE])
def test_so_do_a_restart_and_a_move_and_all_starts_again(verb: Verb) -> None:
    story = told(*ORDERED)
    before = story.clinits[2][WEB].term
    story.slow.add(2)
    order(story, verb, DB, on=1)
    story.live(SETTLED_S)
    assert story.clinits[2][WEB].state is GroupState.STOPPING
    assert story.at_home(DB) == [1]
    story.slow.clear()
    story.stopped(2, WEB)
    story.live(2 * T)
    assert len(story.at_home(DB)) == len(story.at_home(WEB)) == 1
    assert (story.at_home(DB) == [1]) is (verb is Verb.RESTART)
    (node,) = story.at_home(WEB)
    assert story.clinits[node][WEB].term > before


def test_a_node_that_leaves_keeps_the_order() -> None:
    story = told(*ORDERED)
    story.slow.add(2)
    story.nodes[1].leave()
    story.live(SETTLED_S)
    assert story.owners(DB) == [1]
    story.slow.clear()
    story.stopped(2, WEB)
    story.live(SETTLED_S)
    assert story.nodes[1].halted()


def test_a_stop_waits_no_longer_than_its_limit() -> None:
    story = told(*ORDERED)
    story.slow.add(2)
    edit(story, replace(ORDERED[0], level="stop"))
    story.live(HOLD_LIMIT_S - 1.0)
    assert story.owners(DB) == [1]
    story.live(SETTLED_S)
    assert story.owners(DB) == []


def test_a_stop_does_not_wait_for_a_node_that_is_not_heard() -> None:
    story = told(*ORDERED)
    story.cuts |= {(1, 2), (3, 2)}
    story.live(T + SETTLED_S)
    edit(story, replace(ORDERED[0], level="stop"))
    story.live(SETTLED_S)
    assert story.owners(DB) == []


def test_a_lost_lease_waits_for_nothing() -> None:
    story = told(*ORDERED)
    story.slow.add(2)
    story.cuts |= {(1, 2), (1, 3), (2, 1), (3, 1)}
    story.live(T)
    assert story.owners(DB) == []


def test_a_failure_that_somebody_reports_waits_for_what_comes_after_the_group() -> None:
    story = told(*ORDERED)
    state = story.nodes[1].state
    orders.fail(state, DB, "it answers with nonsense", story.now)
    row = story.step(1, DB).row
    assert row is not None
    assert (row.name, state.record(DB).leaving) == ("held back", "not wanted")
    assert story.at_home(DB) == [1]
    story.live(2 * SETTLED_S)
    assert (len(story.at_home(WEB)), story.at_home(DB)) == (1, [3])


def test_a_node_that_obeys_a_poison_pill_or_was_displaced_waits_for_nothing() -> None:
    story = told(*ORDERED)
    state = story.nodes[1].state
    assert relations.held(state, state.record(DB), story.now)
    state.displaced = True
    assert not relations.held(state, state.record(DB), story.now)
    state.displaced = False
    story.hear(1, replace(story.files[2], seq=10**6, pills={1: INC}))
    assert list(relations.dependants(state, DB)) == [(WEB, 2)]
    assert not relations.held(state, state.record(DB), story.now)


def test_a_node_that_has_lost_its_quorum_waits_for_nothing_though_its_lease_is_not_over() -> None:
    story = told(*ORDERED, nodes=(1, 2, 3, 4, 5))
    state = story.nodes[1].state
    for node in (3, 4, 5):
        assert relations.held(state, state.record(DB), story.now)
        said = story.files[node]
        story.hear(1, replace(said, seq=said.seq + 1, state=NodeState.LEFT))
    assert state.view.quorum_state is QuorumState.NO
    assert state.record(DB).granted
    assert list(relations.dependants(state, DB)) == [(WEB, 2)]
    assert not relations.held(state, state.record(DB), story.now)


def test_a_group_without_a_lease_that_is_told_to_leave_or_only_planned_is_not_come_after() -> None:
    story = told(*ORDERED)
    state = story.nodes[1].state
    record = state.record(DB)
    assert relations.awaited(state, WEB, state.me) == ""
    record.granted = False
    assert (
        relations.awaited(state, WEB, state.me)
        == "waits for db (after=): it is start DONE on node 1"
    )
    record.granted, record.told_level = True, STOP_LEVEL
    assert "about to leave (told to stop)" in relations.awaited(state, WEB, state.me)


def test_those_that_a_mark_concerns_take_a_step() -> None:
    story = told(*ORDERED)
    brain = story.nodes[1]
    record = brain.state.record(DB)
    brain.take_to_step()
    relations.hold(brain.state, record, "a test", story.now)
    assert WEB in brain.take_to_step()
    relations.stay(brain.state, record)
    assert WEB in brain.take_to_step()


def test_what_after_no_longer_names_is_forgotten() -> None:
    story = told(*ORDERED)
    edit(story, Wish(WEB, "start", prefer=(2,)))
    story.live(SETTLED_S)
    assert story.nodes[2].state.record(WEB).bound == {}


def test_what_has_failed_at_stop_holds_nothing_back() -> None:
    story = told(*ORDERED)
    story.fails[2, "stop"] = "exit 1"
    edit(story, replace(ORDERED[0], level="stop"))
    story.live(SETTLED_S)
    assert story.owners(DB) == []


def test_a_node_that_is_not_heard_says_nothing_until_the_group_is_seen_elsewhere() -> None:
    story = told(*ORDERED)
    term = story.clinits[2][WEB].term
    story.die(1)
    story.live(T - 1.0)
    assert story.clinits[2][WEB].term == term
    assert story.at_home(WEB) == [2]
    story.live(2 * T)
    assert (story.at_home(DB), len(story.at_home(WEB))) == ([3], 1)
    assert max(held[WEB].term for held in story.clinits.values() if WEB in held) > term


def test_a_restart_of_the_monitor_stops_nothing() -> None:
    story = told(*ORDERED)
    terms = story.clinits[1][DB].term, story.clinits[2][WEB].term
    for node in (2, 1):
        story.start(node, inc=200)
        story.live(SETTLED_S)
    assert (story.clinits[1][DB].term, story.clinits[2][WEB].term) == terms
    assert story.nodes[2].state.record(WEB).bound[DB] == (1, terms[0])


def test_after_a_restart_the_file_of_a_dead_node_starts_nothing() -> None:
    story = told(ORDERED[0], replace(ORDERED[1], level=STOP_LEVEL))
    story.die(1)
    edit(story, ORDERED[1])
    story.start(2, inc=200)
    story.start(3, inc=300)
    story.live(T / 2)
    said = relations.awaited(story.nodes[2].state, WEB, 2)
    assert said == f"waits for db (after=): node 1 {relations.NOT_SINCE}"
    assert level_of(story, WEB) == "nowhere"


def test_a_restart_stops_nothing_either_while_the_node_of_the_other_was_never_heard() -> None:
    story = told(*ORDERED)
    term = story.clinits[2][WEB].term
    story.cuts.add((2, 1))
    story.start(2, inc=200)
    story.live(3 * T)
    assert story.nodes[2].state.view.standing(1) is Standing.NEVER
    assert (story.at_home(WEB), story.clinits[2][WEB].term) == ([2], term)


def test_an_edit_binds_what_runs_and_stops_what_may_not_run() -> None:
    story = told(Wish(DB, "start", prefer=(1,)), Wish(WEB, "start", prefer=(2,)))
    term = story.clinits[2][WEB].term
    edit(story, ORDERED[1])
    story.live(SETTLED_S)
    assert (story.at_home(WEB), story.clinits[2][WEB].term) == ([2], term)
    story = told(Wish(DB, "stop"), Wish(WEB, "start", prefer=(2,)))
    edit(story, ORDERED[1])
    story.live(SETTLED_S)
    assert story.owners(WEB) == []


def test_a_chain_stops_from_its_end() -> None:
    story = told(*ORDERED, Wish("front", "start", prefer=(3,), after=(WEB,)))
    assert story.at_home("front") == [3]
    story.slow |= {2, 3}
    edit(story, replace(ORDERED[0], level="stop"))
    story.live(SETTLED_S)
    assert (story.owners(DB), story.owners(WEB)) == ([1], [2])
    story.stopped(3, "front")
    story.live(SETTLED_S)
    assert story.owners(DB) == [1]
    assert story.clinits[2][WEB].state is GroupState.STOPPING
    story.stopped(2, WEB)
    story.live(SETTLED_S)
    assert story.owners(DB) == []


# --- with ----------------------------------------------------------------------------------------

TOGETHER = (Wish(DB, "start", prefer=(1,)), Wish(WEB, "start", prefer=(3,), with_=(DB,)))


def test_a_group_runs_where_the_one_it_is_with_runs_and_follows_it() -> None:
    story = told(*TOGETHER)
    assert story.at_home(WEB) == story.at_home(DB) == [1]
    order(story, Verb.MOVE, DB, node=2)
    story.live(2 * T)
    assert story.at_home(WEB) == story.at_home(DB) == [2]


def test_it_does_not_run_where_it_may_not_and_starts_nowhere_else() -> None:
    story = told(TOGETHER[0], Wish(WEB, "start", only=(2, 3), with_=(DB,)))
    assert (story.at_home(DB), story.owners(WEB)) == ([1], [])


def test_it_stops_when_the_other_is_not_to_run_here_any_more() -> None:
    story = told(*TOGETHER)
    edit(story, replace(TOGETHER[0], level="stop"))
    story.step(1, WEB)
    assert story.owners(WEB) == []


def test_a_restart_of_the_monitor_leaves_both_running() -> None:
    story = told(*TOGETHER)
    terms = [story.clinits[1][group].term for group in (DB, WEB)]
    story.start(1, inc=200)
    story.live(SETTLED_S)
    assert [story.clinits[1][group].term for group in (DB, WEB)] == terms


def test_a_restart_of_the_one_leaves_the_other_running() -> None:
    story = told(*TOGETHER)
    term = story.clinits[1][WEB].term
    story.slow.add(1)
    order(story, Verb.RESTART, DB)
    story.live(SETTLED_S)
    assert story.clinits[1][DB].state is GroupState.STOPPING
    assert (story.at_home(WEB), story.clinits[1][WEB].term) == ([1], term)
    story.slow.clear()
    story.stopped(1, DB)
    story.live(SETTLED_S)
    assert (story.at_home(DB), story.clinits[1][WEB].term) == ([1], term)


def test_one_that_is_stopped_there_or_has_no_lease_here_is_not_run_with() -> None:
    story = told(TOGETHER[0], replace(TOGETHER[1], level="stop"))
    state = story.nodes[1].state
    assert relations.alone(state, WEB, DB, 1) == ""
    state.record(DB).granted = False
    assert relations.alone(state, WEB, DB, 1) == "db (with=) is not here"
    for level, why in (("start", ""), (STOP_LEVEL, "db (with=) is not there")):
        groups = {DB: GroupLine(level, GroupState.STARTING)}
        story.hear(1, status(2, 10**6 + len(why), claims={DB: 9}, groups=groups))
        assert relations.alone(state, WEB, DB, 2) == why


# --- on=all --------------------------------------------------------------------------------------


def test_a_group_comes_after_the_instance_of_its_own_node() -> None:
    every = Wish(DB, "start", on_all=True, only=(2, 3))
    story = told(every, Wish(WEB, "start", prefer=(2,), after=(DB,), with_=(DB,)))
    assert story.at_home(WEB) == [2]
    assert story.nodes[2].state.record(WEB).bound.keys() == {f"{DB}@2"}
    story.slow.add(2)
    story.nodes[2].leave()
    story.live(SETTLED_S)
    assert story.owners(f"{DB}@2") == [2]
    assert story.clinits[2][WEB].state is GroupState.STOPPING
    story.slow.clear()
    story.stopped(2, WEB)
    story.live(2 * T)
    assert (story.at_home(WEB), story.owners(f"{DB}@2")) == ([3], [])


def test_the_instance_of_another_node_does_not_wait_for_it() -> None:
    every = Wish(DB, "start", on_all=True)
    story = told(every, Wish(WEB, "start", prefer=(1,), after=(DB,)))
    assert (story.at_home(WEB), story.owners(f"{DB}@2")) == ([1], [2])
    story.nodes[2].leave()
    story.live(SETTLED_S)
    assert story.owners(f"{DB}@2") == []


def test_each_instance_comes_after_a_single_group() -> None:
    story = told(Wish(DB, "stop"), Wish(WEB, "start", on_all=True, after=(DB,)))
    assert [story.owners(f"{WEB}@{node}") for node in (1, 2, 3)] == [[], [], []]
    edit(story, ORDERED[0])
    story.live(SETTLED_S)
    assert [story.owners(f"{WEB}@{node}") for node in (1, 2, 3)] == [[1], [2], [3]]


# --- apart ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("says", [DB, WEB])
def test_two_groups_apart_never_share_a_node(says: str) -> None:
    wishes = {
        group: Wish(group, "start", prefer=(1,), apart=((DB, WEB)[says == DB],) * (says == group))
        for group in (DB, WEB)
    }
    story = told(*wishes.values())
    assert len(story.at_home(DB)) == len(story.at_home(WEB)) == 1
    assert story.at_home(DB) != story.at_home(WEB)


def test_a_group_waits_where_only_the_node_of_the_other_is_left() -> None:
    story = told(Wish(DB, "start", only=(1,)), Wish(WEB, "start", only=(1,), apart=(DB,)))
    assert (story.at_home(DB), story.owners(WEB)) == ([1], [])


@pytest.mark.parametrize(
    ("one", "two", "stays"),
    [
        (Wish(DB, "start"), Wish(WEB, "start", apart=(DB,)), DB),
        (Wish(DB, "start", apart=(WEB,)), Wish(WEB, "start"), WEB),
        (Wish(DB, "start", apart=(WEB,)), Wish(WEB, "start", apart=(DB,)), DB),
        (Wish(DB, "start"), Wish(WEB, "start", apart=(DB,), priority=1), WEB),
    ],
)
def test_of_two_that_are_on_one_node_one_leaves(one: Wish, two: Wish, stays: str) -> None:
    story = told(Wish(DB, "start", prefer=(1,)), Wish(WEB, "start", prefer=(1,)))
    assert story.at_home(DB) == story.at_home(WEB) == [1]
    edit(story, one, two)
    story.live(T)
    assert story.at_home(stays) == [1]
    leaves = DB if stays == WEB else WEB
    assert story.at_home(leaves) in ([2], [3])


def test_what_another_node_runs_without_a_claim_keeps_a_group_away() -> None:
    story = told(Wish(DB, "stop"), Wish(WEB, "stop", apart=(DB,)))
    state = story.nodes[1].state
    assert relations.beside(state, WEB, 2) == ""
    story.hear(1, status(2, 10**6, groups={DB: GroupLine("start", GroupState.DONE)}))
    assert relations.beside(state, WEB, 2) == DB


# --- the graph -----------------------------------------------------------------------------------


def test_a_table_without_relations_has_the_empty_graph() -> None:
    assert graph_of(hactl(Wish(DB, "start"), Wish(WEB, "start"))) is NO_RELATIONS


def test_a_change_of_a_group_concerns_only_those_that_relate_to_it() -> None:
    graph = graph_of(
        hactl(
            Wish("a", "start"), Wish("b", "start", after=("a",)), Wish("c", "start", with_=("b",))
        )
    )
    assert graph.concerned == {"a": {"b"}, "b": {"a", "c"}}
    assert graph.dependants == {"a": ("b",)}
