"""Orders of an operator: obeyed once, by whom they concern, and nothing of them stays behind."""

from __future__ import annotations

import tracemalloc

import pytest
from msgspec.structs import replace

from mosha.core.cluster import group_step, orders
from mosha.core.cluster.entry_orders import ORDER_MIN_S
from mosha.core.cluster.state import (
    TOLD_LIMIT_S,
    FailbackAttempt,
    StandingAnswer,
    WaitingEntryOrder,
)
from mosha.core.explain import unanswered
from mosha.core.status import (
    Ban,
    EntryAnswer,
    EntryVerb,
    GroupState,
    Order,
    Receipt,
    Stamp,
    Trouble,
    TroubleKind,
    Verb,
)
from mosha.core.supervision.entries import EntryReport
from mosha.core.tables import Mode, Wish
from mosha.core.tell import Tell
from tests.core.story import INC, TIMING, G, Story, hactl, report

LONG_S = 3 * TIMING.timeout_s


def running(wish: Wish | None = None) -> tuple[Story, int]:
    """Three nodes, one of which runs the group."""
    story = Story(wishes=hactl(wish or Wish(G, "start")))
    story.live(LONG_S)
    (owner,) = story.at_home()
    return story, owner


def others(story: Story, node: int) -> list[int]:
    return sorted(story.ids - {node})


def test_a_restart_stops_and_starts_where_it_runs_under_the_same_claim() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    term = story.nodes[owner].state.record(G).claim
    order = Order(Verb.RESTART, G)
    number = orders.give(story.nodes[issuer].state, order, story.now)
    story.nodes[owner].take_notes()
    story.live(LONG_S)
    assert story.at_home() == [owner]
    assert story.nodes[owner].state.record(G).claim == term
    told = [n.fields["to"] for n in story.nodes[owner].take_notes() if n.event == "group_told"]
    assert told == ["stop", "test", "start"], "once, though the order still stands"
    assert orders.have_obeyed(story.nodes[issuer].state, {owner}, number) == {owner}


def test_a_restart_is_obeyed_when_it_starts_again_and_not_before() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    number = orders.give(state, Order(Verb.RESTART, G), story.now)
    assert not orders.have_obeyed(state, {owner}, number)
    story.live(LONG_S)
    assert orders.have_obeyed(state, {owner}, number)


@pytest.mark.parametrize("own", [False, True])
def test_orders_are_obeyed_once_also_if_their_node_begins_a_new_incarnation(*, own: bool) -> None:
    story, owner = running()
    issuer = owner if own else others(story, owner)[0]
    giver = story.nodes[issuer]
    number = orders.give(giver.state, Order(Verb.RESTART, G), story.now)
    story.nodes[owner].take_notes()
    story.live(6.0)
    receipt = Receipt(giver.state.inc, "operator")  # somebody calls dead who lives
    said = story.nodes[others(story, issuer)[0]].next_status(story.now)
    story.hear(issuer, replace(said, fenced={issuer: receipt}))
    assert giver.state.inc > receipt.inc
    story.live(12.0)
    told = [n.fields["to"] for n in story.nodes[owner].take_notes() if n.event == "group_told"]
    assert told == ["stop", "test", "start"]
    assert orders.have_obeyed(giver.state, {owner}, number) == {owner}


def test_orders_of_another_life_and_of_other_nodes_stay_what_they_are() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    issuer, other = others(story, owner)
    record = state.record(G)
    record.restarts = tuple((node, Stamp(INC, 1)) for node in (issuer, other))
    for key, inc in {(issuer, 1): INC, (issuer, 2): INC - 1, (other, 1): INC}.items():
        state.entry_orders[key] = WaitingEntryOrder(inc, "stop", G, "r", f"{key}", 1, "start")
        state.answers[key] = StandingAnswer(EntryAnswer(inc, ok=True), story.now)
        state.passed_over[key] = inc
    state.taken[issuer] = Stamp(INC - 1, 7)
    state.dirty = False
    orders.go_on_counting(state, issuer, INC, INC + 5)
    assert record.restarts == ((issuer, Stamp(INC + 5, 1)), (other, Stamp(INC, 1)))
    now = {(issuer, 1): INC + 5, (issuer, 2): INC - 1, (other, 1): INC}
    assert {key: waits.inc for key, waits in state.entry_orders.items()} == now
    assert {key: standing.answer.inc for key, standing in state.answers.items()} == now
    assert state.passed_over == now
    assert state.taken[issuer] == Stamp(INC - 1, 7)
    assert state.dirty


