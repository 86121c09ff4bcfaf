"""Orders for one entry, carried out by a living clinit: with cgroups and without."""

from __future__ import annotations

import os
import signal

from mosha.control.protocol import Reply
from mosha.core.status import EntryVerb
from mosha.core.tell import EntryOrder
from mosha.host import proc
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon, is_alive
from tests.clinit.test_processes import DOUBLE_FORK, pids_of
from tests.waiting import wait_until


def order(d: Daemon, tag: str, verb: EntryVerb, name: str = "1.1.1", term: int = 0) -> Reply:
    return d.ask(EntryOrder("g", tag, verb, name, term))


def test_a_restart_takes_all_of_the_entry_along_and_nothing_else(start_in: Start) -> None:
    daemon = DOUBLE_FORK.format(n=7801)
    d = start_in(f"g:a:1:respawn:{daemon}; exec sleep 7802\ng:b:1:respawn:sleep 7803\n")
    d.tell("g", "1")
    leader, other = d.pid_of("a"), d.pid_of("b")
    (left,) = wait_until(lambda: pids_of("sleep 7801"))
    assert order(d, "a", EntryVerb.RESTART).ok
    wait_until(lambda: d.entry("a").obeyed == ("1.1.1",))
    assert not is_alive(leader)
    assert not is_alive(left)
    assert (d.pid_of("a") != leader, d.pid_of("b")) == (True, other)
    assert (d.entry("a").restarts, d.entry("a").failures) == (0, 0)


def test_what_has_ended_by_itself_leaves_nothing_when_it_is_stopped_or_runs_again(
    start_in: Start,
) -> None:
    daemon = DOUBLE_FORK.format(n=7811)
    d = start_in(f"g:o:1:once:{daemon}; echo ran >> {{OUT}}\n")
    d.tell("g", "1")
    wait_until(lambda: d.entry("o").state == "done")
    (first,) = wait_until(lambda: pids_of("sleep 7811"))
    assert order(d, "o", EntryVerb.RESTART, "1.1.1").ok
    wait_until(lambda: len(d.lines()) == 2 and d.entry("o").state == "done")
    assert not is_alive(first)
    (second,) = wait_until(lambda: pids_of("sleep 7811"))
    assert order(d, "o", EntryVerb.STOP, "1.1.2").ok
    wait_until(lambda: d.entry("o").state == "stopped")
    assert not is_alive(second)
    assert d.state() == "1 DONE"
    d.tell("g", "stop")
    d.wait_for("stop DONE")


def test_a_stopped_process_is_not_started_again_before_it_has_ended(start_in: Start) -> None:
    d = start_in("g:a:1:respawn(stop=TERM/60s):sleep 7821\n")
    d.tell("g", "1")
    leader = d.pid_of("a")
    os.kill(leader, signal.SIGSTOP)
    # Of two signals that are pending, TERM would be taken first: its number is lower.
    wait_until(lambda: proc.is_stopped(leader))
    assert order(d, "a", EntryVerb.RESTART).ok
    wait_until(lambda: d.entry("a").state == "stopping")
    assert d.entry("a").pid == leader
    os.kill(leader, signal.SIGCONT)
    wait_until(lambda: d.pid_of("a") != leader)
    assert not is_alive(leader)


def test_without_a_fork_server_the_entry_starts_as_soon_as_there_is_one(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7831\n")
    d.tell("g", "1")
    leader, server = d.pid_of("a"), d.fork_server()
    os.kill(server, signal.SIGSTOP)
    assert order(d, "a", EntryVerb.RESTART).ok
    wait_until(lambda: not is_alive(leader))
    assert order(d, "a", EntryVerb.STOP, "1.1.2").ok, "one that is being born is stopped too"
    os.kill(server, signal.SIGCONT)
    wait_until(lambda: d.entry("a").state == "stopped")
    assert pids_of("sleep 7831") == []


def test_a_managed_one_obeys_under_the_lease_alone(start: Start) -> None:
    d = start("g:a:start:respawn:sleep 7841\n", managed=True)
    now = boottime()
    assert d.tell("g", "start", term=7, stop_at=now + 60, kill_at=now + 90).ok
    leader = d.pid_of("a")
    refused = order(d, "a", EntryVerb.RESTART, term=6)
    assert (refused.ok, refused.text) == (False, "g is under term 7, and the order for term 6")
    assert d.pid_of("a") == leader
    assert order(d, "a", EntryVerb.STOP, term=7).ok
    wait_until(lambda: d.entry("a").state == "stopped")
    assert d.tell("g", "start", term=7, stop_at=now + 1, kill_at=now + 90).ok
    assert d.pid_of("a"), "its group was told something"
    assert d.tell("g", "stop", term=7).ok
    assert not order(d, "a", EntryVerb.START, term=7).ok
