"""The table of a group's life: every row, and every combination of what a turn looks at.

Section 7 of the design, catalogue H5. The explorations state what no order of events and no
lie of the facts can bring about; the rows are told one by one with what they are for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from mosha.core.cluster.group_rules import ROWS, Action, Facts, decide
from mosha.core.status import GroupState
from mosha.core.supervision.group_report import ABSENT, GroupReport
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, TEST_LEVEL
from tests.core.story import report
from tests.core.undecided import Undecided, ways

# --- the rows, one by one --------------------------------------------------------------

STARTING, DONE, PASSED, FAILED, STOPPING = (
    GroupState.STARTING,
    GroupState.DONE,
    GroupState.PASSED,
    GroupState.FAILED,
    GroupState.STOPPING,
)


def facts(shown: GroupReport = ABSENT, **said: Any) -> Facts:
    """What a turn looks at: an unclaimed group that is wanted at `start`, unless said."""
    given = Facts(report=shown, wanted="start", claimed=False, granted=False, activated=False)
    return replace(given, **said)


CLAIMED = {"claimed": True}
GRANTED = {"claimed": True, "granted": True}
AGAIN, LOST = "fails again and again", "lost its lease"
OWNED = {"claimed": True, "granted": True, "activated": True}
LAPSED = {"claimed": True, "activated": True}
UNWANTED = {"wanted": "stop"}

STOPS = report("start", STOPPING, wanted="stop")

EXAMPLES = [
    # what it is about, the facts, the row, what it asks for
    ("H5.1 deleted", facts(report("start"), **OWNED, **UNWANTED), "not wanted", Action.STOP),
    ("H5.17 stop in hactl", facts(report("start"), **OWNED, **UNWANTED), "not wanted", Action.STOP),
    (
        "H5.18 a plan no longer wanted goes no further",
        facts(report("plan"), **GRANTED, **UNWANTED),
        "not wanted",
        Action.STOP,
    ),
    (
        "a claim no longer wanted, before it was granted",
        facts(report("plan"), **CLAIMED, **UNWANTED),
        "claim not wanted",
        Action.GIVE_UP,
    ),
    ("G1 a ghost", facts(report("start"), **OWNED, superseded=True), "superseded", Action.KILL),
    ("G1 … that stops already", facts(STOPS, **LAPSED, superseded=True), "superseded", Action.KILL),
    ("G1 … and is gone", facts(report("stop"), **OWNED, superseded=True), "gone", Action.RELEASE),
    ("a restart", facts(report("start"), **OWNED, restarts=True), "restart asked", Action.STOP),
    ("… stops", facts(STOPS, **OWNED, restarts=True), "stopping", Action.WAIT),
    (
        "… keeps its claim when all is gone",
        facts(report("stop"), **OWNED, restarts=True),
        *("stopped to start again", Action.TEST),
    ),
    (
        "… not if another node had it meanwhile",
        facts(report("stop"), **OWNED, restarts=True, overtaken=True),
        *("gone", Action.RELEASE),
    ),
    (
        "… not without its lease",
        facts(report("stop"), **LAPSED, restarts=True),
        "gone",
        Action.RELEASE,
    ),
    (
        "… nor if it shall stop",
        facts(report("stop"), **OWNED, **UNWANTED, restarts=True),
        *("gone", Action.RELEASE),
    ),
    ("C7 all gone", facts(report("stop"), **OWNED), "gone", Action.RELEASE),
    ("C7 its clinit died", facts(ABSENT, **OWNED), "cut short", Action.STOP),
    (
        "C7 … and it was told",
        facts(ABSENT, **OWNED, told_level="stop"),
        "told, not seen yet",
        Action.WAIT,
    ),
    ("C7 … and the lease is lost", facts(ABSENT, **LAPSED), "gone", Action.RELEASE),
    (
        "C7 … told again, and not shown yet",
        facts(report("stop"), **OWNED, told_level="stop", unshown=True),
        *("told, not seen yet", Action.WAIT),
    ),
    (
        "C7 a report of what was told may be on the way",
        facts(report("stop"), **OWNED, unshown=True),
        *("told, never seen", Action.STOP),
    ),
    ("C7 not all gone", facts(report("stop", alive=1), **OWNED), "stopping", Action.WAIT),
    (
        "the stop entries failed",
        facts(report("stop", FAILED), **OWNED, **UNWANTED),
        "stopping",
        Action.WAIT,
    ),
    (
        "… and an operator has mended what failed",
        facts(report("stop", FAILED), **OWNED, **UNWANTED, stops_again=True),
        "stop asked again",
        Action.STOP_AGAIN,
    ),
    (
        "… and it is at `plan`: its `stop` entries run, wanted or not",
        facts(report("plan"), **OWNED, stops_again=True),
        "planned to stop again",
        Action.STOP,
    ),
    (
        "… and another node has it by now",
        facts(report("stop", FAILED), **LAPSED, **UNWANTED, stops_again=True, overtaken=True),
        "stop failed, overtaken",
        Action.FORGET,
    ),
    (
        "… and another node had it meanwhile, though the lease has come back",
        facts(report("stop", FAILED), **OWNED, stops_again=True, overtaken=True),
        "stop failed, overtaken",
        Action.FORGET,
    ),
    (
        "… and it has no claim",
        facts(report("stop", FAILED), **UNWANTED, stops_again=True, overtaken=True),
        "stop failed, overtaken",
        Action.FORGET,
    ),
    (
        "… the lease may come back: its entries have to run before another node may take it",
        facts(report("stop", FAILED), **LAPSED, **UNWANTED, stops_again=True),
        "stopping",
        Action.WAIT,
    ),
    (
        "… nothing failed there",
        facts(STOPS, **OWNED, **UNWANTED, stops_again=True),
        *("stopping", Action.WAIT),
    ),
    ("started by hand", facts(report("start")), "runs unclaimed", Action.STOP),
    ("C5 the lease is lost", facts(report("start"), **LAPSED), "lost its lease", Action.STOP),
    (
        "C5 … while it starts",
        facts(report("start", STARTING), **LAPSED),
        "lost its lease",
        Action.STOP,
    ),
    ("clinit has begun to stop by itself", facts(STOPS, **LAPSED), "stopping", Action.WAIT),
    (
        "H5.2, H5.14 a running instance wins over a planner",
        facts(report("plan"), **CLAIMED, runs_elsewhere=True),
        "runs elsewhere",
        Action.WITHDRAW,
    ),
    (
        "C6, H5.15 a better claim",
        facts(report("plan"), **CLAIMED, better_claim=True),
        "collision",
        Action.WITHDRAW,
    ),
    (
        "C6 the plan limit",
        facts(report("plan"), **CLAIMED, overdue=True),
        "not granted in time",
        Action.WITHDRAW,
    ),
    ("C6 split votes", facts(report("plan"), **CLAIMED, split=True), "votes split", Action.RAISE),
    (
        "a tell is on its way",
        facts(report("plan"), **OWNED, told_level="test"),
        "told, not seen yet",
        Action.WAIT,
    ),
    ("H5.4 a failed test", facts(report("test", FAILED), **OWNED), "failed", Action.BAN),
    ("H5.19 failed at its level", facts(report("start", FAILED), **OWNED), "failed", Action.BAN),
    ("a failed plan", facts(report("plan", FAILED), **CLAIMED), "failed", Action.BAN),
    (
        "an agent that no node can run",
        facts(report("start", FAILED), nowhere=True, **OWNED),
        *("can run nowhere", Action.EXHAUST),
    ),
    (
        "… whose lease is lost meanwhile",
        facts(report("start", FAILED), nowhere=True, **LAPSED),
        *(LOST, Action.STOP),
    ),
    (
        "… and stops already",
        facts(report("stop", FAILED), nowhere=True, **OWNED),
        *("stopping", Action.WAIT),
    ),
    (
        "it fails here again and again",
        facts(report("start"), **OWNED, gives_up=True),
        AGAIN,
        Action.BAN,
    ),
    (
        "… in the middle of a start",
        facts(report("start", STARTING), **OWNED, gives_up=True),
        *(AGAIN, Action.BAN),
    ),
    (
        "nothing is left to try",
        facts(report("start"), **OWNED, exhausts=True),
        "nothing left to try",
        Action.EXHAUST,
    ),
    (
        "it cannot run here, and its moves are used up",
        facts(report("test", FAILED), **OWNED, spent=True),
        "failed once too often",
        Action.EXHAUST,
    ),
    ("… while it can", facts(report("start"), **OWNED, spent=True), "at home", Action.REST),
    (
        "a monitor fails",
        facts(report("start"), **OWNED, ill=True),
        "its monitor fails",
        Action.RESTART,
    ),
    (
        "… once more than it is restarted",
        facts(report("start"), **OWNED, ill=True, gives_up=True),
        AGAIN,
        Action.BAN,
    ),
    (
        "… and it is stopped",
        facts(report("stop"), **OWNED, **UNWANTED, exhausted=True),
        "stopped for good",
        Action.WAIT,
    ),
    (
        "… and waits though the lease is lost",
        facts(report("stop"), **LAPSED, **UNWANTED, exhausted=True),
        "stopped for good",
        Action.WAIT,
    ),
    (
        "… and its claim is of a monitor before",
        facts(ABSENT, **CLAIMED, **UNWANTED, exhausted=True),
        "stopped for good",
        Action.WAIT,
    ),
    (
        "… and its stop has failed",
        facts(report("stop", FAILED), **OWNED, **UNWANTED, exhausted=True),
        "stopping",
        Action.WAIT,
    ),
    ("… and stops already", facts(STOPS, **OWNED, gives_up=True), "stopping", Action.WAIT),
    ("… and lost its lease", facts(report("start"), **LAPSED, gives_up=True), LOST, Action.STOP),
    (
        "those after it run",
        facts(report("start"), **OWNED, **UNWANTED, held=True),
        *("held back", Action.HOLD),
    ),
    (
        "… and it is to go to another level",
        facts(report("2"), **OWNED, held=True),
        *("held back", Action.HOLD),
    ),
    (
        "… and a restart was ordered",
        facts(report("start"), **OWNED, restarts=True, held=True),
        *("held back", Action.HOLD),
    ),
    ("… and it may stay", facts(report("start"), **OWNED, held=True), "at home", Action.REST),
    (
        "what it comes after is not there",
        facts(report("test", PASSED), **OWNED, waits=True),
        *("waits to go on", Action.WAIT),
    ),
    ("failback", facts(report("start"), **OWNED, yields=True), "gives way", Action.GIVE_WAY),
    (
        "a group of a higher priority has no room",
        facts(report("start", STARTING), **OWNED, preempted=True, yields=True),
        "gives way to a higher priority",
        Action.PREEMPT,
    ),
    (
        "it was told to stop for that",
        facts(report("start"), **OWNED, preempted=True, told_level="stop"),
        "stopping",
        Action.WAIT,
    ),
    (
        "those after it have to stop first",
        facts(report("start"), **OWNED, preempted=True, held=True),
        "held back",
        Action.HOLD,
    ),
    (
        "no failback in the middle of a start",
        facts(report("start", STARTING), **OWNED, yields=True),
        "in transition",
        Action.WAIT,
    ),
    ("H5.9 at home", facts(report("start"), **OWNED), "at home", Action.REST),
    ("H5.9 PASSED is home, too", facts(report("start", PASSED), **OWNED), "at home", Action.REST),
    ("H5.3 passed", facts(report("test", PASSED), **OWNED), "passed its tests", Action.GO),
    ("H5.21 no test entries", facts(report("test"), **OWNED), "passed its tests", Action.GO),
    ("H5.5 planned", facts(report("plan"), **GRANTED), "planned and granted", Action.TEST),
    (
        "H5.22 plan is all that is wanted",
        facts(report("plan"), **GRANTED, wanted="plan"),
        "at home",
        Action.REST,
    ),
    ("planned, not granted", facts(report("plan"), **CLAIMED), "in transition", Action.WAIT),
    ("H5.8, H5.16 another level", facts(report("2"), **OWNED), "at another level", Action.GO),
    (
        "H5.8 from a level that failed",
        facts(report("2", FAILED), **OWNED),
        "at another level",
        Action.GO,
    ),
    ("H5.7 in transition", facts(report("start", STARTING), **OWNED), "in transition", Action.WAIT),
    (
        "H5.7 on the way to another level",
        facts(report("2", STARTING, wanted="start"), **OWNED),
        "in transition",
        Action.WAIT,
    ),
    ("H5.6 free", facts(rank_due=True), "free", Action.PLAN),
    ("not my turn", facts(), "waiting", Action.WAIT),
    ("not wanted and not here", facts(ABSENT, **UNWANTED), "waiting", Action.WAIT),
    ("stopped and free again", facts(report("stop"), rank_due=True), "free", Action.PLAN),
]


@pytest.mark.parametrize(
    ("given", "name", "do"), [row[1:] for row in EXAMPLES], ids=[row[0] for row in EXAMPLES]
)
def test_the_first_row_that_holds_decides(given: Facts, name: str, do: Action) -> None:
    row = decide(given)
    assert (row.name, row.do) == (name, do)


def test_every_row_has_an_example() -> None:
    assert {row[2] for row in EXAMPLES} == {row.name for row in ROWS}


def test_the_names_of_the_rows_are_causes_in_the_log_and_differ() -> None:
    assert max(Counter(row.name for row in ROWS).values()) == 1


# --- all combinations ------------------------------------------------------------------

LEVELS = (PLAN_LEVEL, TEST_LEVEL, "start", "2", STOP_LEVEL)
TOLD = ("", PLAN_LEVEL, TEST_LEVEL, "start", STOP_LEVEL)
WANTED = (STOP_LEVEL, PLAN_LEVEL, "start")


@cache
def locals_all() -> tuple[GroupReport, ...]:
    """Everything clinit can report: levels, states, wishes, alive or not; or nothing."""
    return (
        ABSENT,
        *(
            GroupReport("g", level, state, wanted, alive=alive)
            for level, state, wanted, alive in product(LEVELS, GroupState, LEVELS, (0, 1))
        ),
    )


@cache
def locals_unlike() -> tuple[GroupReport, ...]:
    """One of each kind of local that differ in anything a row looks at."""

    def kind(shown: GroupReport) -> tuple[object, ...]:
        settled, failed = shown.settled, shown.state is FAILED
        return shown.level, shown.wanted, shown.present, settled, failed, shown == ABSENT

    kinds = {kind(shown): shown for shown in locals_all()}
    return tuple(kinds.values())


def claims_possible() -> Iterator[dict[str, bool]]:
    """The flags as `turn.facts_of` can give them."""
    unclaimed = {"claimed": False, "granted": False, "activated": False, "overtaken": True}
    for rank_due in (False, True):
        yield {**unclaimed, "rank_due": rank_due}
    yield {**unclaimed, "stops_again": True}
    names = ("runs_elsewhere", "better_claim", "overdue", "split")
    for bits in product((False, True), repeat=len(names)):
        flags = dict(zip(names, bits, strict=True))
        yield {"claimed": True, "granted": False, "activated": False} | flags
    yield {"claimed": True, "granted": False, "activated": True}
    for activated, yields in product((False, True), repeat=2):
        yield {"claimed": True, "granted": True, "activated": activated, "yields": yields}
    for granted in (False, True):
        for overtaken, order in product((False, True), ("restarts", "stops_again")):
            flags = {"claimed": True, "granted": granted, "activated": True, "overtaken": overtaken}
            yield {**flags, order: True}
    yield {"claimed": True, "granted": True, "activated": True, "gives_up": True}
    for reason in ("restarts", "yields", "preempted", "gives_up", "exhausts", "ill", "waits"):
        owned = {"claimed": True, "granted": True, "activated": True}
        yield {**owned, "held": reason != "waits", reason: True}
    for name in ("exhausts", "nowhere", "spent", "ill", "preempted"):
        yield {"claimed": True, "granted": True, "activated": True, name: True}
    for granted in (False, True):
        yield {"claimed": True, "granted": granted, "activated": True, "exhausted": True}
    for granted, activated in ((True, True), (True, False), (False, True)):
        yield {"claimed": True, "granted": granted, "activated": activated, "superseded": True}


@cache
def possible() -> tuple[Facts, ...]:
    """Everything a turn can meet."""
    return tuple(
        Facts(report=shown, wanted=wanted, told_level=told, unshown=unshown, **flags)
        for shown, wanted, told, flags in product(locals_unlike(), WANTED, TOLD, claims_possible())
        for unshown in ({True} if told else {True, False})
    )


def imaginable() -> Iterator[tuple[Facts, Undecided]]:
    """Every combination of all flags, also those that contradict each other."""
    for shown, wanted, told in product(locals_unlike(), WANTED, ("", "start", STOP_LEVEL)):
        yield from ways(shown, wanted, told)


def test_nothing_a_turn_can_meet_is_left_without_an_answer() -> None:
    reached = Counter(decide(given).name for given in possible())
    assert set(reached) == {row.name for row in ROWS}
    assert sum(reached.values()) == len(possible())


def test_no_combination_breaks_what_the_promise_rests_on() -> None:
    for given, _ in imaginable():
        do = decide(given).do
        assert given.held or do is not Action.HOLD, given
        match do:
            case Action.TEST | Action.GO:  # C5
                assert given.granted, given
            case Action.RELEASE:  # C7
                assert not given.report.present, given
                assert given.told_level in {"", STOP_LEVEL}, given
                assert given.claimed, given
                assert not given.unanswered, given
            # C6: never under what a lease allowed to start.
            case Action.GIVE_UP | Action.WITHDRAW | Action.RAISE:
                assert given.claimed, given
                assert not given.activated, given
                assert not given.granted, given
            case Action.PLAN:  # C1
                assert given.rank_due, given
                assert given.wanted != STOP_LEVEL, given
                assert not given.here, given
                assert not given.claimed, given
            case Action.REST:
                assert given.granted, given
                assert given.report.level == given.wanted != STOP_LEVEL, given
            case Action.KILL:  # G1
                assert given.superseded, given
                assert given.here, given
            case Action.STOP:  # told once, then waited for
                assert given.told_level != STOP_LEVEL, given
                assert not given.stopping or given.report == ABSENT or given.unanswered, given
            case Action.GIVE_WAY | Action.PREEMPT:
                assert given.yields or given.preempted, given
                assert given.granted, given
            case Action.BAN:
                failed = given.report.state is FAILED
                assert failed or (given.gives_up and given.granted and given.here), given
                assert given.claimed, given
            case Action.WAIT | Action.STOP_AGAIN | Action.FORGET:
                pass


def test_nothing_goes_on_from_its_tests_before_what_it_comes_after() -> None:
    for given in possible():
        if given.waits and given.report.level == TEST_LEVEL and given.told_level == "":
            assert decide(given).do is not Action.GO, given


def test_what_nobody_looks_at_decides_nothing() -> None:
    # What the test above rests on: a run of it stands for all values of the other flags.
    rows = set()
    for number, (given, undecided) in enumerate(imaginable()):
        row = decide(given)
        rows.add(row.name)
        assert decide(undecided.decided(rest=bool(number % 2))) is row, given
    assert rows == {row.name for row in ROWS}


def test_stop_is_tried_again_where_it_failed_and_nowhere_else() -> None:
    for given in possible():
        do = decide(given).do
        if do in {Action.STOP_AGAIN, Action.FORGET}:
            assert given.stops_again, given
            assert given.report.stop_failed, given
            # C5: without the lease another node may run it, and nothing is cleaned up here, unless
            # it is an instance, which no other node can have.
            assert given.granted or given.local or do is Action.FORGET, given
            # C2: nothing starts under a term below one under which it may have run elsewhere.
            assert (given.overtaken and not given.local) is (do is Action.FORGET), given


def test_nothing_starts_under_a_claim_that_was_overtaken() -> None:
    for given in possible():
        if given.overtaken and not given.here:
            assert decide(given).do is not Action.TEST, given


def test_what_needs_a_lease_and_has_none_is_stopped_at_once() -> None:
    for given in possible():
        exclusive = given.report.present and given.report.exclusive and given.report.level != "plan"
        if not exclusive or given.granted or given.stopping:
            continue
        if given.claimed and not given.activated:
            continue  # cannot be: a level that needs a lease is told under a proven claim
        assert decide(given).do in {Action.STOP, Action.KILL}, given


def test_what_is_not_wanted_here_is_stopped_whatever_else_is_the_case() -> None:
    for given in possible():
        if given.wanted == STOP_LEVEL and given.here and not given.stopping:
            waits = {Action.HOLD} if given.held and given.granted else set()
            assert decide(given).do in {Action.STOP, Action.GIVE_UP, Action.KILL} | waits, given
        if given.wanted == STOP_LEVEL:
            assert decide(given).do not in {
                Action.TEST,
                Action.GO,
                Action.PLAN,
                Action.REST,
                Action.RAISE,
            }, given


def test_what_stops_is_waited_for_until_it_is_gone() -> None:
    for given in possible():
        if given.here and given.stopping and not given.pending and not given.superseded:
            again = given.stops_again and given.report.stop_failed
            runs = Action.STOP_AGAIN if given.granted else Action.WAIT
            mended = Action.FORGET if given.overtaken else runs
            assert decide(given).do is (mended if again else Action.WAIT), given


def test_every_state_that_clinit_can_report_has_an_answer() -> None:
    for shown, flags in product(locals_all(), claims_possible()):
        assert decide(facts(shown, **flags)) in ROWS


# --- the words the rows are made of ------------------------------------------------------


PRESENT = [
    (report("start"), True),
    (report("stop"), False),
    (report("stop", alive=1), True),  # C7: what stop left running is still there
    (report("stop", FAILED), True),
    (report("stop", STOPPING), True),
    (report("start", GroupState.CONFIGURED, alive=0), False),
    (report("start", GroupState.CONFIGURED, alive=1), True),
    (report("plan", alive=0), True),  # no process, but shown as active
    (ABSENT, False),
]


@pytest.mark.parametrize(("shown", "present"), PRESENT)
def test_h3_1_a_group_is_here_unless_it_is_configured_or_stopped_and_nothing_lives(
    *, shown: GroupReport, present: bool
) -> None:
    assert shown.present == present


@pytest.mark.parametrize(
    ("wanted", "exclusive"), [("plan", False), ("stop", False), ("test", True), ("start", True)]
)
def test_c5_every_level_but_plan_and_stop_needs_a_lease(*, wanted: str, exclusive: bool) -> None:
    assert report("plan", wanted=wanted).exclusive == exclusive