def test_a_monitor_that_was_started_again_gives_orders_of_its_own() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    issuer = others(story, owner)[0]
    said = state.view.peer(issuer).status
    assert said is not None
    given = {1: Order(Verb.RESTART, G)}
    story.hear(owner, replace(said, seq=said.seq + 1, orders=given))
    orders.obeyed(state, issuer, Stamp(INC, 1))
    state.record(G).restarts = ()
    story.hear(owner, replace(said, inc=INC + 5, run="another", seq=1, orders=given))
    assert state.record(G).restarts == ((issuer, Stamp(INC + 5, 1)),)


def test_an_order_of_before_a_monitors_restart_is_not_obeyed_by_a_later_one() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    giver = story.nodes[issuer].state
    restart = orders.give(giver, Order(Verb.RESTART, G), story.now)
    story.write(issuer)
    story.start(owner)  # it has not read that yet
    story.live(2 * TIMING.heartbeat_s)
    standby = orders.give(giver, Order(Verb.STANDBY, "", issuer), story.now)
    story.live(LONG_S)
    assert orders.have_obeyed(giver, {owner}, standby) == {owner}
    assert not orders.have_obeyed(giver, {owner}, restart)
    story.live(LONG_S)
    assert not giver.orders
    assert not orders.have_obeyed(giver, {owner}, restart), "now that it stands no longer"


def test_an_order_that_stood_while_its_node_was_not_heard_is_not_obeyed_by_a_later_one() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    giver = story.nodes[issuer].state
    first = orders.give(giver, Order(Verb.CLEANUP, G, owner), story.now)
    story.live(2 * TIMING.heartbeat_s)
    run = unanswered.run_of(giver, owner)
    order = Order(Verb.RESTART, G)
    restart = orders.give(giver, order, story.now)
    assert not unanswered.loss(giver, order, owner, restart, run)
    orders.drop_old(giver, story.now + max(ORDER_MIN_S, LONG_S))  # nobody has heard it
    why = f"node {owner} has not answered while the order stood"
    assert unanswered.loss(giver, order, owner, restart, run) == why
    later = orders.give(giver, Order(Verb.CLEANUP, G, owner), story.now)
    story.live(2 * TIMING.heartbeat_s)
    assert [orders.have_obeyed(giver, {owner}, it) for it in (first, restart, later)] == [
        {owner},
        set(),
        {owner},
    ]


def test_a_restart_under_way_is_waited_for_when_its_order_stands_no_longer() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    order = Order(Verb.RESTART, G)
    for node in (issuer, owner):
        state = story.nodes[node].state
        number = orders.give(state, order, story.now)
        run = unanswered.run_of(state, owner)
        story.write(node)
        story.read(owner, issuer)
        story.write(owner)
        story.read(issuer, owner)
        orders.drop_old(state, story.now + max(ORDER_MIN_S, LONG_S))
        assert number not in state.orders
        assert not unanswered.loss(state, order, owner, number, run)


def test_numbers_that_nobody_counts_to_cost_nothing() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    state = story.nodes[owner].state
    said = state.view.peer(issuer).status
    assert said is not None
    last = 100_000
    given = {1: Order(Verb.CLEANUP, G, issuer), last: Order(Verb.CLEANUP, G, issuer)}
    tracemalloc.start()
    try:
        story.hear(owner, replace(said, seq=said.seq + 1, orders=given))
        assert tracemalloc.get_traced_memory()[1] < last  # less than a byte for each
    finally:
        tracemalloc.stop()
    missed = {(issuer, last - back) for back in range(1, orders.ORDERS_MAX + 1)}
    assert set(state.passed_over) == missed


def test_orders_that_are_passed_over_are_remembered_and_not_without_bound() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    said = story.nodes[issuer].next_status(story.now)
    for inc, numbers in ((INC, range(1, orders.ORDERS_MAX + 3)), (INC + 1, range(1, 3))):
        story.start(owner)
        state = story.nodes[owner].state
        given = {number: Order(Verb.RESTART, G) for number in numbers}
        story.hear(owner, replace(said, inc=inc, orders=given))
        assert set(state.passed_over) == {(issuer, n) for n in numbers[-orders.ORDERS_MAX :]}
    other = others(story, owner)[1]
    state.passed_over[other, 7] = INC
    orders.hear(state, None, replace(said, inc=INC + 2, orders={1: Order(Verb.RESTART, G)}), 0.0)
    assert state.passed_over == {(other, 7): INC, (issuer, 1): INC + 2}


