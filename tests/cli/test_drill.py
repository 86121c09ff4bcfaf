"""`mosha drill`: its steps, what they come to, and what is refused."""

from __future__ import annotations

import msgspec
import pytest

from mosha.cli.commands import drill
from mosha.control.protocol import GiveOrder, MonitorReply, MonitorRequest, ShootNode
from mosha.core.status import Verb
from mosha.formats.hastat import Problem, Report
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import node, report
from tests.cli.test_json_forms import assert_form

ORDERS = [GiveOrder(verb=Verb.STANDBY, node=3), ShootNode(3), GiveOrder(Verb.UNSTANDBY, node=3)]


def seen(**of_3: object) -> Report:
    third = {"inc": 5, "run": "aa", "load": 0} | of_3
    state = str(third.pop("state", "fresh"))
    return report(nodes=[node(1, "self"), node(2), node(3, state, **third)])


LIFE = (
    seen(load=2),
    seen(load=2),
    seen(load=1),
    seen(),
    seen(state="stale"),
    seen(state="fenced"),
    seen(inc=6, run="aa"),  # its monitor has only raised its incarnation
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
    assert orders(monitor) == ORDERS[:2]
    assert said.status == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--yes", "1"), "node 1 is this one: ask another node"),
        (("--yes", "9"), "node 9 is not heard: a drill is for a node that is well"),
        (("3",), "no terminal to ask on: to have node 3 shot, use --yes"),
    ],
)
def test_what_is_refused(mosha: Mosha, home: Home, words: tuple[str, ...], why: str) -> None:
    with FakeMonitor(home.rundir, seen()) as monitor:
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
