"""What a node knows of its former life when a medium or the settings changed: V4b, N1, T1."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.memory import SEQ_STEP, Memory
from mosha.core.cluster.node import Node
from mosha.core.cluster.peers import NO_CLSTAT
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.recovery import Startup
from mosha.core.cluster.timing import derive
from mosha.core.status import GroupState, NodeState, Receipt, Stamp, Status, Term, Vote
from mosha.core.tables import Wish
from tests.core.owner import running
from tests.core.story import INC, START_S, TIMING, G, Story, hactl, report, status

T, L, D = TIMING.timeout_s, TIMING.lease_s, TIMING.stop_budget_s
VOTE = Vote(5, 2, INC, 7)
FORMER = status(1, 40, votes={G: VOTE}, terms={G: Term(6, 5)})
KNOWN = Memory(inc=INC, run="run", boot="boot", machine="m", seq=SEQ_STEP, landed=True)


def reborn(
    memory: Memory = KNOWN,
    former: Status | None = FORMER,
    *,
    nodes: tuple[int, ...] = (1, 2, 3),
    **more: Any,
) -> Node:
    """Node 1 at its start, with this memory and this own clstat."""
    timing = more.pop("timing", TIMING)
    given: dict[str, Any] = {"me": 1, "inc": INC + 1, "run": "new", "boot": "boot", "machine": "m"}
    startup = Startup(now=START_S, former=former, memory=memory, **(given | more))
    ids = frozenset(nodes)
    rules = Story().rules
    electorate = Electorate(Policy.MAJORITY, ids)
    node = Node(startup, timing, rules=rules, electorate=electorate, members=ids - {1})
    node.clinit_answered([], START_S)
    return node


def ballot(node: Node) -> tuple[Vote | None, int]:
    held = node.state.record(G).ballot
    return held.vote, held.voted


def events(node: Node) -> list[str]:
    return [note.event for note in node.take_notes()]


def reads(node: Node, said: Status | None, *, number: int = 2, now: float = START_S) -> None:
    node.peer_read(number, said, began=now, now=now)


# --- V4b: the own memory is local ----------------------------------------------------------


def test_v4b_what_a_status_shows_is_remembered_before_it_is_published() -> None:
    story = running()
    state = story.nodes[1].state
    state.view.receipt(9, Receipt(4, "operator"))
    made = story.nodes[1].next_status(story.now)
    memory = story.nodes[1].memory(made)
    assert (memory.inc, memory.run, memory.boot) == (made.inc, made.run, made.boot)
    assert (memory.votes, memory.terms) == (made.votes, made.terms)
    assert (memory.claims, memory.fenced) == ({G: 1}, {9: Receipt(4, "operator")})


def test_v4b_a_mere_heartbeat_changes_nothing_that_is_remembered() -> None:
    story = running()
    node = story.nodes[1]
    first = node.memory(node.next_status(story.now))
    later = [node.memory(node.next_status(story.now + n)) for n in range(SEQ_STEP)]
    assert later[0] == first
    assert len({memory.seq for memory in later}) == 2
    assert later[-1].seq == 2 * SEQ_STEP


@pytest.mark.parametrize("where", ["memory", "clstat", "both"])
def test_v4b_a_vote_counts_wherever_it_is_remembered(where: str) -> None:
    memory = KNOWN if where == "clstat" else replace(KNOWN, votes=FORMER.votes, terms=FORMER.terms)
    former = status(1, 3) if where == "memory" else FORMER
    node = reborn(memory, former)
    assert ballot(node) == (VOTE, 5)
    assert node.state.view.terms == {G: 6}


def test_v4b_of_two_votes_the_one_with_the_higher_term_is_the_later_one() -> None:
    newer = Vote(8, 3, INC, 9)
    assert ballot(reborn(replace(KNOWN, votes={G: newer}))) == (newer, 8)
    old = replace(KNOWN, votes={G: Vote(4, 3, INC, 2)})
    assert ballot(reborn(old)) == (VOTE, 5)


def test_v4b_of_two_votes_with_one_term_the_one_written_last_counts() -> None:
    winner = Vote(5, 3, INC, 9)
    assert ballot(reborn(replace(KNOWN, votes={G: winner})))[0] == winner
    assert ballot(reborn(replace(KNOWN, inc=INC - 1, votes={G: winner})))[0] == VOTE


def test_v4b_a_vote_that_was_released_is_not_found_again_in_an_older_clstat() -> None:
    """The memory has voted for a higher term since, so the older vote was free by then (V1)."""
    node = reborn(replace(KNOWN, terms={G: Term(8, voted=8)}))
    assert ballot(node) == (None, 8)


def test_v4b_a_term_never_repeats_though_the_clstat_is_lost() -> None:
    node = reborn(replace(KNOWN, claims={G: 9}), None)
    assert node.state.view.terms[G] == 9


def test_v4b_claims_that_are_remembered_are_not_taken_for_withdrawn() -> None:
    node = reborn(replace(KNOWN, claims={G: 5}), status(1, 3))
    stopping = report("start", GroupState.STOPPING, wanted="stop", term=5)
    node.clinit_answered([stopping], START_S)
    assert node.state.record(G).claim == 5


SILENCES = [
    ("all is there", KNOWN, FORMER, False),
    ("never published", replace(KNOWN, landed=False, inc=INC + 5), FORMER, False),
    ("no clstat", KNOWN, None, True),
    ("an older clstat", KNOWN, status(1, 40, inc=INC - 1), True),
    ("no memory", Memory(), FORMER, True),
    ("the memory of an earlier version", Memory(inc=INC, run="run"), FORMER, True),
    ("the memory of another boot", replace(KNOWN, boot="other"), FORMER, True),
    ("the memory of another machine", replace(KNOWN, machine="other"), FORMER, True),
]


@pytest.mark.parametrize(
    ("memory", "former", "silent"), [row[1:] for row in SILENCES], ids=[r[0] for r in SILENCES]
)
def test_v4b_without_proof_of_continuity_a_node_is_silent_for_t(
    *, memory: Memory, former: Status | None, silent: bool
) -> None:
    state = reborn(memory, former).state
    assert state.silent(START_S + T - 0.01) == silent
    assert not state.silent(START_S + T)


@pytest.mark.parametrize("former", [None, status(1, 40, inc=INC - 1)])
def test_v4b_a_medium_that_is_behind_is_reported(former: Status | None) -> None:
    node = reborn(KNOWN, former)
    assert "writes_lost" in events(node)
    assert "its medium lost writes" in node.state.lost


LATER = [
    ("of the clstat that was found", Stamp(INC, 40), False, ""),
    ("of a status that the medium lost", Stamp(INC, 41), True, "medium"),
    ("of more than the disk remembers too", Stamp(INC, SEQ_STEP + 1), True, "disk"),
    ("of a later life", Stamp(INC + 7, 1), True, "disk"),
]


@pytest.mark.parametrize(
    ("echo", "lost", "what"), [r[1:] for r in LATER], ids=[r[0] for r in LATER]
)
def test_v4b_an_echo_of_more_than_is_remembered_is_reported_and_means_silence(
    *, echo: Stamp, lost: bool, what: str
) -> None:
    node = reborn()
    reads(node, status(2, 3, seen={1: echo}), now=START_S + 1)
    assert ("writes_lost" in events(node)) == lost
    assert what in node.state.lost
    assert node.state.silent(START_S + T - 0.01) == lost
    assert not node.state.silent(START_S + T)


def test_v4b_the_echo_of_an_earlier_incarnation_of_this_life_proves_no_loss() -> None:
    node = reborn()
    reads(node, status(2, 3, fenced={1: Receipt(INC + 1, "x")}))  # it begins another incarnation
    assert node.state.inc == INC + 2
    reads(node, status(3, 3, seen={1: Stamp(INC + 1, 1)}), number=3)
    assert node.state.lost == ""


def test_v4b_two_owners_are_not_made_by_voters_that_are_restarted_with_older_statuses() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    older = {}
    story.write(1, 2, 3)
    for node in (2, 3):
        older[node] = story.files[node]
    story.live(3.0)
    assert story.at_home() == [1]
    story.cuts = {(2, 1), (3, 1)}  # both read 1 no more, which reads them still
    for node in (2, 3):
        story.files[node] = older[node]  # a backup of the medium, same life
        story.start(node, inc=INC + 1)
    story.live(T - D - 1)
    assert story.owners() in ([1], [])
    story.live(3 * T)
    (owner,) = story.at_home()
    assert owner != 1
    assert story.clinits[owner][G].term > 1  # C8: the token does not repeat


# --- N1: no word while a clinit of before may be at work -----------------------------------


MUTES = [
    ("remembered", KNOWN, FORMER, False),
    ("the life before was remembered", replace(KNOWN, run="x", former_run="run"), FORMER, False),
    ("remembered by an earlier version", Memory(inc=INC, run="run"), FORMER, False),
    ("another rundir, or a lost one", Memory(), FORMER, True),
    ("a rundir with a life of its own", replace(KNOWN, run="x"), FORMER, True),
    ("a rundir that was copied to another machine", replace(KNOWN, machine="o"), FORMER, True),
    ("left in an orderly way", Memory(), status(1, 40, state=NodeState.LEFT), False),
    ("the clstat alone is lost", KNOWN, None, False),
]


@pytest.mark.parametrize(
    ("memory", "former", "mute"), [row[1:] for row in MUTES], ids=[row[0] for row in MUTES]
)
@pytest.mark.parametrize("nodes", [(1,), (1, 2, 3)])
def test_n1_a_former_status_that_is_not_remembered_here_means_no_word_for_t(
    *, memory: Memory, former: Status | None, mute: bool, nodes: tuple[int, ...]
) -> None:
    node = reborn(memory, former, nodes=nodes)
    assert node.mute(START_S + T - 0.01) == mute
    assert not node.mute(START_S + T)
    assert ("status_withheld" in events(node)) == mute


def test_n1_a_mute_node_shoots_nobody_and_does_not_claim() -> None:
    node = reborn(Memory())
    node.tables_adopted(hactl(), frozenset({G}), {}, {})
    for number in (2, 3):
        reads(node, status(number, 1), number=number)
    assert node.step(G, START_S, 0.0).tell is None
    assert node.fence_orders(START_S)[0] == []


def test_n1_it_lasts_for_the_longer_timeout() -> None:
    node = reborn(Memory(), replace(FORMER, timeout_ms=60_000))
    assert node.mute(START_S + 59.9)
    assert not node.mute(START_S + 60)


def test_n1_who_finds_nothing_at_all_asks_the_others_first() -> None:
    node = reborn(Memory(), None)
    assert node.mute(START_S)
    reads(node, status(2, 3))
    assert node.mute(START_S)  # node 3 was not looked at yet
    reads(node, None, number=3)
    assert not node.mute(START_S)


@pytest.mark.parametrize("error", ["no answer for 3 s", "torn: no last line", "cannot be read: x"])
def test_n1_a_look_that_fails_does_not_show_that_a_node_was_never_here(error: str) -> None:
    node = reborn(Memory(), None)
    reads(node, status(2, 3))
    node.peer_read(3, None, began=START_S, now=START_S, error=error)
    assert node.mute(START_S + T - 0.01)
    assert not node.mute(START_S + T)
    node.peer_read(3, None, began=START_S + 1, now=START_S + 1, error=NO_CLSTAT)
    assert not node.mute(START_S + 1)


def test_n1_who_finds_nothing_at_all_and_is_known_to_a_peer_is_mute_for_t() -> None:
    node = reborn(Memory(), None)
    reads(node, status(2, 3, seen={1: Stamp(INC, 9)}))
    reads(node, None, number=3)
    assert node.mute(START_S + T - 0.01)
    assert not node.mute(START_S + T)
    assert "status_withheld" in events(node)


def test_n1_a_node_of_its_own_that_finds_nothing_speaks_at_once() -> None:
    assert not reborn(Memory(), None, nodes=(1,)).mute(START_S)


def test_n1_two_owners_are_not_made_by_a_rundir_that_is_lost() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    story.live(3.0)
    assert story.at_home() == [1]
    out_of_reach = story.clinits[1][G]
    story.clinits[1] = {}  # the new monitor starts a clinit beside the old one
    story.memories[1] = Memory(run="another", boot="boot")
    story.start(1, inc=INC + 1)
    assert out_of_reach.kill_at is not None
    while story.now < out_of_reach.kill_at:
        story.live(0.25)
        assert story.owners() == []


# --- T1: a shorter timeout -------------------------------------------------------------------


SHORT = derive(1.0)


def test_t1_who_starts_with_a_shorter_timeout_counts_with_the_former_one_until_it_has_passed() -> (
    None
):
    node = reborn(KNOWN, replace(FORMER, timeout_ms=10_000), timing=SHORT)
    assert "timeout_kept" in events(node)
    reads(node, status(2, 1), now=START_S + 1)
    reads(node, None, now=START_S + 9.99)
    assert node.state.view.peer(2).stale_since is None
    assert node.next_status(START_S + 9.99).timeout_ms == 10_000
    assert node.next_status(START_S + 10).timeout_ms == 1000
    reads(node, None, now=START_S + 10.01)
    assert node.state.view.peer(2).stale_since is not None


def test_t1_the_former_timeout_is_remembered_without_a_clstat() -> None:
    node = reborn(replace(KNOWN, timeout_ms=10_000), None, timing=SHORT)
    assert node.next_status(START_S).timeout_ms == 10_000
    assert node.state.silent(START_S + 9.99)


def test_t1_a_longer_timeout_counts_at_once() -> None:
    node = reborn(KNOWN, replace(FORMER, timeout_ms=1000))
    assert node.next_status(START_S).timeout_ms == 10_000
    assert "timeout_kept" not in events(node)


def test_t1_a_vote_binds_for_the_longer_timeout_of_its_candidate() -> None:
    node = reborn()
    reads(node, status(2, 8, timeout_ms=60_000, claims={G: 5}))
    assert node.memory(node.next_status(START_S)).timeout_ms == 60_000


def test_t1_a_voter_waits_for_the_longest_timeout_that_a_candidate_has_said() -> None:
    node = reborn()
    reads(node, status(2, 8, timeout_ms=60_000))
    reads(node, status(2, 9, timeout_ms=10_000), now=START_S + 1)
    assert node.look_at(2) == START_S + 1 + 60
    reads(node, status(2, 10, timeout_ms=10_000), now=START_S + 60.9)
    assert node.look_at(2) == START_S + 60.9 + 60
    reads(node, status(2, 11, timeout_ms=10_000), now=START_S + 61)
    assert node.look_at(2) == START_S + 61 + 10


def test_t1_each_shorter_timeout_begins_to_count_anew() -> None:
    node = reborn()
    for seq, (after_s, timeout_s) in enumerate([(0, 60), (1, 30), (60, 20), (62, 20)], 8):
        reads(node, status(2, seq, timeout_ms=timeout_s * 1000), now=START_S + after_s)
    assert node.look_at(2) == START_S + 62 + 60


def test_t1_two_owners_are_not_made_by_a_shorter_timeout() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    story.live(3.0)
    assert story.at_home() == [1]
    for node in (1, 2, 3):
        story.timings[node] = SHORT
        story.start(node, inc=INC + 1)
        story.live(0.5)
    assert story.at_home() == [1]
    held = story.clinits[1][G]
    del story.nodes[1]  # its monitor dies; clinit obeys the deadlines it has
    assert held.stop_at is not None
    while story.now < held.stop_at:
        story.live(0.25)
        assert story.owners() in ([1], [])


def test_c7_the_deadlines_of_the_former_life_hold_until_the_lease_is_renewed() -> None:
    """A lease of before with the stop budget of now could outlast T."""
    story = running()
    held = story.clinits[1][G]
    story.timings[1] = derive(T, lease_s=3.0, stop_budget_s=6.9)
    brain = story.start(1, inc=INC + 1)
    assert brain.renewals(story.now) == []
    story.now += 0.5
    story.show(1, replace(held, level="start", wanted="start"))
    brain.tables_adopted(hactl(Wish(G, "2")), frozenset({G}), {}, {})
    tell = brain.step(G, story.now, 0.0).tell
    assert tell is not None
    assert (tell.stop_at, tell.kill_at) == (held.stop_at, held.kill_at)