def test_orders_of_another_life_that_were_not_heard_are_passed_over() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    state = story.nodes[owner].state
    said = state.view.peer(issuer).status
    assert said is not None
    order = Order(Verb.CLEANUP, G, issuer)
    story.hear(owner, replace(said, seq=said.seq + 1, orders={9: order}))
    inc = said.inc + 1
    story.hear(owner, replace(said, inc=inc, run="another", orders={3: order}))
    assert state.passed_over == {(issuer, 1): inc, (issuer, 2): inc}


def test_a_restart_waits_for_the_grant_of_a_claim_that_is_gone_on_with() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    record = state.record(G)
    record.granted = False
    order = Order(Verb.RESTART, G)
    number = orders.give(state, order, story.now)
    assert not orders.have_obeyed(state, {owner}, number)
    story.nodes[owner].take_notes()
    story.live(LONG_S)
    told = [n.fields["to"] for n in story.nodes[owner].take_notes() if n.event == "group_told"]
    assert told == ["stop", "test", "start"]
    assert orders.have_obeyed(state, {owner}, number) == {owner}


def test_two_restarts_at_once_are_one_and_both_are_obeyed_by_it() -> None:
    story, owner = running()
    numbers = {
        n: orders.give(story.nodes[n].state, Order(Verb.RESTART, G), story.now)
        for n in others(story, owner)
    }
    story.live(LONG_S)
    for issuer, number in numbers.items():
        assert orders.have_obeyed(story.nodes[issuer].state, {owner}, number) == {owner}


def test_a_later_order_of_the_same_node_does_not_make_a_restart_seem_obeyed() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    state = story.nodes[issuer].state
    restart = orders.give(state, Order(Verb.RESTART, G), story.now)
    later = orders.give(state, Order(Verb.CLEANUP, G, owner), story.now)
    story.write(issuer)
    story.read(owner, issuer)
    story.write(owner)
    story.read(issuer, owner)
    assert orders.have_obeyed(state, {owner}, later) == {owner}
    assert not orders.have_obeyed(state, {owner}, restart)
    story.live(LONG_S)
    assert orders.have_obeyed(state, {owner}, restart) == {owner}


def test_what_is_under_way_for_an_earlier_life_of_the_node_is_another_order() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    state = story.nodes[issuer].state
    number = orders.give(state, Order(Verb.CLEANUP, G, owner), story.now)
    for inc, obeyed in ((state.inc - 1, {owner}), (state.inc, set())):
        known = state.view.peer(owner).status
        assert known is not None
        said = replace(
            known,
            seq=known.seq + 1,
            obeyed={issuer: Stamp(state.inc, number)},
            unfinished={(issuer, number): inc},
        )
        story.hear(issuer, said)
        assert orders.have_obeyed(state, {owner}, number) == obeyed


def test_c7_a_report_that_is_late_is_not_taken_for_the_end_of_what_was_told() -> None:
    story, owner = running()
    brain = story.nodes[owner]
    orders.give(brain.state, Order(Verb.RESTART, G), story.now)
    story.step(owner)
    tell = brain.step(G, story.now, 0.0).tell  # clinit obeys; its report lags behind
    assert tell is not None
    assert tell.level == "test"
    claim = brain.state.record(G).claim
    brain.state.record(G).lease_until += 2 * TOLD_LIMIT_S  # it is renewed all the time
    story.now += TOLD_LIMIT_S
    step = brain.step(G, story.now, 0.0)
    assert step.row is not None
    assert (step.row.name, brain.state.record(G).claim) == ("told, never seen", claim)
    assert brain.step(G, story.now, 0.0).tell is None
    assert brain.state.record(G).claim == claim
    assert step.tell is not None
    story.obey(owner, tell)
    story.obey(owner, step.tell)
    assert story.step(owner).row is not None
    assert brain.state.record(G).claim is None


def test_a_restart_whose_test_fails_is_a_move() -> None:
    story, owner = running()
    story.fails[owner, "test"] = "test entry t: exit 1"
    orders.give(story.nodes[owner].state, Order(Verb.RESTART, G), story.now)
    story.live(LONG_S)
    assert len(story.at_home()) == 1
    assert story.at_home() != [owner]


