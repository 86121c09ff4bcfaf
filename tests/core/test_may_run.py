"""A group is called stopped only where that is known: nodes that are not heard may run it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.quorum import Electorate, Policy, QuorumState
from mosha.core.explain.may_run import Unseen, may_run
from mosha.core.explain.problems import ProblemKind
from mosha.core.explain.verdicts import GroupVerdict, judge
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.status import Grade, GroupLine, GroupState, NodeState, Receipt, Vote
from mosha.core.tables import Wish
from tests.core.story import INC, G, Story, alone_again, hactl, one_of_three, says
from tests.core.test_verdicts import SEE_THE_SHOTS, STOP, T, at, heard, only_3_is_stale, state

RAN = {G: 4}
FOR_3 = {G: Vote(4, 3, INC, 2)}


def stale_owner(*, required: bool) -> Story:
    """Node 3 ran the group and is silent; hactl wants the group stopped; no vote stands."""
    story = one_of_three(STOP, rules=FencingRules(required=required))
    story.hear(1, says(2), says(3, claims=RAN, groups=at("start")))
    only_3_is_stale(story)
    return story


def cut_off() -> Story:
    """Node 1 hears nobody any more; node 3 ran the group."""
    story = one_of_three(STOP)
    story.hear(1, says(2), says(3, claims=RAN, groups=at("start")))
    story.now += T + 1
    story.miss(1, 2, 3)
    return story


def one_way_cut() -> Story:
    """Node 3 is silent here, but node 2 hears it and votes for it."""
    story = stale_owner(required=False)
    story.hear(1, says(2, 10, votes=FOR_3))
    return story


def verdict(story: Story) -> GroupVerdict:
    return judge(state(story), G, story.now)


JUST_STARTED = "this monitor has just started, and shoots nobody for 9s more"
NOT_FENCED = f"node 3 is stale, may still run it and is not fenced: {JUST_STARTED}"
NO_QUORUM = "no quorum: 1 of 3 nodes fresh, 2 needed; not fresh: 2, 3"
HAS_A_VOTE = "node 3 is stale, and may run it: it has the vote of node 2"


@pytest.mark.parametrize(
    ("story", "text", "step", "kind"),
    [
        (lambda: stale_owner(required=True), NOT_FENCED, SEE_THE_SHOTS, ProblemKind.GROUP),
        (cut_off, f"{NO_QUORUM}; node 3 may run it", "bring nodes back", ProblemKind.NO_QUORUM),
        (one_way_cut, HAS_A_VOTE, "", ProblemKind.GROUP),
    ],
)
def test_a_group_is_not_stopped_while_a_node_that_is_not_heard_may_run_it(
    story: Callable[[], Story], text: str, step: str, kind: ProblemKind
) -> None:
    assert verdict(story()) == GroupVerdict(False, text, step, kind)


def test_after_the_lease_a_silent_node_without_votes_runs_nothing() -> None:
    assert verdict(stale_owner(required=False)).ok


def test_a_receipt_makes_a_stop_certain() -> None:
    story = stale_owner(required=True)
    story.hear(1, says(2, 10, fenced={3: Receipt(INC, "ipmi")}))
    assert verdict(story).ok


WEAK = Receipt(INC, "cmd", Grade.COMMAND_SAID_SO)


def short(grade: Grade, *receipts: Receipt) -> Story:
    """Node 3 ran the group, of which hactl asks for this evidence of a death, and was fenced."""
    story = stale_owner(required=False)
    state(story).hactl = hactl(replace(STOP, fence=grade))
    for seq, receipt in enumerate(receipts, 10):
        story.hear(1, says(2, seq, fenced={3: receipt}))
    return story


def test_a_receipt_that_is_not_as_the_group_asks_leaves_it_open() -> None:
    story = short(Grade.OFF_CONFIRMED, WEAK)
    assert may_run(state(story), G) == Unseen((3,), unfenced=True)
    said = "node 3 is fenced (command-said-so), which is not enough: fence=off-confirmed in hactl"
    said += f"; {JUST_STARTED}"
    step = f"{SEE_THE_SHOTS.partition('mosha confirm')[0]}mosha set g stop fence=command-said-so"
    assert verdict(story) == GroupVerdict(False, said, step, ProblemKind.GROUP)
    assert verdict(short(Grade.OFF_CONFIRMED, WEAK, Receipt(INC, "x", Grade.OFF_CONFIRMED))).ok


def test_what_an_operator_says_may_not_be_enough_and_then_the_step_is_told() -> None:
    step = verdict(short(Grade.OFF_CONFIRMED)).next
    assert step.endswith(": mosha confirm 3, then mosha set g stop fence=operator-said-so")
    assert verdict(short(Grade.OPERATOR_SAID_SO)).next.endswith(": mosha confirm 3")


def test_a_vote_for_a_node_whose_receipt_is_not_as_asked_leaves_it_open() -> None:
    story = stale_owner(required=False)
    story.hear(1, says(2, 10, votes=FOR_3, fenced={3: WEAK}))
    assert may_run(state(story), G) is None
    state(story).hactl = hactl(replace(STOP, fence=Grade.OFF_CONFIRMED))
    story.hear(1, says(2, 11, votes={"h": Vote(4, 3, INC, 2)}, fenced={3: WEAK}))
    assert may_run(state(story), "h") is None
    state(story).hactl = hactl(Wish("h", "stop", fence=Grade.OFF_CONFIRMED))
    assert may_run(state(story), "h") == Unseen((3,), voters=(2,))


def test_why_says_that_the_receipt_is_not_enough() -> None:
    story = short(Grade.OFF_CONFIRMED, WEAK)
    told = [r.said for r in why(state(story), G, story.now, 0.0).reasons if r.rule == "receipt"]
    assert told == [
        "node 3 is fenced, and g waits for a better receipt (fence=off-confirmed in hactl)"
    ]


def test_without_a_quorum_no_group_is_known_to_be_stopped() -> None:
    story = one_of_three(STOP)
    story.now += T + 1
    story.miss(1, 2, 3)
    assert verdict(story).why == f"{NO_QUORUM}; node 2, 3 may run it"
    assert may_run(state(story), G) == Unseen((2, 3), without_quorum=True)


def test_a_group_that_hactl_no_longer_names_is_not_known_to_be_stopped_either() -> None:
    story = cut_off()
    state(story).hactl = hactl(Wish("h", "start"))
    assert verdict(story).why == f"{NO_QUORUM}; node 3 may run it"


def test_at_the_start_nothing_is_known_yet() -> None:
    story = Story(wishes=hactl(STOP))
    assert verdict(story).why.startswith("quorum not known yet: ")


def test_what_was_found_at_the_start_does_not_count_until_it_is_confirmed() -> None:
    story = one_of_three(STOP)
    assert state(story).view.quorum_state is QuorumState.YES
    said = "node 2, 3 may run it: nothing new was read since this monitor started"
    assert verdict(story).why == said
    story.hear(1, says(2))
    assert verdict(story).ok


def test_what_was_found_running_at_the_start_is_not_as_wanted_until_it_is_confirmed() -> None:
    story = alone_again()
    story.hear(1, says(2), says(3, claims=RAN, groups=at("start")))
    said = "node 3 may run it: nothing new was read since this monitor started"
    assert verdict(story) == GroupVerdict(False, said)
    story.hear(1, says(3, 3, claims=RAN, groups=at("start")))
    assert verdict(story).ok


def test_nodes_that_have_left_run_nothing_while_their_last_status_can_be_read() -> None:
    story = heard(STOP, *(says(node, state=NodeState.LEFT) for node in (2, 3)))
    state(story).view.quorum_state = QuorumState.NO
    assert verdict(story).ok
    story.nodes[1].state.view.tried(
        3, began=story.now, now=story.now, timeout_s=T, error="no answer"
    )
    assert may_run(state(story), G) == Unseen((3,), without_quorum=True)


def test_a_node_that_had_left_and_has_the_vote_of_another_life_may_run_it() -> None:
    story = heard(STOP, says(2, votes={G: Vote(7, 3, INC + 5, 1)}), says(3, state=NodeState.LEFT))
    assert may_run(state(story), G) == Unseen((3,), voters=(2,))


def test_the_vote_of_this_node_counts_too_and_one_for_itself_does_not() -> None:
    story = heard(STOP, says(2, votes={G: Vote(7, 1, INC, 1)}))
    assert may_run(state(story), G) is None
    story = stale_owner(required=False)
    record = state(story).record(G)
    record.ballot = type(record.ballot)(FOR_3[G], 4)
    assert may_run(state(story), G) == Unseen((3,), voters=(1,))


def test_a_small_electorate_is_counted_by_the_voters_that_are_confirmed() -> None:
    story = heard(STOP, says(2))
    state(story).view.electorate = Electorate(Policy.ADAPTIVE, frozenset({1, 2, 3}), 3)
    assert may_run(state(story), G) is None


def test_who_has_no_vote_confirms_no_quorum() -> None:
    story = heard(STOP, says(2))
    state(story).view.electorate = Electorate(Policy.MAJORITY, frozenset({1, 3}))
    assert may_run(state(story), G) == Unseen((3,), unconfirmed=True)


@pytest.mark.parametrize("story", [lambda: stale_owner(required=True), cut_off, one_way_cut])
def test_why_and_why_not_do_not_call_it_free_either(story: Callable[[], Story]) -> None:
    made = story()
    found = why(state(made), G, made.now, 0.0)
    assert not found.ok
    assert "nowhere" not in found.verdict
    places = {reason.said_by: reason.holds for reason in found.reasons if reason.rule == "place"}
    assert places[3] == "no"
    other = why_not(state(made), G, 1, made.now, 0.0)
    (free,) = (reason for reason in other.reasons if reason.rule == "free")
    assert (free.holds, free.said_by) == ("no", 3)


def test_why_not_does_not_call_a_group_free_that_no_status_shows_without_a_quorum() -> None:
    story = one_of_three(STOP)
    story.now += T + 1
    story.miss(1, 2, 3)
    found = why_not(state(story), G, 1, story.now, 0.0)
    (free,) = (reason for reason in found.reasons if reason.rule == "free")
    assert (free.holds, free.said) == ("no", "node 2, 3 may run it")


def test_a_group_that_another_node_hears_running_is_not_waiting_for_a_claim() -> None:
    story = one_way_cut()
    state(story).hactl = hactl(Wish(G, "start"))
    assert verdict(story).why == HAS_A_VOTE


# --- a stop that failed, and a lease that is over -------------------------------------------

BY_HAND = "check by hand that nothing of it is left on node 2, then: mosha cleanup g 2 ({effect})"


@pytest.mark.parametrize("level", ["start", "stop"])
@pytest.mark.parametrize(
    ("elsewhere", "clause"), [(True, "node 3 has it"), (False, "another node may have it")]
)
def test_a_stop_that_failed_stands_in_nobodys_way_once_its_lease_is_over(
    level: str, clause: str, *, elsewhere: bool
) -> None:
    failed = {G: GroupLine("stop", GroupState.FAILED)}
    there: dict[str, Any] = {"claims": {G: 5}, "groups": at("start")} if elsewhere else {}
    story = heard(Wish(G, level), says(2, claims=RAN, groups=failed), says(3, **there))
    found = verdict(story)
    assert found.why == (
        f"its stop entries failed on node 2, whose claim is not granted any more: {clause} by now"
    )
    effect = (
        "the entries run again with a lease; without one for 10 s, it forgets the failure, and"
        " runs nothing"
    )
    if elsewhere:
        effect = "it forgets the failure, and runs nothing"
    assert found.next == BY_HAND.format(effect=effect)


def test_no_other_node_runs_what_this_one_has_a_lease_for() -> None:
    story = stale_owner(required=True)
    found = may_run(state(story), G)
    assert found is not None
    assert found.nodes == (3,)
    state(story).record(G).granted = True
    assert may_run(state(story), G) is None
