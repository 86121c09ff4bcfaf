"""The original's live cases of levels, modes and tells, with real processes (C2 to C4)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from mosha.control.protocol import Update
from mosha.core.supervision.entries import EntryReport
from tests.clinit.conftest import Start
from tests.clinit.daemon import QUICK, Daemon, is_alive
from tests.waiting import wait_until


def test_a_wait_entry_ends_before_the_next_starts_c3_1(start: Start) -> None:
    d = start("g:a:1:wait:read x < {OUT}.fifo; echo a >> {OUT}\ng:b:1:wait:echo b >> {OUT}\n")
    os.mkfifo(f"{d.out}.fifo")
    assert d.tell("g", "1").text == "level transition started"
    wait_until(lambda: d.state() == "1 STARTING" and d.entry("a").state == "running")
    assert d.lines() == []
    with open(f"{d.out}.fifo", "w", encoding="ascii") as fifo:  # noqa: PTH123
        fifo.write("go\n")
    d.wait_for("1 DONE")
    assert d.lines() == ["a", "b"]


def test_a_killed_respawn_entry_is_back_at_once_c3_8(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:echo s >> {OUT}; exec sleep 7001\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    pid = d.pid_of("a")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _next_pid(d, pid))
    wait_until(lambda: d.lines() == ["s", "s"])
    assert d.state() == "1 DONE"
    assert d.entry("a").exit == "signal 9"
    assert [line["status"] for line in d.log("entry_exited")] == ["signal 9"]


@pytest.mark.parametrize(
    ("commands", "result"),
    [
        pytest.param(["true", "exit 0"], "t PASSED", id="CI-test-1 all pass"),
        pytest.param(["true", "false"], "t FAILED", id="one fails"),
        pytest.param(["kill -9 $$; true"], "t FAILED", id="CI-test-5 a signal is a failure"),
        pytest.param(["/no/such/program"], "t FAILED", id="C3.15 not executable"),
        pytest.param(["exit 7"], "t FAILED", id="C3.15 a word of the shell"),
    ],
)
def test_tests_make_the_groups_result_c3_3(start: Start, commands: list[str], result: str) -> None:
    d = start("".join(f"g:t{n}:t:test:{command}\n" for n, command in enumerate(commands)))
    d.tell("g", "t")
    d.wait_for(result)
    assert d.group().alive == 0


def test_a_level_without_entries_is_done_c2_9(start: Start) -> None:
    d = start("g:a:1:wait:true\n")
    assert d.tell("g", "zz").text == "level transition started"
    d.wait_for("zz DONE")


def test_a_letter_of_a_word_is_no_level_c2_3(start: Start) -> None:
    d = start("g:a:start:wait:echo a >> {OUT}\n")
    d.tell("g", "s")
    d.wait_for("s DONE")
    assert d.lines() == []


def test_level_0_and_group_0_are_like_any_other_c2_7_c2_8(start: Start) -> None:
    d = start("0:a:0:respawn:sleep 7002\n")
    d.tell("0", "0")
    d.wait_for("0 DONE", "0")
    assert is_alive(d.pid_of("a", "0"))


def test_the_new_level_starts_after_the_last_old_process_is_gone_c4_6(start: Start) -> None:
    trap = 'trap "echo ostop >> {OUT}; exit" INT; while :; do sleep 0.05; done'
    d = start(f"g:o:1:respawn:echo up >> {{OUT}}; {trap}\ng:n:2:wait:echo n >> {{OUT}}\n")
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["up"])
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert d.lines() == ["up", "ostop", "n"]


def test_a_tell_interrupts_a_running_wait_entry_c4_9(start_in: Start) -> None:
    d = start_in("g:a:1:wait:exec sleep 7007\ng:b:2:wait:echo b >> {OUT}\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    d.tell("g", "2")
    d.wait_for("2 DONE", limit_s=3)
    assert not is_alive(pid)
    assert d.lines() == ["b"]


def test_an_entry_added_to_the_level_starts_at_the_next_tell_c5_1_c4_3(start: Start) -> None:
    first = "g:a:1:respawn:echo a >> {OUT}; exec sleep 7010\n"
    d = start(first)
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["a"])
    pid = d.pid_of("a")
    d.write_cltab(first + "g:b:1:wait:echo b >> {OUT}\n")
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["a", "b"])
    d.wait_for("1 DONE")
    assert d.pid_of("a") == pid


def test_an_edited_file_has_no_effect_before_a_tell_c1_16(start: Start) -> None:
    d = start("g:a:1:respawn:sleep 7010\nh:b:1:wait:true\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    d.write_cltab("g:a:1:respawn:sleep 7011\nh:b:1:wait:true\n")
    d.tell("h", "1")
    d.wait_for("1 DONE", "h")
    assert d.pid_of("a") == pid
    d.tell("g", "1")
    wait_until(lambda: _next_pid(d, pid))


def test_a_removed_group_is_ended_at_a_tell_to_any_group_c5_4(start_in: Start) -> None:
    d = start_in(
        "g:a:1:respawn:trap 'echo int >> {OUT}; exit' INT; echo up >> {OUT};"
        " while :; do sleep 0.05; done\nh:b:1:wait:true\n"
    )
    d.tell("g", "1")
    pid = d.pid_of("a")
    wait_until(lambda: d.lines() == ["up"])
    d.write_cltab("h:b:1:wait:true\n")
    d.tell("h", "1")
    wait_until(lambda: "g" not in d.groups())
    assert d.lines() == ["up", "int"]
    assert not is_alive(pid)
    wait_until(lambda: b" g " not in d.clstat.read_bytes())


def test_off_entries_are_skipped_c3_12(start: Start) -> None:
    d = start("g:y:3:off:true\ng:z:3:wait:echo z >> {OUT}\n")
    d.tell("g", "3")
    d.wait_for("3 DONE")
    assert d.lines() == ["z"]
    assert d.entry("y").state == "off"


def test_a_command_that_cannot_be_executed_harms_nothing_else_c3_15(start: Start) -> None:
    d = start(
        "h:h:1:respawn:exec sleep 7021\n"
        "g:a:1:wait:/no/such/program arg\n"
        "g:b:1:wait:echo b >> {OUT}\n"
        "g:c:1:respawn:/no/such/either\n"
    )
    d.tell("h", "1")
    pid = d.pid_of("h", "h")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.lines() == ["b"]
    assert d.pid_of("h", "h") == pid
    assert d.entry("a").exit == "cannot execute: /no/such/program: No such file or directory"
    wait_until(lambda: d.entry("c").state == "pausing")
    assert d.entry("c").starts == 7  # C3.9


def test_a_throttled_entry_shows_its_pause_and_can_be_left_c3_9_c3_11(start: Start) -> None:
    d = start("g:a:1:respawn:echo s >> {OUT}\n", limits={"pause_s": 60})
    d.tell("g", "1")
    wait_until(lambda: d.entry("a").state == "pausing")
    assert d.lines() == ["s"] * 7
    assert d.entry("a").until is not None
    (throttled,) = d.log("entry_throttled")
    assert throttled["text"] == "a respawning too rapidly: sleeping 60 seconds"
    d.tell("g", "2")
    d.wait_for("2 DONE", limit_s=1)


def test_an_entry_that_is_being_stopped_shows_no_pause(start: Start) -> None:
    d = start(
        "g:a:1:respawn:trap '' INT; echo up >> {OUT}; while :; do sleep 0.02; done\n",
        limits=QUICK | {"int_to_term_s": 3600.0},
    )
    d.tell("g", "1")
    wait_until(d.lines)
    d.tell("g", "2")
    wait_until(lambda: d.entry("a").state == "stopping")
    assert d.entry("a").until is None


def test_a_paused_entry_comes_back(start: Start) -> None:
    d = start("g:a:1:respawn:echo s >> {OUT}\n", limits={"pause_s": 0.3, "haste_s": 0.2})
    d.tell("g", "1")
    wait_until(lambda: len(d.lines()) >= 9)
    assert d.state() == "1 DONE"


def test_the_states_come_in_the_originals_order_c7_3(start: Start) -> None:
    d = start("g:a:1:wait:true\ng:b:2:wait:true\n")
    news = d.news()
    assert next(news).full
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.tell("g", "2")
    d.wait_for("2 DONE")
    d.shut_down()
    seen: list[str] = []
    for update in news:
        for report in update.groups:
            state = f"{report.level} {report.state}"
            seen += [state] if seen[-1:] != [state] else []
    assert seen == [
        *("1 STARTING", "1 CHECKING", "1 DONE", "1 STOPPING", "1 DUMPING"),
        *("2 STARTING", "2 CHECKING", "2 DONE", "2 HALTING", "2 CONFIGURED"),
    ]
    assert d.wait() == 0


def test_an_unknown_group_is_refused_and_makes_no_line_c4_13(start: Start) -> None:
    d = start("g:a:1:wait:true\n")
    reply = d.tell("x", "1")
    assert (reply.ok, reply.text) == (False, "no such group: x")
    assert d.groups() == {}


@pytest.mark.parametrize("level", ["", "a b", "1:2", "x" * 500])
def test_what_cannot_be_a_level_is_refused(start: Start, level: str) -> None:
    d = start("g:a:1:wait:true\n")
    reply = d.tell("g", level)
    assert not reply.ok
    assert "not the name of a level" in reply.text


def test_a_report_says_what_each_entry_did(start: Start) -> None:
    d = start("g:w:1:wait:exit 3\ng:r:1:respawn:sleep 7031\ng:o:1:off:true\n")
    d.tell("g", "1")
    pid = d.pid_of("r")
    report = d.group()
    assert (report.wanted, report.cause, report.alive) == ("1", "tell", 1)
    assert [(e.tag, e.state, e.pid, e.starts, e.exit) for e in report.entries] == [
        ("w", "done", 0, 1, "exit 3"),
        ("r", "running", pid, 1, ""),
        ("o", "off", 0, 0, ""),
    ]
    assert isinstance(report.entries[0], EntryReport)


def test_the_reply_comes_while_nothing_is_done_yet_c4_2(start: Start) -> None:
    d = start("g:a:1:wait:read x < {OUT}.fifo; echo a >> {OUT}\ng:b:2:wait:echo b >> {OUT}\n")
    os.mkfifo(f"{d.out}.fifo")
    reply = d.tell("g", "1")
    assert (reply.ok, reply.text) == (True, "level transition started")
    # It waits for the FIFO: nobody has said anything of how it went.
    assert (d.state(), d.lines()) == ("1 STARTING", [])
    with open(f"{d.out}.fifo", "w", encoding="ascii") as fifo:  # noqa: PTH123
        fifo.write("go\n")
    d.wait_for("1 DONE")


def test_plan_is_a_level_like_others_and_may_have_entries_h5_22(start: Start) -> None:
    d = start("g:a:plan:respawn:sleep 7011\ng:b:start:respawn:sleep 7012\n")
    d.tell("g", "plan")
    d.wait_for("plan DONE")
    assert is_alive(d.pid_of("a"))
    assert [entry.tag for entry in d.group().entries] == ["a"]


def test_a_group_that_leaves_cltab_takes_no_other_with_it_while_somebody_listens(
    start_in: Start,
) -> None:
    """A monitor listens always: each way of removing a group must leave the others alone."""
    both = "g:a:start:respawn:sleep 7351\ng:s:stop:wait:true\n"
    others = "idle:i:start:respawn:sleep 7352\nnever:n:start:respawn:sleep 7353\n"
    runs = "runs:r:start:respawn:sleep 7354\n"
    d = start_in(both + others + runs)
    heard = d.news()
    next(heard)
    d.tell("g", "start")
    d.tell("idle", "start")
    d.tell("idle", "stop")
    d.tell("runs", "start")
    pid = d.pid_of("a")
    d.pid_of("r", "runs")
    d.wait_for("stop DONE", "idle")
    d.write_cltab(both)  # one that never ran, one that has ended, one that runs
    assert d.tell("g", "start").ok
    wait_until(lambda: set(d.groups()) == {"g"})
    assert _until_gone(heard, {"idle", "runs"}) == {"idle", "runs"}
    assert d.pid_of("a") == pid
    assert d.status is None


def _until_gone(heard: Iterator[Update], awaited: set[str]) -> set[str]:
    """Return which groups were reported gone by the time all awaited ones were."""
    gone: set[str] = set()
    while not awaited <= gone:
        gone |= set(next(heard).gone)
    return gone


def test_a_group_that_comes_back_while_it_is_being_removed_is_kept_hold_of(start_in: Start) -> None:
    """Its end and its new start are of one moment: the one must not undo the other."""
    stubborn = "g:a:start:respawn:trap '' INT TERM; while :; do sleep 0.05; done\n"
    other = "h:b:start:respawn:sleep 7355\n"
    d = start_in(stubborn + other)
    d.tell("g", "start")
    first = d.pid_of("a")
    d.write_cltab(other)
    d.reread()
    d.write_cltab(other + "g:a:start:respawn:sleep 7356\n")
    assert d.tell("g", "start").ok
    pid = wait_until(lambda: _next_pid(d, first))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _next_pid(d, pid))
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert d.group().alive == 0
    assert d.status is None


def _next_pid(d: Daemon, former: int) -> int:
    """Return the pid of entry `a` once it is another one than before, 0 until then."""
    pid = d.entry("a").pid if "g" in d.groups() and d.group().entries else 0
    return 0 if pid == former else pid
