"""Deadlines in a living clinit: it acts alone when nobody renews them (C5 of the protocol)."""

from __future__ import annotations

import signal

from mosha.control.protocol import Lease
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import QUICK, is_alive
from tests.clinit.test_processes import DOUBLE_FORK, pids_of
from tests.waiting import pass_until, wait_until

STUBBORN = "trap '' INT TERM; echo up >> {OUT}; while :; do sleep 0.05; done"


def test_a_lease_that_ends_stops_the_group_in_an_orderly_way(start_in: Start) -> None:
    d = start_in("g:a:start:respawn:sleep 7301\ng:s:stop:wait:echo stopped >> {OUT}\n")
    stop_at = boottime() + 0.5
    assert d.tell("g", "start", term=4, stop_at=stop_at, kill_at=stop_at + 30).ok
    pid = d.pid_of("a")
    report = d.group()
    assert (report.term, report.stop_at, report.kill_at) == (4, stop_at, stop_at + 30)
    d.wait_for("stop DONE")
    assert stop_at <= boottime() < stop_at + 2
    assert d.lines() == ["stopped"]
    assert not is_alive(pid)
    report = d.group()
    assert (report.cause, report.alive, report.stop_at) == ("lease ended", 0, None)
    assert [line["deadline"] for line in d.log("lease_ended")] == ["stop_at"]


def test_kill_at_ends_everything_of_the_group_at_once(start_in: Start) -> None:
    d = start_in(
        f"g:w:start:wait:{DOUBLE_FORK.format(n=7302)}\n"
        f"g:a:start:respawn:{STUBBORN}\n"
        "g:s:stop:wait:echo never >> {OUT}\n",
        limits={},
    )
    now = boottime()
    d.tell("g", "start", term=1, stop_at=now + 0.6, kill_at=now + 1.2)
    wait_until(lambda: d.lines() == ["up"] and pids_of("sleep 7302"))
    pids = d.descendants()
    d.wait_for("stop DONE")
    assert now + 1.2 <= boottime() < now + 2.2
    assert d.lines() == ["up"]
    assert not any(map(is_alive, pids))
    assert d.group().cause == "lease ended: killed"
    assert [line["deadline"] for line in d.log("lease_ended")] == ["stop_at", "kill_at"]


def test_kill_at_ends_a_stop_entry_that_hangs(start: Start) -> None:
    d = start("g:a:start:respawn:sleep 7303\ng:s:stop:wait:sleep 7304\n")
    d.tell("g", "start")
    d.pid_of("a")
    d.tell("g", "stop", term=1, stop_at=boottime() + 0.2, kill_at=boottime() + 0.5)
    d.wait_for("stop DONE")
    assert pids_of("sleep 7304") == []


def test_renewals_keep_a_group_running(start: Start) -> None:
    d = start("g:a:start:respawn:sleep 7305\nh:b:start:respawn:sleep 7312\n")
    first = boottime() + 0.4
    d.tell("g", "start", term=9, stop_at=first, kill_at=first + 30)
    d.tell("h", "start", term=9, stop_at=first, kill_at=first + 30)
    pid = d.pid_of("a")
    renewed = boottime() + 1.2
    assert d.ask(Lease({"g": (9, renewed, renewed + 30), "x": (1, 0.0, 0.0)})).ok
    assert d.ask(Lease({"g": (8, 0.0, 0.0)})).ok  # another term: ignored
    d.wait_for("stop DONE", "h")  # the first deadline has passed, and is obeyed where it holds
    assert d.pid_of("a") == pid
    assert d.state() == "start DONE"
    d.wait_for("stop DONE")
    assert boottime() >= renewed


def test_a_renewal_that_comes_too_late_does_not_bring_the_group_back(start: Start) -> None:
    d = start(f"g:a:start:respawn:{STUBBORN}\n", limits=QUICK | {"int_to_term_s": 1.0})
    d.tell("g", "start", term=9, stop_at=boottime() + 0.3, kill_at=boottime() + 0.6)
    wait_until(lambda: d.state() == "start STOPPING")
    later = boottime() + 30
    d.ask(Lease({"g": (9, later, later)}))
    wait_until(lambda: len(d.log("entry_signalled")) == 2)  # so it outlived the first kill_at
    d.wait_for("stop DONE")
    assert [line["deadline"] for line in d.log("lease_ended")] == ["stop_at"]


def test_a_past_deadline_starts_nothing(start: Start) -> None:
    d = start("g:a:start:respawn:echo up >> {OUT}; sleep 7306\n")
    past = boottime() - 1
    assert d.tell("g", "start", term=1, stop_at=past, kill_at=past + 60).ok
    d.wait_for("stop DONE")
    assert d.lines() == []


def test_one_deadline_without_the_other_is_refused(start: Start) -> None:
    d = start("g:a:start:respawn:sleep 7307\n")
    reply = d.tell("g", "start", stop_at=boottime() + 1)
    assert (reply.ok, reply.text) == (False, "stop_at and kill_at go together")


def test_what_fell_due_while_clinit_stood_still_is_done_when_it_wakes(start: Start) -> None:
    d = start("g:a:start:respawn:sleep 7308\n")
    d.tell("g", "start", term=1, stop_at=boottime() + 0.3, kill_at=boottime() + 0.5)
    pid = d.pid_of("a")
    d.signal(signal.SIGSTOP)
    pass_until(boottime() + 0.7)
    d.signal(signal.SIGCONT)
    d.wait_for("stop DONE", limit_s=1)
    assert not is_alive(pid)
    assert d.group().cause == "lease ended: killed"
    (line,) = [line for line in d.log("lease_ended") if line["deadline"] == "kill_at"]
    assert line["late_s"] >= 0.15
    assert line["level"] == "critical"  # beyond what the arithmetic has room for
    assert d.group().killed_late_s == line["late_s"]


def test_a_late_stop_within_the_time_of_its_lease_is_a_warning_alone(start: Start) -> None:
    d = start("g:a:start:respawn:sleep 7309\n")
    d.tell("g", "start", term=1, stop_at=boottime() + 0.3, kill_at=boottime() + 60)
    d.pid_of("a")
    d.signal(signal.SIGSTOP)
    pass_until(boottime() + 0.7)
    d.signal(signal.SIGCONT)
    d.wait_for("stop DONE")
    (line,) = d.log("lease_ended")
    assert (line["deadline"], line["level"]) == ("stop_at", "warning")
    assert line["late_s"] >= 0.35
