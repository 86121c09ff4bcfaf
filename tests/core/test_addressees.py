"""Which nodes an order concerns, and why one is refused: in words that are true."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mosha.core.cluster import orders
from mosha.core.explain import unanswered
from mosha.core.explain.addressees import concerned, stops_again, unreached
from mosha.core.status import Ban, GroupLine, GroupState, Order, Verb
from mosha.core.tables import Wish
from mosha.errors import UsageError
from tests.core.story import G, Story, hactl, one_of_three, says
from tests.core.test_may_run import (
    HAS_A_VOTE,
    NO_QUORUM,
    NOT_FENCED,
    cut_off,
    one_way_cut,
    stale_owner,
)
from tests.core.test_verdicts import at, heard, only_3_is_stale, state


def refusal(story: Story, verb: Verb, node: int = 0) -> str:
    with pytest.raises(UsageError) as refused:
        concerned(state(story), Order(verb, G, node), story.now)
    return str(refused.value)


def concerned_by(story: Story, verb: Verb, node: int = 0) -> frozenset[int]:
    return concerned(state(story), Order(verb, G, node), story.now)


@pytest.mark.parametrize("order", [(Verb.RESTART, 0), (Verb.MOVE, 1), (Verb.MOVE, 0)])
@pytest.mark.parametrize(
    ("story", "why"),
    [
        (lambda: stale_owner(required=True), NOT_FENCED),
        (cut_off, f"{NO_QUORUM}; node 3 may run it"),
        (one_way_cut, HAS_A_VOTE),
    ],
)
def test_a_group_that_may_run_unseen_is_not_called_to_run_nowhere(
    story: Callable[[], Story], why: str, order: tuple[Verb, int]
) -> None:
    made = story()
    state(made).hactl = hactl(Wish(G, "start"))
    assert refusal(made, *order) == f"no node that is heard runs g: {why}; see mosha why g"


def test_what_has_failed_at_stop_is_not_called_restarted_and_the_remedy_is_told() -> None:
    failed = {G: GroupLine("stop", GroupState.FAILED)}
    story = heard(Wish(G, "start"), says(2, claims={G: 4}, groups=failed))
    said = refusal(story, Verb.RESTART)
    assert said.startswith("g cannot be restarted: its stop entries failed on node 2")
    assert "mosha cleanup g 2" in said


def test_one_node_where_it_has_failed_at_stop_is_enough_to_refuse() -> None:
    failed = {G: GroupLine("stop", GroupState.FAILED)}
    at_2, at_3 = says(2, claims={G: 4}, groups=failed), says(3, claims={G: 5}, groups=at("start"))
    story = heard(Wish(G, "start"), at_2, at_3)
    assert concerned_by(story, Verb.CLEANUP) == {1, 2, 3}
    assert refusal(story, Verb.RESTART).startswith("g cannot be restarted: its stop entries failed")


def test_a_restart_whose_stop_fails_is_waited_for_no_longer() -> None:
    story = heard(Wish(G, "start"), says(2, claims={G: 4}, groups=at("start")))
    order = Order(Verb.RESTART, G)
    number = orders.give(state(story), order, story.now)
    run = unanswered.run_of(state(story), 2)
    assert not unanswered.loss(state(story), order, 2, number, run)
    story.hear(1, says(2, 9, claims={G: 4}, groups={G: GroupLine("stop", GroupState.FAILED)}))
    said = "its stop entries failed on node 2: repair that, then mosha cleanup g"
    assert unanswered.loss(state(story), order, 2, number, run) == said


def test_a_group_that_runs_nowhere_for_sure_is_said_to() -> None:
    story = heard(Wish(G, "start"), says(2))
    assert refusal(story, Verb.RESTART) == "g runs nowhere; see mosha why g"


def test_a_node_that_only_leaves_out_is_let_in_by_a_command_that_can_be_typed() -> None:
    story = heard(Wish(G, "start", only=(2,)), says(2, claims={G: 4}, groups=at("start")))
    assert (
        refusal(story, Verb.MOVE, 1) == "only= of g leaves out node 1: mosha set g start only=2,1"
    )


def test_of_a_group_that_cltab_has_no_more_no_start_is_advised() -> None:
    story = one_of_three()
    story.nodes[1].state.cltab_groups = frozenset()
    with pytest.raises(UsageError, match=f"cltab has no group {G} any more"):
        concerned(story.nodes[1].state, Order(Verb.RESTART, G), story.now)


def test_a_cleanup_of_all_nodes_names_those_that_it_does_not_reach() -> None:
    story = heard(Wish(G, "start"), says(2), says(3, bans={G: Ban(240, "entry t1: exit 1")}))
    order = Order(Verb.CLEANUP, G)
    assert unreached(state(story), order, concerned(state(story), order, story.now)) == ""
    only_3_is_stale(story)
    reached = concerned(state(story), order, story.now)
    assert reached == {1, 2}
    assert unreached(state(story), order, reached) == (
        "; not reached: node 3 is stale (failed on node 3, by the last status);"
        " when they are heard again: mosha cleanup g"
    )
    assert unreached(state(story), Order(Verb.CLEANUP, G, 2), frozenset({2})) == ""
    assert unreached(state(story), Order(Verb.MOVE, G, 2), reached) == ""


def test_a_cleanup_runs_a_stop_again_unless_another_node_has_claimed_the_group_since() -> None:
    failed = {G: GroupLine("stop", GroupState.FAILED)}
    story = heard(Wish(G, "start"), says(2, claims={G: 4}, groups=failed), says(3))
    order, nodes = Order(Verb.CLEANUP, G), frozenset({1, 2, 3})
    assert stops_again(state(story), order, nodes) == {2}
    assert stops_again(state(story), Order(Verb.MOVE, G), nodes) == frozenset()
    assert stops_again(state(story), order, frozenset({3})) == frozenset()
    story.hear(1, says(3, 9, claims={G: 5}))
    assert stops_again(state(story), order, nodes) == frozenset()


def test_an_order_concerns_the_nodes_where_the_group_runs() -> None:
    story = one_of_three()
    story.hear(1, says(2, claims={G: 4}, groups=at("start")), says(3))
    assert concerned_by(story, Verb.MOVE, 3) == {2}


def test_a_group_with_only_is_moved_to_the_next_of_its_nodes() -> None:
    story = heard(
        Wish(G, "start", only=(2, 3)), says(2, claims={G: 4}, groups=at("start")), says(3)
    )
    assert concerned_by(story, Verb.MOVE) == concerned_by(story, Verb.MOVE, 3) == {2}


@pytest.mark.parametrize("verb", [Verb.CLEANUP, Verb.STANDBY, Verb.UNSTANDBY])
def test_a_node_that_is_not_heard_gets_no_order(verb: Verb) -> None:
    story = stale_owner(required=True)
    told = "node 3 is not heard; give the order when it is, or there"
    assert refusal(story, verb, 3) == told
    assert concerned(state(story), Order(verb, G, 2), story.now) == {2}


def test_a_group_is_not_moved_to_a_node_that_cannot_take_it() -> None:
    story = one_of_three()
    here = says(2, claims={G: 4}, groups=at("start"))
    story.hear(1, here, says(3, bans={G: Ban(60, "no route")}))
    assert refusal(story, Verb.MOVE, 3) == "node 3 cannot take g now: mosha why-not g 3"
    assert concerned(state(story), Order(Verb.MOVE, G), story.now) == {2}
