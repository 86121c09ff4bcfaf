"""What a node says of itself, and which news of others call for a turn (O5)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.own_status import compose, differences
from mosha.core.cluster.quorum import QuorumState
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    NodeState,
    Receipt,
    Restarts,
    Stamp,
    Status,
    TableVersion,
    Term,
    Trouble,
    TroubleKind,
    Vote,
)
from tests.core.story import INC, G, Story, one_of_three, report, status

DONE = GroupState.DONE
LINE = GroupLine("start", DONE)


def composed(story: Story, *, left: bool = False) -> Status:
    return compose(story.nodes[1].state, seq=17, now=story.now, left=left)


# --- what is published -----------------------------------------------------------------------


def test_a_status_says_everything_that_the_node_has_decided_and_seen() -> None:
    story = one_of_three()
    story.step(1)
    state = story.nodes[1].state
    state.record("bad").ban_until, state.record("bad").ban_reason = story.now + 3.2, "exit 1"
    state.view.receipt(4, Receipt(INC + 9, "ipmi"))
    state.tables, state.refused = {"hactl": TableVersion(5, "d")}, {"cltab": "line 1: no"}
    assert composed(story) == Status(
        node=1,
        inc=INC,
        run="run",
        boot="boot",
        seq=17,
        quorum=True,
        timeout_ms=round(story.nodes[1].state.timing.timeout_s * 1000),
        heartbeat_ms=round(story.nodes[1].state.timing.heartbeat_s * 1000),
        voters=story.nodes[1].state.view.electorate.digest,
        seen={2: Stamp(INC, 1), 3: Stamp(INC, 1)},
        votes={G: Vote(1, 1, INC, 0)},
        terms={G: Term(1, 1)},
        claims={G: 1},
        groups={G: GroupLine("plan", DONE)},
        bans={"bad": Ban(4, "exit 1")},  # rounded up: a ban never ends too early elsewhere
        fenced={4: Receipt(INC + 9, "ipmi")},
        tables={"hactl": TableVersion(5, "d")},
        refused={"cltab": "line 1: no"},
    )


def test_a_status_does_not_change_when_the_node_does() -> None:
    story = one_of_three()
    before = composed(story)
    copy = replace(before, seen=dict(before.seen), fenced=dict(before.fenced))
    story.hear(1, status(2, 9), status(3, 9, fenced={2: Receipt(INC, "x")}))
    story.nodes[1].tables_adopted(None, None, {"hactl": TableVersion(1, "n")}, {"hactl": "no"})
    story.step(1)
    assert before == copy


@pytest.mark.parametrize(
    ("quorum_state", "said"),
    [(QuorumState.YES, True), (QuorumState.NO, False), (QuorumState.UNKNOWN, False)],
)
def test_whether_a_quorum_is_seen_is_published(*, quorum_state: QuorumState, said: bool) -> None:
    story = Story()
    story.nodes[1].state.view.quorum_state = quorum_state
    assert composed(story).quorum == said


def test_the_last_status_says_that_the_node_has_left() -> None:
    story = one_of_three()
    story.nodes[1].leave()
    assert composed(story).state is NodeState.LEAVING
    assert composed(story, left=True).state is NodeState.LEFT


def test_a_ban_that_is_over_is_not_published() -> None:
    story = one_of_three()
    story.nodes[1].state.record(G).ban_until = story.now
    assert composed(story).bans == {}


# --- which news matter -----------------------------------------------------------------------

OLD = status(
    2,
    7,
    seen={1: Stamp(INC, 3)},
    votes={"v": Vote(1, 3, INC, 1)},
    terms={"t": Term(4, 4)},
    claims={"c": 1},
    groups={"l": LINE},
    bans={"b": Ban(30, "exit 1")},
    troubles={("e", "x"): Trouble("x", TroubleKind.UNHEALTHY, for_s=3)},
    restarts={"r": Restarts(1, 20, "start", (20,), "monitor x failed")},
)
LONGER = {("e", "x"): Trouble("x", TroubleKind.UNHEALTHY, for_s=4)}
OTHER = {("e", "x"): Trouble("x", TroubleKind.STOPPED, for_s=0)}

NEWS: list[tuple[str, dict[str, Any], set[str] | None]] = [
    ("it only counts on", {"seq": 8}, set()),
    ("it echoes more", {"seen": {1: Stamp(INC, 4), 3: Stamp(1, 1)}}, set()),
    ("a ban is shorter by a second", {"bans": {"b": Ban(29, "exit 1")}}, set()),
    ("an entry is in trouble for longer", {"troubles": LONGER}, set()),
    ("it is in another trouble", {"troubles": OTHER}, {"e"}),
    ("it is well again", {"troubles": {}}, {"e"}),
    ("a restart in place was longer ago", {"restarts": {"r": Restarts(1, 21, "start")}}, set()),
    ("a group was restarted once more", {"restarts": {"r": Restarts(2, 0, "start")}}, {"r"}),
    ("the restarts of a group are forgotten", {"restarts": {}}, {"r"}),
    ("another table is in force", {"tables": {"hactl": TableVersion(1, "x")}}, set()),
    ("a file is refused", {"refused": {"hactl": "no"}}, set()),
    ("a claim is gone", {"claims": {}}, {"c"}),
    ("a claim has another term", {"claims": {"c": 2}}, {"c"}),
    ("a claim is new", {"claims": {"c": 1, "d": 1}}, {"d"}),
    ("a vote is gone", {"votes": {}}, {"v"}),
    ("a vote went elsewhere", {"votes": {"v": Vote(1, 1, INC, 1)}}, {"v"}),
    ("a term is higher", {"terms": {"t": Term(5, 4)}}, {"t"}),
    ("a term was voted for", {"terms": {"t": Term(5, 5)}}, {"t"}),
    ("a group moved", {"groups": {"l": GroupLine("stop", DONE)}}, {"l"}),
    ("a group is gone", {"groups": {}}, {"l"}),
    ("a ban is over", {"bans": {}}, {"b"}),
    ("a ban is new", {"bans": {"b": Ban(30, ""), "n": Ban(30, "")}}, {"n"}),
    ("several at once", {"claims": {}, "votes": {}, "bans": {}}, {"c", "v", "b"}),
    ("another life", {"inc": INC + 1}, None),
    ("it leaves", {"state": NodeState.LEAVING}, None),
    ("it lost its quorum", {"quorum": False}, None),
    ("a node was fenced", {"fenced": {3: Receipt(1, "x")}}, None),
]


@pytest.mark.parametrize(("change", "groups"), [row[1:] for row in NEWS], ids=[r[0] for r in NEWS])
def test_o5_news_call_for_the_turns_of_the_groups_they_are_about(
    change: dict[str, Any], groups: set[str] | None
) -> None:
    assert differences(OLD, replace(OLD, **change)) == groups


def test_a_first_status_concerns_every_group() -> None:
    assert differences(None, OLD) is None


def test_o5_a_counter_that_moved_is_no_reason_to_publish() -> None:
    story = one_of_three()
    story.write(1)
    story.nodes[1].take_to_step()
    story.hear(1, status(2, 2, seen={1: Stamp(INC, 2)}), status(3, 2))
    assert not story.nodes[1].dirty
    assert story.nodes[1].take_to_step() == frozenset()


def test_o5_a_new_incarnation_of_a_peer_is_echoed_at_once() -> None:
    story = one_of_three()
    story.write(1)
    story.hear(1, status(2, 1, inc=INC + 1))
    assert story.nodes[1].dirty
    assert composed(story).seen[2] == Stamp(INC + 1, 1)


def test_o5_a_change_of_an_own_group_is_published_at_once() -> None:
    story = one_of_three()
    story.write(1)
    story.show(1, report("start"))
    assert story.nodes[1].dirty
    story.write(1)
    story.show(1, report("start", alive=3))  # more processes: nobody else cares
    assert not story.nodes[1].dirty
