"""Why a group is not where it should be: one sentence for each situation, and its next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders
from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.state import MonitorState
from mosha.core.explain import quorate
from mosha.core.explain.problems import ProblemKind
from mosha.core.explain.verdicts import (
    GroupVerdict,
    judge,
    not_here,
    sightings,
)
from mosha.core.status import (
    Ban,
    GroupLine,
    GroupState,
    NodeState,
    Receipt,
    Status,
    Trouble,
    TroubleKind,
    Vote,
)
from mosha.core.supervision.entries import BEING_RESTARTED
from mosha.core.tables import Wish
from tests.core.story import (
    INC,
    TIMING,
    G,
    Story,
    alone_again,
    hactl,
    one_of_three,
    report,
    says,
    status,
)

T = TIMING.timeout_s
REQUIRED = FencingRules(required=True)

SEE_THE_SHOTS = (
    "see the shots of node 2 (mosha status there); "
    "if you are sure that node 3 is off: mosha confirm 3"
)


def at(level: str, state: GroupState = GroupState.DONE) -> dict[str, GroupLine]:
    return {G: GroupLine(level, state)}


def state(story: Story) -> MonitorState:
    return story.nodes[1].state


def only_3_is_stale(story: Story) -> None:
    story.now += T + 1
    story.hear(1, says(2, 9))
    story.miss(1, 3)


def without_tables() -> Story:
    story = one_of_three()
    story.nodes[1].tables_adopted(None, frozenset({G}), {}, {})
    state(story).cltab_groups = None
    return story


def without_cltab_group() -> Story:
    story = one_of_three()
    story.nodes[1].tables_adopted(hactl(), frozenset({"h"}), {}, {})
    return story


def without_quorum() -> Story:
    story = one_of_three()
    story.now += T + 1
    story.miss(1, 2, 3)
    return story


def just_started() -> Story:
    return Story()


def silent_alone() -> Story:
    story = one_of_three(Wish(G, "start", only=(1,)))
    state(story).silent_until = story.now + 7.0
    return story


def unheard_owner() -> Story:
    story = alone_again()
    story.hear(1, says(2, votes={G: Vote(term=4, node=3, inc=INC, seq=1)}))
    return story


def stale_owner() -> Story:
    story = one_of_three(rules=REQUIRED)
    story.hear(1, says(3, claims={G: 4}, groups=at("start")))
    only_3_is_stale(story)
    return story


def vote_with_a_dead_node(*, required: bool) -> Story:
    story = Story(rules=FencingRules(required=required))
    story.files[1] = status(1, 9, votes={G: Vote(5, 3, INC, 1)})
    story.start(1)
    story.write(1)
    story.hear(1, says(2, 1))
    story.miss(1, 3)
    return story


def banned_everywhere() -> Story:
    story = one_of_three()
    ban = {G: Ban(240, "entry t1: exit 1")}
    story.hear(1, says(2, bans=ban), says(3, bans=ban))
    story.nodes[1].tell_refused(G, "test", "no such group", story.now)
    return story


def only_node_is_gone() -> Story:
    story = one_of_three(Wish(G, "start", only=(3,)))
    only_3_is_stale(story)
    return story


def others_have_left() -> Story:
    story = one_of_three()
    story.hear(1, says(2, state=NodeState.LEAVING), says(3))
    story.nodes[1].leave()
    story.hear(1, says(3, 3, quorum=False))
    return story


def refused_cltab() -> Story:
    story = without_cltab()
    state(story).refused = {"cltab": "cltab:1: no such mode"}
    return story


def refused_hactl_elsewhere() -> Story:
    story = one_of_three()
    state(story).hactl = None
    story.hear(1, says(2), says(3, refused={"hactl": "hactl:1: no such level"}))
    return story


def all_on_standby() -> Story:
    return _all_on_standby()


def _all_on_standby(wish: Wish | None = None) -> Story:
    story = one_of_three(wish)
    story.hear(1, says(2, standby=True), says(3, standby=True))
    orders.stand_by(state(story), on=True)
    return story


def only_node_is_gone_others_on_standby() -> Story:
    story = only_node_is_gone()
    story.hear(1, says(2, 10, standby=True))
    orders.stand_by(state(story), on=True)
    return story


def only_node_is_on_probation() -> Story:
    rules = FencingRules(probation=1)
    story = one_of_three(Wish(G, "start", only=(3,)), rules=rules)
    story.hear(1, says(2, probations={3: 60}), says(3))
    return story


def with_a_witness(story: Story) -> Story:
    state(story).witness = True
    return story


def banned_here(story: Story) -> Story:
    record = state(story).record(G)
    record.ban_until, record.ban_reason = story.now + 20, "entry t1: exit 1"
    return story


def without_cltab() -> Story:
    story = one_of_three()
    state(story).cltab_groups = None
    return story


def heard(wish: Wish, *said: Status) -> Story:
    story = one_of_three(wish)
    story.hear(1, *said)
    return story


START, STOP = Wish(G, "start"), Wish(G, "stop")
VOTED = {G: Vote(4, 2, INC, 2)}


def failed_stop() -> tuple[Status, Status]:
    """Node 2 has failed to stop the group, under a claim that nodes 2 and 3 vote for."""
    failed = at("stop", GroupState.FAILED)
    return says(2, claims={G: 4}, groups=failed, votes=VOTED), says(3, votes=VOTED)


SITUATIONS: list[tuple[str, Callable[[], Story], str, str]] = [
    # what is the case, the story, why, what to do next
    ("at home", lambda: heard(START, says(2, claims={G: 4}, groups=at("start"))), "", ""),
    (
        "PASSED is home",
        lambda: heard(START, says(2, groups=at("start", GroupState.PASSED))),
        "",
        "",
    ),
    ("stopped as wanted", lambda: heard(STOP, says(2)), "", ""),
    ("not in hactl and nowhere", lambda: heard(Wish("h", "start"), says(2)), "", ""),
    (
        "no tables",
        without_tables,
        "no hactl or no cltab is in force yet",
        "write cltab and hactl in the directory of any node",
    ),
    (
        "the only cltab is refused",
        refused_cltab,
        "no hactl or no cltab is in force yet",
        "correct what is refused: cltab on node 1",
    ),
    (
        "the only hactl is refused, on another node",
        refused_hactl_elsewhere,
        "no hactl or no cltab is in force yet",
        "correct what is refused: hactl on node 3",
    ),
    (
        "H4.6 cltab has no such group",
        without_cltab_group,
        "hactl wants it at start, but cltab has no group g",
        "add g to cltab, or take it out of hactl",
    ),
    (
        "still running",
        lambda: heard(STOP, says(2, groups=at("start"))),
        "still start DONE on node 2",
        "",
    ),
    (
        "the stop entries failed",
        lambda: heard(STOP, *failed_stop()),
        "its stop entries failed on node 2: no other node may start it",
        "repair what failed there, then: mosha cleanup g 2",
    ),
    (
        "the stop entries failed on its way elsewhere",
        lambda: heard(START, *failed_stop()),
        "its stop entries failed on node 2: no other node may start it",
        "repair what failed there, then: mosha cleanup g 2",
    ),
    (
        "failed at its level",
        lambda: heard(START, says(2, claims={G: 4}, groups=at("start", GroupState.FAILED))),
        "failed at start on node 2; it will be stopped there",
        "",
    ),
    (
        "planned",
        lambda: heard(START, says(2, claims={G: 4}, groups=at("plan"), votes=VOTED)),
        "planned on node 2: 1 of 2 votes",
        "",
    ),
    (
        "claimed a moment ago",
        lambda: heard(START, says(2, claims={G: 4}, votes=VOTED)),
        "planned on node 2: 1 of 2 votes",
        "",
    ),
    (
        "planned by a node that does not hear its owner, which has its votes",
        lambda: heard(
            START,
            says(2, claims={G: 4}, groups=at("start"), votes={G: Vote(4, 2, INC, 2)}),
            says(3, claims={G: 5}, groups=at("plan"), votes={G: Vote(4, 2, INC, 2)}),
        ),
        "",
        "",
    ),
    (
        "planned by another node, while its owner has no majority any more",
        lambda: heard(
            START,
            says(2, claims={G: 4}, groups=at("start"), votes={G: Vote(4, 2, INC, 2)}),
            says(3, claims={G: 5}, groups=at("plan"), votes={G: Vote(5, 3, INC, 2)}),
        ),
        "planned on node 3: 1 of 2 votes",
        "",
    ),
    (
        "on several nodes",
        lambda: heard(START, says(2, claims={G: 4}, groups=at("start")), says(3, groups=at("2"))),
        "on several nodes: 2, 3; those without a granted claim stop",
        "",
    ),
    (
        "on several nodes, of which one has other nodes in mosha.toml",
        lambda: heard(
            START,
            says(2, claims={G: 4}, groups=at("start"), voters="0badcafe"),
            says(3, claims={G: 5}, groups=at("start")),
        ),
        (
            "on several nodes: 2, 3; node 2 has other `nodes` in mosha.toml than this node, so each"
            " may have a granted claim, and none stops"
        ),
        "end it on all of them but one, then make `nodes` the same everywhere",
    ),
    (
        "on its way, with a planner beside it",
        lambda: heard(
            START,
            says(2, claims={G: 4}, groups=at("test", GroupState.STARTING)),
            says(3, groups=at("plan")),
        ),
        "test STARTING on node 2, on its way",
        "",
    ),
    (
        "no quorum",
        without_quorum,
        "no quorum: 1 of 3 nodes fresh, 2 needed; not fresh: 2, 3",
        "bring nodes back",
    ),
    (
        "quorum unknown",
        just_started,
        "quorum not known yet: 1 of 3 nodes fresh, 2 needed; not fresh: 2, 3",
        "bring nodes back",
    ),
    (
        "a stale owner, fencing required",
        stale_owner,
        (
            "node 3 is stale, may still run it and is not fenced: this monitor has just started,"
            " and shoots nobody for 9s more"
        ),
        SEE_THE_SHOTS,
    ),
    (
        "banned everywhere",
        banned_everywhere,
        (
            "no node can run it: node 1: banned here: clinit: no such group; "
            "node 2: banned there for 240 s: entry t1: exit 1; "
            "node 3: banned there for 240 s: entry t1: exit 1"
        ),
        "repair what failed; each ban ends by itself, or at once: mosha cleanup g",
    ),
    (
        "the only node is gone",
        only_node_is_gone,
        (
            "no node can run it: node 1: only= leaves this node out; "
            "node 2: only= leaves this node out; "
            "node 3: stale: not heard from for longer than timeout"
        ),
        "bring one of the nodes of only= back, or change hactl",
    ),
    (
        "all are on standby",
        all_on_standby,
        "no node can run it: node 1: on standby; node 2: on standby; node 3: on standby",
        "mosha unstandby 1",
    ),
    (
        "all are on standby, and only= has node 3",
        lambda: _all_on_standby(Wish(G, "start", only=(3,))),
        "no node can run it: node 1: on standby; node 2: on standby; node 3: on standby",
        "mosha unstandby 3",
    ),
    (
        "others than the only node are on standby",
        only_node_is_gone_others_on_standby,
        (
            "no node can run it: node 1: on standby; node 2: on standby; "
            "node 3: stale: not heard from for longer than timeout"
        ),
        "bring one of the nodes of only= back, or change hactl",
    ),
    (
        "all are on standby, and node 1 is a witness",
        lambda: with_a_witness(all_on_standby()),
        (
            "no node can run it: node 1: a witness: it only votes; node 2: on standby;"
            " node 3: on standby"
        ),
        "mosha unstandby 2",
    ),
    (
        "the only node is on probation",
        only_node_is_on_probation,
        (
            "no node can run it: node 1: only= leaves this node out; "
            "node 2: only= leaves this node out; node 3: on probation: found dead too often"
        ),
        "look at node 3; its probation ends by itself",
    ),
    (
        "all are on standby, and it has failed on node 1",
        lambda: banned_here(all_on_standby()),
        "no node can run it: node 1: on standby; node 2: on standby; node 3: on standby",
        "mosha unstandby 2",
    ),
    (
        "everybody leaves",
        others_have_left,
        "no node can run it: node 1: this node is leaving; node 2: leaving; node 3: sees no quorum",
        "bring a node back",
    ),
    ("C1", unheard_owner, "others vote for node 3, not heard here yet", ""),
    (
        "V5",
        silent_alone,
        "this node keeps silent for 7 s after its start (V5)",
        "",
    ),
    (
        "a recovered vote for a node that is not there",
        lambda: vote_with_a_dead_node(required=False),
        "the vote of this node is with node 3, which is not heard from",
        "",
    ),
    (
        "… with fencing required",
        lambda: vote_with_a_dead_node(required=True),
        "the vote of this node is with node 3, which is not heard from",
        SEE_THE_SHOTS,
    ),
    ("free", one_of_three, "waiting for a claim by node 1, 2, 3", ""),
]


@pytest.mark.parametrize(
    ("story", "why", "step"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS]
)
def test_each_situation_has_its_sentence_and_its_next_step(
    story: Callable[[], Story], why: str, step: str
) -> None:
    told = story()
    found = judge(state(told), G, told.now)
    assert (found.ok, found.why, found.next) == (not why, why, step)


def test_a_group_that_is_planned_here_counts_the_own_vote() -> None:
    story = one_of_three()
    story.step(1)
    assert judge(state(story), G, story.now).why == "planned on node 1: 1 of 2 votes"
    story.hear(1, says(2, votes={G: Vote(1, 1, INC, 2)}))
    assert judge(state(story), G, story.now).why == "planned on node 1: 2 of 2 votes"


def test_a_group_is_accounted_for_in_every_moment_of_its_life() -> None:
    story = Story(wishes=hactl(Wish(G, "start", prefer=(1,))))
    seen = set()
    for _ in range(12):
        for node in (1, 2, 3):
            found = judge(story.nodes[node].state, G, story.now)
            assert found.ok == (not found.why)
            seen.add(found.ok)
        story.live(0.25)
    assert seen == {True, False}


# --- what anybody says of a group ----------------------------------------------------------


def test_a_group_whose_clinit_is_silent_is_not_told_to_be_well() -> None:
    story = one_of_three()
    story.live(2.0)
    (home,) = story.at_home()
    brain = story.nodes[home]
    assert judge(brain.state, G, story.now).ok
    brain.clinit_lost()
    found = judge(brain.state, G, story.now)
    assert (found.ok, found.why) == (
        False,
        f"clinit of node {home} does not answer; this is its last report",
    )


def test_a_clinit_that_is_silent_says_nothing_of_a_group_that_is_elsewhere() -> None:
    story = heard(START, says(2, claims={G: 4}, groups=at("start")))
    story.nodes[1].clinit_lost()
    assert judge(state(story), G, story.now) == GroupVerdict(ok=True)


def test_a_stop_that_has_failed_is_told_before_that_it_is_stopped_for_good() -> None:
    owner, voter = failed_stop()
    story = heard(START, replace(owner, exhausted={G: "failed 4 times"}), voter)
    assert judge(state(story), G, story.now).why.startswith("its stop entries failed on node 2")
    done = replace(owner, groups=at("stop"), exhausted={G: "failed 4 times"})
    story = heard(START, done, voter)
    assert judge(state(story), G, story.now).why == "stopped for good on node 2: failed 4 times"


def test_a_vote_for_a_node_that_is_heard_is_not_said_to_be_for_one_that_is_not() -> None:
    story = heard(START, says(2), says(3))
    record = state(story).record(G)
    record.ballot = replace(record.ballot, vote=Vote(4, 2, INC, 2))
    assert judge(state(story), G, story.now).why == "waiting for a claim by node 1, 2, 3"


def test_a_group_that_is_stopped_and_has_left_something_is_not_as_wanted() -> None:
    wrong = {(G, "disk"): Trouble("disk", TroubleKind.FAILED, text="stop: exit 1 (error)")}
    story = heard(STOP, says(2, groups=at("stop"), troubles=wrong))
    found = judge(state(story), G, story.now)
    assert (found.ok, found.kind) == (False, ProblemKind.ENTRY)
    assert found.why.startswith("stopped on node 2, but entry disk failed")
    assert found.next.endswith("then: mosha cleanup g")


@pytest.mark.parametrize(
    ("term", "voters", "votes"), [(4, (2, 3), 2), (4, (2,), 2), (3, (2,), 1), (4, (), 1)]
)
def test_the_votes_of_a_plan_are_those_for_its_term_and_no_more_than_are_needed(
    term: int, voters: tuple[int, ...], votes: int
) -> None:
    """Of this node, which votes for node 2 in that term, and of the others that vote."""
    voted = {G: Vote(4, 2, INC, 2)}
    plan = says(2, claims={G: 4}, groups=at("plan"), votes=voted if 2 in voters else {})
    story = heard(START, plan, says(3, votes=voted if 3 in voters else {}))
    record = state(story).record(G)
    record.ballot = replace(record.ballot, vote=Vote(term, 2, INC, 2))
    assert judge(state(story), G, story.now).why == f"planned on node 2: {votes} of 2 votes"


def test_everything_that_any_status_says_of_a_group_is_listed_with_its_worth() -> None:
    story = one_of_three()
    story.step(1)
    story.hear(1, says(2, groups=at("stop", GroupState.STOPPING)))
    story.hear(1, says(3, claims={G: 4}, groups=at("start")))
    only_3_is_stale(story)
    story.hear(1, says(2, 10, groups=at("stop", GroupState.STOPPING)))
    found = [
        (s.node, s.line.level, s.claim, s.counts) for s in sightings(state(story), G, story.now)
    ]
    assert found == [(1, "plan", 1, True), (2, "stop", None, True), (3, "start", 4, False)]


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ({"state": NodeState.UP}, True),
        ({"state": NodeState.LEAVING}, True),
        ({"state": NodeState.LEFT}, False),
    ],
)
def test_only_who_is_there_counts(*, said: dict[str, Any], counts: bool) -> None:
    story = heard(START, says(2, groups=at("start"), **said))
    (sighting,) = sightings(state(story), G, story.now)
    assert sighting.counts == counts


def test_a_group_that_is_here_and_claimed_but_not_shown_yet_is_listed() -> None:
    story = one_of_three()
    story.nodes[1].step(G, story.now, 0.0)
    (sighting,) = sightings(state(story), G, story.now)
    assert (sighting.node, sighting.claim) == (1, 1)


# --- why not there ---------------------------------------------------------------------------


def test_h5_20_every_node_that_cannot_take_a_group_has_a_reason() -> None:
    story = one_of_three()
    story.now += 100.0
    story.miss(1, 3)
    story.hear(1, says(2, fenced={3: Receipt(INC, "ipmi")}), says(2, 3, state=NodeState.LEFT))
    assert not_here(state(story), G, story.now) == {
        1: "no quorum",
        2: "left in an orderly way",
        3: "fenced",
    }


def test_a_failed_stop_is_said_with_the_words_of_its_entry_on_every_node() -> None:
    wrong = {(G, "umount"): Trouble("umount", TroubleKind.FAILED, text="exit 1: target is busy")}
    owner, voter = failed_stop()
    story = heard(STOP, replace(owner, troubles=wrong), voter)
    assert judge(state(story), G, story.now).why == (
        "its stop entries failed on node 2: no other node may start it; entry umount failed:"
        " exit 1: target is busy"
    )


def test_a_node_that_was_never_heard_from_has_a_reason_too() -> None:
    assert not_here(state(Story()), G, 1000.0) == {2: "never heard from", 3: "never heard from"}


def test_a_table_that_is_not_in_force_is_the_reason_and_not_the_other_one() -> None:
    here = state(without_cltab())
    assert not_here(here, G, 1000.0) == {1: "no cltab is in force"}
    here.standby = True
    assert not_here(here, G, 1000.0) == {1: "on standby"}


def test_who_could_take_it_has_none() -> None:
    assert not_here(state(one_of_three()), G, 1000.0) == {}


# --- the sum behind the quorum ----------------------------------------------------------------


def test_the_sum_of_a_majority_counts_the_electorate() -> None:
    story = one_of_three()
    assert quorate.count(state(story)) == (3, 2)
    assert quorate.reason(state(story)) == "3 of 3 nodes fresh, 2 needed"
    state(story).view.electorate = Electorate(Policy.MAJORITY, frozenset({1, 3}))
    assert quorate.reason(state(story)) == "2 of 2 nodes fresh, 2 needed", "node 2 is no elector"


@pytest.mark.parametrize(("remembered", "least"), [(5, 3), (6, 4), (10, 6), (0, 0), (1, 1)])
def test_h2_1_the_sum_of_the_adaptive_rule_counts_who_is_fresh(remembered: int, least: int) -> None:
    story = one_of_three()
    state(story).view.electorate = Electorate(Policy.ADAPTIVE, frozenset({1, 9}), remembered)
    assert quorate.count(state(story)) == (3, least)
    text = f"3 nodes fresh; at least {least} of the last {remembered}"
    assert quorate.reason(state(story)) == text


def test_a_stopped_group_that_is_not_active_anywhere_is_as_wanted() -> None:
    story = heard(STOP, says(2))
    story.show(1, report("stop"))
    assert judge(state(story), G, story.now) == GroupVerdict(ok=True)


# --- entries in trouble on the way -----------------------------------------------------------

FIND_OUT = "find out what it waits for; its pid: mosha status g, on that node"


@pytest.mark.parametrize(
    ("level", "trouble", "step"),
    [
        ("start", Trouble("d", TroubleKind.FAILING), "repair it; its output: mosha status g, on"),
        ("start", Trouble("d", TroubleKind.UNREADY), "repair it; its output: mosha status g, on"),
        ("start", Trouble("d", TroubleKind.STOPPED), "to start it: mosha start g d"),
        ("start", Trouble("d", TroubleKind.STOPPED, text=BEING_RESTARTED), ""),
        ("start", Trouble("d", TroubleKind.LATE), FIND_OUT),
        ("test", Trouble("d", TroubleKind.LATE), FIND_OUT),
        ("start", Trouble("d", TroubleKind.LATE, text="its time limit is 120 s"), ""),
        ("test", Trouble("d", TroubleKind.FAILING), ""),
    ],
)
def test_a_group_that_waits_for_an_entry_says_what_to_do_about_it(
    level: str, trouble: Trouble, step: str
) -> None:
    owner = says(2, claims={G: 4}, groups=at(level, GroupState.STARTING))
    story = heard(START, replace(owner, troubles={(G, "d"): trouble}), says(3))
    verdict = judge(state(story), G, story.now)
    assert verdict.why.startswith(f"{level} STARTING on node 2, on its way; entry d ")
    assert verdict.next.startswith(step)
    assert bool(verdict.next) is bool(step)


def test_a_stop_that_waits_for_an_entry_says_what_to_do_about_it() -> None:
    owner = says(2, claims={G: 4}, groups=at("stop", GroupState.STARTING))
    late = Trouble("w.stop", TroubleKind.LATE, for_s=60)
    story = heard(STOP, replace(owner, troubles={(G, "w.stop"): late}), says(3))
    verdict = judge(state(story), G, story.now)
    waits = "entry w.stop has not ended for 60 s"
    assert verdict.why == f"still stop STARTING on node 2; {waits}"
    assert verdict.next == FIND_OUT


def test_of_several_entries_what_fails_is_repaired_before_what_was_stopped_is_started() -> None:
    stopped, failing = Trouble("s", TroubleKind.STOPPED), Trouble("f", TroubleKind.FAILING)
    owner = says(2, claims={G: 4}, groups=at("start"))
    for wrong in ((stopped, failing), (failing, stopped)):
        troubles = {(G, trouble.tag): trouble for trouble in wrong}
        story = heard(START, replace(owner, troubles=troubles), says(3))
        verdict = judge(state(story), G, story.now)
        assert verdict.next == "repair it; its output: mosha status g, on that node"
        assert verdict.kind is ProblemKind.ENTRY
    story = heard(START, replace(owner, troubles={(G, "s"): stopped}), says(3))
    verdict = judge(state(story), G, story.now)
    assert (verdict.kind, verdict.next) == (
        ProblemKind.STOPPED,
        "to start it: mosha start g s",
    )


# --- a monitor that waits for its clinit -----------------------------------------------------


def test_a_monitor_whose_clinit_has_not_answered_says_that_it_reads_nobody() -> None:
    story = just_started()
    state(story).clinit_known = False
    waits = "no other node is read before clinit of node 1 answers"
    step = "see why clinit of node 1 does not answer: mosha status there"
    verdict = judge(state(story), G, story.now)
    assert (verdict.why, verdict.next) == (f"quorum not known yet: {waits}", step)
    story.write(1)  # it had answered, and does not any more: what is known of others stays
    assert quorate.reason(state(story)).startswith("1 of 3 nodes fresh")