@pytest.mark.parametrize("named", [False, True])
def test_a_move_leaves_nothing_behind(*, named: bool) -> None:
    story, owner = running()
    target = others(story, owner)[1]
    order = Order(Verb.MOVE, G, target if named else 0)
    orders.give(story.nodes[others(story, owner)[0]].state, order, story.now)
    story.live(LONG_S)
    assert story.at_home() == [target] if named else story.at_home() != [owner]
    assert len(story.at_home()) == 1
    assert not any(brain.state.record(G).ban_reason for brain in story.nodes.values())
    story.live(TIMING.ban_s)
    assert story.at_home() != [owner], "it stays"


@pytest.mark.parametrize("ban_s", [TIMING.ban_s, 0.0])
def test_a_move_whose_stop_takes_longer_than_a_ban_is_no_return(ban_s: float) -> None:
    story, owner = running()
    for node in story.nodes.values():
        node.state.timing = replace(node.state.timing, ban_s=ban_s)
    target = others(story, owner)[1]
    story.slow.add(owner)
    orders.give(story.nodes[owner].state, Order(Verb.MOVE, G, target), story.now)
    story.live(2 * TIMING.ban_s)
    assert TIMING.ban_s > TIMING.timeout_s
    assert story.clinits[owner][G].alive, "still being stopped"
    story.stopped(owner)
    story.live(LONG_S)
    assert story.at_home() == [target]


def test_a_move_to_a_node_that_cannot_run_it_comes_back() -> None:
    story, owner = running(Wish(G, "start", only=(1, 2)))
    target = 3 - owner
    story.fails[target, "test"] = "test entry t: exit 1"
    orders.give(story.nodes[3].state, Order(Verb.MOVE, G, target), story.now)
    story.live(LONG_S)
    assert story.at_home() == [owner]


def test_cleanup_ends_bans_on_one_node_or_on_all() -> None:
    story, owner = running(Wish(G, "start", only=(1,)))
    assert owner == 1
    assert orders.fail_refusal(story.nodes[1].state, G) == ""
    assert "does not run on node 2" in orders.fail_refusal(story.nodes[2].state, G)
    orders.fail(story.nodes[1].state, G, "no answer", story.now)
    moment_s = TIMING.ban_s / 4
    story.live(moment_s)
    assert story.at_home() == []
    assert story.files[1].bans[G].reason == "no answer"
    orders.give(story.nodes[3].state, Order(Verb.CLEANUP, G, 2), story.now)
    story.live(moment_s)
    assert story.at_home() == []
    orders.give(story.nodes[3].state, Order(Verb.CLEANUP, G), story.now)
    story.live(moment_s)
    assert story.at_home() == [1]


@pytest.mark.parametrize("wish", [Wish(G, "stop"), Wish(G, "start")])
def test_cleanup_from_any_node_tries_again_what_failed_at_stop(wish: Wish) -> None:
    story, owner = running()
    story.fails[owner, "stop"] = "umount: exit 1: target is busy"
    for node in story.nodes.values():
        node.state.hactl = hactl(wish)
        node.state.wake_all()
    if wish.level == "start":
        orders.give(story.nodes[owner].state, Order(Verb.MOVE, G), story.now)
    story.live(LONG_S)
    assert story.nodes[owner].state.report(G).stop_failed
    story.live(LONG_S)
    assert story.nodes[owner].state.report(G).stop_failed, "nobody tries again by itself"
    del story.fails[owner, "stop"]
    issuer = others(story, owner)[0]
    number = orders.give(story.nodes[issuer].state, Order(Verb.CLEANUP, G, owner), story.now)
    story.live(LONG_S)
    assert orders.have_obeyed(story.nodes[issuer].state, {owner}, number)
    assert not story.nodes[owner].state.report(G).stop_failed
    assert len(story.at_home()) == (wish.level == "start")


def test_cleanup_runs_the_stop_entries_again_also_where_the_group_is_wanted() -> None:
    story, owner = running()
    story.fails[owner, "stop"] = "umount: exit 1: target is busy"
    orders.give(story.nodes[owner].state, Order(Verb.MOVE, G), story.now)
    story.live(LONG_S)
    assert story.nodes[owner].state.report(G).stop_failed
    orders.give(story.nodes[owner].state, Order(Verb.CLEANUP, G, owner), story.now)
    story.live(LONG_S)
    assert story.nodes[owner].state.report(G).stop_failed, "what failed was not mended"
    assert story.at_home() == []


