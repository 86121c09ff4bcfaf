"""Where logs go in chaos: what can happen to them happens, and ends."""

from __future__ import annotations

import errno
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from tests.chaos.sinks import Disk, Pipe, missing_disks
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if why := missing_disks():
        pytest.skip(why)
    made = Disk(tmp_path, 1)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    made = Pipe(tmp_path / "log")
    try:
        yield made
    finally:
        made.close()


def write_for_ever(log: int) -> None:
    while True:
        os.write(log, bytes(4096))


def test_a_full_disk_takes_nothing_until_there_is_room_again(disk: Disk) -> None:
    log = disk.open()
    assert disk.fill()
    with pytest.raises(OSError, match="No space") as caught:
        os.write(log, bytes(1 << 16))
    assert caught.value.errno == errno.ENOSPC
    disk.free()
    assert os.write(log, b"line\n") == 5
    os.close(log)


def test_who_writes_to_a_frozen_disk_waits_and_goes_on(disk: Disk) -> None:
    log = disk.open()
    assert disk.freeze()
    assert not disk.freeze()
    assert not disk.fill()
    disk.wait_frozen()
    thread = threading.Thread(target=os.write, args=(log, b"line\n"), daemon=True)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    disk.thaw()
    thread.join(10.0)
    assert not thread.is_alive()
    os.close(log)


def test_the_log_of_a_disk_is_there_when_the_disk_has_gone(tmp_path: Path) -> None:
    if why := missing_disks():
        pytest.skip(why)
    disk = Disk(tmp_path, 2)
    log = disk.open()
    os.write(log, b"line\n")
    disk.freeze()
    os.close(log)
    disk.close()
    assert not disk.point.is_mount()
    assert disk.path.read_bytes() == b"line\n"


def test_a_pipe_without_a_reader_fails_and_a_new_reader_takes_up(pipe: Pipe) -> None:
    log = pipe.open()
    os.write(log, b"one\n")
    wait_until(lambda: pipe.path.read_bytes() == b"one\n")
    pipe.gone()
    with pytest.raises(BrokenPipeError):
        os.write(log, b"lost\n")
    pipe.read_again()
    os.write(log, b"two\n")
    wait_until(lambda: pipe.path.read_bytes() == b"one\ntwo\n")
    os.close(log)


def test_a_pipe_with_a_stopped_reader_fills(pipe: Pipe) -> None:
    log = pipe.open()
    pipe.send(signal.SIGSTOP)
    os.set_blocking(log, False)
    with pytest.raises(BlockingIOError):
        write_for_ever(log)
    pipe.send(signal.SIGCONT)
    wait_until(lambda: pipe.path.stat().st_size >= 1 << 16)
    os.close(log)
