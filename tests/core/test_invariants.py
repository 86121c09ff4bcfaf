"""Each invariant holds in the life of a cluster, and each can be broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mosha.core.cluster import invariants
from mosha.core.cluster.agent import Agent
from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.events import GroupsReported, TimePassed
from mosha.core.cluster.state import GroupRecord, MonitorState
from mosha.core.replication.node_tables import NodeTables
from mosha.core.status import Vote
from mosha.errors import BugError
from tests.core.story import INC, PLACES, TIMING, G, Story, one_of_three, status

Break = Callable[[MonitorState, GroupRecord], None]


def owner() -> Story:
    """Node 1 owns `g`: it has a claim, the votes, and a lease."""
    story = Story()
    story.live(TIMING.timeout_s)
    return story


def check(story: Story) -> None:
    for node in story.nodes.values():
        invariants.check(node.state, node.seq, story.now)


def test_they_hold_in_a_cluster_that_lives_and_loses_a_node() -> None:
    story = owner()
    check(story)
    (home,) = story.at_home()
    story.die(home)
    for _ in range(60):
        story.live(TIMING.heartbeat_s / 2)
        check(story)
    assert story.at_home() not in ([], [home])


def _vote(node: int, term: int) -> Vote:
    return Vote(term=term, node=node, inc=INC, seq=1)


BROKEN: list[tuple[str, Break]] = [
    ("known as", lambda state, _: state.claimed.clear()),
    ("the last one made is", lambda state, _: setattr(state, "published", status(1, 99_999))),
    ("its highest term is", lambda _, record: setattr(record, "ballot", Ballot(_vote(1, 9), 8))),
    ("knows of none above", lambda state, _: state.view.terms.clear()),
    (
        "its own vote is for term",
        lambda state, record: setattr(record, "ballot", Ballot(_vote(state.me, 9), 9)),
    ),
    ("without a lease", lambda _, record: setattr(record, "lease_until", -float("inf"))),
    ("its lease ends", lambda _, record: setattr(record, "lease_until", record.lease_until + 100)),
    ("is shown from status", lambda _, record: setattr(record, "shown_from", 99_999)),
]


@pytest.mark.parametrize(("told", "broken"), BROKEN, ids=[told for told, _ in BROKEN])
def test_each_is_noticed_when_it_is_broken(told: str, broken: Break) -> None:
    story = owner()
    (home,) = story.at_home()
    state = story.nodes[home].state
    record = state.record(G)
    assert record.granted
    broken(state, record)
    with pytest.raises(BugError, match=told):
        invariants.check(state, story.nodes[home].seq, story.now)


@pytest.mark.parametrize("left", ["granted", "activated", "killed", "shown_from"])
def test_nothing_of_a_claim_outlives_it(left: str) -> None:
    story = owner()
    (other, *_) = {1, 2, 3} - {*story.at_home()}
    state = story.nodes[other].state
    setattr(state.record(G), left, 1)
    with pytest.raises(BugError, match=f"node {other}, group g: .* claim"):
        invariants.check(state, story.nodes[other].seq, story.now)


def test_an_agent_looks_after_each_turn_of_a_group() -> None:
    story = one_of_three()
    agent = Agent(story.nodes[1], NodeTables(1, PLACES))
    agent.handle(GroupsReported(full=True), story.now)
    agent.handle(TimePassed(0.5), story.now)
    story.nodes[1].state.record("h").killed = True
    story.nodes[1].state.wake(("h",))
    with pytest.raises(BugError, match="group h: there is a lease without a claim"):
        agent.handle(TimePassed(0.5), story.now)