def test_cleanup_runs_no_stop_entries_where_another_node_has_the_group_by_now() -> None:
    story, owner = running()
    story.fails[owner, "stop"] = "umount: exit 1: target is busy"
    orders.give(story.nodes[owner].state, Order(Verb.MOVE, G), story.now)
    story.live(LONG_S)
    state = story.nodes[owner].state
    assert state.report(G).stop_failed
    record = state.record(G)
    assert record.claim is not None
    state.view.know_term(G, record.claim + 1)
    record.granted, record.lease_until = False, story.now - 1.0  # it was paused, and has lost it
    record.shown_from = 10**6  # no voter echoes the claim
    record.stops_again = True
    step = group_step.take(state, G, story.now, 0.0)
    assert step.row is not None
    assert step.row.name == "stop failed, overtaken"
    assert step.tell == Tell(G, "stop", record.claim, str(owner), story.now, story.now)


def test_cleanup_forgets_a_stop_that_failed_if_no_lease_comes_back_for_t() -> None:
    story, owner = running()
    story.fails[owner, "stop"] = "umount: exit 1: target is busy"
    orders.give(story.nodes[owner].state, Order(Verb.MOVE, G), story.now)
    story.live(LONG_S)
    state = story.nodes[owner].state
    record = state.record(G)
    record.granted, record.lease_until = False, story.now - 1.0
    record.shown_from = 10**6  # no voter echoes the claim
    orders.give(state, Order(Verb.CLEANUP, G, owner), story.now)
    waits = group_step.take(state, G, story.now, 0.0)
    assert waits.tell is None
    assert waits.wake_at <= story.now + TIMING.timeout_s
    over = story.now + TIMING.timeout_s
    step = group_step.take(state, G, over, 0.0)
    assert step.tell == Tell(G, "stop", record.claim or 0, str(owner), over, over)


def test_cleanup_forgets_a_stop_that_failed_without_a_claim() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    other = others(story, owner)[0]
    state = story.nodes[other].state
    state.reports[G] = report("stop", alive=0, state=GroupState.FAILED, wanted="stop", term=3)
    state.record(G).stops_again = True
    step = group_step.take(state, G, story.now, 0.0)
    assert step.tell == Tell(G, "stop", 3, str(other), story.now, story.now)


def test_cleanup_takes_note_of_what_could_not_be_run_at_stop() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    wrong = EntryReport("umount", Mode.ONCE, "done", error="cannot execute: No such file")
    state.reports[G] = report("stop", alive=0, entries=(wrong,), since=story.now)
    assert state.troubles(G, story.now)
    story.now += 1.0
    orders.give(state, Order(Verb.CLEANUP, G), story.now)
    assert not state.troubles(G, story.now)
    state.reports[G] = report("stop", alive=0, entries=(wrong,), since=story.now + 1.0)
    assert state.troubles(G, story.now + 2.0), "it has failed again"


def test_a_node_on_standby_runs_nothing_and_votes() -> None:
    story, owner = running()
    issuer, third = others(story, owner)
    orders.give(story.nodes[issuer].state, Order("standby", node=owner), story.now)
    story.live(LONG_S)
    (there,) = story.at_home()
    assert there != owner
    assert story.files[owner].standby
    story.die(there)
    story.live(2 * LONG_S)  # it votes: two of three are enough
    assert story.at_home() == [next(n for n in (issuer, third) if n != there)]
    orders.give(story.nodes[owner].state, Order("unstandby", node=owner), story.now)
    story.live(LONG_S)
    assert not story.files[owner].standby


def test_a_node_that_leaves_remembers_that_it_is_to_be_on_standby() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    leaving = story.nodes[owner]
    leaving.leave()
    number = orders.give(story.nodes[issuer].state, Order(Verb.STANDBY, "", owner), story.now)
    story.write(issuer)
    story.read(owner, issuer)
    made = leaving.next_status(story.now, left=True)
    assert made.obeyed[issuer] == Stamp(INC, number)
    assert leaving.memory(made).standby


def test_orders_that_stood_before_this_node_listened_are_not_for_it() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    orders.give(story.nodes[issuer].state, Order(Verb.RESTART, G), story.now)
    story.write(issuer)
    restarted = story.start(owner, inc=INC + 1)
    story.read(owner, issuer)
    assert restarted.state.record(G).restarts == ()


def test_orders_stand_for_a_while_and_not_without_bound() -> None:
    story, owner = running()
    brain = story.nodes[owner]
    for _turn in range(2 * orders.ORDERS_MAX):
        number = orders.give(brain.state, Order(Verb.CLEANUP, G), story.now)
    assert number == 2 * orders.ORDERS_MAX
    assert len(brain.next_status(story.now).orders) == orders.ORDERS_MAX
    later = story.now + max(ORDER_MIN_S, LONG_S)
    assert brain.next_status(later).orders == {}
    assert orders.give(brain.state, Order(Verb.CLEANUP, G), later) == number + 1


