"""`mosha disarm`, `arm` and `fence NODE`: what is asked of the monitor, and what is refused."""

from __future__ import annotations

import pytest

from mosha.control.protocol import DisarmAll, MonitorReply, ShootNode
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report


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
