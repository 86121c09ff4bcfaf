"""`mosha disarm`, `arm` and `fence NODE`: what is asked of the monitor, and what is refused."""

from __future__ import annotations

import pytest

from mosha.control.calls import CALL_LIMIT_S
from mosha.control.protocol import AskReport, DisarmAll, MonitorReply, MonitorRequest, ShootNode
from mosha.core.cluster import shots
from mosha.formats.settings import Settings
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report
from tests.cli.terminal import Terminal
from tests.waiting import wait_until


def answers(text: str, *, ok: bool = True) -> MonitorReply:
    return MonitorReply(ok=ok, text=text)


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("disarm", "--for", "30m", "--reason", "a switch"), DisarmAll(1800.0, "a switch")),
        (("arm",), DisarmAll(0.0)),
        (("fence", "--yes", "3"), ShootNode(3)),
    ],
)
@pytest.mark.parametrize("ok", [True, False])
def test_what_is_asked_of_the_monitor_and_its_answer(
    mosha: Mosha, home: Home, words: tuple[str, ...], asked: object, *, ok: bool
) -> None:
    with FakeMonitor(home.rundir, report(), lambda _: answers("so it is", ok=ok)) as monitor:
        said = mosha(*words)
    assert monitor.asked == [asked]
    assert "so it is" in (said.out if ok else said.err)
    assert said.status == (0 if ok else 1)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("disarm", "--reason", "x"), "missing option '--for'"),
        (("disarm", "--for", "30m"), "missing option '--reason'"),
        (("disarm", "--for", "soon", "--reason", "x"), "'soon'"),
        (("disarm", "--for", "0", "--reason", "x"), "to arm fencing again: mosha arm"),
        (("fence", "3"), "no terminal to ask on: to have node 3 shot, use --yes"),
    ],
)
def test_what_is_refused_before_a_monitor_is_asked(
    mosha: Mosha, home: Home, words: tuple[str, ...], why: str
) -> None:
    with FakeMonitor(home.rundir, report()) as monitor:
        said = mosha(*words)
    assert why in said.err
    assert said.status == 2
    assert monitor.asked == []


@pytest.mark.parametrize(
    ("typed", "status", "asked"), [("y", 0, [ShootNode(3)]), ("n", 1, []), ("", 1, [])]
)
def test_on_a_terminal_a_node_is_shot_only_by_who_says_yes(
    home: Home, typed: str, status: int, asked: list[MonitorRequest]
) -> None:
    with FakeMonitor(home.rundir, report()) as monitor:
        screen = Terminal("fence", "3", "--config", str(home.config))
        try:
            wait_until(lambda: screen.shows("Switch off node 3, and all that runs there, now?"))
            screen.type(f"{typed}\n")
        finally:
            ended = screen.exit_status()
    assert ended == status
    assert [it for it in monitor.asked if not isinstance(it, AskReport)] == asked


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (("fence", "3"), "mosha.cli.commands.fence.ask"),
        (("drill", "3"), "mosha.cli.commands.drill.ask"),
    ],
)
def test_an_answer_is_waited_for_as_long_as_a_shot_may_take(
    mosha: Mosha, home: Home, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], where: str
) -> None:
    """To begin, all methods with their attempts, and the report of it."""
    with home.config.open("a") as file:
        file.write('[[fencing.methods]]\ntype = "command"\ncommand = "/bin/x"\nlimit = 100.0\n')
        file.write('[[fencing.methods]]\ntype = "agent"\nagent = "fence_x"\nlimit = 1000.0\n')
        file.write('retries = 2\ntargets = {3 = "a"}\n')
    limits: dict[type, float] = {}

    def ask(_settings: Settings, request: MonitorRequest, limit_s: float) -> MonitorReply:
        limits[type(request)] = limit_s
        return MonitorReply(ok=not isinstance(request, ShootNode), text="no route")

    monkeypatch.setattr(where, ask)
    with FakeMonitor(home.rundir, report()):
        mosha(*words, "--yes")
    shot_s = 100.0 + 3 * 1000.0
    assert limits[ShootNode] >= shots.ASKED_S + shot_s + shots.REPORTED_S + CALL_LIMIT_S
