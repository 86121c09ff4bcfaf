"""The cltab of a living clinit: read at tells, refused as a whole, found again (C1)."""

from __future__ import annotations

import os

import pytest

from mosha.core.tell import Tell
from mosha.host.clock import boottime
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.waiting import wait_until

GOOD = "g:a:1:respawn:sleep 7501\n"
DUPLICATE = GOOD + "h:a:1:wait:true\n"


def test_a_duplicate_tag_refuses_every_tell_and_a_correction_heals_it_c1_13(start: Start) -> None:
    d = start(GOOD)
    d.tell("g", "1")
    pid = d.pid_of("a")
    d.write_cltab(DUPLICATE)
    for group in ("g", "h", "x"):
        reply = d.tell(group, "2")
        first, second = reply.text.splitlines()
        assert (reply.ok, first) == (False, "entry has duplicate tag: a")
        assert f"{d.cltab}:2:" in second
    assert d.pid_of("a") == pid
    assert len(d.log("cltab_refused")) == 2  # two lines, said once
    d.write_cltab(GOOD)
    assert d.tell("g", "1").ok
    assert d.pid_of("a") == pid


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(DUPLICATE, "entry has duplicate tag: a", id="C1.14 a duplicate tag"),
        pytest.param("g:a:1:sometimes:true\n", "unknown mode", id="C3.13 an unknown mode"),
        pytest.param("short\n", "missing", id="C1.5 missing fields"),
        pytest.param("g:a:1:wait:\xff\n", "not UTF-8", id="bytes that are no text"),
    ],
)
def test_with_a_wrong_file_it_starts_refuses_and_recovers_c1_14(
    daemon: Daemon, text: str, problem: str
) -> None:
    daemon.cltab.write_text(text, encoding="latin-1")
    d = daemon.start()
    reply = d.tell("g", "1")
    assert not reply.ok
    assert problem in reply.text
    assert problem in d.reread().text
    d.write_cltab(GOOD)
    assert d.tell("g", "1").text == "level transition started"


def test_without_a_file_it_starts_refuses_and_recovers_c1_17(daemon: Daemon) -> None:
    d = daemon.start()
    reply = d.tell("g", "1")
    assert not reply.ok
    assert reply.text.splitlines() == [
        "no such group: g",
        f"warning: file not found: {d.cltab}",
    ]
    d.write_cltab(GOOD)
    assert d.tell("g", "1").ok


def test_a_file_that_goes_away_leaves_the_last_entries_in_force_c1_17(start: Start) -> None:
    d = start(GOOD)
    d.tell("g", "1")
    pid = d.pid_of("a")
    d.cltab.unlink()
    reply = d.tell("g", "1")
    assert reply.ok
    assert reply.text.splitlines() == [
        "level transition started",
        f"warning: file not found: {d.cltab}",
    ]
    assert d.pid_of("a") == pid


def test_a_file_of_the_same_second_and_an_older_one_are_seen_c1_15(start: Start) -> None:
    d = start(GOOD)
    d.tell("g", "1")
    status = d.cltab.stat()
    d.write_cltab("g:b:1:wait:echo b >> {OUT}\n")
    os.utime(d.cltab, ns=(status.st_atime_ns, status.st_mtime_ns - 10**12))
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["b"])


def test_the_same_file_is_not_read_twice(start: Start) -> None:
    d = start(GOOD)
    for _ in range(3):
        d.tell("g", "1")
    assert len(d.log("cltab_loaded")) == 1


def test_what_everybody_may_write_is_not_executed(start: Start) -> None:
    d = start(GOOD)
    d.cltab.chmod(0o646)
    reply = d.tell("g", "1")
    assert not reply.ok
    assert "is world-writable" in reply.text
    d.cltab.chmod(0o644)
    assert d.tell("g", "1").ok


@pytest.mark.root("changes the owner of a file")
def test_what_a_stranger_owns_is_not_executed(start: Start) -> None:
    d = start(GOOD)
    os.chown(d.cltab, 65534, -1)
    reply = d.tell("g", "1")
    assert not reply.ok
    assert "belongs to uid 65534" in reply.text


def test_a_fifo_or_a_directory_is_no_cltab_and_stops_nothing(daemon: Daemon) -> None:
    os.mkfifo(daemon.cltab)
    d = daemon.start()
    assert "not a regular file" in d.tell("g", "1").text
    d.cltab.unlink()
    d.cltab.mkdir()
    assert "not a regular file" in d.tell("g", "1").text


def test_a_reread_stops_removed_groups_and_moves_nothing_else_c4_14(start: Start) -> None:
    d = start(GOOD + "h:b:1:respawn:sleep 7502\n")
    d.tell("g", "1")
    d.tell("h", "1")
    pid = d.pid_of("b", "h")
    d.write_cltab("h:b:1:respawn:sleep 7503\n")
    assert d.reread().text == "re-read"
    wait_until(lambda: set(d.groups()) == {"h"})
    assert d.pid_of("b", "h") == pid


def test_a_managed_one_goes_on_with_the_last_good_entries(start: Start) -> None:
    d = start(GOOD, managed=True)
    d.tell("g", "1", term=1, stop_at=boottime() + 60, kill_at=boottime() + 90)
    d.pid_of("a")
    news = d.news()
    assert next(news).cltab_errors == ()
    d.write_cltab(DUPLICATE)
    assert d.tell("g", "stop").ok
    d.wait_for("stop DONE")
    errors = next(update.cltab_errors for update in news if update.cltab_errors)
    assert errors[0] == "entry has duplicate tag: a"


@pytest.mark.parametrize("managed", [True, False])
def test_a_new_node_without_a_cltab_is_no_refusal(daemon: Daemon, *, managed: bool) -> None:
    daemon.start(managed=managed)
    daemon.reread()
    assert bool(daemon.log("cltab_missing")) is managed
    assert bool(daemon.log("cltab_refused")) is not managed
    daemon.write_cltab(GOOD)
    assert daemon.reread().ok
    daemon.cltab.unlink()
    daemon.reread()
    assert daemon.log("cltab_refused")


def test_a_managed_one_that_never_had_a_good_file_refuses(daemon: Daemon) -> None:
    daemon.write_cltab(DUPLICATE)
    daemon.start(managed=True)
    now = boottime()
    reply = daemon.ask(Tell("g", "1", 1, "", now + 60, now + 90))
    assert not reply.ok
    assert reply.text.startswith("entry has duplicate tag: a")
