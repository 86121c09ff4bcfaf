"""Why a group is where it is, and what keeps it from a node: every rule, its fact and its age."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from mosha.core.cluster import orders
from mosha.core.cluster.eligibility import wish_text
from mosha.core.cluster.events import ShotEnded
from mosha.core.cluster.fencing import FencingRules, Shot
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.state import MonitorState
from mosha.core.explain.reasons import Explanation, Holds, Reason, is_known, known_groups
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why import UNDER_WAY, why
from mosha.core.explain.why_not import why_not
from mosha.core.ladder import move_after
from mosha.core.status import Ban, Grade, NodeState, Receipt, TableVersion, Vote
from mosha.core.tables import Wish
from tests.core.story import INC, TIMING, G, Story, hactl, one_of_three, says
from tests.core.test_verdicts import (
    REQUIRED,
    SITUATIONS,
    START,
    STOP,
    at,
    banned_everywhere,
    heard,
    just_started,
    only_3_is_stale,
    silent_alone,
    stale_owner,
    state,
    unheard_owner,
    without_cltab_group,
    without_quorum,
    without_tables,
)

WALL_S = 1_763_800_000.0

SEE_THE_SHOTS = (
    "see the shots of node 2 (mosha status there); "
    "if you are sure that node 3 is off: mosha confirm 3"
)


def of(story: Story) -> Explanation:
    return why(state(story), G, story.now, WALL_S)


def against(story: Story, node: int) -> Explanation:
    return why_not(state(story), G, node, story.now, WALL_S)


def reasons(found: Explanation, rule: str) -> list[Reason]:
    return [reason for reason in found.reasons if reason.rule == rule]


def comparable(found: MonitorState) -> dict[str, object]:
    """Return everything a mind knows and has decided, for comparing; empty seats are nothing."""
    plain = copy.deepcopy(found)
    kept = {
        name: getattr(plain, name)
        for name in plain.__struct_fields__
        if name not in {"view", "seats"}
    }
    records = {name: repr(record) for name, record in plain.records.items() if name == G}
    return kept | {"view": vars(plain.view), "seats": records, "writes": None}


# --- why -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("story", "told"), [(make, t) for _, make, t, _ in SITUATIONS])
def test_the_verdict_is_that_of_status_and_a_next_step_is_always_named(
    story: Callable[[], Story], told: str
) -> None:
    made = story()
    found = of(made)
    assert found.ok == judge(state(made), G, made.now).ok
    assert found.ok or found.verdict.startswith(told)
    assert bool(found.next) is not found.ok


@pytest.mark.parametrize("story", [make for _, make, _, _ in SITUATIONS])
def test_explaining_changes_nothing(story: Callable[[], Story]) -> None:
    made = story()
    state(made).record(G)
    before = comparable(state(made))
    of(made)
    for node in (1, 2, 3, 9):
        against(made, node)
    assert comparable(state(made)) == before


def test_where_it_runs_is_said_with_the_age_of_the_news() -> None:
    story = heard(START, says(2, claims={G: 4}, groups=at("start"), votes={G: Vote(4, 2, INC, 1)}))
    story.hear(1, says(3, votes={G: Vote(4, 2, INC, 2)}))
    story.now += 0.5
    found = of(story)
    assert found.verdict == "as hactl wants it: start DONE on node 2"
    (place,) = reasons(found, "place")
    assert place == Reason(
        "place", Holds.YES, "start DONE on node 2, claimed with term 4", said_by=2, age_s=0.5
    )
    (votes,) = reasons(found, "votes")
    assert (votes.holds, votes.said) == (
        Holds.YES,
        "the claim of node 2, term 4, has 2 votes, 2 needed",
    )
    assert [(vote.said_by, vote.age_s) for vote in reasons(found, "vote")] == [(2, 0.5), (3, 0.5)]


def test_the_vote_of_a_node_outside_of_the_electorate_does_not_count() -> None:
    voted = {G: Vote(4, 2, INC, 1)}
    story = heard(START, says(2, claims={G: 4}, groups=at("start"), votes=voted))
    story.hear(1, says(3, votes=voted))
    state(story).view.electorate = Electorate(Policy.MAJORITY, frozenset({1, 3}))
    (votes,) = reasons(of(story), "votes")
    assert (votes.holds, votes.said) == (
        Holds.NO,
        "the claim of node 2, term 4, has 1 votes, 2 needed",
    )


def test_an_own_claim_tells_of_its_lease_and_votes() -> None:
    story = one_of_three()
    story.step(1)
    story.write(1)
    found = of(story)
    assert found.verdict == "planned on node 1: 1 of 2 votes"
    assert found.next == UNDER_WAY
    (lease,) = reasons(found, "lease")
    assert lease.holds is Holds.NO
    assert "withdrawn if not granted within 3.0 s" in lease.said
    story.hear(1, says(2, votes={G: Vote(1, 1, INC, 2)}, seen={1: state(story).published.stamp}))  # type: ignore[union-attr]
    story.step(1)
    story.step(1)
    (lease,) = reasons(of(story), "lease")
    assert (lease.holds, lease.said) == (Holds.YES, "the lease of this node runs 6.0 s more")


@pytest.mark.parametrize(
    ("story", "rule", "said"),
    [
        (without_tables, "hactl", "none is in force here"),
        (without_cltab_group, "entries", "cltab has no entry of it"),
        (lambda: heard(STOP), "wish", "hactl says stop"),
        (lambda: heard(Wish("h", "start")), "wish", "hactl does not name it: it is to be stopped"),
        (without_quorum, "quorum", "no quorum: 1 of 3 nodes fresh, 2 needed; not fresh: 2, 3"),
        (just_started, "quorum", "quorum not known yet: 1 of 3 nodes fresh, 2 needed; not fresh"),
        (
            unheard_owner,
            "unheard",
            "others vote for node 3, which this node has not heard",
        ),
        (silent_alone, "silence", "this node does not vote for 7.0 s more after its start (V5)"),
        (stale_owner, "receipt", "node 3 is stale, and g waits for a receipt"),
        (banned_everywhere, "candidate", "node 1 cannot take it: banned here: clinit: no such"),
        (banned_everywhere, "place", "no status shows it anywhere"),
    ],
)
def test_a_rule_that_does_not_hold_is_said(
    story: Callable[[], Story], rule: str, said: str
) -> None:
    told = [reason.said for reason in reasons(of(story()), rule) if reason.holds is Holds.NO]
    assert [one for one in told if one.startswith(said)], told


def test_a_back_off_after_a_collision_is_said() -> None:
    story = one_of_three()
    state(story).record(G).backoff_until = story.now + 1.5
    (reason,) = reasons(of(story), "back-off")
    assert reason.said == "this node waits 1.5 s more after a collision (C6)"


def test_tables_have_their_versions_and_the_age_of_the_edit_and_refused_ones_their_mistake() -> (
    None
):
    story = one_of_three()
    edited_ns = int((WALL_S - 90) * 1e9)
    tables = {"cltab": TableVersion(edited_ns, "90b2e11c52a8d0f3")}
    story.nodes[1].tables_adopted(hactl(), frozenset({G}), tables, {"hactl": "hactl:2:1: no\nx"})
    found = of(story)
    (cltab,) = reasons(found, "cltab")
    assert (cltab.said, cltab.age_s) == ("in force here: version 90b2e11c", 90.0)
    assert reasons(found, "hactl")[0].said == "in force here; a newer text is refused"
    (refused,) = reasons(found, "hactl refused")
    assert (refused.holds, refused.said) == (Holds.MOOT, "hactl:2:1: no")


def test_a_shot_has_its_outcome_and_age() -> None:
    story = stale_owner()
    story.hear(1, says(3, 5, claims={G: 4}, groups=at("start")))
    story.now += 30
    story.hear(1, says(2, 20))
    story.miss(1, 3)
    orders = story.shots(1)
    story.nodes[1].shot(ShotEnded(orders[0], "failed", "command", "exit 1"), story.now)
    story.now += 2.0
    (shot,) = reasons(of(story), "shot")
    assert shot == Reason(
        "shot", Holds.NO, "node 3 was shot by command, outcome failed: exit 1", 1, 2.0
    )


def test_a_shot_that_has_proved_a_death_does_not_stand_in_the_way() -> None:
    story = stale_owner()
    state(story).shots[3] = Shot(3, INC, story.now - 1, "receipt", "ipmi")
    (shot,) = [it for it in reasons(of(story), "shot") if "was shot" in it.said]
    assert (shot.holds, shot.said) == (Holds.YES, "node 3 was shot by ipmi, outcome receipt")


def test_the_votes_for_a_claim_of_a_node_that_is_stale_decide_nothing() -> None:
    (votes,) = reasons(of(stale_owner()), "votes")
    assert (votes.holds, votes.said) == (
        Holds.MOOT,
        "the claim of node 3, term 4, has 0 votes, 2 needed",
    )


def test_a_group_that_is_to_stop_and_shown_nowhere_may_run_where_nothing_is_heard() -> None:
    stopped = heard(STOP, says(2))
    assert [it.holds for it in reasons(of(stopped), "place")] == [Holds.YES]
    stopped.now += TIMING.timeout_s + 1
    stopped.miss(1, 2, 3)
    (place,) = reasons(of(stopped), "place")
    assert (place.holds, place.said) == (Holds.NO, "no status shows it anywhere")


def shot_in_vain(story: Story) -> Story:
    """The story, and node 3 was shot without a receipt."""
    shot = Shot(3, INC, story.now - 1, "no receipt", "print")
    state(story).shots[3] = shot
    return story


def test_a_shot_at_a_node_that_is_heard_again_keeps_nobody_waiting() -> None:
    """As its remedy is to confirm that a node is dead that is well, and may run the group."""
    at_2 = says(2, claims={G: 4}, groups=at("start"))
    back = shot_in_vain(heard(START, at_2, says(3, standby=True)))
    assert [reason.holds for reason in reasons(against(back, 3), "shot")] == [Holds.MOOT]
    assert against(back, 3).verdict == "node 3 is on standby"
    required = one_of_three(rules=REQUIRED)
    required.hear(1, at_2, says(3))
    found = against(shot_in_vain(required), 3)
    assert (found.verdict, found.next) == (
        "node 2 has it, start DONE",
        "to move it there: mosha move g 3",
    )


@pytest.mark.parametrize(("rules", "stands"), [(REQUIRED, Holds.NO), (FencingRules(), Holds.MOOT)])
def test_a_shot_at_a_stale_node_stands_in_the_way_only_where_a_receipt_is_asked_for(
    rules: FencingRules, stands: Holds
) -> None:
    story = one_of_three(rules=rules)
    story.hear(1, says(3, claims={G: 4}, groups=at("start")))
    only_3_is_stale(story)
    (shot,) = reasons(of(shot_in_vain(story)), "shot")
    assert shot.holds is stands


def test_what_a_stale_node_says_holds_up_nobody_where_no_receipt_is_asked_for() -> None:
    story = heard(START, says(3, claims={G: 4}, groups=at("start")))
    only_3_is_stale(story)
    (place,) = reasons(of(story), "place")
    assert place.holds is Holds.MOOT
    assert place.said.endswith("(node 3 is stale)")


def test_what_this_node_does_is_the_row_of_the_table() -> None:
    (turn,) = reasons(of(one_of_three()), "turn")
    assert turn.said == "node 1 does: plan (row: free)"
    (turn,) = reasons(of(one_of_three(Wish(G, "start", prefer=(2,)))), "turn")
    assert turn.said == "node 1 does: wait (row: waiting); it may claim in 1.0 s"


def test_a_node_whose_clinit_does_not_answer_does_nothing() -> None:
    story = one_of_three()
    story.nodes[1].clinit_lost()
    (turn,) = reasons(of(story), "turn")
    assert (turn.holds, turn.said) == (
        Holds.NO,
        "node 1 does nothing: its clinit does not answer",
    )


# --- why not -------------------------------------------------------------------------------


def fenced() -> Story:
    story = one_of_three()
    only_3_is_stale(story)
    story.nodes[1].confirmed(3, story.now)
    return story


def banned_on_2() -> Story:
    return heard(START, says(2, bans={G: Ban(240, "entry t1: exit 1")}))


def vote_for_a_silent_node() -> Story:
    story = one_of_three()
    only_3_is_stale(story)
    story.hear(1, says(2, 10, votes={G: Vote(3, 3, INC, 1)}))
    return story


NOT_THERE: list[tuple[str, Callable[[], Story], int, str, str]] = [
    (
        "it runs elsewhere",
        lambda: heard(START, says(2, claims={G: 4}, groups=at("start"))),
        3,
        "node 2 has it, start DONE",
        "to move it there: mosha move g 3",
    ),
    (
        "on standby, while it runs elsewhere",
        lambda: heard(START, says(2, claims={G: 4}, groups=at("start")), says(3, standby=True)),
        3,
        "node 3 is on standby",
        "mosha unstandby 3",
    ),
    ("on standby, and free", lambda: heard(START, says(2, standby=True)), 2, "node 2 is on", ""),
    ("the own node", lambda: _after(one_of_three(), stand_by_here), 1, "node 1 is on", ""),
    (
        "only",
        lambda: heard(Wish(G, "start", only=(1, 2))),
        3,
        "only=1,2 leaves out node 3",
        "mosha set g start only=1,2,3",
    ),
    ("stop", lambda: heard(STOP), 3, "hactl says stop", "mosha set g start"),
    (
        "no entries",
        without_cltab_group,
        2,
        "cltab has no entry of it",
        "add entries of g to cltab",
    ),
    (
        "banned",
        banned_on_2,
        2,
        "it is banned on node 2 for 240 s more: entry t1: exit 1",
        "repair what failed there; the ban ends by itself",
    ),
    (
        "another is preferred",
        lambda: heard(Wish(G, "start", prefer=(2,))),
        3,
        "node 3 has rank 1: first choice is node 2 (by prefer=)",
        "mosha set g start prefer=3",
    ),
    (
        "stale",
        lambda: _after(one_of_three(), only_3_is_stale),
        3,
        "node 3 is stale: not heard from for longer than timeout",
        "look at node 3: is it on, is its monitor running, is its mount there?",
    ),
    ("it was there, and is stale", stale_owner, 3, "node 3 is stale", "look at node 3"),
    ("fenced", fenced, 3, "node 3 is fenced", "look at node 3"),
    (
        "leaving",
        lambda: heard(START, says(2, state=NodeState.LEAVING)),
        2,
        "node 2 is leaving",
        "start the monitor of node 2 again when it has left",
    ),
    (
        "left",
        lambda: heard(START, says(2, state=NodeState.LEFT)),
        2,
        "node 2 has left in an orderly way",
        "start its monitor; if it runs, mosha status on node 2 says what it waits for",
    ),
    (
        "no member",
        one_of_three,
        9,
        "node 9 is not a member of this cluster: 1, 2, 3 are",
        "add node 9 to `nodes` in mosha.toml on all nodes",
    ),
    (
        "it sees no quorum",
        lambda: heard(START, says(2, quorum=False)),
        2,
        "node 2 sees no quorum",
        "bring nodes back",
    ),
    ("no quorum here", without_quorum, 1, "no quorum: 1 of 3", "bring nodes back"),
    ("silent", silent_alone, 1, "node 1 does not vote for 7.0 s more", "wait until it votes"),
    (
        "a stale node may still run it",
        stale_owner,
        2,
        "node 3 is stale and may still run it (start)",
        SEE_THE_SHOTS,
    ),
    (
        "its vote is with a node that is heard",
        lambda: heard(START, says(2, votes={G: Vote(3, 3, INC, 1)})),
        2,
        "node 2 has given its vote to node 3, term 3",
        "wait: node 3 is heard, and takes the group or releases the vote",
    ),
    (
        "its vote is with a node that is gone",
        vote_for_a_silent_node,
        2,
        "node 2 has given its vote to node 3, term 3",
        "wait until node 3 is heard, or, if it is off: mosha confirm 3",
    ),
]


def stand_by_here(story: Story) -> None:
    orders.stand_by(state(story), on=True)


def _after(story: Story, change: Callable[[Story], None]) -> Story:
    change(story)
    return story


@pytest.mark.parametrize(
    ("story", "node", "said", "step"),
    [pytest.param(*rest, id=name) for name, *rest in NOT_THERE],
)
def test_the_first_rule_that_does_not_hold_is_the_answer_with_its_next_step(
    story: Callable[[], Story], node: int, said: str, step: str
) -> None:
    found = against(story(), node)
    assert not found.ok
    assert found.verdict.startswith(said)
    assert found.next.startswith(step)
    assert found.asked == node


def test_a_group_that_is_there_is_said_to_be_there() -> None:
    story = heard(START, says(2, claims={G: 4}, groups=at("start")))
    found = against(story, 2)
    assert found.ok
    assert found.verdict == "it is there: start DONE on node 2"


def test_a_node_that_nothing_keeps_from_it_is_the_next_one() -> None:
    found = against(one_of_three(), 1)
    assert found.ok
    assert found.verdict.startswith("nothing keeps it from node 1")
    assert {reason.rule for reason in found.reasons if reason.holds is Holds.NO} == set()


def test_of_the_silence_of_this_node_another_one_does_not_suffer() -> None:
    story = one_of_three()
    state(story).silent_until = story.now + 7.0
    assert [len(reasons(against(story, node), "silence")) for node in (1, 2)] == [1, 0]


def test_failback_that_is_on_is_not_said_to_be_off() -> None:
    wish = Wish(G, "start", prefer=(3,), failback=True)
    story = heard(wish, says(2, claims={G: 4}, groups=at("start")))
    assert reasons(against(story, 3), "failback") == []


def test_failback_that_is_off_and_other_tables_are_mentioned() -> None:
    story = heard(
        Wish(G, "start", prefer=(3,)),
        says(2, claims={G: 4}, groups=at("start")),
        says(3, tables={"hactl": TableVersion(5, "aabbccddee")}),
    )
    state(story).tables = {"hactl": TableVersion(7, "ffffffffff")}
    found = against(story, 3)
    (failback,) = reasons(found, "failback")
    assert "failback=no leaves a group where it runs" in failback.said
    assert [r.said for r in reasons(found, "hactl")][-1] == (
        "node 3 has another hactl in force than this node: version aabbccdd"
    )


def test_a_receipt_is_mentioned() -> None:
    story = stale_owner()
    state(story).view.receipt(3, Receipt(INC, "operator"))
    (fence,) = reasons(against(story, 3), "fence")
    assert fence.said == "node 3 is dead, says a receipt (operator, command-said-so)"


# --- what is known ---------------------------------------------------------------------------


def test_a_group_is_known_by_a_table_or_a_status() -> None:
    story = heard(START, says(2, groups={"odd": at("start")[G]}))
    assert [name for name in (G, "odd", "none") if is_known(state(story), name)] == [G, "odd"]
    assert known_groups(state(story)) == {G}


def test_a_wish_is_told_with_the_options_that_stand_at_their_defaults() -> None:
    said = "start prefer=any only=any failback=no on-failure=stay fence=as-set"
    said += " after=none with=none apart=none priority=0 weight=1 on=one"
    assert wish_text(Wish(G, "start")) == said
    moves = move_after(3, 600.0)
    full = Wish(G, "start", prefer=(2, 3), only=(2, 3, 4), failback=True, on_failure=moves)
    said = "start prefer=2,3 only=2,3,4 failback=yes on-failure=move:3/10m fence=off-confirmed"
    said += " after=a with=b,c apart=d priority=-3 weight=7 on=one"
    related = replace(full, after=("a",), with_=("b", "c"), apart=("d",), priority=-3, weight=7)
    assert wish_text(replace(related, fence=Grade.OFF_CONFIRMED)) == said
