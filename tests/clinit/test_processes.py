"""What clinit's children are, and how they end: sessions, signals, leftovers (C3.14, C6)."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from mosha.clinit import cgroups
from mosha.host import proc
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import QUICK, is_alive
from tests.leftovers import MARK, processes_marked
from tests.waiting import wait_until

# Starts a daemon as they do it: a child of a child in a session of its own.
DOUBLE_FORK = "(setsid sleep {n} </dev/null >/dev/null 2>&1 &)"


def pids_of(command: str) -> list[int]:
    """Return the processes of this session of tests whose command line is this."""
    found = [pid for pid in proc.see_all() if proc.command_line(pid) == command]
    mine = {process.pid for process in processes_marked(os.environ[MARK])}
    return [pid for pid in found if pid in mine]


def test_a_simple_command_is_executed_without_a_shell_c3_14(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7101\ng:b:1:respawn:sleep 7102; true\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    wait_until(lambda: proc.command_line(pid) == "sleep 7101")
    seen = proc.see(pid)
    assert seen is not None
    assert (seen.parent, seen.session) == (d.pid, pid)
    assert os.getpgid(pid) == pid
    shell = d.pid_of("b")
    wait_until(lambda: proc.command_line(shell) == "/bin/sh -c sleep 7102; true")


def test_a_child_knows_who_it_is_and_reads_nothing(start_in: Start) -> None:
    d = start_in(
        "g:a:1:wait:read x || echo $MOSHA_GROUP $MOSHA_TAG $MOSHA_LEVEL $MOSHA_NODE $MOSHA_TOKEN"
        " $PWD >> {OUT}\n",
        node="3",
    )
    d.tell("g", "1", term=17)
    d.wait_for("1 DONE")
    assert d.lines() == [f"g a 1 3 17 {Path.cwd()}"]
    d.tell("g", "2")
    d.tell("g", "1", node="4")
    wait_until(lambda: len(d.lines()) == 2)
    assert d.lines()[1] == f"g a 1 4 0 {Path.cwd()}"


def test_children_have_default_signals_though_clinit_ignores_some_c6_9(start_in: Start) -> None:
    ignored = [signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1]
    before = [signal.signal(number, signal.SIG_IGN) for number in ignored]
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        d = start_in("g:a:1:respawn:sleep 7103\n")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in zip(ignored, before, strict=True):
            signal.signal(number, handler)
    d.tell("g", "1")
    pid = d.pid_of("a")
    wait_until(lambda: proc.command_line(pid) == "sleep 7103")
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    sets = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Sig"))
    # 32 and 33 are the C library's own: its posix_spawn, as in make, hands them on ignored.
    ours = ~(1 << 31 | 1 << 32)
    assert {int(sets[name], 16) & ours for name in ("SigIgn", "SigBlk", "SigCgt")} == {0}


def test_a_child_has_no_descriptors_but_its_own_three(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7104\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]  # noqa: PTH208
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"  # noqa: PTH115


def test_a_child_is_in_its_cgroup_from_its_first_instruction(start: Start, tracker: str) -> None:
    if tracker == "session":
        pytest.skip("the other kind of box")
    d = start("g:a:1:wait:grep ^0: /proc/self/cgroup >> {OUT}\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    tree = d.tree()
    assert tree is not None
    assert d.lines()[0].endswith(f"/{tree.name}/g.g/e.a")


def test_a_script_without_a_first_line_is_run_by_the_shell(start: Start) -> None:
    d = start("g:a:1:wait:{OUT}.script one two\n")
    script = Path(f"{d.out}.script")
    script.write_text(f"echo $1 $2 > {d.out}\n", encoding="ascii")
    script.chmod(0o755)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.lines() == ["one two"]


def test_what_may_not_be_executed_says_so(start: Start) -> None:
    d = start("g:a:1:wait:{OUT}.plain\n")
    Path(f"{d.out}.plain").write_text("x", encoding="ascii")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert d.entry("a").exit == f"cannot execute: {d.out}.plain: Permission denied"


# --- stopping ------------------------------------------------------------------------


def test_int_reaches_the_whole_session_c6_6(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7105; sleep 7106\n", limits={})
    d.tell("g", "1")
    (child,) = wait_until(lambda: pids_of("sleep 7105"))
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert not is_alive(child)
    assert pids_of("sleep 7106") == []
    assert [line["signal"] for line in d.log("entry_signalled")] == ["INT"]


def test_a_shell_hears_of_a_stop_before_its_command_c6_6(start_in: Start) -> None:
    # Else it goes on with its next command, which is not among those that are signalled.
    d = start_in("g:a:1:respawn:(sleep 7113; :); sleep 7106\n", limits={})
    d.tell("g", "1")
    wait_until(lambda: pids_of("sleep 7113"))
    leader = d.pid_of("a")
    d.tell("g", "2")
    d.wait_for("2 DONE")
    (line,) = d.log("entry_signalled")
    assert (line["pids"][0], len(line["pids"])) == (leader, 3)
    assert sorted(line["pids"]) == line["pids"]  # parents before their children


def test_what_ignores_int_and_term_is_killed_in_turn_c6_1(start_in: Start) -> None:
    d = start_in(
        "g:a:1:respawn:trap 'echo INT >> {OUT}' INT; trap 'echo TERM >> {OUT}' TERM;"
        " echo up >> {OUT}; while :; do sleep 0.02; done\n"
    )
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["up"])
    pid = d.pid_of("a")
    begin = time.monotonic()
    d.tell("g", "9")
    wait_until(lambda: d.state() == "1 STOPPING" or d.state() == "9 DONE")
    d.wait_for("9 DONE")
    assert time.monotonic() - begin > 0.55
    assert d.lines() == ["up", "INT", "TERM"]
    assert not is_alive(pid)
    signals = [line["signal"] for line in d.log("entry_signalled")]
    assert signals == ["INT", "TERM", "KILL"]


def test_a_repeated_stop_and_other_exits_do_not_hurry_a_stop_c6_7_c6_8(start: Start) -> None:
    d = start(
        "g:a:1:respawn:trap '' INT; echo up >> {OUT}; while :; do sleep 0.02; done\n"
        "h:b:1:respawn:sleep 0.05\n",
        limits=QUICK | {"int_to_term_s": 1.0, "haste_s": 0.01},
    )
    d.tell("g", "1")
    d.tell("h", "1")
    wait_until(lambda: d.lines() == ["up"])
    begin = time.monotonic()
    d.tell("g", "stop")
    exits = d.entry("b", "h").starts
    wait_until(lambda: d.entry("b", "h").starts > exits + 5)
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert 1.0 <= time.monotonic() - begin < 1.9


def test_what_a_dead_leader_left_in_its_session_ends_before_the_respawn(start_in: Start) -> None:
    d = start_in("g:a:1:respawn:sleep 7107 & echo $! >> {OUT}; exec sleep 7108\n")
    d.tell("g", "1")
    wait_until(lambda: len(d.lines()) == 1)
    pid = d.pid_of("a")
    wait_until(lambda: proc.command_line(pid) == "sleep 7108")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(d.lines()) == 2)
    first, second = map(int, d.lines())
    assert not is_alive(first)
    assert is_alive(second)
    assert [line["signal"] for line in d.log("leftover_ended")] == ["TERM"]


def test_leftovers_that_ignore_term_are_killed_before_the_respawn(start_in: Start) -> None:
    d = start_in(
        "g:a:1:respawn:(trap '' TERM; echo x >> {OUT}; while :; do sleep 0.05; done) &"
        " exec sleep 7109\n"
    )
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["x"])
    os.kill(d.pid_of("a"), signal.SIGKILL)
    wait_until(lambda: d.lines() == ["x", "x"])
    assert [line["signal"] for line in d.log("leftover_ended")] == ["TERM", "KILL"]


def test_the_daemon_of_a_wait_entry_lives_until_stop_whose_entries_run_first(
    start_in: Start,
) -> None:
    d = start_in(
        f"g:a:1:wait:{DOUBLE_FORK.format(n=7110)}\n"
        "g:s:stop:wait:pgrep -xf 'sleep 7110' >/dev/null && echo alive >> {OUT}\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    (daemon,) = wait_until(lambda: pids_of("sleep 7110"))
    assert d.group().alive == 1
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert is_alive(daemon)
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert not is_alive(daemon)
    assert d.lines() == ["alive"]
    assert d.group().alive == 0


def test_a_daemon_that_ends_by_itself_is_reported_and_buried(start_in: Start) -> None:
    d = start_in(f"g:a:1:wait:{DOUBLE_FORK.format(n=7111)}\n")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    (daemon,) = wait_until(lambda: pids_of("sleep 7111"))
    news = d.news()
    next(news)
    os.kill(daemon, signal.SIGTERM)
    assert next(update for update in news if update.groups[0].alive == 0)
    wait_until(lambda: not Path(f"/proc/{daemon}").exists())  # not even a zombie


def test_stopping_an_entry_ends_what_escaped_its_session(start_in: Start) -> None:
    d = start_in(f"g:a:1:respawn:{DOUBLE_FORK.format(n=7112)}; sleep 7113; true\n")
    d.tell("g", "1")
    (daemon,) = wait_until(lambda: pids_of("sleep 7112"))
    wait_until(lambda: pids_of("sleep 7113"))
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert not is_alive(daemon)


def test_a_group_that_forks_without_end_is_killed(start: Start, tracker: str) -> None:
    if tracker == "session":
        pytest.skip("only a cgroup can be killed at once")
    # Twenty chains of processes, each the parent of the next: their pids never stand still, and
    # their number does, so that the tests beside this one go on.
    chains = "trap '' INT TERM; f() { sleep 0.05; f & }; for i in $(seq 20); do f & done; sleep 9"
    d = start(f"g:a:1:respawn:{chains}\n")
    d.tell("g", "1")
    wait_until(lambda: d.group().alive > 20)
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert d.group().alive == 0


def test_a_frozen_group_is_killed_and_clinit_does_not_stand_still(
    start: Start, tracker: str
) -> None:
    if tracker == "session":
        pytest.skip("only a cgroup can be frozen")
    d = start("g:a:1:respawn:sleep 7114\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    tree = d.tree()
    assert tree is not None
    (tree / "g.g/cgroup.freeze").write_text("1", encoding="ascii")
    os.kill(pid, signal.SIGKILL)  # the next one is born frozen
    wait_until(lambda: d.log("entry_exited") and d.group().alive == 1)
    d.tell("g", "2")
    d.wait_for("2 DONE")
    assert cgroups.pids(tree) == []


# --- the fork server -------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_fork_server_is_replaced_and_harms_no_child(
    start_in: Start, how: signal.Signals
) -> None:
    d = start_in("g:a:1:respawn:sleep 7115\ng:b:12:respawn:sleep 7116\n")
    d.tell("g", "1")
    pid, other = d.pid_of("a"), d.pid_of("b")
    server = d.fork_server()
    os.kill(server, how)
    if how is signal.SIGKILL:
        wait_until(lambda: d.fork_server() not in (0, server))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: d.entry("a").pid not in (0, pid))
    assert d.pid_of("b") == other
    assert not is_alive(server)
    assert len(pids_of("sleep 7115")) == 1


def test_a_fork_server_that_hangs_holds_up_no_deadline(start: Start) -> None:
    d = start("g:a:1:respawn:sleep 7118\nh:b:1:wait:true\n")
    now = boottime()
    d.tell("g", "1", term=1, stop_at=now + 1.0, kill_at=now + 30)
    pid = d.pid_of("a")
    os.kill(d.fork_server(), signal.SIGSTOP)
    d.tell("h", "1")  # hangs
    wait_until(lambda: not is_alive(pid))
    assert boottime() < now + 8.0
    assert d.state("h") == "1 STARTING"
    d.wait_for("1 DONE", "h")
    assert "the fork server" in d.log("entry_not_started")[0]["reason"]


def test_a_signal_meant_for_what_is_being_born_reaches_it_after_its_birth(start_in: Start) -> None:
    # The next rung of the ladder would reach it too, but not before an hour has passed.
    d = start_in("g:a:1:respawn:sleep 7119\n", limits=QUICK | {"int_to_term_s": 3600.0})
    server = d.fork_server()
    os.kill(server, signal.SIGSTOP)
    try:
        d.tell("g", "1")
        d.tell("g", "stop")
        assert d.state() == "1 STOPPING"
    finally:
        os.kill(server, signal.SIGCONT)
    d.wait_for("stop DONE")
    assert pids_of("sleep 7119") == []
    # It reached it before its exec, and nothing has run, or after: no third thing.
    assert [line["status"] for line in d.log("entry_exited")] in ([], ["signal 2"])


def test_two_hundred_children_are_not_two_hundred_threads(start: Start) -> None:
    d = start("".join(f"g:a{n}:1:respawn:sleep 7117\n" for n in range(200)))
    d.tell("g", "1")
    wait_until(lambda: d.group().alive == 200)
    assert len(os.listdir(f"/proc/{d.pid}/task")) <= 3  # noqa: PTH208
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert pids_of("sleep 7117") == []
