"""What `--wait` waits for, when it gives up before its limit, and what it says meanwhile."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from mosha.cli import order
from mosha.cli.progress import (
    EntryGoal,
    Goal,
    Move,
    WaitOutcome,
    about,
    before_move,
    judge,
    judge_all,
)
from mosha.control.protocol import MonitorReply, MonitorRequest, OrderEntry
from mosha.core.status import EntryVerb
from mosha.core.supervision.entries import BEING_RESTARTED, PUBLISHED_PER_GROUP_MAX
from mosha.formats.hastat import BanReport, EntryTrouble, GroupView, Problem, Report
from mosha.host.clock import boottime
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report
from tests.waiting import pass_until

WEB = group("web", on(1))
NOWHERE = group("web", ok=False, why="no node can run it: node 1: banned there for 20 s: exit 3")
BAN = BanReport(node=2, left_s=3, reason="test web-check: exit 1")
MOVED = BanReport(node=1, left_s=300, reason="moved to node 2 by an operator")


def seen(view: GroupView) -> Report:
    return report(groups=[view])


def of_move(to: int) -> Goal:
    """The goal of a move of `web`, which ran on node 1 under term 3."""
    return before_move(seen(WEB), "web", to)


def test_the_goal_of_a_move_knows_where_the_group_was() -> None:
    assert of_move(2) == Goal("web", move=Move(2, where=(1,), term=3))


def test_a_group_on_all_nodes_is_there_when_each_instance_is() -> None:
    goal, first, late = Goal("dns", level="start"), group("dns@1", on(1)), group("dns@2", ok=False)

    def outcome(*views: GroupView) -> WaitOutcome | None:
        found = report(groups=[*views, WEB])
        return judge_all(goal, about(found, goal), found, 300, {})

    assert outcome(first, late) is None
    away = group("dns@2", ok=True, why="node 2: on standby")
    assert outcome(first, away) == WaitOutcome(
        True, "dns@1: start DONE on node 1; dns@2: on no node"
    )
    unwell = group("dns@2", on(2, troubles=[EntryTrouble(tag="d", kind="pausing")]), ok=False)
    lost = outcome(first, unwell)
    assert lost is not None
    assert (lost.reached, lost.text.startswith("dns@2: start DONE on node 2, but")) == (False, True)


def test_a_stop_of_a_group_on_all_nodes_waits_for_each_instance() -> None:
    goal = Goal("dns", level="stop")
    base = group("dns", wanted="stop", in_hactl=True)
    left = group("dns@2", on(2), ok=False, wanted="stop", in_hactl=False)
    before, after = report(groups=[base, left]), report(groups=[base])
    assert judge_all(goal, about(before, goal), before, 300, {}) is None
    assert judge_all(goal, about(after, goal), after, 300, {}) == WaitOutcome(
        True, "dns: on no node"
    )
    single = Goal("dns", level="start")
    assert [view.group for view in about(before, single)] == ["dns"]


@pytest.mark.parametrize("to", [0, 2])
def test_a_move_has_not_come_about_before_anything_moved(to: int) -> None:
    assert judge(of_move(to), seen(WEB), 300) is None


@pytest.mark.parametrize("to", [0, 2])
def test_a_move_has_come_about_where_the_group_runs_then(to: int) -> None:
    arrived = group("web", on(2, claim_term=4))
    assert judge(of_move(to), seen(arrived), 300) == WaitOutcome(True, "web: start DONE on node 2")


@pytest.mark.parametrize(
    ("view", "told"),
    [
        (group("web", on(1, claim_term=5)), "it is on node 1 again"),
        (
            group("web", on(1, claim_term=5), bans=[BAN, MOVED]),
            "it is on node 1 again; node 2: test web-check: exit 1",
        ),
        (
            group("web", on(3, claim_term=5), not_here={2: "on standby"}),
            "it is on node 3; node 2: on standby",
        ),
        (
            group("web", on(1, claim_term=5), prefer=[1], failback=True),
            "it is on node 1 again; failback=yes takes it to node 1, which it prefers",
        ),
    ],
)
def test_a_move_that_came_back_is_over_and_says_why(view: GroupView, told: str) -> None:
    bans = {ban.node: ban.reason for ban in view.bans}
    assert judge(of_move(2), seen(view), 300, bans) == WaitOutcome(False, f"web: not moved: {told}")


def test_a_ban_that_has_ended_meanwhile_is_still_the_reason() -> None:
    back = seen(group("web", on(1, claim_term=5)))
    outcome = judge(of_move(2), back, 300, {2: "test web-check: exit 1"})
    assert outcome is not None
    assert "exit 1" in outcome.text


@pytest.mark.parametrize("left_s", [2.0, 4.0])
def test_no_node_before_a_ban_ends_is_worth_waiting_only_within_the_limit(left_s: float) -> None:
    away = {1: "only= leaves this node out", 2: "banned there for 3 s", 3: "never heard from"}
    view = replace(NOWHERE, bans=[BAN], not_here=away)
    outcome = judge(Goal("web"), seen(view), left_s)
    if left_s > BAN.left_s:
        assert outcome is None
    else:
        assert outcome is not None
        assert outcome.text == (
            "web: not reached: no node can run it before the ban of node 2 ends, in 3 s "
            "(test web-check: exit 1); when that is repaired: mosha cleanup web"
        )
    assert judge(Goal("web"), seen(replace(view, not_here={2: "banned"})), left_s) is None


def test_a_stop_with_a_remark_and_a_stop_that_failed_are_over() -> None:
    why = "stopped on node 2, but entry umount cannot execute"
    seen_there: dict[str, object] = {"problem": "entry", "where": [], "why": why, "next": "look"}
    view = group("web", on(2, "stop"), wanted="stop", ok=False, **seen_there)
    assert judge(Goal("web"), seen(view), 300) == WaitOutcome(
        False, f"web: not reached: {why}; look"
    )
    view = group("web", on(2, "stop", "FAILED"), ok=False, why="its stop entries failed on node 2")
    outcome = judge(Goal("web"), seen(view), 300)
    assert outcome is not None
    assert "stop entries failed" in outcome.text
    still = group("web", on(2, "stop", "STARTING"), wanted="stop", ok=False, why="still stop")
    assert judge(Goal("web"), seen(still), 300) is None


def test_a_group_that_was_erased_while_it_was_stopped_has_stopped() -> None:
    erased = report(groups=[])
    told = "web: on no node, and no table names it any more"
    assert judge(Goal("web", "stop"), erased, 300) == WaitOutcome(True, told)
    assert judge(Goal("web"), erased, 300) is None


@pytest.mark.parametrize(
    "more",
    [
        {"nodes": [node(1, "self"), node(2), node(3, "stale")]},
        {"nodes": [node(1, "self"), node(2), node(3, confirmed=False)]},
        {"quorum": replace(report().quorum, has=False)},
        {"problem_list": [Problem(kind="host", subjects=["1"], text="clinit does not answer")]},
    ],
)
def test_a_group_that_nobody_names_may_run_where_a_monitor_does_not_look(
    more: dict[str, object],
) -> None:
    assert judge(Goal("web", "stop"), report(groups=[], **more), 300) is None


def test_a_stop_that_other_nodes_may_not_have_heard_of_is_waited_for() -> None:
    """A receipt, a confirmation or the node itself may still end the doubt."""
    why = "node 2 is stale, may still run it and is not fenced"
    stopped, stale = on(1, "stop"), on(2)
    unseen: dict[str, object] = {"where": [], "may_run": [2], "why": why, "problem": "group"}
    view = group("web", stopped, stale, wanted="stop", ok=False, **unseen)
    assert judge(Goal("web"), seen(view), 300) is None


def test_the_last_report_of_a_dead_node_is_not_where_the_group_is() -> None:
    view = group("web", on(1, "stop"), on(2), wanted="stop", where=[])
    assert judge(Goal("web"), seen(view), 300) == WaitOutcome(True, "web: stop DONE on node 1")
    view = group("web", on(2), wanted="stop", where=[])
    assert judge(Goal("web"), seen(view), 300) == WaitOutcome(True, "web: on no node")


def test_a_wait_that_ends_at_its_limit_names_the_next_step(mosha: Mosha, home: Home) -> None:
    unseen: dict[str, object] = {"where": [], "may_run": [2], "why": "node 2 may run it"}
    view = group("web", on(2), wanted="stop", ok=False, next="mosha confirm 2", **unseen)
    with reel(home, view):
        said = mosha("stop", "web", "--wait", "--limit", "0")
    assert said.status == 1
    assert said.err.splitlines() == [
        "web: node 2 may run it",
        "mosha: web: not reached within 0 s; mosha confirm 2",
    ]


def reel(home: Home, *views: GroupView) -> FakeMonitor:
    return FakeMonitor(home.rundir, report(), reports=[seen(view) for view in views])


def banned(left_s: int) -> GroupView:
    return replace(NOWHERE, why=f"no node can run it: node 1: banned there for {left_s} s: exit 3")


def test_a_line_is_said_when_something_else_than_a_counting_number_changed(
    mosha: Mosha, home: Home
) -> None:
    planned = [
        group("web", on(1, "plan"), ok=False, why=f"planned on node 1: {n} of 2 votes")
        for n in (1, 2)
    ]
    with reel(home, *(banned(left_s) for left_s in (20, 19, 18)), *planned, WEB):
        said = mosha("start", "web", "--wait")
    assert said.status == 0
    assert said.err.splitlines() == [
        "web: no node can run it: node 1: banned there for 20 s: exit 3",
        "web: planned on node 1: 1 of 2 votes",
        "web: start DONE on node 1",
    ]


def test_what_is_in_the_way_is_said_once_and_again_at_the_end_if_it_counted(
    mosha: Mosha, home: Home
) -> None:
    stopping = group("web", on(2, "stop", "STARTING"), ok=False, why="stop STARTING on node 2")
    with reel(home, stopping):
        said = mosha("start", "web", "--wait", "--limit", "0")
    assert said.status == 1
    assert said.err == "web: stop STARTING on node 2\nmosha: web: not reached within 0 s\n"


@pytest.mark.parametrize(("last", "status"), [(WEB, 1), (group("web", on(2, claim_term=4)), 0)])
def test_programs_get_one_object_that_is_true_in_the_end(
    mosha: Mosha, home: Home, last: GroupView, status: int
) -> None:
    with reel(home, WEB, last):
        said = mosha("move", "web", "2", "--wait", "--limit", "0", "--json")
    assert said.status == status
    (line,) = said.out.splitlines()
    assert json.loads(line)["ok"] is (status == 0)


STARTED_AGAIN = group("web", on(1, "stop"), on(2), where=[2])
HALTED_NOW = group("web", on(1, "stop"), wanted="stop", where=[])
ERASED = replace(HALTED_NOW, in_hactl=False)
GONE = "hactl was changed meanwhile and no longer names it"
IS_STARTED = (STARTED_AGAIN, "hactl was changed meanwhile and wants it at start now, not stopped")
IS_STOPPED = (HALTED_NOW, "hactl was changed meanwhile and wants it stopped now, not at start")
IS_ERASED = (ERASED, GONE)


@pytest.mark.parametrize(
    ("words", "level", "later"),
    [
        (["stop", "web"], "", IS_STARTED),
        (["set", "web", "stop"], "", IS_STARTED),
        (["start", "web"], "start", IS_STOPPED),
        (["start", "web"], "start", IS_ERASED),
        (["set", "web", "start"], "", IS_STOPPED),
        (["move", "web", "2"], "start", IS_STOPPED),
        (["restart", "web"], "start", IS_STOPPED),
        (["start", "web", "app"], "start", IS_STOPPED),
        (["stop", "web", "app"], "start", IS_ERASED),
    ],
)
def test_another_goal_than_what_was_ordered_is_never_called_reached(
    mosha: Mosha, home: Home, words: list[str], level: str, later: tuple[GroupView, str]
) -> None:
    """As `mosha stop db --wait && fsck` would check a disk that is in use."""
    now, told = later

    def accept(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, text="done", level=level)

    with FakeMonitor(home.rundir, seen(now), accept):
        said = mosha(*words, "--wait")
    assert said.status == 1
    assert said.err.splitlines()[-1].startswith(f"mosha: web: not reached: {told}; ")


def test_a_group_that_is_erased_from_hactl_while_it_stops_is_stopped_as_ordered() -> None:
    goal = Goal("web", "stop")
    assert judge(goal, seen(ERASED), 300) == WaitOutcome(True, "web: stop DONE on node 1")
    assert judge(Goal("web", "start"), report(groups=[]), 300) == WaitOutcome(
        False, f"web: not reached: {GONE}; on no node"
    )


def test_what_is_refused_is_not_waited_for(mosha: Mosha, home: Home) -> None:
    def refuse(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=False, text="web is on node 1 already")

    with FakeMonitor(home.rundir, report(nodes=[node(1, "self")]), refuse):
        said = mosha("move", "web", "1", "--wait")
    assert (said.status, said.err) == (1, "mosha: refused: web is on node 1 already\n")


def test_a_shutdown_that_is_waited_for_says_what_is_still_here(mosha: Mosha, home: Home) -> None:
    late = [EntryTrouble(tag="w-main", kind="late", for_s=3.0)]
    shown = [
        report(groups=[group("db", on(2)), group("web", *places, lease_s=lease_s)])
        for lease_s, *places in (
            (3.0, on(1, "start", "STOPPING")),
            (2.0, on(1, "start", "STOPPING")),
            (3.0, on(1, "start", "STOPPING", troubles=late)),
            (3.0, on(1, "stop", "FAILED")),
            (None, on(1, "stop", "FAILED")),
            (None, on(1, "stop", "DONE", claim_term=None)),
        )
    ]
    with FakeMonitor(home.rundir, shown[0], reports=shown):
        said = mosha("shutdown", "--wait")
    assert (said.status, said.out) == (0, "done\n")
    assert said.err.splitlines() == [
        "node 1: still here: web start STOPPING",
        "node 1: still here: web start STOPPING (w-main late)",
        "node 1: still here: web stop FAILED (to run its stop again: mosha cleanup web 1)",
        "node 1: still here: web stop FAILED (to forget that: mosha cleanup web 1)",
        "node 1: all groups are down, clinit and the monitor end",
    ]


def test_of_several_bans_the_first_that_ends_counts() -> None:
    later = replace(BAN, node=1, left_s=500)
    view = replace(
        NOWHERE, bans=[later, BAN], not_here={1: "banned", 2: "banned", 3: "never heard"}
    )
    assert judge(Goal("web"), seen(view), BAN.left_s + 1) is None
    assert judge(Goal("web"), seen(view), BAN.left_s - 1) is not None


def test_a_group_that_runs_nowhere_yet_is_not_as_wanted() -> None:
    assert judge(Goal("web"), seen(group("web")), 300) is None


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("mosha.cli.order.CALL_LIMIT_S", ["restart", "web", "--wait"]),
        ("mosha.cli.commands.set.CALL_LIMIT_S", ["set", "web", "start"]),
    ],
)
def test_an_answer_may_take_as_long_as_the_nodes_have_time_to_agree(
    mosha: Mosha, home: Home, monkeypatch: pytest.MonkeyPatch, where: str, words: list[str]
) -> None:
    """It is not called a monitor that hangs: the remedy for that is to kill it."""
    monkeypatch.setattr(where, 0.01)

    def answer(_: MonitorRequest) -> MonitorReply:
        pass_until(boottime() + 0.1)
        return MonitorReply(ok=True, text="done")

    with FakeMonitor(home.rundir, seen(WEB), answer):
        assert mosha(*words).status == 0


@pytest.mark.parametrize(
    ("kind", "why"), [("unable", "entry app cannot execute"), ("pausing", ""), ("failing", "")]
)
def test_a_group_that_has_arrived_and_is_not_well_is_no_success(kind: str, why: str) -> None:
    trouble = EntryTrouble(tag="app", kind=kind)
    view = group("web", on(1, troubles=[trouble]), ok=False, why=why)
    told = why or f"app {kind}"
    assert judge(Goal("web"), seen(view), 300) == WaitOutcome(
        False, f"web: start DONE on node 1, but not well: {told}"
    )


def test_what_was_stopped_is_said_once_with_the_way_back() -> None:
    why = "start DONE on node 1, but entry app is stopped by an operator"
    back: dict[str, object] = {"why": why, "problem": "stopped", "next": "mosha start web app"}
    view = group("web", on(1, troubles=[STOPPED]), ok=False, **back)
    told = f"web: {why}; mosha start web app"
    assert judge(Goal("web"), seen(view), 300) == WaitOutcome(False, told)


def test_one_that_runs_as_an_older_cltab_had_it_has_come_about() -> None:
    view = group("web", on(1, troubles=[EntryTrouble(tag="app", kind="outdated")]))
    outcome = judge(Goal("web"), seen(view), 300)
    assert outcome is not None
    assert outcome.reached


def test_what_dies_as_soon_as_it_is_started_has_not_come_about(mosha: Mosha, home: Home) -> None:
    trouble = EntryTrouble(tag="app", kind="unable")
    dead = group("web", on(1, troubles=[trouble]), ok=False, why="entry app cannot execute")
    with reel(home, WEB, dead):
        said = mosha("start", "web", "--wait")
    assert said.status == 1
    assert "start DONE on node 1, but not well: entry app cannot execute" in said.err


STOPPED = EntryTrouble(tag="app", kind="stopped")


WELL = (True, "web: entry app is well, start DONE on node 1")
STARTED = "entry app was started meanwhile, by a later order or with its group"
OVERRULED = (False, f"web: {STARTED}; start DONE on node 1")
HALTED = "web: entry app was stopped meanwhile, by a later order; to start it: mosha start web app"
FAILING = EntryTrouble(tag="app", kind="failing", text="exit 1")
RESTARTING = EntryTrouble(tag="app", kind="stopped", text=BEING_RESTARTED)
MANY = [EntryTrouble(tag=f"a{number}", kind="failing") for number in range(PUBLISHED_PER_GROUP_MAX)]
UNKNOWN = (
    "web: whether entry app is well is not known here: too many others are not (start DONE on"
    " node 1); there: mosha status web"
)
AMONG_THEM = (True, "web: entry app is stopped, start DONE on node 1")


@pytest.mark.parametrize(
    ("troubles", "started", "stopped"),
    [
        ([], WELL, OVERRULED),
        ([EntryTrouble(tag="db", kind="failing")], WELL, OVERRULED),
        ([STOPPED], (False, HALTED), AMONG_THEM),
        ([FAILING], (False, "web: entry app is not well: failing: exit 1"), OVERRULED),
        ([RESTARTING], None, None),
        (MANY, (False, UNKNOWN), AMONG_THEM),
    ],
)
def test_of_an_order_for_an_entry_only_that_entry_counts_and_a_later_order_ends_the_wait(
    troubles: list[EntryTrouble],
    started: tuple[bool, str] | None,
    stopped: tuple[bool, str] | None,
) -> None:
    view = group("web", on(1, troubles=troubles), ok=not troubles)
    for wants_stop, outcome in ((False, started), (True, stopped)):
        goal = Goal("web", entry=EntryGoal("app", stopped=wants_stop))
        assert judge(goal, replace(seen(view), node=2), 300) == outcome


def test_of_its_own_entries_a_node_knows_all() -> None:
    view = group("web", on(1, troubles=MANY), ok=False)
    assert judge(Goal("web", entry=EntryGoal("app")), replace(seen(view), node=1), 300) == WELL


def test_an_entry_of_a_group_that_runs_nowhere_is_not_called_well() -> None:
    assert judge(Goal("web", entry=EntryGoal("app")), seen(NOWHERE), 300) is None


@pytest.mark.parametrize("verb", EntryVerb)
def test_who_waits_for_an_entry_gives_the_monitor_so_long_and_knows_what_for(
    home: Home, monkeypatch: pytest.MonkeyPatch, verb: EntryVerb
) -> None:
    asked: list[tuple[MonitorRequest, float]] = []
    goals: list[Goal] = []

    def ask(_settings: object, request: MonitorRequest, limit_s: float) -> MonitorReply:
        asked.append((request, limit_s))
        return MonitorReply(ok=True, text="done")

    def see_through(_settings: object, _reply: object, goal: Goal, *_: object, **__: object) -> int:
        goals.append(goal)
        return 0

    monkeypatch.setattr(order, "ask", ask)
    monkeypatch.setattr(order, "see_through", see_through)
    config = str(home.config)
    assert order.order_entry(config, verb, "web", "app", limit_s=90.0, as_json=False) == 0
    ((request, answer_s),) = asked
    assert request == OrderEntry(verb, "web", "app", 90.0)
    assert answer_s > 90.0
    assert goals == [Goal("web", entry=EntryGoal("app", stopped=verb is EntryVerb.STOP))]


@pytest.mark.parametrize("trouble", [STOPPED, FAILING])
def test_how_a_group_is_matters_where_it_is_to_run_not_where_it_leaves(
    trouble: EntryTrouble,
) -> None:
    """It is moved away just because it is not well."""
    here = group("web", on(1, troubles=[trouble]), ok=False)
    there = group("web", on(2, troubles=[trouble], claim_term=4), ok=False)
    barred = replace(here, only=[2, 3])
    told = f"not well: app {trouble.kind}"
    assert judge(of_move(2), seen(here), 300) is None
    assert judge(Goal("web", "start"), seen(barred), 300) is None
    assert judge(of_move(2), seen(there), 300) == WaitOutcome(
        False, f"web: start DONE on node 2, but {told}"
    )
    assert judge(Goal("web"), seen(here), 300) == WaitOutcome(
        False, f"web: start DONE on node 1, but {told}"
    )


def test_a_move_of_a_group_that_is_not_well_is_waited_for_until_it_runs_there(
    mosha: Mosha, home: Home
) -> None:
    why = "start DONE on node 1, to be stopped there: waits until app has stopped on node 1"
    sick = group("web", on(1, troubles=[FAILING]), ok=False, why=why)
    with reel(home, sick, sick, sick, group("web", on(2, claim_term=4))):
        said = mosha("move", "web", "2", "--wait")
    assert said.status == 0
    assert said.err.splitlines() == [f"web: {why}", "web: start DONE on node 2"]


def test_what_delays_an_order_for_an_entry_is_said_until_it_is_answered(
    mosha: Mosha, home: Home
) -> None:
    """The reply is that it cannot be carried out any more: the command ends with it."""
    told = group("web", on(2), ok=True)
    shown = [
        report(nodes=[node(1, "self"), node(2, **({"state": "fresh"} | fields))], groups=[told])
        for fields in ({}, {"late": 2}, {"late": 3}, {"state": "stale"})
    ]

    def answer(_: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=False, text="node 2 is stale", tried=True)

    with FakeMonitor(home.rundir, shown[0], answer, shown):
        said = mosha("stop", "web", "app", "--wait")
    assert (said.status, said.out) == (1, "")
    assert said.err.splitlines() == [
        "node 2 is late: 2 heartbeats missed",
        "node 2 is stale",
        "mosha: node 2 is stale",
    ]
