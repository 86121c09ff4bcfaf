"""The log on a descriptor: whatever is at the other end, nothing is waited for or raised."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO, cast

import pytest
import structlog

from mosha.host import logs
from mosha.host.log_stream import QUEUE_MAX_BYTES, LogStream
from tests.waiting import wait_until

LINE = "x" * 999 + "\n"


@pytest.fixture
def logging_again() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    for fd in (reading, writing):
        with contextlib.suppress(OSError):  # closed by the test
            os.close(fd)


class Reader:
    """Everything that has been read from a pipe."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.text = ""

    def has(self, words: str) -> bool:
        with contextlib.suppress(BlockingIOError):
            self.text += os.read(self._fd, 1 << 20).decode()
        return words in self.text


def flood(stream: LogStream) -> int:
    """Write twice of what is kept, while nobody reads; return how many lines that is."""
    count = 2 * QUEUE_MAX_BYTES // len(LINE)
    for _ in range(count):
        stream.write(LINE)
    return count


def test_a_pipe_that_nobody_reads_holds_up_nobody_and_what_is_lost_is_counted(
    pipe: tuple[int, int],
) -> None:
    stream, reader = LogStream(pipe[1], "stderr"), Reader(pipe[0])
    began = time.monotonic()
    count = flood(stream)
    assert time.monotonic() - began < 10.0
    lost = stream.lines.lost
    assert 0 < lost < count
    assert stream.trouble == ("lines of the log are lost: stderr: it does not take them in time")
    wait_until(lambda: reader.has("x") and stream.lines.idle)
    stream.write("after\n")
    wait_until(lambda: reader.has("after\n"))
    lines = reader.text.splitlines()
    (told,) = (json.loads(line) for line in lines if line.startswith("{"))
    assert (told["event"], told["lines"], told["level"]) == ("output_dropped", lost, "warning")
    assert (lines.count(LINE.strip()), lines[-1]) == (count - lost, "after")
    wait_until(lambda: stream.lines.idle)
    assert stream.trouble == ""


def test_a_line_is_not_mixed_with_those_of_another_process(pipe: tuple[int, int]) -> None:
    # Writes of up to PIPE_BUF bytes are whole (pipe(7)): none has a line and a part of one.
    stream, reader = LogStream(pipe[1], "stderr"), Reader(pipe[0])
    with stream.lines.news:  # so that they gather
        for _ in range(20):
            stream.write(LINE)
    wait_until(lambda: reader.has(LINE * 20))
    assert stream.trouble == ""


@pytest.mark.parametrize("end", ["reader gone", "full", "closed"])
def test_what_cannot_be_written_is_lost_and_the_reason_is_known(
    end: str, pipe: tuple[int, int]
) -> None:
    reading, fd = pipe
    reason = {"reader gone": errno.EPIPE, "full": errno.ENOSPC, "closed": errno.EBADF}[end]
    if end == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC), fd)
    stream = LogStream(fd, "stderr")
    if end == "reader gone":
        os.close(reading)
    elif end == "closed":
        os.close(fd)
    assert stream.write("one\ntwo\n") == 8
    wait_until(lambda: stream.lines.lost == 2)
    assert stream.trouble == f"lines of the log are lost: stderr: {os.strerror(reason)}"
    stream.drain()  # or its thread would write into whatever gets this descriptor next


def test_a_disk_that_has_room_again_gets_the_count_though_nothing_more_is_logged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    fd = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    stream = LogStream(fd, "stderr")
    stream.write("one\n")
    wait_until(lambda: stream.lines.lost == 1)
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), fd)
    wait_until(lambda: not stream.trouble)
    stream.drain()
    assert json.loads(path.read_text())["lines"] == 1
    os.close(fd)


