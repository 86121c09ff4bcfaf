"""`mosha fence --test`: what it asks, what it prints, and its exit status."""

from __future__ import annotations

import msgspec
import pytest

from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import AskFenceNodes, MonitorReply, MonitorRequest, RunFenceTest
from mosha.formats.fence_tests import FenceNode, FenceTest, FenceTests, TestedAs
from mosha.formats.settings import Settings
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import Answer, FakeMonitor
from tests.cli.reports import report
from tests.cli.test_json_forms import assert_form


def one(node: int, outcome: TestedAs = "good", text: str = "status says ON") -> FenceTest:
    return FenceTest(node=node, number=2, method="fence_x", outcome=outcome, text=text)


def monitor_with(*tests: FenceTest) -> Answer:
    """Answer with these tests, for all nodes that have one."""

    def answer(request: MonitorRequest) -> MonitorReply:
        match request:
            case AskFenceNodes(node):
                nodes = dict.fromkeys(test.node for test in tests)
                found: object = [
                    FenceNode(node=each, limit_s=5.0) for each in nodes if node in (0, each)
                ]
            case RunFenceTest(node):
                found = [test for test in tests if test.node == node]
            case _:
                raise AssertionError(request)
        return MonitorReply(ok=True, report=msgspec.Raw(msgspec.json.encode(found)))

    return answer


def test_each_node_and_method_is_a_line(mosha: Mosha, home: Home) -> None:
    callable_ = FenceTest(
        node=2, number=0, method="callable", outcome="untested", text="it cannot be"
    )
    with FakeMonitor(home.rundir, report(), monitor_with(one(1), callable_, one(2))) as monitor:
        said = mosha("fence", "--test")
    assert said.out == (
        "node 1: method 2 (fence_x): good: status says ON\n"
        "node 2: callable: not tested: it cannot be\n"
        "node 2: method 2 (fence_x): good: status says ON\n"
    )
    assert (said.status, said.err) == (0, "")
    assert monitor.asked == [AskFenceNodes(), RunFenceTest(1), RunFenceTest(2)]


def test_one_node_alone(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(), monitor_with(one(1), one(2))) as monitor:
        said = mosha("fence", "--test", "2")
    assert said.out == "node 2: method 2 (fence_x): good: status says ON\n"
    assert monitor.asked == [AskFenceNodes(2), RunFenceTest(2)]


def test_a_failure_is_exit_status_1_and_all_others_are_tested(mosha: Mosha, home: Home) -> None:
    failed = one(1, "failed", "monitor: exit 1 in 0.1 s: no")
    with FakeMonitor(home.rundir, report(), monitor_with(failed, one(2))):
        said = mosha("fence", "--test")
    assert said.out == (
        "node 1: method 2 (fence_x): FAILED: monitor: exit 1 in 0.1 s: no\n"
        "node 2: method 2 (fence_x): good: status says ON\n"
    )
    assert said.status == 1


@pytest.mark.parametrize(("outcome", "ok"), [("good", True), ("untested", True), ("failed", False)])
def test_json_is_one_object_of_its_form(
    mosha: Mosha, home: Home, outcome: TestedAs, *, ok: bool
) -> None:
    tests = (one(1), one(2, outcome))
    with FakeMonitor(home.rundir, report(), monitor_with(*tests)):
        said = mosha("fence", "--test", "--json")
    assert_form(said.out, FenceTests)
    assert msgspec.json.decode(said.out, type=FenceTests) == FenceTests(ok=ok, tests=list(tests))
    assert said.status == (0 if ok else 1)


def test_a_node_that_no_method_can_shoot_is_a_failure(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report(), monitor_with()):
        said = mosha("fence", "--test", "3")
    assert (said.status, said.out) == (1, "")
    assert said.err == "mosha: no fencing method can shoot node 3\n"


def test_an_unknown_node_is_wrong_usage(mosha: Mosha, home: Home) -> None:
    refusal = MonitorReply(ok=False, text="there is no node 9; the nodes are 1, 2, 3")
    with FakeMonitor(home.rundir, report(), lambda _: refusal):
        said = mosha("fence", "--test", "9")
    assert (said.status, said.err) == (2, "mosha: there is no node 9; the nodes are 1, 2, 3\n")


def test_a_shot_that_is_under_way_is_told(mosha: Mosha, home: Home) -> None:
    tests = monitor_with(one(1))
    shooting = MonitorReply(ok=False, tried=True, text="a shot is under way")

    def answer(request: MonitorRequest) -> MonitorReply | None:
        return shooting if isinstance(request, RunFenceTest) else tests(request)

    with FakeMonitor(home.rundir, report(), answer):
        said = mosha("fence", "--test", "1")
    assert (said.status, said.err) == (1, "mosha: a shot is under way\n")


def test_an_answer_that_makes_no_sense_is_told(mosha: Mosha, home: Home) -> None:
    nonsense = MonitorReply(ok=True, report=msgspec.Raw(b'{"a": 1}'))
    with FakeMonitor(home.rundir, report(), lambda _: nonsense):
        said = mosha("fence", "--test")
    assert said.status == 1
    assert said.err.startswith("mosha: the monitor's answer cannot be read: Expected `array`")


def test_each_test_has_the_time_that_the_monitor_says(
    mosha: Mosha, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = monitor_with(one(1))
    limits: list[float] = []

    def ask(_: Settings, request: MonitorRequest, limit_s: float = 0.0) -> MonitorReply | None:
        limits.append(limit_s)
        return tests(request)

    monkeypatch.setattr("mosha.cli.commands.fence.ask", ask)
    assert mosha("fence", "--test", "1").status == 0
    assert limits == [0.0, 5.0 + CALL_LIMIT_S]


def test_without_test_nothing_is_done(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report()) as monitor:
        said = mosha("fence")
    assert said.status == 2
    assert said.err.endswith("mosha: say which node to shoot, or: mosha fence --test\n")
    assert monitor.asked == []


def test_without_a_monitor_the_state_is_unknown(mosha: Mosha) -> None:
    assert mosha("fence", "--test").status == 3
