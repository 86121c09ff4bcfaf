"""Options of an entry with real processes: a run that takes too long, the signals of a stop."""

from __future__ import annotations

import pytest

from tests.clinit.conftest import Start
from tests.clinit.daemon import is_alive
from tests.waiting import wait_until

TRAPS = "; ".join(f"trap 'echo {name} >> {{OUT}}' {name}" for name in ("INT", "QUIT", "TERM"))
DEAF = f"{TRAPS}; echo up >> {{OUT}}; while :; do sleep 0.02; done"


def test_a_test_that_hangs_fails_and_nothing_of_it_is_left(start_in: Start) -> None:
    d = start_in("g:t:1:test(timeout=0.5s):echo waiting for the disk; sleep 7120 & sleep 7121\n")
    d.tell("g", "1")
    d.wait_for("1 FAILED")
    assert d.group().cause == "test entry t: timed out after 0.5 s: waiting for the disk"
    assert d.group().alive == 0
    assert (d.entry("t").state, d.entry("t").timed_out) == ("failed", True)
    (told,) = d.log("entry_timed_out")
    assert (told["tag"], told["limit_s"]) == ("t", 0.5)


@pytest.mark.parametrize("mode", ["wait(timeout=0.4s)", "once(timeout=0.4s)"])
def test_a_stop_entry_that_hangs_does_not_hold_up_the_stop(start: Start, mode: str) -> None:
    d = start(f"g:r:1:respawn:exec sleep 7122\ng:s:stop:{mode}:{DEAF}\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert d.lines() == ["up", "INT", "TERM"]
    assert d.entry("s").exit == "timed out after 0.4 s"
    assert d.group().alive == 0


def test_what_ends_within_its_limit_is_left_alone(start: Start) -> None:
    d = start("g:w:1:wait(timeout=60s):echo a >> {OUT}\ng:t:1:test(timeout=60s):echo b >> {OUT}\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.lines() == ["a", "b"]
    assert d.log("entry_timed_out") == []


def test_an_entry_is_stopped_by_the_signals_of_its_options(start: Start) -> None:
    d = start(f"g:r:1:respawn(stop=QUIT/0.3s/INT/0.3s):{DEAF}\n")
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["up"])
    pid = d.pid_of("r")
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert d.lines() == ["up", "QUIT", "INT"]
    assert not is_alive(pid)
    assert [line["signal"] for line in d.log("entry_signalled")] == ["QUIT", "INT", "KILL"]


def test_the_signals_of_a_stop_are_those_that_cltab_has_now(start: Start) -> None:
    d = start("g:r:1:respawn:exec sleep 7123\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    pid = d.pid_of("r")
    d.write_cltab("g:r:1:respawn(stop=HUP/60s):exec sleep 7123\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.pid_of("r") == pid
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert [line["signal"] for line in d.log("entry_signalled")] == ["HUP"]
