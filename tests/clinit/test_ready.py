"""`ready=` with real processes: what counts as ready, what waits for it, what is not believed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from mosha.clinit.notify_socket import (
    MESSAGE_MAX_BYTES,
    STATUS_MAX_CHARS,
    Notification,
    NotifySocket,
    read_notification,
)
from mosha.clinit.process_tracker import EntryKey, ProcessTracker
from mosha.clinit.readiness import listens
from mosha.clinit.run_watch import RunWatch
from mosha.host.notify import SOCKET_VARIABLE
from tests.clinit.conftest import Start
from tests.clinit.daemon import Daemon
from tests.waiting import until, wait_until

# Says its arguments, a line each, and waits until that has been handled: as systemd-notify does, it
# sends one end of a pipe with BARRIER=1, and the other one ends when that is closed.
TELL = """
import os, socket, sys
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.connect("\\0" + os.environ["NOTIFY_SOCKET"][1:])
line.send("\\n".join(sys.argv[1:]).encode())
here, there = os.pipe()
socket.send_fds(line, [b"BARRIER=1"], [there])
os.close(there)
assert os.read(here, 1) == b""
"""


@pytest.fixture
def says(tmp_path: Path) -> str:
    """The command that says its arguments."""
    path = tmp_path / "tell.py"
    path.write_text(TELL)
    return f"{sys.executable} {path}"


def ready(d: Daemon, tag: str) -> bool:
    """Say whether an entry is ready."""
    return d.entry(tag).ready


def test_the_next_entry_waits_until_a_process_says_that_it_is_ready(
    start_in: Start, says: str
) -> None:
    d = start_in(
        f"g:d:1:respawn(ready=notify):while ! test -e {{OUT}}.go; do sleep 0.02; done;"
        f" {says} 'STATUS=serving 3 of 4' READY=1; exec sleep 8301\n"
        "g:e:1:respawn:echo e >> {OUT}; exec sleep 8302\n"
    )
    d.tell("g", "1")
    d.wait_for("1 STARTING")
    wait_until(lambda: d.entry("d").pid > 0)
    assert (d.entry("e").state, ready(d, "d")) == ("waiting", False)
    d.out.with_name(f"{d.out.name}.go").touch()
    d.wait_for("1 DONE")
    assert ready(d, "d")
    wait_until(lambda: d.entry("d").status == "serving 3 of 4")
    wait_until(lambda: d.lines() == ["e"])
    (line,) = d.log("entry_ready")
    assert (line["group"], line["tag"]) == ("g", "d")
    assert line["after_s"] > 0


def test_who_asks_for_a_barrier_is_answered(start: Start, says: str) -> None:
    d = start(f"g:d:1:respawn(ready=notify):{says} && echo on >> {{OUT}}; exec sleep 8303\n")
    d.tell("g", "1")
    wait_until(lambda: d.lines() == ["on"])


def test_what_others_say_is_not_believed_and_logged_once(start_in: Start) -> None:
    d = start_in(
        f"g:d:1:respawn(ready=notify):echo ${SOCKET_VARIABLE} >> {{OUT}}; exec sleep 8304\n"
    )
    d.tell("g", "1")
    wait_until(lambda: len(d.lines()) == 1)
    address = f"\0{d.lines()[0][1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        for _ in range(3):
            line.sendto(b"READY=1\nSTATUS=mine", address)
    wait_until(lambda: bool(d.log("notification_refused")))
    assert (ready(d, "d"), d.entry("d").status) == (False, "")
    (refused,) = d.log("notification_refused")
    assert (refused["tag"], refused["reason"]) == ("d", "it is not a process of the entry")


def test_a_process_of_another_entry_is_not_believed_either(start_in: Start, says: str) -> None:
    d = start_in(
        f"g:d:1:respawn(ready=notify):echo ${SOCKET_VARIABLE} >> {{OUT}}; exec sleep 8305\n"
        f"h:e:1:respawn:NOTIFY_SOCKET=$(cat {{OUT}}) {says} READY=1; exec sleep 8306\n"
    )
    d.tell("g", "1")
    wait_until(lambda: len(d.lines()) == 1)
    d.tell("h", "1")
    wait_until(lambda: bool(d.log("notification_refused")))
    assert not ready(d, "d")


def test_only_who_is_to_notify_has_a_socket(start: Start) -> None:
    d = start(
        "g:d:1:respawn:env >> {OUT}; exec sleep 8307\n"
        "g:t:1:respawn(ready=port/9):env >> {OUT}; exec sleep 8308\n"
    )
    d.tell("g", "1")
    wait_until(lambda: sum(line.startswith("MOSHA_TAG=") for line in d.lines()) == 2)
    assert not [line for line in d.lines() if line.startswith(SOCKET_VARIABLE)]


def test_it_is_ready_when_something_listens_on_the_port(start: Start) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        d = start(f"g:d:1:respawn(ready=port/{port}):exec sleep 8309\ng:e:1:once:true\n")
        d.tell("g", "1")
        wait_until(lambda: d.entry("d").pid > 0)
        assert d.group().state == "STARTING"
        listener.listen()
        d.wait_for("1 DONE")


def test_a_connection_from_a_port_is_no_socket_that_listens() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as there:
            assert (listens(port), listens(there.getsockname()[1])) == (True, False)


def test_a_pid_file_counts_if_it_names_a_process_of_the_entry(start_in: Start) -> None:
    d = start_in(
        "g:d:1:respawn(ready=pidfile{OUT}.pid):"
        "sleep 8310 & while ! test -e {OUT}.go; do sleep 0.02; done; echo $! > {OUT}.pid; wait\n"
    )
    file, go = (d.out.with_name(f"{d.out.name}.{end}") for end in ("pid", "go"))
    file.write_text("1\n")  # an old one, of somebody else
    d.tell("g", "1")
    wait_until(lambda: d.entry("d").pid > 0)
    assert not ready(d, "d")
    go.touch()
    d.wait_for("1 DONE")
    assert ready(d, "d")


@pytest.mark.parametrize("way", ["notify", "port/9", "pidfile{OUT}.pid", "pidfile{OUT}/no.pid"])
def test_who_is_not_ready_in_time_is_ended_and_started_again(start_in: Start, way: str) -> None:
    d = start_in(f"g:d:1:respawn(ready={way},start=0.4s):echo up >> {{OUT}}; sleep 8311\n")
    d.tell("g", "1")
    wait_until(lambda: len(d.lines()) > 1)
    assert d.entry("d").exit == "not ready within 0.4 s"
    assert d.group().state == "STARTING"
    line = d.log("entry_not_ready")[0]
    assert (line["tag"], line["limit_s"]) == ("d", 0.4)
    d.tell("g", "stop")
    d.wait_for("stop DONE")
    assert d.group().alive == 0


def test_what_a_run_says_is_forgotten_with_it(start: Start, says: str) -> None:
    d = start(
        f"g:d:1:respawn(ready=notify):if test -e {{OUT}}; then echo 2 >> {{OUT}}; exec sleep 8312;"
        f" fi; touch {{OUT}}; {says} READY=1 STATUS=first; exec sleep 8313\n"
    )
    d.tell("g", "1")
    d.wait_for("1 DONE")
    wait_until(lambda: d.entry("d").status == "first")
    os.kill(d.pid_of("d"), signal.SIGKILL)
    wait_until(lambda: d.lines() == ["2"])
    assert (ready(d, "d"), d.entry("d").status) == (False, "")


@contextlib.contextmanager
def heard_by(heard: list[Notification]) -> Iterator[tuple[NotifySocket, socket.socket]]:
    """Yield a socket of a run, and one that is connected to it."""
    made = NotifySocket(lambda _, notification: heard.append(notification))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line, contextlib.closing(made):
        line.connect(f"\0{made.address[1:]}")
        yield made, line


async def test_of_a_message_that_is_too_long_nothing_is_used() -> None:
    heard: list[Notification] = []
    with heard_by(heard) as (_, line):
        line.send(b"READY=1\n" + b"x" * MESSAGE_MAX_BYTES)
        line.send(b"STATUS=short")
        await until(lambda: heard)
    assert heard == [Notification(status="short")]


async def test_whose_message_it_is_has_to_be_known() -> None:
    class Tracker:
        def is_of(self, _key: EntryKey, _pid: int) -> bool:
            raise OSError(errno.EMFILE, "Too many open files")

    events: list[object] = []
    tracker = cast("ProcessTracker", Tracker())
    watch = RunWatch(EntryKey("g", "d"), tracker, events.append, events.append)
    with capture_logs() as lines:
        watch._hear(1, os.getpid(), Notification(ready=True, status="mine"))
    assert (events, watch.said.status) == ([], None)
    assert [line["event"] for line in lines] == ["notification_refused"]


@pytest.mark.parametrize(
    ("text", "notification"),
    [
        (b"READY=1", Notification(ready=True)),
        (b"READY=1\n", Notification(ready=True)),
        (b"STATUS=3 of 4\nMAINPID=7\nREADY=1", Notification(ready=True, status="3 of 4")),
        (b"READY=0\nRELOADING=1", Notification()),
        (b"STATUS=\x1b[31mred\x07  \xff", Notification(status="[31mred \ufffd")),
        (b"STATUS=", Notification(status="")),
        (b"STATUS=" + b"x" * 1000, Notification(status="x" * STATUS_MAX_CHARS)),
        (b"ready", Notification()),
        (b"", Notification()),
    ],
)
def test_a_message_is_read_line_by_line(text: bytes, notification: Notification) -> None:
    assert read_notification(text) == notification


@given(st.binary(max_size=200))
def test_no_message_crashes_its_reader(text: bytes) -> None:
    assert (read_notification(text).status or "").isprintable()
