"""How a life begins after another: V4 (votes outlive it), V5 (silence and doubt)."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.core.cluster.ballot import Ballot
from mosha.core.status import GroupLine, GroupState, Receipt, Stamp, Status, Term, Vote
from mosha.core.tables import Wish
from tests.core.owner import brain
from tests.core.reborn import FORMER, VOTE, T, born, echoes, record
from tests.core.story import INC, G, Story, hactl, status

# --- V4 ------------------------------------------------------------------------------------


def test_v4_votes_terms_and_receipts_are_recovered_from_the_own_clstat() -> None:
    former = status(1, 900, votes={G: VOTE}, terms={G: Term(6, 5)}, fenced={3: Receipt(9, "x")})
    story = born(former)
    assert record(story).ballot.vote == VOTE
    made = brain(story).next_status(story.now)
    assert made.votes == {G: VOTE}
    assert made.terms == {G: Term(6, voted=5)}
    assert made.fenced == {3: Receipt(9, "x")}


def test_v4_the_new_life_has_a_greater_incarnation_whatever_the_wall_clock_says() -> None:
    assert brain(born(FORMER)).state.inc == INC + 1
    later = status(1, 3, inc=INC + 500)
    assert brain(born(later)).state.inc == INC + 501


def test_v4_a_recovered_vote_keeps_others_from_getting_it() -> None:
    story = born(FORMER)
    story.hear(1, status(3, 1, claims={G: 9}))
    story.step(1)
    assert record(story).ballot.vote == VOTE


def test_v4_the_candidate_counts_as_heard_at_the_start() -> None:
    story = born(FORMER)  # whatever time went by before is nobody's fault
    story.now += T
    story.miss(1, 2)
    story.step(1)
    assert record(story).ballot.vote == VOTE
    story.now += 0.01
    story.miss(1, 2)
    story.step(1)
    assert record(story).ballot.vote is None


def test_v3a_after_a_restart_an_older_status_without_the_claim_releases_nothing() -> None:
    story = born(FORMER)
    story.hear(1, status(2, 6))  # from a cache: the vote was given on number 7
    story.step(1)
    assert record(story).ballot.vote == VOTE
    story.hear(1, status(2, 8))
    story.step(1)
    assert record(story).ballot.vote is None


def test_v4_terms_voted_for_are_not_voted_for_again() -> None:
    story = born(FORMER)
    story.hear(1, status(2, 8))
    story.step(1)
    story.hear(1, status(3, 1, claims={G: 5}))
    story.step(1)
    assert record(story).ballot.vote is None
    story.hear(1, status(3, 2, claims={G: 6}))
    story.step(1)
    assert record(story).ballot.vote == Vote(6, 3, INC, 2)


def test_v4_a_term_that_does_not_say_whether_it_was_voted_for_counts_as_voted_for() -> None:
    story = born(status(1, 900, terms={G: Term(6)}))
    story.hear(1, status(3, 1, claims={G: 6}))
    story.step(1)
    assert record(story).ballot.vote is None


def test_v4_the_term_of_a_recovered_vote_is_known() -> None:
    story = born(status(1, 900, votes={G: VOTE}))
    assert brain(story).next_status(story.now).terms == {G: Term(5, voted=5)}
    story.hear(1, status(2, 8), status(3, 1))
    story.write(1)
    tell = story.step(1).tell
    assert tell is not None
    assert tell.term == 6


def test_v4_a_clean_exit_keeps_votes_and_terms() -> None:
    story = born(FORMER)
    brain(story).leave()
    last = brain(story).next_status(story.now, left=True)
    assert last.state == "left"
    assert last.votes == {G: VOTE}
    assert last.terms == {G: Term(6, 5), "h": Term(3, 3)}
    assert brain(born(last)).state.record(G).ballot.vote == VOTE


# --- V5: silence ---------------------------------------------------------------------------


LIVES = [
    ("nothing is known of a former life", None, "boot", True),
    ("the monitor was restarted", FORMER, "boot", False),
    ("the machine was restarted", FORMER, "another boot", True),
]


@pytest.mark.parametrize(
    ("former", "boot", "silent"), [row[1:] for row in LIVES], ids=[row[0] for row in LIVES]
)
def test_v5_a_node_that_may_have_forgotten_a_vote_is_silent_for_t(
    *, former: Status | None, boot: str, silent: bool
) -> None:
    story = born(former, boot=boot)
    state = brain(story).state
    assert state.silent(story.now) == silent
    assert state.silent(story.now + T - 0.01) == silent
    assert not state.silent(story.now + T)


def test_v5_a_node_that_is_the_whole_electorate_has_nobody_to_wait_for() -> None:
    assert not Story((1,)).nodes[1].state.silent(1000.0)


def test_v5_after_a_restart_of_the_machine_the_votes_are_there_all_the_same() -> None:
    assert record(born(FORMER, boot="another boot")).ballot.vote == VOTE


def test_v5_a_silent_node_neither_votes_nor_claims() -> None:
    story = born()
    story.write(1)
    story.hear(1, status(2, 1, claims={"h": 1}), status(3, 1))
    assert story.step(1).tell is None
    story.step(1, "h")
    made = brain(story).next_status(story.now)
    assert (made.votes, made.claims) == ({}, {})


def test_v5_a_turn_is_due_when_the_silence_ends() -> None:
    story = born()
    assert story.step(1).wake_at == story.now + T


def test_v5_the_silence_ends_when_every_node_of_the_electorate_has_echoed() -> None:
    story = born()
    story.write(1)
    story.hear(1, echoes(2, inc=INC))
    assert brain(story).state.silent(story.now)
    story.hear(1, echoes(3, inc=INC))
    assert not brain(story).state.silent(story.now)
    assert G in brain(story).take_to_step()
    assert "silence_ended" in [note.event for note in brain(story).take_notes()]


def test_v5_an_echo_of_a_former_life_ends_nothing() -> None:
    story = born()
    story.write(1)
    story.hear(1, echoes(2, inc=INC), echoes(3, inc=INC - 1))
    assert brain(story).state.silent(story.now)


def test_v5_a_new_incarnation_has_to_be_echoed_anew() -> None:
    story = born()
    story.write(1)
    story.hear(1, echoes(2, inc=INC))
    story.hear(1, status(3, 1, seen={1: Stamp(INC + 4, 1)}))  # it knows of a later life
    assert brain(story).state.inc == INC + 5
    story.hear(1, echoes(3, 2, inc=INC + 5))
    assert brain(story).state.silent(story.now)
    story.hear(1, echoes(2, 2, inc=INC + 5))
    assert not brain(story).state.silent(story.now)


def test_v5_the_silence_lasts_for_the_longest_timeout_that_any_node_has() -> None:
    """The forgotten vote may hold a lease that was made to fit the longer T of its owner."""
    story = born()
    story.write(1)
    slow = replace(status(2, 1), timeout_ms=2000 * int(T))
    story.hear(1, slow, status(3, 1))
    story.now += T + 1.0
    assert brain(story).state.silent(story.now)
    story.now += T
    assert not brain(story).state.silent(story.now)


# --- V5: the claims that may count on a forgotten vote ---------------------------------------


def doubting(**claims: int) -> Story:
    """Node 1 has forgotten its votes; node 2 claimed this when it first echoed node 1."""
    story = born()
    story.adopt_tables(1, hactl(Wish(G, "start", only=(2, 3)), Wish("h", "start", only=(2, 3))))
    story.write(1)
    plan = {group: GroupLine("plan", GroupState.DONE) for group in claims}
    story.hear(1, echoes(2, 7, inc=INC, claims=claims, groups=plan), echoes(3, inc=INC))
    assert not brain(story).state.silent(story.now)
    return story


def test_v5_a_claim_older_than_the_echo_may_have_the_vote_itself() -> None:
    story = doubting(g=5)
    story.step(1)
    assert record(story).ballot.vote == Vote(5, 2, INC, 7)


DOUBTS = [
    ("while it is shown", echoes(2, 8, inc=INC, claims={G: 5}), 0.0, False),
    ("no longer when it is withdrawn", echoes(2, 8, inc=INC), 0.0, True),
    ("no longer when it is another claim", echoes(2, 8, inc=INC, claims={G: 7}), 0.0, True),
    ("no longer than T after the start", echoes(2, 8, inc=INC, claims={G: 5}), T, True),
]


@pytest.mark.parametrize(
    ("then", "later_s", "allowed"), [row[1:] for row in DOUBTS], ids=[row[0] for row in DOUBTS]
)
def test_v5_a_claim_older_than_the_echo_keeps_others_from_the_vote(
    *, then: Status, later_s: float, allowed: bool
) -> None:
    story = doubting(g=5)
    record(story).ballot = Ballot(None, voted=5)  # that claim cannot have the vote
    story.now += later_s
    story.hear(1, then, echoes(3, 2, inc=INC, claims={G: 6}))
    story.step(1)
    vote = record(story).ballot.vote
    assert (vote is not None and vote.node == 3) == allowed


def test_v5_a_later_incarnation_does_not_end_the_doubt() -> None:
    story = doubting(g=5)
    record(story).ballot = Ballot(None, voted=5)
    story.hear(1, status(3, 2, seen={1: Stamp(INC + 8, 1)}))
    story.hear(1, echoes(3, 3, inc=INC + 9, claims={G: 6}))
    story.step(1)
    assert record(story).ballot.vote is None


def test_v5_other_groups_are_not_in_doubt() -> None:
    story = doubting(g=5)
    story.hear(1, echoes(3, 2, inc=INC, claims={"h": 6}))
    story.step(1, "h")
    assert brain(story).state.record("h").ballot.vote is not None


def test_v5_two_owners_are_not_made_by_a_voter_that_has_forgotten_its_vote() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(3, 2))))
    for node in story.ids:
        story.nodes[node].state.silent_until = None
    story.write(1, 2, 3)
    story.read(2, 1, 3)
    story.read(3, 1)
    story.read(1, 2, 3)
    story.write(1, 2, 3)
    story.read(2, 1, 3)
    story.read(3, 1)  # it does not see node 2 …
    # Node 2 claims by the vote of node 1, is granted, and its tell of `test` is on its way.
    story.step(2)
    story.now += 1.0  # it is the second choice
    story.step(2)
    story.write(2)
    story.read(1, 2)
    story.step(1)
    story.write(1)
    story.read(2, 1)
    tell = story.nodes[2].step(G, story.now, 0.0).tell
    assert tell is not None
    assert tell.level == "test"
    # Node 1 loses its power and its disk. Both others echo the new life at once.
    story.die(1)
    del story.files[1]
    story.reboot(1, knows=False)
    story.write(1)
    story.read(2, 1)
    story.read(3, 1)
    story.write(2)
    assert story.files[2].groups[G].level == "plan"  # … nor can node 1 see that it starts
    # Node 3, which sees no claim, makes one.
    story.step(3)
    story.write(3)
    assert story.files[3].claims.keys() == {G}
    story.read(1, 2, 3)
    assert not story.nodes[1].state.silent(story.now)
    story.step(1)
    story.write(1)
    story.read(3, 1)
    story.step(3)
    story.obey(2, tell)
    story.assert_at_most_one()
    assert story.owners() == [2]
