"""What operators order of a group with `on=all`, and what they are told of its instances."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders
from mosha.core.explain import verdicts
from mosha.core.explain.addressees import concerned
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.status import EntryVerb, NodeState, Order, Verb
from mosha.core.tables import Entry, Mode, Wish
from mosha.errors import UsageError
from tests.core.story import TIMING, G, Story, hactl
from tests.core.test_instances import EVERYWHERE, G1, G2, G3, ONCE, owners

WALL_S, T = 1.8e9, TIMING.timeout_s


def everywhere() -> Story:
    story = Story(wishes=EVERYWHERE)
    story.live(T)
    assert owners(story) == [[1], [2], [3]]
    return story


def terms(story: Story) -> list[int | None]:
    return [story.nodes[it].state.record(f"{G}@{it}").claim for it in (1, 2, 3)]


def told(story: Story, node: int) -> list[object]:
    notes = story.nodes[node].take_notes()
    return [note.fields["to"] for note in notes if note.event == "group_told"]


def test_the_wish_of_an_instance_is_the_line_of_its_group() -> None:
    story = everywhere()
    for group in (G, G2):
        found = why(story.nodes[1].state, group, story.now, WALL_S)
        (wish,) = (reason.said for reason in found.reasons if reason.rule == "wish")
        assert wish.startswith("hactl wants it at start prefer=any only=any ")
        assert wish.endswith(" on=all")


# --- orders ------------------------------------------------------------------------------


def test_a_restart_of_the_group_restarts_each_instance_and_of_an_instance_that_one() -> None:
    for group, concerns in ((G, {1, 2, 3}), (G2, {2})):
        story = everywhere()
        before = terms(story)
        order = Order(Verb.RESTART, group)
        assert concerned(story.nodes[1].state, order, story.now) == concerns
        for brain in story.nodes.values():
            brain.take_notes()
        number = orders.give(story.nodes[1].state, order, story.now)
        story.live(T)
        for node in story.ids:
            assert told(story, node) == (["stop", "test", "start"] if node in concerns else [])
        assert terms(story) == before
        assert orders.have_obeyed(story.nodes[1].state, concerns, number) == concerns


def test_a_restart_concerns_the_instances_that_run() -> None:
    story = everywhere()
    story.die(3)
    story.live(2 * T)
    assert concerned(story.nodes[1].state, Order(Verb.RESTART, G), story.now) == {1, 2}
    with pytest.raises(UsageError, match="g@3 runs nowhere"):
        concerned(story.nodes[1].state, Order(Verb.RESTART, G3), story.now)


def test_an_entry_of_the_group_is_ordered_on_each_node() -> None:
    story = everywhere()
    state = story.nodes[1].state
    state.defined = {G: (Entry(G, "t", "start", Mode.RESPAWN, "serve"),)}
    assert concerned(state, Order(EntryVerb.STOP, G, tag="t"), story.now) == {1, 2, 3}
    orders.give(state, Order(EntryVerb.STOP, G, tag="t"), story.now)
    (sent,) = state.to_clinit
    assert (sent.group, sent.tag) == (G1, "t")
    with pytest.raises(UsageError, match="g@1 has no entry 'x'"):
        concerned(state, Order(EntryVerb.STOP, G, tag="x"), story.now)


def test_cleanup_of_the_group_lifts_the_ban_of_each_instance() -> None:
    story = everywhere()
    for node in (1, 2):
        orders.fail(story.nodes[node].state, f"{G}@{node}", "exit 1", story.now)
    story.live(1.0)
    state = story.nodes[1].state
    assert [orders.has_failed(state, G, node) for node in (1, 2, 3)] == [True, True, False]
    assert owners(story) == [[], [], [3]]
    orders.give(state, Order(Verb.CLEANUP, G), story.now)
    story.live(T)
    assert owners(story) == [[1], [2], [3]]


@pytest.mark.parametrize("group", [G, G2])
def test_a_move_is_refused_and_what_to_do_instead_is_told(group: str) -> None:
    story = everywhere()
    with pytest.raises(UsageError) as refused:
        concerned(story.nodes[1].state, Order(Verb.MOVE, group, 2), story.now)
    assert str(refused.value) == (
        "g runs on each node (on=all in hactl): there is nothing to move; to keep it off a node"
        " leave that out of only=: mosha set g start only=1,3"
    )


# --- status, why, why-not ------------------------------------------------------------------


def test_why_of_the_group_tells_of_each_instance() -> None:
    story = everywhere()
    found = why(story.nodes[1].state, G, story.now, WALL_S)
    assert (found.ok, found.verdict) == (True, "as hactl wants it: 3 instances")
    said = [reason.said for reason in found.reasons if reason.rule == "instance"]
    assert said[1] == "g@2: as hactl wants it: start DONE on node 2"
    orders.fail(story.nodes[2].state, G2, "exit 1", story.now)
    story.live(1.0)
    found = why(story.nodes[1].state, G, story.now, WALL_S)
    assert not found.ok
    assert found.verdict.startswith("1 of 3 instances not as wanted: g@2: no node can run it")
    assert found.next == "mosha why g@2"


def test_why_not_of_the_group_is_about_the_instance_of_that_node() -> None:
    story = everywhere()
    orders.fail(story.nodes[2].state, G2, "exit 1", story.now)
    story.live(1.0)
    found = why_not(story.nodes[1].state, G2, 2, story.now, WALL_S)
    assert "banned on node 2" in found.verdict
    found = why_not(story.nodes[1].state, G2, 3, story.now, WALL_S)
    assert found.verdict == "it is the instance of node 2"


def verdict(story: Story, group: str) -> tuple[bool, str]:
    found = verdicts.judge(story.nodes[1].state, group, story.now)
    return found.ok, found.why


def test_an_instance_whose_node_is_on_standby_or_has_left_is_as_wanted() -> None:
    story = everywhere()
    story.nodes[2].state.standby = True
    story.nodes[2].state.changed()
    story.nodes[2].state.wake_all()
    story.live(T)
    assert verdict(story, G2) == (True, "node 2: on standby")
    assert why(story.nodes[1].state, G2, story.now, WALL_S).verdict == (
        "as hactl wants it: it runs nowhere; node 2: on standby"
    )
    story.die(3)
    story.live(2 * T)
    ok, text = verdict(story, G3)
    assert (ok, text.startswith("no node can run it: ")) == (False, True)


def test_an_instance_whose_node_has_left_in_good_order_is_as_wanted() -> None:
    story = everywhere()
    story.nodes[3].leave()
    story.live(1.0)
    assert owners(story) == [[1], [2], []]
    said = story.files[3]
    story.die(3)
    story.hear(1, replace(said, seq=said.seq + 1, state=NodeState.LEFT))
    assert verdict(story, G3) == (True, "node 3: left in an orderly way")


def test_what_waits_for_a_rival_says_for_which_and_where() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(3,))))
    story.live(T)
    for node in (1, 2):
        story.adopt_tables(node, EVERYWHERE)
    story.live(1.0)
    waits = "g is to end first: still start DONE on node 3"
    assert verdict(story, G1) == (False, waits)
    assert verdict(story, G) == (False, "still start DONE on node 3")


def test_a_single_group_waits_for_an_instance_and_says_so() -> None:
    story = everywhere()
    story.adopt_tables(1, ONCE)
    story.live(1.0)
    assert owners(story) == [[], [2], [3]]
    assert verdict(story, G) == (False, "g@2 is to end first: still start DONE on node 2")


def test_an_instance_that_hactl_does_not_want_says_what_hactl_has() -> None:
    story = everywhere()
    story.adopt_tables(1, ONCE)
    found = why(story.nodes[1].state, G2, story.now, WALL_S)
    (wish,) = (reason.said for reason in found.reasons if reason.rule == "wish")
    assert wish == "hactl has g on one node, without on=all: it is to be stopped"
    other = Story(wishes=EVERYWHERE)
    other.show(1, other.nodes[1].state.report(G))
    found = why(other.nodes[1].state, "g@9", other.now, WALL_S)
    (wish,) = (reason.said for reason in found.reasons if reason.rule == "wish")
    assert wish == "hactl has no instance of g there: it is to be stopped"


def test_a_stop_of_the_group_that_has_failed_is_told_of_its_instance() -> None:
    story = everywhere()
    story.fails[2, "stop"] = "exit 1"
    for node in story.ids:
        story.adopt_tables(node, hactl(Wish(G, "stop", on_all=True)))
    story.live(T)
    ok, text = verdict(story, G2)
    assert not ok
    assert text.startswith("its stop entries failed on node 2")
    assert verdict(story, G) == (True, "")


def test_the_next_step_for_the_instance_of_a_dead_node_is_to_bring_that_back() -> None:
    story = everywhere()
    story.die(3)
    story.live(3 * T)
    told = verdicts.judge(story.nodes[1].state, G3, story.now)
    assert told.why.startswith("no node can run it: node 1: it is the instance of node 3")
    assert told.next == "bring node 3 back"
