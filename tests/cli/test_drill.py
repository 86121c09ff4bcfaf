"""`mosha drill`: its steps, what they come to, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from mosha.cli.commands import drill
from mosha.cli.drill_checks import homeless, waits_for, without_quorum
from mosha.control.protocol import AskReport, GiveOrder, MonitorReply, MonitorRequest, ShootNode
from mosha.core.status import Verb
from mosha.formats.hastat import FencingReport, GroupView, Problem, Quorum, Report
from tests.cli.conftest import Home, Mosha, Said
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import group, node, on, report
from tests.cli.terminal import Terminal
from tests.cli.test_json_forms import assert_form
from tests.waiting import wait_until

ORDERS = [GiveOrder(verb=Verb.STANDBY, node=3), ShootNode(3), GiveOrder(Verb.UNSTANDBY, node=3)]


def seen(**of_3: object) -> Report:
    """Show the groups of the plain report, none of them on node 3, which may have any load."""
    third = {"inc": 5, "run": "aa", "load": 0} | of_3
    state = str(third.pop("state", "fresh"))
    return report(nodes=[node(1, "self"), node(2), node(3, state, **third)])


def placed(*groups: GroupView) -> Report:
    return msgspec.structs.replace(seen(), groups=list(groups))


LIFE = (
    seen(load=2),
    seen(load=2),
    seen(load=1),
    seen(),
    seen(state="stale"),
    seen(state="fenced"),
    seen(inc=6, run="aa"),  # its monitor has only raised its incarnation
    seen(state="stale", inc=7, run="bb"),  # it has died again at once
    seen(inc=7, run="bb"),
)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill, "LOOK_S", 0.0)


def orders(monitor: FakeMonitor) -> list[MonitorRequest]:
    return [one for one in monitor.asked if isinstance(one, GiveOrder | ShootNode)]


def test_a_node_is_drained_shot_and_back(mosha: Mosha, home: Home) -> None:
    def answer(request: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=True, text=f"so be it: {type(request).__name__}")

    with FakeMonitor(home.rundir, seen(), answer, LIFE) as monitor:
        said = mosha("drill", "--yes", "3")
    assert [line.split()[:2] for line in said.out.splitlines()] == [
        ["ok", "standby"],
        ["ok", "drained"],
        ["ok", "shot"],
        ["ok", "returned"],
        ["ok", "unstandby"],
    ]
    assert "so be it: ShootNode" in said.out
    assert orders(monitor) == ORDERS
    looks = [isinstance(one, AskReport) for one in monitor.asked]
    steps = [number for number, one in enumerate(monitor.asked) if one in ORDERS]
    counts = [sum(looks[:step]) for step in steps]
    assert counts == [1, 4, 9], "shot when it has no group, and taken back when it has a new life"
    assert said.status == 0


def test_it_ends_with_the_first_step_that_fails(mosha: Mosha, home: Home) -> None:
    def answer(request: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=not isinstance(request, ShootNode), text="no route")

    with FakeMonitor(home.rundir, seen(), answer) as monitor:
        said = mosha("drill", "--yes", "--json", "3")
    assert_form(said.out, drill.Drill)
    found = msgspec.json.decode(said.out, type=drill.Drill)
    assert (found.ok, found.node) == (False, 3)
    assert [(step.step, step.ok, step.text) for step in found.steps][-1] == (
        "shot",
        False,
        "no route",
    )
    assert orders(monitor) == ORDERS[:2]
    assert said.status == 1


def test_a_node_that_does_not_come_back_in_time_stays_on_standby(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, seen()) as monitor:
        said = mosha("drill", "--yes", "--limit", "1s", "3")
    assert "FAILED returned " in said.out
    assert "not within 1 s" in said.out
    assert said.err == f"mosha: {LEFT}\n"
    assert orders(monitor) == ORDERS[:2]
    assert said.status == 1


def steps_of(said: Said) -> list[list[str]]:
    return [line.split()[:2] for line in said.out.splitlines()]


def test_it_shoots_when_each_group_is_at_its_level_on_another_node(
    mosha: Mosha, home: Home
) -> None:
    life = [
        placed(group("db", on(3))),
        placed(group("db", on(3, "stop", "STOPPING"))),
        placed(group("db", ok=False)),  # it has stopped, and nobody has claimed it yet
        placed(group("db", on(2, "plan", "STARTING"), ok=False)),
        placed(group("db", on(2, state="STARTING"), ok=False)),
    ]
    shown: list[int] = []

    def answer(request: MonitorRequest) -> MonitorReply:
        if isinstance(request, ShootNode):
            shown.append(len(monitor.asked))
            return MonitorReply(ok=False, text="that is enough")
        return MonitorReply(ok=True, text="done")

    after = placed(group("db", on(2)))
    with FakeMonitor(home.rundir, after, answer, [*life, after]) as monitor:
        said = mosha("drill", "--yes", "3")
    assert steps_of(said) == [["ok", "standby"], ["ok", "drained"], ["FAILED", "shot"]]
    # One report before the order, and all others before the shot.
    assert shown == [len(life) + 3]


def test_it_does_not_shoot_while_a_group_runs_nowhere(mosha: Mosha, home: Home) -> None:
    life = [placed(group("db", on(3))), placed(group("db", ok=False))]
    with FakeMonitor(home.rundir, seen(), reports=life) as monitor:
        said = mosha("drill", "--yes", "--limit", "0.3s", "3")
    assert steps_of(said) == [["ok", "standby"], ["FAILED", "drained"]]
    assert "not within 0.3 s: not at their level on another node: db: mosha why db" in said.out
    assert orders(monitor) == ORDERS[:1]
    assert said.status == 1


def test_a_group_that_no_other_node_may_take_is_said_before_anything_is_done(
    mosha: Mosha, home: Home
) -> None:
    why = {1: "banned here: its test failed", 2: "only= leaves this node out"}
    before = placed(group("mail", on(3), not_here=why), group("db", on(3), not_here={1: "no"}))
    with FakeMonitor(home.rundir, before) as monitor:
        said = mosha("drill", "--yes", "--limit", "0s", "3")
    assert said.out == (
        "FAILED checked      0.0 s  mail would run nowhere: no other node may take it: banned here:"
        " its test failed; only= leaves this node out\n"
    )
    assert orders(monitor) == []
    assert said.status == 1


def test_an_instance_of_the_node_is_no_reason_against_a_drill() -> None:
    why = {1: "it is the instance of node 3", 2: "it is the instance of node 3"}
    placed_on_3 = placed(group("dns@3", on(3), not_here=why), group("dns@1", on(1)))
    assert homeless(placed_on_3, 3) == {}
    assert waits_for(placed(group("dns@3", where=[]), group("db", on(1))), 3, {"dns@3"}) == ""


def voters(seen: int, *states: str, policy: str = "majority") -> Report:
    nodes = [node(number, state) for number, state in enumerate(states, 1)]
    electorate = list(range(1, len(states) + 1))
    needed = len(states) // 2 + 1
    quorum = Quorum(has=True, policy=policy, seen=seen, electorate=electorate, needed=needed)
    return report(nodes=nodes, quorum=quorum, groups=[])


@pytest.mark.parametrize(
    ("before", "left"),
    [
        (voters(3, "self", "fresh", "fresh"), ""),
        (voters(2, "self", "left", "fresh"), "1 of 3 nodes are left, 2 are needed"),
        (voters(2, "self", "fresh"), ""),  # half of two, and the other half is shot
        (voters(3, "self", "left", "fresh", "fresh"), ""),
        (voters(3, "self", "stale", "fresh", "fresh"), "2 of 4 nodes are left, 3 are needed"),
        (voters(2, "self", "fresh", policy="adaptive"), "1 of 2 nodes are left, 2 are needed"),
    ],
)
def test_a_node_that_the_quorum_needs_is_not_drilled_by_yes(
    mosha: Mosha, home: Home, before: Report, left: str
) -> None:
    number = before.nodes[-1].node
    assert without_quorum(before, number) == (
        f"without node {number} only {left}: all groups stop" if left else ""
    )
    with FakeMonitor(home.rundir, before) as monitor:
        said = mosha("drill", "--yes", "--limit", "0s", str(number))
    assert ("FAILED checked" in said.out) == bool(left)
    assert (orders(monitor) == []) == bool(left)


LEFT = "node 3 stays on standby until: mosha unstandby 3"


def test_who_interrupts_it_is_told_what_it_leaves(home: Home) -> None:
    with FakeMonitor(home.rundir, seen(load=1)) as monitor:
        screen = Terminal("drill", "--yes", "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.has("ok standby") and monitor.asked[-1] == AskReport())
            screen.type("\x03")
            wait_until(lambda: screen.has("FAILED drained", "broken off", LEFT))
        finally:
            assert screen.exit_status() == 1
    assert orders(monitor) == ORDERS[:1]


def test_a_shot_that_was_broken_off_may_go_on(mosha: Mosha, home: Home) -> None:
    def answer(request: MonitorRequest) -> MonitorReply | None:
        return None if isinstance(request, ShootNode) else MonitorReply(ok=True, text="done")

    with FakeMonitor(home.rundir, seen(), answer):
        said = mosha("drill", "--yes", "--json", "3")
    # The monitor of this test logs in the same process.
    found = msgspec.json.decode(said.out.splitlines()[-1], type=drill.Drill)
    assert found.steps[-1].text == "broken off"
    assert found.left == f"if the shot has begun, it goes on: mosha status; {LEFT}"
    assert said.status == 3


def test_what_speaks_against_it_later_ends_it_before_the_shot(mosha: Mosha, home: Home) -> None:
    first = voters(3, "self", "fresh", "fresh")
    then = voters(2, "self", "left", "fresh")
    with FakeMonitor(home.rundir, first, reports=[first, then]) as monitor:
        said = mosha("drill", "--yes", "--limit", "0s", "3")
    assert steps_of(said) == [["ok", "standby"], ["ok", "drained"], ["FAILED", "checked"]]
    assert orders(monitor) == ORDERS[:1]
    assert LEFT in said.err


POISON = '[[fencing.methods]]\ntype = "poison"\n'
COMMAND = '[[fencing.methods]]\ntype = "command"\ncommand = "/bin/false"\n'


@pytest.mark.parametrize(
    ("methods", "told"),
    [
        (COMMAND + POISON, ""),
        (POISON + COMMAND, "method 1 (poison) restarts nothing"),
        ('[[fencing.methods]]\ntype = "print"\n' + POISON, "method 2 (poison) restarts nothing"),
    ],
)
def test_a_pill_is_no_drill(mosha: Mosha, home: Home, methods: str, told: str) -> None:
    home.config.write_text(home.config.read_text() + methods)
    with FakeMonitor(home.rundir, seen()) as monitor:
        said = mosha("drill", "--yes", "--limit", "0s", "3")
    assert ("FAILED checked" in said.out) == bool(told)
    assert told in said.out
    assert (orders(monitor) == []) == bool(told)


def test_a_node_whose_test_failed_is_not_drilled_by_yes(mosha: Mosha, home: Home) -> None:
    tests = [
        FencingReport(node=2, number=1, method="fence_x", failure="no"),
        FencingReport(node=3, number=1, method="fence_x", failure="it is another machine"),
    ]
    before = msgspec.structs.replace(seen(), fencing=tests)
    with FakeMonitor(home.rundir, before) as monitor:
        said = mosha("drill", "--yes", "--limit", "0s", "3")
    told = "the test of fencing node 3 by method 1 (fence_x) failed: it is another machine"
    assert said.out.rstrip() == f"FAILED checked      0.0 s  {told}"
    assert (said.err, orders(monitor)) == ("", [])


@pytest.mark.parametrize("command", ["drill", "fence"])
def test_who_is_asked_is_told_what_it_costs(home: Home, command: str) -> None:
    with FakeMonitor(home.rundir, voters(2, "self", "left", "fresh")) as monitor:
        screen = Terminal(command, "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.has("without node 3 only 1 of 3 nodes are left", "[y/N]"))
            screen.type("n\n")
        finally:
            assert screen.exit_status() == 1
    assert orders(monitor) == []


def test_who_agrees_has_a_group_stand_still_for_the_drill(home: Home) -> None:
    before = placed(group("mail", on(3), not_here={1: "no", 2: "no"}))
    life = [before, placed(group("mail", ok=False)), *LIFE]
    with FakeMonitor(home.rundir, seen(), reports=life) as monitor:
        screen = Terminal("drill", "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.has("mail would run nowhere", "[y/N]"))
            screen.type("y\n")
            wait_until(lambda: screen.has("ok unstandby"))
        finally:
            assert screen.exit_status() == 0
    assert orders(monitor) == ORDERS


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--yes", "1"), "node 1 is this one: ask another node"),
        (("--yes", "9"), "node 9 is not heard: a drill is for a node that is well"),
        (("--yes", "2"), "node 2 is not heard: a drill is for a node that is well"),
        (("3",), "no terminal to ask on: to have node 3 shot, use --yes"),
    ],
)
def test_what_is_refused(mosha: Mosha, home: Home, words: tuple[str, ...], why: str) -> None:
    nodes = [node(1, "self"), node(2, "stale"), node(3)]
    with FakeMonitor(home.rundir, report(nodes=nodes)) as monitor:
        said = mosha("drill", *words)
    assert why in said.err
    assert said.status == 2
    assert orders(monitor) == []


def test_a_node_that_outlives_its_shot_fails_the_drill_at_once(mosha: Mosha, home: Home) -> None:
    text = "node 3 was shot at 11:47:47 (fence_x, off-confirmed) and is still heard"
    of_2 = Problem(kind="shot-outlived", subjects=["2"], text="node 2 was shot")
    of_3 = Problem(kind="shot-outlived", subjects=["3"], text=text)
    life = [msgspec.structs.replace(seen(), problem_list=it) for it in ([of_2], [of_2, of_3])]
    with FakeMonitor(home.rundir, seen(), reports=[seen(), seen(), *life]) as monitor:
        said = mosha("drill", "--yes", "3")
    assert said.out.splitlines()[-1].startswith("FAILED returned ")
    assert said.out.splitlines()[-1].endswith(text)
    assert orders(monitor) == ORDERS[:2]
    assert said.status == 1


@pytest.mark.parametrize(("typed", "status", "count"), [("y", 1, 2), ("n", 1, 0), ("", 1, 0)])
def test_it_asks_on_a_terminal_and_means_no_unless_told_yes(
    home: Home, typed: str, status: int, count: int
) -> None:
    def answer(request: MonitorRequest) -> MonitorReply:
        return MonitorReply(ok=not isinstance(request, ShootNode), text="no route")

    with FakeMonitor(home.rundir, seen(), answer) as monitor:
        screen = Terminal("drill", "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.shows("Drain node 3, and switch it off?"))
            screen.type(f"{typed}\n")
        finally:
            ended = screen.exit_status()
    assert ended == status
    assert orders(monitor) == ORDERS[:count]
