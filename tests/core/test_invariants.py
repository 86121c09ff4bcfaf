"""Each invariant holds in the life of a cluster, and each can be broken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mosha.core.cluster.agent import Agent
from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.events import GroupsReported, LeaveAsked, TimePassed
from mosha.core.cluster.flight_recorder import EVENTS_MAX, OF_THE_NODE, FlightRecorder, Handler
from mosha.core.cluster.invariants import Invariants
from mosha.core.cluster.node import Node, Renewal
from mosha.core.cluster.state import NEVER, GroupRecord, LogRecord, MonitorState
from mosha.core.replication.node_tables import NodeTables
from mosha.core.status import Vote
from mosha.errors import BugError
from tests.core.story import INC, PLACES, TIMING, G, Story, one_of_three, report, status

Break = Callable[[MonitorState, GroupRecord], None]


def owner() -> Story:
    """Node 1 owns `g`: it has a claim, the votes, and a lease."""
    story = Story()
    story.live(TIMING.timeout_s)
    return story


def invariants_of(node: Node, now: float) -> Invariants:
    """The invariants of a node that have looked at it once."""
    found = Invariants(node, FlightRecorder(node.state.me))
    found.check(now)
    return found


def test_they_hold_in_a_cluster_that_lives_and_loses_a_node() -> None:
    story = owner()
    watched = [invariants_of(node, story.now) for node in story.nodes.values()]
    (home,) = story.at_home()
    story.die(home)
    for _ in range(60):
        story.live(TIMING.heartbeat_s / 2)
        for each in watched:
            each.check(story.now)
    assert story.at_home() not in ([], [home])


def _vote(node: int, term: int) -> Vote:
    return Vote(term=term, node=node, inc=INC, seq=1)


def _claim_again(state: MonitorState, record: GroupRecord) -> None:
    """Claim a higher term, vote and all, as if what runs had been released."""
    assert record.claim is not None
    record.claim += 1
    state.view.know_term(record.group, record.claim)
    record.ballot = Ballot(_vote(state.me, record.claim), record.claim)


def _claim_below(_: MonitorState, record: GroupRecord) -> None:
    record.claim, record.ballot = 0, Ballot(None, 1)


def _vote_below(state: MonitorState, record: GroupRecord) -> None:
    record.ballot = Ballot(_vote(state.me % 3 + 1, 0), 1)


def _take_other_for_claimed(state: MonitorState, record: GroupRecord) -> None:
    state.claimed[record.group], record.killed = GroupRecord(record.group), True


def _lose_term(state: MonitorState, record: GroupRecord) -> None:
    state.view.terms[record.group] -= 1
    record.killed = True


BROKEN: list[tuple[str, Break]] = [
    ("known as", lambda state, _: state.claimed.clear()),
    ("claims are known of", _take_other_for_claimed),
    ("the last one made is", lambda state, _: setattr(state, "published", status(1, 99_999))),
    ("it was at status", lambda state, _: setattr(state, "inc", state.inc - 1)),
    ("its highest term is", lambda _, record: setattr(record, "ballot", Ballot(_vote(1, 9), 8))),
    ("its highest term was", lambda _, record: setattr(record, "ballot", Ballot(None, 0))),
    ("had voted in term", _vote_below),
    ("of group g it knew term", lambda state, _: state.view.terms.clear()),
    ("the highest term known", _lose_term),
    (
        "its own vote is for term",
        lambda state, record: setattr(record, "ballot", Ballot(_vote(state.me, 9), 9)),
    ),
    ("without a lease", lambda _, record: setattr(record, "lease_until", -float("inf"))),
    ("its lease ends", lambda _, record: setattr(record, "lease_until", record.lease_until + 100)),
    (
        "its lease was until",
        lambda _, record: setattr(record, "lease_until", record.lease_until - 1),
    ),
    ("its claim was of term", _claim_below),
    ("which was not released", _claim_again),
    ("is shown from status", lambda _, record: setattr(record, "shown_from", 99_999)),
]


@pytest.mark.parametrize(("told", "broken"), BROKEN, ids=[told for told, _ in BROKEN])
def test_each_is_noticed_when_it_is_broken(told: str, broken: Break) -> None:
    story = owner()
    (home,) = story.at_home()
    node = story.nodes[home]
    invariants, record = invariants_of(node, story.now), node.state.record(G)
    assert record.granted
    broken(node.state, record)
    with pytest.raises(BugError, match=told):
        invariants.check(story.now)


@pytest.mark.parametrize("left", ["granted", "activated", "killed", "shown_from"])
def test_nothing_of_a_claim_outlives_it(left: str) -> None:
    story = owner()
    (other, *_) = {1, 2, 3} - {*story.at_home()}
    node = story.nodes[other]
    invariants = invariants_of(node, story.now)
    setattr(node.state.record(G), left, 1)
    with pytest.raises(BugError, match=f"node {other}, group g: .* claim"):
        invariants.check(story.now)


def test_a_claim_is_raised_while_nothing_runs_under_it() -> None:
    story = owner()
    (other, *_) = {1, 2, 3} - {*story.at_home()}
    node = story.nodes[other]
    invariants, record, state = invariants_of(node, story.now), node.state.record(G), node.state
    for term in (7, 8, None, 9):
        # The support of the former claim came so late that its lease had ended by then.
        record.claim, record.lease_until = term, NEVER
        state.view.know_term(G, term or 0)
        if term is None:
            del state.claimed[G]
        else:
            state.claimed[G] = record
        invariants.check(story.now)
        if term is not None:
            record.lease_until = story.now - 1
            invariants.check(story.now)


@pytest.mark.parametrize("left", ["granted", "activated"])
def test_neither_what_is_granted_nor_what_runs_is_claimed_anew(left: str) -> None:
    story = owner()
    (home,) = story.at_home()
    node = story.nodes[home]
    record = node.state.record(G)
    for name in ("granted", "activated"):
        setattr(record, name, name == left)
    invariants = invariants_of(node, story.now)
    _claim_again(node.state, record)
    with pytest.raises(BugError, match="which was not released"):
        invariants.check(story.now)


def test_the_number_of_the_last_status_never_falls() -> None:
    story = owner()
    node = story.nodes[1]
    invariants = invariants_of(node, story.now)
    node.state.published = None
    node.seq -= 1
    for record in node.state.records.values():
        record.shown_from = None
    with pytest.raises(BugError, match="it was at status"):
        invariants.check(story.now)


def test_a_status_of_an_earlier_incarnation_may_have_any_number() -> None:
    story = owner()
    invariants, state = invariants_of(story.nodes[1], story.now), story.nodes[1].state
    state.published = status(1, 99_999, inc=state.inc - 1)
    invariants.check(story.now)


def test_an_adopted_lease_may_be_longer_than_those_of_this_run() -> None:  # C7
    story = owner()
    (home,) = story.at_home()
    node = story.nodes[home]
    invariants, record = invariants_of(node, story.now), node.state.record(G)
    record.lease_until += 10 * TIMING.lease_s
    record.kill_at = record.lease_until + TIMING.stop_budget_s
    invariants.check(story.now)


def test_a_claim_that_runs_may_be_supported_late_in_a_term_that_was_voted_in() -> None:  # V2
    story = owner()
    (voter, *_) = {1, 2, 3} - {*story.at_home()}
    node = story.nodes[voter]
    record = node.state.record(G)
    record.ballot = Ballot(None, 7)  # its vote went to the loser of the collision
    invariants = invariants_of(node, story.now)
    record.ballot = Ballot(_vote(voter % 3 + 1, 7), 7)
    invariants.check(story.now)


# --- the story of the thing ----------------------------------------------------------------


def test_a_broken_invariant_tells_what_happened_last_to_its_group() -> None:
    story = one_of_three()
    agent = Agent(story.nodes[1], NodeTables(1, PLACES))
    agent.handle(GroupsReported((report("stop"),), full=True), story.now)
    agent.handle(TimePassed(0.5), story.now)
    state = story.nodes[1].state
    state.log("tell_refused", group=G)
    state.log("tell_refused", group="h")
    state.record(G).ballot = Ballot(None, 0)
    with pytest.raises(BugError) as raised:
        agent.check(story.now)
    events = [line.partition(": ")[2] for line in str(raised.value).splitlines()[1:]]
    assert events[0].startswith("GroupReport(group='g', level='stop'")
    assert events[1].startswith("('free', Tell(group='g', level='plan', term=1")
    assert [event.partition(",")[0] for event in events[2:]] == [
        "LogRecord(event='claim_made'",
        "LogRecord(event='vote_given'",
        "LogRecord(event='group_told'",
        "LogRecord(event='tell_refused'",
    ]


def test_what_broke_it_is_the_last_event_of_the_node_that_is_told() -> None:
    told: list[str] = []
    recorder = FlightRecorder(1)

    def break_it(_event: object, _now: float) -> None:
        told.append(recorder.story(1))

    handlers: dict[type, Handler] = dict.fromkeys(OF_THE_NODE, break_it)
    recorder.attach(handlers)
    handlers[LeaveAsked](LeaveAsked(), 5.0)
    assert told == ["; before that:\n  at 5.000: LeaveAsked()"]


def test_what_repeats_is_one_event_and_the_last_twenty_are_kept() -> None:
    recorder = FlightRecorder(1)
    for n in range(40):
        recorder.record_step(G, n, "at home", None)
    for n in range(40):
        recorder.record_renewal(Renewal(G, 1, n, n + 1), n)
    assert recorder.story(G).splitlines() == [
        "; before that:",
        "  at 0.000: at home",
        "  at 39.000: Renewal(group='g', term=1, stop_at=39, kill_at=40)",
    ]
    for n in range(40):
        recorder.record_log(LogRecord(f"note {n}", {"group": G}), n)
        recorder.record_log(LogRecord("x" * 999, {}), n)
    assert len(recorder.story(G).splitlines()) == 1 + EVENTS_MAX
    assert len(recorder.story(1)) < (EVENTS_MAX + 1) * 310


def test_an_agent_looks_after_each_turn_of_a_group() -> None:
    story = one_of_three()
    agent = Agent(story.nodes[1], NodeTables(1, PLACES))
    agent.handle(GroupsReported(full=True), story.now)
    agent.handle(TimePassed(0.5), story.now)
    story.nodes[1].state.record("h").killed = True
    story.nodes[1].state.wake(("h",))
    with pytest.raises(BugError, match="group h: there is a lease without a claim"):
        agent.handle(TimePassed(0.5), story.now)