def test_orders_stand_until_every_node_that_is_not_stale_has_read_them() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    state.timing = replace(state.timing, timeout_s=2 * ORDER_MIN_S)
    number = orders.give(state, Order(Verb.CLEANUP, G), story.now)
    assert state.orders[number].until == story.now + 4 * ORDER_MIN_S


def test_what_runs_nowhere_is_restarted_by_nobody() -> None:
    story, owner = running()
    idle = others(story, owner)[0]
    state = story.nodes[idle].state
    story.show(idle, report("stop", GroupState.DONE, alive=0))
    number = orders.give(state, Order(Verb.RESTART, G), story.now)
    assert orders.have_obeyed(state, {idle}, number)
    assert state.record(G).restarts == ()


def test_a_failure_that_is_reported_during_a_move_is_a_ban_like_any_other() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    orders.give(state, Order(Verb.MOVE, G), story.now)
    assert state.record(G).moved_to == 0
    orders.fail(state, G, "no route", story.now)
    record = state.record(G)
    assert (record.moved_to, record.ban_reason) == (None, "no route")
    assert record.ban_until == story.now + state.timing.ban_s


def test_cleanup_forgets_failbacks_in_vain_and_kills_that_came_too_late() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    state.record(G).failbacks[2] = FailbackAttempt(1)
    assert orders.has_failed(state, G, owner)
    orders.give(state, Order(Verb.CLEANUP, G, owner), story.now)
    assert not orders.has_failed(state, G, owner)
    story.show(owner, report("start", killed_late_s=1.5))
    assert orders.has_failed(state, G, owner)
    orders.give(state, Order(Verb.CLEANUP, G, owner), story.now)
    assert not orders.has_failed(state, G, owner)


def test_of_too_many_restarts_the_last_ones_are_waited_for() -> None:
    story, owner = running()
    state = story.nodes[owner].state
    for _ in range(orders.ORDERS_MAX + 1):
        number = orders.give(state, Order(Verb.RESTART, G), story.now)
    assert [stamp.seq for _, stamp in state.record(G).restarts][-1] == number
    assert not orders.have_obeyed(state, {owner}, number)


def test_a_ban_on_another_node_is_to_be_forgotten() -> None:
    story, owner = running()
    idle = others(story, owner)[0]
    state = story.nodes[idle].state
    said = state.view.peer(owner).status
    assert said is not None
    assert not orders.has_failed(state, G, owner)
    story.hear(idle, replace(said, seq=said.seq + 1, bans={G: Ban(60_000, "no route")}))
    assert orders.has_failed(state, G, owner)


def test_a_group_that_nobody_else_may_take_is_not_kept_from_its_node_by_a_move() -> None:
    story, owner = running(Wish(G, "start", only=(1,)))
    state = story.nodes[owner].state
    orders.give(state, Order(Verb.MOVE, G), story.now)
    assert orders.has_arrived(state, state.record(G), story.now)


def test_what_a_node_does_for_an_earlier_life_is_not_waited_for() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    giver, order = story.nodes[issuer].state, Order(Verb.RESTART, G)
    number, run = orders.give(giver, order, story.now), unanswered.run_of(giver, owner)
    orders.drop_old(giver, story.now + max(ORDER_MIN_S, LONG_S))
    said = giver.view.peer(owner).status
    assert said is not None
    why = f"node {owner} has not answered while the order stood"
    for back, told in ((1, why), (0, "")):
        under_way = {(issuer, number): giver.inc - back}
        story.hear(issuer, replace(said, seq=said.seq + 2 - back, unfinished=under_way))
        assert unanswered.loss(giver, order, owner, number, run) == told


def test_an_entry_that_does_not_end_is_ending() -> None:
    story, owner = running()
    issuer = others(story, owner)[0]
    giver, order = story.nodes[issuer].state, Order(EntryVerb.STOP, G, tag="t")
    said = giver.view.peer(owner).status
    assert said is not None
    for seq, (kind, ending) in enumerate(
        ((TroubleKind.FAILING, False), (TroubleKind.LATE, True), (TroubleKind.STOPPED, True)), 1
    ):
        troubles = {(G, "t"): Trouble("t", kind)}
        story.hear(issuer, replace(said, seq=said.seq + seq, troubles=troubles))
        assert unanswered.is_ending(giver, order, owner) is ending
