"""`on=all`: an instance on each node, and never one beside the single group of another table."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.ballot import Ballot
from mosha.core.cluster.flight_recorder import FlightRecorder
from mosha.core.cluster.group_rules import Action
from mosha.core.cluster.invariants import Invariants
from mosha.core.cluster.memory import Memory
from mosha.core.instance_names import instance, node_of, single
from mosha.core.instances import expanded
from mosha.core.status import Grade, GroupLine, GroupState, Stamp, Status, Term, Vote
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tables import Hactl, Wish
from mosha.errors import BugError
from tests.core.owner import T
from tests.core.story import INC, G, Story, hactl, says, status

EVERYWHERE = hactl(Wish(G, "start", on_all=True))
ONCE = hactl(Wish(G, "start"))
G1, G2, G3 = (instance(G, node) for node in (1, 2, 3))


def everywhere() -> list[list[int]]:
    return [[1], [2], [3]]


def owners(story: Story) -> list[list[int]]:
    return [story.owners(group) for group in (G1, G2, G3)]


def at(group: str, level: str = "start") -> dict[str, GroupLine]:
    return {group: GroupLine(level, GroupState.DONE)}


def voter(wishes: Hactl = EVERYWHERE) -> Story:
    """Node 1 of three that votes, and has claimed nothing itself: it is on standby."""
    story = Story(wishes=wishes)
    story.nodes[1].state.standby = True
    story.write(1)
    story.hear(1, says(2, 1), says(3, 1))
    return story


def vote_of(story: Story, group: str) -> Vote | None:
    story.step(1, group)
    return story.nodes[1].state.record(group).ballot.vote


# --- names and wishes --------------------------------------------------------------------


def test_an_instance_has_its_group_and_its_node_in_its_name() -> None:
    assert (instance("dns", 3), single("dns@3"), node_of("dns@3")) == ("dns@3", "dns", 3)
    assert (single("dns"), node_of("dns")) == ("dns", None)


def test_a_group_with_on_all_is_wanted_once_on_each_node_that_only_allows() -> None:
    wish = Wish("dns", "start", only=(1, 3), on_all=True, fence=Grade.OFF_CONFIRMED)
    web = Wish("web", "start")
    found = expanded(hactl(wish, web), {3, 2, 1}).wishes
    assert [*found] == ["dns@1", "dns@3", "web"]
    assert found["dns@3"] == replace(wish, group="dns@3", only=(3,))
    assert found["web"] is web


def test_a_group_that_is_to_be_stopped_has_no_instances() -> None:
    wishes = hactl(Wish("dns", "stop", on_all=True))
    assert expanded(wishes, {1, 2}).wishes == wishes.wishes


def test_the_instances_follow_the_nodes_and_a_witness_has_none() -> None:
    node = voter().nodes[1]
    assert [*node.state.hactl.wishes] == [G1, G2, G3]  # type: ignore[union-attr]
    node.peer_read(3, says(3, 2, witness=True), began=1000.0, now=1000.0)
    assert [*node.state.hactl.wishes] == [G1, G2]  # type: ignore[union-attr]
    node.members_found(frozenset({1, 2, 4}))
    assert [*node.state.hactl.wishes] == [G1, G2, instance(G, 4)]  # type: ignore[union-attr]


def test_an_instance_asks_for_the_evidence_that_its_group_asks_for_in_any_table() -> None:
    asks = Grade.OFF_CONFIRMED
    for on_all in (True, False):
        story = voter(hactl(Wish(G, "start", on_all=on_all, fence=asks)))
        state = story.nodes[1].state
        assert (state.required_grade(G), state.required_grade(G3)) == (asks, asks)


# --- life --------------------------------------------------------------------------------


def test_each_node_runs_its_own_instance() -> None:
    story = Story(wishes=EVERYWHERE)
    story.live(T)
    assert owners(story) == everywhere()
    assert story.owners() == []


def test_the_instance_of_a_dead_node_runs_nowhere_and_comes_back_with_it() -> None:
    story = Story(wishes=EVERYWHERE)
    story.live(T)
    story.die(3)
    story.live(3 * T)
    assert owners(story) == [[1], [2], []]
    story.reboot(3)
    story.live(3 * T)
    assert owners(story) == everywhere()


def test_an_instance_without_a_quorum_is_stopped() -> None:
    story = Story(wishes=EVERYWHERE)
    story.live(T)
    story.cuts = {(1, 2), (1, 3), (2, 1), (3, 1)}
    story.live(3 * T)
    assert owners(story) == [[], [2], [3]]


@pytest.mark.parametrize("there_and_back", [(EVERYWHERE, ONCE), (ONCE, EVERYWHERE)])
def test_a_group_changes_from_one_node_to_all_and_back(there_and_back: tuple[Hactl, Hactl]) -> None:
    story = Story(wishes=there_and_back[0])
    story.live(T)
    for wishes in (*reversed(there_and_back), there_and_back[1]):
        for node in story.ids:
            story.adopt_tables(node, wishes)
            story.live(1.0)
        story.live(3 * T)
        assert (len(story.owners()) == 1) is (wishes is ONCE)
        assert owners(story) == ([[], [], []] if wishes is ONCE else everywhere())


def test_a_single_group_waits_for_the_instance_of_a_node_that_is_cut_off() -> None:
    story = Story(wishes=EVERYWHERE)
    story.live(T)
    story.cuts = {(1, 3), (2, 3), (3, 1), (3, 2)}
    for node in (1, 2):
        story.adopt_tables(node, ONCE)
    lives = 0.0
    while not story.owners():
        assert lives < 3 * T
        story.live(0.25)  # nothing of it runs beside the instance of node 3
        lives += 0.25
    assert story.owners(G3) == []
    story.cuts = set()
    story.adopt_tables(3, ONCE)
    story.live(2 * T)
    assert len(story.owners()) == 1


def test_an_instance_waits_for_the_single_group_of_a_node_with_an_older_table() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(3,))))
    story.live(T)
    assert story.owners() == [3]
    for node in (1, 2):
        story.adopt_tables(node, EVERYWHERE)
    story.live(3 * T)
    assert story.owners() == [3]
    assert owners(story) == [[], [], []]
    story.adopt_tables(3, EVERYWHERE)
    story.live(T)
    assert owners(story) == everywhere()


# --- V1, V2: votes -----------------------------------------------------------------------


def test_v1_a_vote_for_an_instance_bars_one_for_the_group_and_not_for_other_instances() -> None:
    story = voter()
    story.hear(1, says(2, 2, claims={G2: 5}))
    assert vote_of(story, G2) == Vote(5, 2, INC, 2)
    story.hear(1, says(3, 2, claims={G: 9, G3: 9}))
    assert vote_of(story, G) is None
    assert vote_of(story, G3) == Vote(9, 3, INC, 2)


def test_v1_a_vote_for_the_group_bars_one_for_any_instance_until_it_is_released() -> None:
    story = voter()
    story.hear(1, says(3, 2, claims={G: 5}))
    assert vote_of(story, G) == Vote(5, 3, INC, 2)
    story.hear(1, says(2, 2, claims={G2: 9}))
    assert vote_of(story, G2) is None
    story.hear(1, says(3, 3))
    assert vote_of(story, G) is None
    assert G2 in story.nodes[1].take_to_step()  # woken, since its rival is free
    assert vote_of(story, G2) == Vote(9, 2, INC, 2)


def test_v2_no_vote_for_a_group_whose_instance_a_fresh_status_shows_even_the_claimants() -> None:
    for shows in (2, 3):
        story = voter()
        name = instance(G, shows)
        story.hear(1, says(shows, 2, groups=at(name), claims={G: 9} if shows == 3 else {}))
        if shows != 3:
            story.hear(1, says(3, 2, claims={G: 9}))
        assert vote_of(story, G) is None
        gone = {G: 9} if shows == 3 else {}
        story.hear(1, says(shows, 3, claims=gone))
        assert vote_of(story, G) is not None


def test_v2_no_vote_in_a_term_in_which_it_voted_for_a_rival() -> None:
    story = voter()
    story.hear(1, says(2, 2, claims={G2: 5}))
    assert vote_of(story, G2) is not None
    story.hear(1, says(2, 3))
    assert vote_of(story, G2) is None
    story.hear(1, says(3, 2, claims={G: 5}))
    assert vote_of(story, G) is None
    story.hear(1, says(3, 3, claims={G: 6}))
    assert vote_of(story, G) == Vote(6, 3, INC, 3)


def test_v2_no_vote_for_a_rival_of_what_clinit_has_here() -> None:
    story = voter()
    story.show(1, GroupReport(G1, "stop", GroupState.STOPPING, wanted="stop", alive=1))
    story.hear(1, says(3, 2, claims={G: 9}))
    assert vote_of(story, G) is None
    story.show(1, GroupReport(G1, "stop", GroupState.DONE, wanted="stop"))
    assert vote_of(story, G) is not None


# --- C1, C2, G1: claims ------------------------------------------------------------------


def claimant(wishes: Hactl, **said: Any) -> Story:
    story = Story(wishes=wishes)
    story.write(1)
    story.hear(1, says(2, 1, **said), says(3, 1))
    return story


def claims(story: Story, group: str) -> bool:
    step = story.step(1, group)
    return step.row is not None and step.row.do is Action.PLAN


HELD = [
    {"claims": {G2: 4}},
    {"groups": at(G2)},
    {"groups": {G2: GroupLine("stop", GroupState.STOPPING)}},
]


@pytest.mark.parametrize("said", HELD)
def test_c1_a_group_is_not_free_while_an_instance_is_claimed_or_active(
    said: dict[str, Any],
) -> None:
    story = claimant(hactl(Wish(G, "start", prefer=(1,))), **said)
    assert not claims(story, G)
    story.hear(1, says(2, 2))
    assert claims(story, G)


def test_a_group_is_woken_when_an_instance_has_gone() -> None:
    story = claimant(hactl(Wish(G, "start", prefer=(1,))), claims={G2: 4})
    story.nodes[1].take_to_step()
    story.hear(1, says(2, 2))
    assert {G, G2} <= story.nodes[1].take_to_step()


def test_c1_an_instance_is_not_free_while_the_group_is_claimed() -> None:
    story = claimant(EVERYWHERE, claims={G: 4})
    assert not claims(story, G1)
    story.hear(1, says(2, 2))
    assert claims(story, G1)


def test_c2_a_claim_has_a_term_above_those_of_its_rivals_only() -> None:
    terms = {G: Term(7), G2: Term(9)}
    assert claims(story := claimant(EVERYWHERE, terms=terms), G1)
    assert story.nodes[1].state.record(G1).claim == 8
    assert claims(story := claimant(hactl(Wish(G, "start", prefer=(1,))), terms=terms), G)
    assert story.nodes[1].state.record(G).claim == 10


def test_g1_what_runs_is_killed_at_once_if_a_rival_runs_under_a_higher_term() -> None:
    story = Story(wishes=EVERYWHERE)
    story.live(T)
    mine = story.nodes[1].state.record(G1).claim
    assert mine is not None
    ghost = status(2, 9999, inc=INC + 1, claims={G: mine + 1}, groups=at(G), quorum=True)
    story.hear(1, ghost)
    step = story.nodes[1].step(G1, story.now, 0.0)
    assert step.tell is not None
    assert (step.tell.level, step.tell.kill_at) == ("stop", story.now)


# --- V4, V5: votes that outlive the monitor ------------------------------------------------


def remembers(*, votes: dict[str, Vote], terms: dict[str, Term], seq: int = 5) -> Memory:
    return Memory(boot="boot", run="run", inc=INC, seq=seq, landed=True, votes=votes, terms=terms)


def started(former: Status, memory: Memory) -> Story:
    story = Story(wishes=EVERYWHERE)
    story.files[1], story.memories[1] = former, memory
    story.start(1, inc=INC + 1)
    return story


def test_v4_of_a_vote_and_one_for_a_rival_in_a_higher_term_the_latter_is_kept() -> None:
    older, newer = Vote(4, 2, INC, 2), Vote(5, 3, INC, 3)
    terms = {G2: Term(4, 4)}
    former = status(1, 4, votes={G2: older}, terms=terms)
    story = started(former, remembers(votes={G: newer}, terms=terms | {G: Term(5, 5)}))
    state = story.nodes[1].state
    assert (state.record(G2).ballot, state.record(G).ballot) == (Ballot(None, 4), Ballot(newer, 5))
    assert not state.silent(story.now)


def test_v4_a_node_that_cannot_tell_which_of_two_rivals_it_is_bound_to_is_silent() -> None:
    one, other = Vote(5, 2, INC, 2), Vote(5, 3, INC, 3)
    former = status(1, 4, votes={G2: one}, terms={G2: Term(5, 5)})
    story = started(former, remembers(votes={G: other}, terms={G: Term(5, 5), G2: Term(5, 5)}))
    state = story.nodes[1].state
    assert (state.record(G2).ballot, state.record(G).ballot) == (Ballot(None, 5), Ballot(None, 5))
    assert state.silent(story.now)
    assert not state.silent(story.now + T)


def test_v5_a_claim_that_may_rely_on_a_forgotten_vote_bars_one_for_its_rival() -> None:
    story = Story(wishes=EVERYWHERE)
    story.reboot(1, knows=False)
    node = story.nodes[1]
    node.state.standby, node.state.mute_until, node.state.stranger = True, None, False
    story.write(1)
    echo = {1: Stamp(node.state.inc, 1)}
    story.hear(1, says(2, 1, claims={G2: 4}, seen=echo), says(3, 1, seen=echo))
    assert not node.state.silent(story.now)
    story.hear(1, says(3, 2, claims={G: 9}, seen=echo))
    assert vote_of(story, G) is None
    story.hear(1, says(2, 2, seen=echo))
    assert vote_of(story, G) is not None


# --- invariants --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ({"ballot": Ballot(Vote(5, 2, INC, 2), 5)}, "also votes for g@2"),
        ({"claim": 5}, "also claims g@2"),
    ],
)
def test_votes_and_claims_for_a_group_and_its_instance_break_an_invariant(
    broken: dict[str, Any], text: str
) -> None:
    story = voter()
    node = story.nodes[1]
    for group in (G, G2):
        node.state.view.know_term(group, 5)
        record = node.state.record(group)
        for name, value in broken.items():
            setattr(record, name, value)
            if name == "claim":
                node.state.claimed[group] = record
    invariants = Invariants(node, FlightRecorder(1))
    with pytest.raises(BugError, match=text):
        invariants.check_group(node.state.record(G), story.now)
