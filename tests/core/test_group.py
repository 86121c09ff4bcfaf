"""The states of a group by themselves: the table is complete, and late answers change nothing."""

from __future__ import annotations

import itertools

import pytest

from mosha.core.escalation import Limits
from mosha.core.status import GroupState
from mosha.core.supervision.group import (
    Deadlines,
    EntriesEnded,
    EntriesListed,
    EntriesStarted,
    EntryLost,
    Event,
    Group,
    GroupEmptied,
    GroupTimePassed,
    HaltAsked,
    LeaseEnded,
    LeaversGone,
    LevelJudged,
    Renewed,
    Shown,
    advance,
)
from mosha.core.supervision.group_table import ASKS, TABLE, EntriesOrder, GroupTrigger
from mosha.core.tell import Tell
from mosha.errors import BugError

LIMITS = Limits()
TOLD = Tell("g", "1")
STOP = Tell("g", "stop")
DONE = LevelJudged(GroupState.DONE)


def after(group: Group, *events: Event, now: float = 100.0) -> Group:
    for event in events:
        group, _ = advance(group, event, now, LIMITS)
    return group


def test_every_state_can_be_told_or_refuses_it_in_the_table() -> None:
    told = {state for state, trigger in TABLE if trigger is GroupTrigger.TELL}
    # DUMPING lasts no time; a halting group is told by nobody: the supervisor sees to that.
    assert told == set(GroupState) - {GroupState.DUMPING, GroupState.HALTING}


def test_every_state_can_be_halted() -> None:
    halted = {state for state, trigger in TABLE if trigger is GroupTrigger.HALT}
    assert halted == set(GroupState) - {GroupState.DUMPING}


def test_what_a_step_asks_for_belongs_to_a_step_of_the_table() -> None:
    steps = {(state, trigger) for (_, trigger), state in TABLE.items()}
    assert set(ASKS) <= steps


def test_the_first_tell_shows_the_new_level_at_once_c7_3() -> None:
    group, effects = advance(Group("g"), TOLD, 100.0, LIMITS)
    assert (group.level, group.state) == ("1", GroupState.STARTING)
    shown, order = effects
    assert isinstance(shown, Shown)
    assert (shown.before.level, shown.before.state) == ("", GroupState.CONFIGURED)
    assert (shown.after, order) == (group, EntriesOrder.LIST_ENTRIES)


def test_a_pair_that_is_not_in_the_table_is_a_bug_and_tells_the_story() -> None:
    with pytest.raises(BugError, match=r"STARTED.*EntriesStarted.*has no row for Group"):
        advance(Group("g"), EntriesStarted(), 100.0, LIMITS)


def test_an_answer_of_an_earlier_visit_is_late() -> None:
    group = after(Group("g"), STOP, EntriesStarted(), EntriesEnded())
    assert group.sweep_signal == "INT"
    late = GroupEmptied("g", group.visit - 1)
    assert after(group, late) == group
    again = after(group, TOLD)
    assert after(again, GroupEmptied("g", group.visit)) == again


def test_an_answer_that_comes_twice_counts_once() -> None:
    group = after(Group("g"), STOP, EntriesStarted(), EntriesEnded())
    answer = GroupEmptied("g", group.visit)
    once = after(group, answer)
    assert after(once, answer) == once


def test_a_lapse_tells_which_deadline_passed() -> None:
    told = Tell("g", "1", stop_at=110, kill_at=120)
    group = after(Group("g"), told, EntriesStarted(), DONE)
    group, effects = advance(group, GroupTimePassed(), 125.0, LIMITS)
    assert LeaseEnded("g", "kill_at", late_s=5.0) in effects
    assert EntriesOrder.KILL_ALL in effects
    assert group.due is None


def test_an_early_alarm_changes_nothing() -> None:
    told = Tell("g", "1", stop_at=110, kill_at=120)
    group = after(Group("g"), told, EntriesStarted(), DONE)
    assert after(group, GroupTimePassed(), now=109.9) == group


def test_a_renewal_for_a_killed_group_is_too_late() -> None:
    told = Tell("g", "1", term=3, stop_at=110, kill_at=120)
    group = after(after(Group("g"), told), GroupTimePassed(), now=125.0)
    assert after(group, Renewed(3, Deadlines(200, 230))) == group


def test_a_tell_that_had_to_wait_does_not_take_back_what_was_renewed_under_its_claim() -> None:
    group = after(Group("g"), Tell("g", "plan", 7), Renewed(7, Deadlines(120.0, 130.0)))
    late = after(group, Tell("g", "start", 7, "1", 110.0, 125.0))
    assert late.deadlines == Deadlines(120.0, 130.0)
    later = after(group, Tell("g", "start", 7, "1", 121.0, 131.0))
    assert later.deadlines == Deadlines(121.0, 131.0)


def test_a_tell_of_another_claim_or_of_stop_brings_its_own_deadlines() -> None:
    group = after(Group("g"), Tell("g", "start", 7, "1", 120.0, 130.0))
    for tell in (Tell("g", "start", 8, "1", 110.0, 125.0), Tell("g", "stop", 7, "1", 110.0, 125.0)):
        assert after(group, tell).deadlines == Deadlines(110.0, 125.0)


def test_no_order_of_events_that_keeps_the_promises_is_a_bug() -> None:
    """The one who holds the entries promises: each report fits what he was asked for."""
    outside = (
        *(TOLD, STOP, Tell("g", "2", 1, "", 90, 110), HaltAsked("shutdown"), GroupTimePassed()),
        *(GroupEmptied("g", 0), Renewed(1, Deadlines(300, 330))),
    )
    seen: set[object] = set()
    queue = [Group("g")]
    while queue:
        group = queue.pop()
        events = [*outside, *promised(group)]
        if group.state is GroupState.HALTING:
            events = [event for event in events if not isinstance(event, Tell)]
        for event, now in itertools.product(events, (100.0, 1000.0)):
            if group.state is GroupState.DUMPING and event not in promised(group):
                continue
            result = after(group, event, now=now)
            leased = (result.deadlines is None, result.lapsed, result.killed)
            swept = (result.sweep, result.escalation_step > 2)
            key = (result.level, result.state, result.wanted, leased, swept)
            if key not in seen:
                seen.add(key)
                queue.append(result)
    assert len(seen) > 50


def promised(group: Group) -> list[Event]:
    """Return what can be reported of the entries in this state."""
    match group.state:
        case GroupState.STOPPING:
            return [LeaversGone()]
        case GroupState.DUMPING:
            return [EntriesListed()]
        case GroupState.STARTING:
            return [EntriesStarted(), EntryLost("a")]
        case GroupState.DONE:
            return [EntryLost("a")]
        case GroupState.CHECKING:
            emptied = GroupEmptied("g", group.visit)
            results = [LevelJudged(GroupState.FAILED, "x"), LevelJudged(GroupState.PASSED), DONE]
            return [EntriesEnded(), emptied, *results]
        case GroupState.HALTING:
            return [LeaversGone(), GroupEmptied("g", group.visit)]
    return []
