"""Calls to daemons that are busy, half dead, or another user's: what is known of them then."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mosha.control.address import answers
from mosha.control.calls import NoAnswerError, _read_line, call
from mosha.control.protocol import Hello
from tests.clinit.descriptors import without_descriptors

# A caller that is nobody, in the directory of a socket that it may not use.
AS_NOBODY = """
import os
from pathlib import Path
from mosha.control.calls import call
from mosha.control.protocol import Hello
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    call(Path("s"), Hello())
except Exception as error:
    print(type(error).__name__)
"""


LATE_S = 5.0


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "s"


@contextmanager
def listening(path: Path, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(backlog)
        yield listener


def test_a_daemon_that_is_too_busy_to_accept_is_alive(path: Path) -> None:
    waiting: list[socket.socket] = []
    with listening(path, backlog=0):
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(path))
        except BlockingIOError:
            assert answers(path)
        finally:
            for one in waiting:
                one.close()


def test_a_daemon_that_cannot_be_looked_at_is_alive(path: Path) -> None:
    with listening(path):
        free = os.dup(0)
        with without_descriptors():
            os.close(free)  # for the socket, and none for a look into /proc
            found = answers(path)
        assert found


def test_half_an_answer_is_none(path: Path) -> None:
    def begin() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b'{"ok": tr')

    with listening(path) as listener:
        daemon = threading.Thread(target=begin)
        daemon.start()
        with pytest.raises(NoAnswerError, match="closed the connection without an answer"):
            call(path, Hello())
        daemon.join()


@pytest.mark.root("becomes another user")
def test_the_socket_of_another_user_is_no_daemon_that_is_missing(path: Path) -> None:
    with listening(path):
        path.chmod(0o600)
        said = subprocess.run(
            [sys.executable, "-c", AS_NOBODY], cwd=path.parent, stdout=subprocess.PIPE, check=True
        )
    assert said.stdout == b"NotAllowedError\n"


def test_a_daemon_that_begins_to_answer_has_no_more_time_than_one_that_does_not() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LATE_S)  # as `call` sets it for the connection
        theirs.sendall(b"{")
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            _read_line(ours, began + LATE_S / 50, None)
        assert time.monotonic() - began < LATE_S
