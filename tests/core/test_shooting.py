"""What is said of the shots at a node, and of one half of a cluster: it leads to the remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from mosha.core.cluster import arming, shots
from mosha.core.cluster.events import MethodBegun, ShotEnded
from mosha.core.cluster.fencing import AIMING, RUNNING, SHOT, Shot
from mosha.core.cluster.shot_requests import FAILED, OUTLIVED
from mosha.core.cluster.state import Hold
from mosha.core.explain import quorate, shooting
from mosha.core.explain.addressees import concerned
from mosha.core.explain.reasons import Explanation, Holds
from mosha.core.explain.verdicts import judge
from mosha.core.explain.why import why
from mosha.core.explain.why_not import why_not
from mosha.core.status import (
    Disarm,
    Grade,
    GroupLine,
    GroupState,
    Order,
    ShotLine,
    Unended,
    Verb,
    Vote,
)
from mosha.errors import UsageError
from tests.core.story import INC, TIMING, G, Story, hactl, says
from tests.core.test_restraint import RULES, T, missed, one, silent, victims
from tests.core.test_verdicts import at

NOT_FENCED = "node 5 is stale, may still run it and is not fenced"
SURE = "if you are sure that node 5 is off: mosha confirm 5"
REASON = "switch 3 is replaced"
DISARMED = f"fencing is disarmed for 30m more, from node 2: {REASON}"


def owner_gone(*nodes: int) -> Story:
    """Told from node 1 of five: node 5 ran the group; these nodes are stale, and may be shot."""
    story = Story((1, 2, 3, 4, 5), rules=RULES)
    story.write(1)
    others = (2, 3, 4, 5)
    held = {5: {"claims": {G: 4}, "groups": at("start"), "votes": {G: Vote(4, 5, INC, 1)}}}
    story.hear(1, *(says(node, 1) for node in others))
    story.now += TIMING.start_grace_s + T
    story.hear(1, *(says(node, 2, **held.get(node, {})) for node in others))
    return missed(story, nodes, [node for node in others if node not in nodes], 3)


def disarm(story: Story) -> None:
    story.hear(1, says(2, 8, disarms={1: Disarm(2, 1800, REASON)}))


def end(story: Story, outcome: str, detail: str = "") -> None:
    (order,) = story.shots(1)
    one(story).shot(ShotEnded(order, outcome, "ipmi", detail), story.now)


def told(story: Story) -> tuple[str, str]:
    found = judge(one(story).state, G, story.now)
    return found.why, found.next


def explained(story: Story) -> tuple[Explanation, Explanation]:
    state = one(story).state
    return why(state, G, story.now, 0.0), why_not(state, G, 1, story.now, 0.0)


@pytest.mark.parametrize(
    ("left_s", "told_left"), [(1741, "30m"), (121, "3m"), (119.5, "2m"), (3, "3s")]
)
def test_how_long_fencing_is_disarmed_is_told_in_minutes_if_that_is_long(
    left_s: float, told_left: str
) -> None:
    story = owner_gone(5)
    arming.order(one(story).state, left_s, REASON, story.now)
    said = shooting.disarmed(one(story).state, story.now)
    assert said == f"fencing is disarmed for {told_left} more, from node 1: {REASON}"


def hold_budget(story: Story) -> None:
    one(story).state.holds = {5: Hold("budget", (3, 4))}


# --- a group whose node is not shot ---------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said", "step"),
    [
        (disarm, DISARMED, "mosha arm, or mosha fence 5"),
        (
            hold_budget,
            "within ten minutes a minority of the nodes was shot or found dead already (3, 4)",
            "look what is wrong; to have it shot all the same: mosha fence 5",
        ),
    ],
)
def test_a_shot_that_is_held_back_is_the_reason_and_its_end_the_remedy(
    change: Callable[[Story], None], said: str, step: str
) -> None:
    story = owner_gone(5)
    change(story)
    assert told(story) == (
        f"{NOT_FENCED}: {said}",
        f"{step}; {SURE}",
    )
    for found in explained(story):
        (rule,) = (reason for reason in found.reasons if reason.rule == "shot")
        assert (rule.holds, rule.said) == (Holds.NO, f"node 5 is not shot: {said}")
        assert found.next == f"{step}; {SURE}"


def just_started(story: Story) -> None:
    one(story).state.started_at = story.now - 5.0


@pytest.mark.parametrize("change", [hold_budget, just_started])
def test_without_a_device_nothing_is_said_to_hold_a_shot_back(
    change: Callable[[Story], None],
) -> None:
    story = owner_gone(5)
    state = one(story).state
    state.fencing = replace(RULES, switches=False)
    change(story)
    no_device = "no fence device is configured here, so nothing shoots it"
    assert told(story) == (f"{NOT_FENCED}: {no_device}", SURE)
    for found in explained(story):
        assert [reason.said for reason in found.reasons if reason.rule == "shot"] == [
            f"node 5: {no_device}"
        ]


def test_the_brake_is_the_reason_on_each_node_that_would_shoot() -> None:
    story = owner_gone(4, 5)
    assert victims(story) == []
    why_it_waits, step = told(story)
    assert "is not fenced: so many went silent at the same time (4, 5) that the" in why_it_waits
    assert step.startswith("look what is wrong; to have it shot all the same: mosha fence 5; if")


def test_what_held_a_shot_back_is_not_told_when_an_operator_has_it_shot() -> None:
    story = owner_gone(5)
    disarm(story)
    one(story).state.shots[5] = Shot(5, INC, story.now)
    assert told(story)[0].endswith("is not fenced: node 1 shoots it")
    assert shooting.held(one(story).state, 5, story.now) == ""


def test_a_running_shot_names_the_method_that_it_waits_for_and_what_failed_before() -> None:
    story = owner_gone(5)
    (order,) = story.shots(1)
    state = one(story).state
    shots.begun(state, MethodBegun(order, "fence_apc", "ipmi: no answer"))
    assert told(story)[0].endswith("is not fenced: node 1 shoots it (fence_apc)")
    shot = state.shots[5]
    assert (shot.outcome, shot.method, shot.detail) == (RUNNING, "fence_apc", "ipmi: no answer")
    one(story).shot(ShotEnded(order, "failed", "all", "two"), story.now)
    shots.begun(state, MethodBegun(order, "late"))
    assert state.shots[5].method == "all", "it is over"


def test_a_shot_that_failed_is_told_with_what_to_do_about_it() -> None:
    story = owner_gone(5)
    end(story, "failed", "Unable to connect/login")
    assert told(story) == (
        f"{NOT_FENCED}: the shot failed (ipmi): Unable to connect/login",
        "repair the fencing; the shot is repeated by itself, at once by mosha fence 5; " + SURE,
    )


def test_a_shot_that_proves_nothing_is_told() -> None:
    story = owner_gone(5)
    end(story, "no receipt")
    assert told(story)[0].endswith("is not fenced: the shot proves nothing (ipmi)")
    assert told(story)[1] == f"look at the machine; {SURE}"


@pytest.mark.parametrize(
    ("outcome", "said", "step"),
    [
        (
            RUNNING,
            "node 3 shoots it",
            "wait for the shot; see the shots of node 3 (mosha status there)",
        ),
        (
            AIMING,
            "node 3 shoots it",
            "wait for the shot; see the shots of node 3 (mosha status there)",
        ),
        (
            SHOT,
            "it was shot, and counts as dead when it has been silent for timeout",
            "wait until it has been silent for timeout",
        ),
    ],
)
def test_a_shot_of_another_node_is_told_while_it_lasts(outcome: str, said: str, step: str) -> None:
    story = owner_gone(5)
    story.hear(1, says(3, 9, shots={5: ShotLine(INC, outcome)}))
    assert shooting.account(one(story).state, 5, story.now) == (said, step)


def test_without_a_shot_of_this_node_the_others_are_named() -> None:
    story = owner_gone(5)
    assert shooting.account(one(story).state, 5, story.now) == (
        "",
        "see the shots of node 2, 3, 4 (mosha status there)",
    )


def test_a_node_that_was_not_heard_since_the_start_is_said_not_to_be_shot() -> None:
    story = Story((1, 2, 3), rules=RULES)
    story.write(1)
    story.hear(1, says(3, 1))
    story.now += T + 1
    story.hear(1, says(2, 1))
    story.miss(1, 3)
    found = shooting.account(one(story).state, 3, story.now)
    assert found.said == "this monitor has not heard it since its start, and does not shoot it"
    assert found.next == "see the shots of node 2 (mosha status there)"


def test_a_monitor_that_has_just_started_says_for_how_long_it_shoots_nobody() -> None:
    story = silent(5)
    state = one(story).state
    state.started_at = story.now - 5.0
    found = shooting.account(state, 5, story.now)
    assert found.said == "this monitor has just started, and shoots nobody for 15s more"


# --- a group that its node cannot end --------------------------------------------------------


def stuck(story: Story, reason: str, *, asks: bool) -> Story:
    failed = reason == FAILED
    line = GroupLine("stop", GroupState.FAILED if failed else GroupState.STOPPING)
    said = {G: Unended(reason, asks=asks)}
    vote = {G: Vote(4, 5, INC, 3)}
    told_by_5 = {"claims": {G: 4}, "groups": {G: line}, "votes": vote, "unended": said}
    story.hear(1, says(2, 8, votes=vote), says(3, 8, votes=vote), says(5, 8, **told_by_5))
    return story


def moved(story: Story) -> str:
    with pytest.raises(UsageError) as refused:
        concerned(one(story).state, Order(Verb.MOVE, G, 3), story.now)
    return str(refused.value)


def test_a_failed_stop_keeps_a_group_from_moving_and_its_remedy_is_told_everywhere() -> None:
    story = stuck(owner_gone(), FAILED, asks=False)
    state = one(story).state
    remedy = "repair what failed there, then: mosha cleanup g 5"
    said = "its stop entries failed on node 5: no other node may start it"
    assert told(story) == (said, remedy)
    assert why_not(state, G, 3, story.now, 0.0).next == remedy
    assert moved(story).startswith("g cannot be moved: its stop entries failed on node 5")
    assert moved(story).endswith(remedy)


def test_processes_that_do_not_end_have_their_remedy_on_the_line_of_the_group() -> None:
    story = stuck(owner_gone(), OUTLIVED, asks=False)
    remedy = "repair or reset node 5; or, if nothing is left of it: mosha cleanup g 5"
    assert told(story) == (
        f"stop STOPPING on node 5, on its way; it cannot be ended there: {OUTLIVED}",
        remedy,
    )
    assert why_not(one(story).state, G, 3, story.now, 0.0).next == remedy


def test_the_shot_that_a_node_asks_for_is_told_when_it_has_failed() -> None:
    story = stuck(owner_gone(), FAILED, asks=True)
    story.now += TIMING.lease_s
    others = (2, 3, 4)
    story.hear(1, *(says(node, 9, votes={G: Vote(4, 5, INC, 3)}) for node in others))
    end(story, "failed", "Unable to connect/login")
    asked = "node 5 asks to be shot for it: the shot failed (ipmi): Unable to connect/login"
    assert told(story)[0].endswith(f"; {asked}")
    rules = [reason for reason in explained(story)[0].reasons if reason.rule == "shot"]
    assert [(rule.holds, rule.said) for rule in rules] == [
        (Holds.NO, "node 5 was shot by ipmi, outcome failed: Unable to connect/login")
    ]


def test_a_node_that_was_shot_as_it_asked_counts_as_dead_when_it_is_silent() -> None:
    story = stuck(owner_gone(), FAILED, asks=True)
    story.now += TIMING.lease_s
    others = (2, 3, 4)
    story.hear(1, *(says(node, 9, votes={G: Vote(4, 5, INC, 3)}) for node in others))
    (order,) = story.shots(1)
    ended = ShotEnded(order, "receipt", "ipmi", grade=Grade.OFF_CONFIRMED)
    one(story).shot(ended, story.now)
    said = "it was shot, and counts as dead when it has been silent for timeout"
    assert told(story)[0].endswith(f"; node 5 asks to be shot for it: {said}")


def test_a_node_that_asks_tells_who_shoots_it_and_not_what_it_could_do_itself() -> None:
    story = owner_gone()
    state = one(story).state
    assert shooting.account(state, 1, story.now) == (
        "",
        "see the shots of node 2, 3, 4, 5 (mosha status there)",
    )
    story.hear(1, says(3, 9, shots={1: ShotLine(INC, RUNNING)}))
    assert shooting.account(state, 1, story.now).said == "node 3 shoots it"


# --- half of an even cluster ----------------------------------------------------------------


def half() -> Story:
    """Told from node 1 of two: node 2 ran another group, and is stale."""
    story = Story((1, 2), wishes=hactl(), rules=RULES)
    story.write(1)
    story.hear(1, says(2, 1))
    story.now += TIMING.start_grace_s + T
    story.hear(1, says(2, 2))
    return missed(story, (2,), [], 3)


NO_QUORUM = "no quorum: 1 of 2 nodes fresh, 2 needed; not fresh: 2"
ALONE = "this half goes on alone when node 2 is certainly off"
BACK = "or bring node 2 back; if you are sure that node 2 is off: mosha confirm 2"


def test_half_of_a_cluster_whose_shot_failed_names_the_shot_and_the_confirmation() -> None:
    story = half()
    story.now += RULES.tie_break_s
    end(story, "failed", "Unable to connect/login")
    said = f"{NO_QUORUM}; {ALONE}: the shot failed (ipmi): Unable to connect/login"
    step = f"repair the fencing; the shot is repeated by itself, at once by mosha fence 2; {BACK}"
    assert told(story) == (said, step)
    for found in explained(story):
        assert (found.verdict, found.next) == (said, step)
        (rule,) = (reason for reason in found.reasons if reason.rule == "quorum")
        assert (rule.holds, rule.said) == (Holds.NO, said)


def test_half_of_a_cluster_that_is_disarmed_says_so() -> None:
    story = half()
    arming.order(one(story).state, 1800.0, REASON, story.now)
    reason = f"fencing is disarmed for 30m more, from node 1: {REASON}"
    assert told(story) == (
        f"{NO_QUORUM}; {ALONE}: {reason}",
        f"mosha arm, or mosha fence 2; {BACK}",
    )


def test_half_of_a_cluster_that_has_gone_on_waits_for_nothing() -> None:
    story = half()
    assert quorate.of_half(one(story).state, story.now).startswith(ALONE)
    assert one(story).confirmed(2, story.now) == ""
    assert quorate.of_half(one(story).state, story.now) == ""
    assert quorate.said(one(story).state, story.now).startswith("a quorum: 1 of 2 nodes fresh")


def test_of_four_each_node_of_the_other_half_has_its_account_and_its_confirmation() -> None:
    story = silent(3, 4, of=(1, 2, 3, 4))
    assert victims(story) == []
    state = one(story).state
    told_of_half = quorate.of_half(state, story.now)
    assert told_of_half.startswith(
        "this half goes on alone when node 3, 4 is certainly off: node 3: so many went silent"
    )
    assert "; node 4: so many went silent" in told_of_half
    assert quorate.remedy(state, story.now).endswith("off: mosha confirm 3; mosha confirm 4")
    assert one(story).confirmed(3, story.now) == ""
    assert "when node 4 is certainly off" in quorate.of_half(state, story.now)


def test_fewer_than_half_bring_nodes_back() -> None:
    story = silent(3, 4, 5, of=(1, 2, 3, 4, 5))
    state = one(story).state
    assert quorate.of_half(state, story.now) == ""
    assert quorate.remedy(state, story.now) == "bring nodes back"
