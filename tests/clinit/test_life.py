"""The daemon's own life: one at a time, signals, shutdown, and what it leaves (C8, H6.3)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mosha.clinit.daemon import _make_tracker
from mosha.clinit.options import ClinitOptions
from mosha.clinit.session_tracker import SessionTracker
from mosha.control.calls import call
from mosha.control.protocol import Hello
from mosha.errors import HostError
from mosha.host.clock import boottime
from mosha.host.lock_file import CLINIT_LOCK, CLINIT_RECORD, LockFile
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon, is_alive
from tests.clinit.test_processes import DOUBLE_FORK, pids_of
from tests.replacing import exchange
from tests.waiting import wait_until


def test_it_stays_in_the_foreground_and_says_who_it_is_c8_1(start: Start) -> None:
    d = start("g:a:1:wait:true\n")
    assert d.status is None
    assert d.ask(Hello()).text.startswith(f"clinit {d.pid} ")
    assert d.socket.stat().st_mode & 0o777 == 0o600


def test_a_shutdown_ends_all_and_leaves_nothing_c8_3_c8_6_c8_7_c7_8(start_in: Start) -> None:
    d = start_in(
        f"g:a:1:wait:{DOUBLE_FORK.format(n=7201)}\n"
        "g:b:1:respawn:trap 'echo int >> {OUT}; exit' INT; echo up >> {OUT};"
        " while :; do sleep 0.02; done\n"
        "g:s:stop:wait:echo stop >> {OUT}\n"
    )
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["up"] and pids_of("sleep 7201"))
    tree = d.tree()
    assert d.shut_down().text == "all groups halting"
    assert d.wait() == 0
    assert d.lines() == ["up", "int"]
    assert pids_of("sleep 7201") == []
    left = {path.name for path in d.base.iterdir()}
    assert left == {"cltab", "log", "out", "state"}
    assert [path.name for path in (d.base / "state").iterdir()] == ["lock"]
    assert tree is None or not tree.exists()
    assert len(d.log("clinit_stopped")) == 1


@pytest.mark.parametrize("code", ["true", "false"])
def test_a_shutdown_stops_passed_and_failed_groups_in_an_orderly_way_c8_5(
    start: Start, code: str
) -> None:
    d = start(
        f"g:t:1:test:{code}\n"
        "g:b:1:respawn:trap 'echo int >> {OUT}; exit' INT; echo up >> {OUT};"
        " while :; do sleep 0.02; done\n"
    )
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["up"])
    d.shut_down()
    assert d.wait() == 0
    assert d.lines() == ["up", "int"]


def test_a_shutdown_waits_for_the_whole_escalation_and_refuses_tells_c8_4_c4_21(
    start: Start,
) -> None:
    d = start("g:a:1:respawn:trap '' INT TERM; echo up >> {OUT}; while :; do sleep 0.05; done\n")
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["up"])
    pid = d.pid_of("a")
    d.shut_down()
    reply = d.tell("g", "2")
    assert (reply.ok, reply.text) == (False, "all groups halting")
    assert d.state() == "1 HALTING"
    assert d.clstat.exists()
    assert d.wait() == 0
    assert not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_halts_all_groups_and_ends_it_well_c8_8(
    start: Start, number: signal.Signals
) -> None:
    d = start("g:a:1:respawn:sleep 7202\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    d.signal(number)
    assert d.wait() == 0
    assert not is_alive(pid)
    assert not d.clstat.exists()
    assert not d.socket.exists()


def test_hup_reads_cltab_again(start: Start) -> None:
    d = start("g:a:1:respawn:sleep 7203\n")
    d.tell("g", "1")
    d.pid_of("a")
    d.write_cltab("h:a:1:wait:true\n")
    d.signal(signal.SIGHUP)
    wait_until(lambda: "g" not in d.groups())
    assert len(d.log("cltab_loaded")) == 2


def test_a_managed_one_ignores_signals_until_it_is_shut_down_h6_3(start: Start) -> None:
    d = start("g:a:1:respawn:sleep 7204\n", managed=True)
    d.tell("g", "1", term=1, stop_at=boottime() + 60, kill_at=boottime() + 90)
    pid = d.pid_of("a")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        d.signal(number)
    assert d.ask(Hello()).ok
    assert d.pid_of("a") == pid
    d.shut_down()
    assert d.wait() == 0


def test_a_second_daemon_on_the_same_socket_is_refused_c8_2(start: Start, daemon: Daemon) -> None:
    d = start("g:a:1:respawn:sleep 7205\n")
    d.tell("g", "1")
    pid = d.pid_of("a")
    second = Daemon(daemon.base)
    second.launch(state_dir=str(daemon.base / "other"))
    assert second.wait() == 1
    assert f"another daemon answers at {d.socket}" in d.stderr.read_text(encoding="utf-8")
    assert d.pid_of("a") == pid


def test_a_second_daemon_in_the_same_state_directory_is_refused(
    start: Start, daemon: Daemon
) -> None:
    start("g:a:1:wait:true\n")
    second = Daemon(daemon.base)
    second.launch(socket=str(daemon.base / "s2"))
    assert second.wait() == 1
    assert "another clinit uses" in daemon.stderr.read_text(encoding="utf-8")
    assert daemon.answers()


def test_a_stopped_daemon_is_still_a_daemon(start: Start, daemon: Daemon) -> None:
    d = start("g:a:1:wait:true\n")
    d.signal(signal.SIGSTOP)
    second = Daemon(daemon.base)
    second.launch()
    assert second.wait() == 1
    d.signal(signal.SIGCONT)
    assert d.answers()


def test_a_stale_socket_file_is_replaced_c8_2(start: Start, daemon: Daemon) -> None:
    d = start("g:a:1:wait:true\n")
    d.kill()
    assert d.socket.exists()
    assert daemon.start().answers()


def test_a_socket_path_that_is_too_long_is_the_users_mistake(daemon: Daemon) -> None:
    daemon.write_cltab("")
    daemon.launch(socket=str(daemon.base / ("x" * 120)))
    assert daemon.wait() == 1
    text = daemon.stderr.read_text(encoding="utf-8")
    assert "UsageError: socket path too long" in text
    assert "at most 107" in text


def test_a_killed_daemon_takes_all_its_processes_along(start_in: Start) -> None:
    d = start_in(
        f"g:a:1:wait:{DOUBLE_FORK.format(n=7206)}\n"
        "g:b:1:respawn:sleep 7207\n"
        "g:c:1:respawn:sleep 7208 & sleep 7208\n"
    )
    d.tell("g", "1")
    wait_until(lambda: pids_of("sleep 7206") and len(pids_of("sleep 7208")) == 2)
    tree = d.tree()
    children = d.descendants()
    assert len(children) >= 5
    d.kill()
    wait_until(lambda: not any(map(is_alive, children)), limit_s=1.0)
    wait_until(lambda: tree is None or not tree.exists())


def test_a_daemon_killed_right_after_a_tell_leaves_nothing_either(start_in: Start) -> None:
    d = start_in("".join(f"g:a{n}:1:respawn:sleep 7211\n" for n in range(20)))
    tree, server = d.tree(), d.fork_server()
    d.tell("g", "1")
    d.kill()
    wait_until(lambda: not is_alive(server))
    assert pids_of("sleep 7211") == []
    assert tree is None or not tree.exists()


def test_what_a_killed_daemon_left_ends_before_the_next_one_answers_c8_9(
    start_in: Start, daemon: Daemon, tracker: str
) -> None:
    d = start_in(
        f"g:a:1:wait:{DOUBLE_FORK.format(n=7209)}\n"
        "g:b:1:respawn:sleep 7210 & echo x >> {OUT}; sleep 7210\n"
    )
    d.tell("g", "1")
    wait_until(lambda: pids_of("sleep 7209") and len(pids_of("sleep 7210")) == 2)
    children = d.descendants()
    guards = (d.fork_server(), d.guard())
    for pid in guards:
        os.kill(pid, signal.SIGSTOP)  # so that nobody ends anything before the next one comes
    try:
        d.kill()
        assert any(map(is_alive, children))
        daemon.start(cgroup="none" if tracker == "session" else None)
        assert not any(map(is_alive, children))
    finally:
        for pid in guards:
            os.kill(pid, signal.SIGKILL)
    assert {line["pid"] for line in daemon.log("orphan_ended")} & set(children)
    assert daemon.groups() == {}
    daemon.tell("g", "1")
    wait_until(lambda: d.lines() == ["x", "x"])
    # The daemon was forked before that, and may not have executed its command yet.
    wait_until(lambda: len(pids_of("sleep 7209")) == 1)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"boot": 3}', "\x00\xff"])
def test_a_damaged_record_does_not_keep_it_from_starting(daemon: Daemon, text: str) -> None:
    state = daemon.base / "state"
    state.mkdir()
    (state / CLINIT_RECORD).write_text(text, encoding="latin-1")
    daemon.write_cltab("")
    assert daemon.start().answers()


def test_a_managed_clinit_whose_place_is_anothers_ends_when_it_has_no_work(
    start: Start, daemon: Daemon
) -> None:
    d = start("g:a:1:respawn:sleep 7212\n", managed=True, place_look_s=0.05)
    now = boottime()
    d.tell("g", "1", term=1, stop_at=now + 5.0, kill_at=now + 60)
    pid = d.pid_of("a")
    (daemon.base / "new").mkdir()
    lock = LockFile(daemon.base / "new" / CLINIT_LOCK)  # as of the clinit that is there now
    (daemon.base / "new" / CLINIT_RECORD).write_text("{}")
    exchange(daemon.base / "state", daemon.base / "new")
    record = daemon.base / "state" / CLINIT_RECORD
    assert d.wait() == 0
    lock.close()
    assert not is_alive(pid)
    (lost,) = d.log("place_lost")
    assert lost["pid"] == os.getpid()
    groups = [line for line in d.log("group_changed") if line["to"] == "stop DONE"]
    assert groups[0]["timestamp"] <= lost["timestamp"]  # not before its lease had run out
    assert record.read_text() == "{}"


def test_a_cgroup_setting_that_cannot_work_is_told(daemon: Daemon) -> None:
    daemon.write_cltab("")
    daemon.launch(cgroup=str(daemon.base / "none"))
    assert daemon.wait() == 1
    assert "HostError: cannot make a cgroup in" in daemon.stderr.read_text(encoding="utf-8")


@pytest.mark.parametrize(("user", "told"), [(0, True), (65534, False)], ids=["root", "another"])
def test_only_root_is_told_that_there_are_no_cgroups(
    monkeypatch: pytest.MonkeyPatch, user: int, *, told: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    # No cgroup can have a name with a slash.
    tracker = _make_tracker(None, "mark", "no/place")
    assert isinstance(tracker, SessionTracker)
    tracker._family.close()  # `close` would end all children of this process
    assert tracker.no_cgroups == ("No such file or directory" if told else "")


# --- clstat ----------------------------------------------------------------------------


def test_clstat_has_a_line_for_each_told_group_c7_1_c7_4(start: Start) -> None:
    d = start("g:a:1:wait:true\nh:b:1:test:false\ni:c:1:wait:true\n")
    d.tell("g", "1")
    d.tell("h", "1")
    d.wait_for("1 FAILED", "h")
    wanted = b"Cluster::Init::Group g 1 DONE\nCluster::Init::Group h 1 FAILED\n"
    wait_until(lambda: d.clstat.read_bytes() == wanted)
    assert [path.name for path in d.base.glob("clstat*")] == ["clstat"]


def test_a_group_that_leaves_cltab_when_it_has_stopped_leaves_clstat_too(start: Start) -> None:
    d = start("g:a:1:wait:true\nh:b:1:wait:true\n")
    d.tell("g", "stop")
    d.tell("h", "1")
    d.wait_for("1 DONE", "h")
    wait_until(lambda: b" g stop DONE\n" in d.clstat.read_bytes())
    d.write_cltab("h:b:1:wait:true\n")
    d.reread()
    wait_until(lambda: d.clstat.read_bytes() == b"Cluster::Init::Group h 1 DONE\n")


def test_clstat_is_rewritten_as_a_sign_of_life_also_with_a_silent_client_c7_6_c7_7(
    start: Start,
) -> None:
    d = start("g:a:1:wait:true\n", heartbeat_s=0.2)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    news = d.news()
    next(news)
    before = d.clstat.stat().st_ino, d.clstat.stat().st_mtime_ns
    wait_until(lambda: (d.clstat.stat().st_ino, d.clstat.stat().st_mtime_ns) != before)
    assert b"g 1 DONE" in d.clstat.read_bytes()


def test_the_heartbeat_is_30_seconds_if_nothing_is_said_c7_6() -> None:
    assert ClinitOptions().heartbeat_s == 30.0


def test_a_clstat_that_cannot_be_written_is_told_once_and_stops_nothing(start: Start) -> None:
    d = start("g:a:1:wait:true\ng:b:2:wait:true\n", clstat="/proc/none/clstat")
    d.tell("g", "1")
    d.wait_for("1 DONE")
    d.tell("g", "2")
    d.wait_for("2 DONE")
    wait_until(lambda: d.log("status_failed"))
    assert len(d.log("status_failed")) == 1


def test_without_a_clstat_setting_none_is_written(start: Start) -> None:
    d = start("g:a:1:wait:true\n", clstat=None)
    d.tell("g", "1")
    d.wait_for("1 DONE")
    assert not Path(d.clstat).exists()


def test_nobody_answers_any_more_after_the_end(start: Start) -> None:
    d = start("g:a:1:wait:true\n")
    d.shut_down()
    d.wait()
    with pytest.raises(HostError, match="no daemon answers"):
        call(d.socket, Hello())