def test_a_disk_that_has_room_again_gets_the_count_first(tmp_path: Path) -> None:
    path = tmp_path / "log"
    fd = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    stream = LogStream(fd, "stderr")
    stream.write("one\n")
    wait_until(lambda: stream.lines.lost == 1)
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600), fd)
    stream.write("two\n")
    stream.drain()
    gap, line = path.read_text().splitlines()
    assert (json.loads(gap)["lines"], line) == (1, "two")
    assert "No space left" in json.loads(gap)["reason"]
    os.close(fd)


def test_a_terminal_that_is_held_holds_up_nobody() -> None:
    # Nobody reads the other side: as after Ctrl-S, its buffer fills.
    other, fd = pty.openpty()
    stream = LogStream(fd, "stderr")
    assert stream.isatty()
    began = time.monotonic()
    flood(stream)
    assert time.monotonic() - began < 10.0
    assert stream.lines.lost > 0
    os.close(other)
    stream.drain()  # or its thread would write into whatever gets this descriptor next
    os.close(fd)


def test_a_descriptor_that_does_not_block_gets_all_lines_too(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    stream, reader = LogStream(pipe[1], "stderr"), Reader(pipe[0])
    for _ in range(200):
        stream.write(LINE)
    wait_until(lambda: reader.has(LINE * 200))


def test_text_that_is_no_utf_8_is_escaped_and_long_lines_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        stream = LogStream(file.fileno(), "stderr")
        stream.write("x" * 100_000 + "\n")
        stream.write("\ud800€\n")
        stream.drain()
    assert path.read_text(encoding="utf-8") == "x" * 100_000 + "\n\\ud800€\n"


@pytest.mark.usefixtures("logging_again")
def test_where_people_read_the_count_is_a_line_for_people(pipe: tuple[int, int]) -> None:
    stream, reader = LogStream(pipe[1], "stderr"), Reader(pipe[0])
    logs.configure(people=True, stream=cast("TextIO", stream))
    stream.lines.lose([b"one\n"], "it was so")
    assert logs.trouble() == "lines of the log are lost: stderr: it was so"
    logs.get().info("clinit_started")
    wait_until(lambda: reader.has("clinit started"))
    day, gap = reader.text.splitlines()[:2]
    assert day.startswith("--- ")
    assert "output dropped" in gap
    assert logs.trouble() == ""


def test_a_traceback_of_a_daemon_is_written_out_before_it_ends(tmp_path: Path) -> None:
    program = "from mosha.host.log_stream import take_stderr; take_stderr(); raise KeyError('web')"
    with (tmp_path / "log").open("wb") as log:
        ended = subprocess.run([sys.executable, "-c", program], stderr=log, check=False)
    assert ended.returncode == 1
    assert "KeyError: 'web'" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_descriptor_is_none_that_a_socket_can_get(closed: str) -> None:
    program = (
        "import os, sys; from mosha.host.standard_streams import complete_descriptors as c; c();"
        "print('x'); print('x', file=sys.stderr); fd = os.open('/', os.O_RDONLY);"
        "sys.exit(0 if fd > 2 else 1)"
    )
    command = f'exec "$0" -c "$1" {closed}'
    ended = subprocess.run(["/bin/sh", "-c", command, sys.executable, program], check=False)
    assert ended.returncode == 0


def test_streams_of_one_file_overwrite_nothing_of_each_other_however_it_was_opened(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    opened = [os.open(path, os.O_WRONLY | os.O_CREAT | extra) for extra in (0, os.O_APPEND, 0)]
    streams = [LogStream(fd, "stderr") for fd in opened]
    try:
        for round_no in range(3):
            for number, stream in enumerate(streams):
                stream.write(f"{'x' * (40 - 10 * number)} {round_no} of {number}\n")
                wait_until(lambda lines=stream.lines: lines.idle)  # type: ignore[misc]
    finally:
        for stream, fd in zip(streams, opened, strict=True):
            stream.drain()
            os.close(fd)
    told = [line.split(" ", 1)[1] for line in path.read_text().splitlines()]
    assert told == [f"{round_no} of {number}" for round_no in range(3) for number in range(3)]
