"""The queue between who writes a log and who takes it: bounded, counted, and never stuck."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mosha.host.clock import boottime
from mosha.host.line_queue import LineQueue
from mosha.host.log_stream import LogStream
from tests.monitor.trouble import no_thread_to_be_had
from tests.waiting import pass_until, wait_until


def test_as_much_as_you_like_passes_through_it_if_it_is_taken() -> None:
    taken: list[bytes] = []
    queue = LineQueue("log", taken.extend, max_bytes=100)
    for _ in range(50):
        queue.write("x" * 9 + "\n")
        wait_until(lambda: queue.idle and queue.queued_bytes == 0)
    assert (len(taken), queue.lost) == (50, 0)
    queue.close(10.0)


def test_a_thread_that_could_not_be_started_is_started_with_the_next_line() -> None:
    taken: list[bytes] = []
    queue = LineQueue("log", taken.extend, max_bytes=1000)
    with no_thread_to_be_had():
        queue.write("one\n")
    assert taken == []
    queue.write("two\n")
    wait_until(lambda: b"".join(taken) == b"one\ntwo\n")
    queue.close(10.0)


def test_its_thread_takes_no_signal_of_the_daemon() -> None:
    blocked: list[set[signal.Signals | int]] = []
    queue = LineQueue(
        "log", lambda _: blocked.append(signal.pthread_sigmask(signal.SIG_BLOCK, ())), max_bytes=9
    )
    queue.write("x\n")
    wait_until(lambda: blocked)
    queue.close(10.0)
    # SIGTTOU would stop the whole daemon if its terminal is another job's.
    assert {signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGTTOU} <= blocked[0]


@contextmanager
def files_end_at(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_line_that_was_written_in_part_has_the_next_one_on_a_line_of_its_own(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        stream = LogStream(file.fileno(), "stderr")
        with files_end_at(500):
            stream.write("x" * 999 + "\n")
            wait_until(lambda: stream.lines.lost)
        stream.write("next\n")
        stream.drain()
    torn, gap, *rest = path.read_text().splitlines()
    assert torn == "x" * 500
    assert gap.startswith("{")
    assert rest == ["next"]


def test_a_reader_that_stands_still_is_waited_for_and_not_asked_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)  # as whoever shares it may do
    refused: list[int] = []
    write = os.write

    def note_write(fd: int, data: bytes) -> int:
        try:
            return write(fd, data)
        except BlockingIOError:
            refused.append(fd)
            raise

    monkeypatch.setattr(os, "write", note_write)
    stream = LogStream(writing, "stderr")
    stream.write("x" * (1 << 20) + "\n")
    wait_until(lambda: refused)
    pass_until(boottime() + 0.2)
    assert len(refused) <= 2
    os.close(reading)
    stream.drain()
    os.close(writing)
