from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mosha.host import files
from tests.monitor.trouble import tmpfs


def test_a_file_is_read_with_what_the_system_says_of_it(tmp_path: Path) -> None:
    path = tmp_path / "cltab"
    path.write_bytes(b"text")
    path.chmod(0o640)
    os.utime(path, ns=(5, 123_456_789_012_345_678))
    facts = files.read_facts(path)
    assert facts.data == files.read_file(path) == b"text"
    assert (facts.mtime_ns, facts.uid, facts.mode) == (123_456_789_012_345_678, os.getuid(), 0o640)
    assert facts.device == path.stat().st_dev


@pytest.mark.parametrize("size", [0, 1, files.READ_CHUNK_BYTES, 3 * files.READ_CHUNK_BYTES + 1])
def test_a_file_of_any_size_is_read_as_a_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "clstat"
    path.write_bytes(b"x" * size)
    assert files.read_file(path, max_bytes=size) == b"x" * size


def test_a_file_that_is_too_big_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clstat"
    path.write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="more than 100 bytes") as caught:
        files.read_file(path, max_bytes=100)
    assert caught.value.errno == errno.EFBIG


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.root("to make a device")
def test_a_device_is_not_even_opened_since_that_may_act(tmp_path: Path) -> None:
    # No driver has this number: opening it is the error ENXIO.
    os.mknod(tmp_path / "clstat", stat.S_IFCHR | 0o600, os.makedev(4000, 1))
    with pytest.raises(OSError, match="not a regular file"):
        files.read_file(tmp_path / "clstat")


@pytest.mark.parametrize("make", [make_fifo, Path.mkdir, make_link_to_device])
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "clstat")
    with pytest.raises(OSError, match="not a regular file"):
        files.read_file(tmp_path / "clstat")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"text")
    (tmp_path / "cltab").symlink_to(tmp_path / "elsewhere")
    assert files.read_file(tmp_path / "cltab") == b"text"


def test_a_link_that_is_not_to_be_followed_is_refused_as_one(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"text")
    (tmp_path / "cltab").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links") as caught:
        files.read_facts(tmp_path / "cltab", follow=False)
    assert (caught.value.errno, caught.value.filename) == (errno.ELOOP, str(tmp_path / "cltab"))


def test_a_path_that_leads_nowhere_is_named_in_the_error(tmp_path: Path) -> None:
    loop = tmp_path / "cltab"
    loop.symlink_to(loop)
    with pytest.raises(OSError, match="symbolic links") as caught:
        files.read_file(loop)
    assert caught.value.filename == str(loop)


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.read_file(tmp_path / "clstat")


@pytest.mark.parametrize(
    ("numbers", "tries"),
    [
        ([errno.ENOENT], 2),
        ([errno.ESTALE], 2),
        ([errno.ENOENT, errno.ESTALE], 2),
        ([errno.EIO], 1),
        ([], 1),
    ],
)
def test_a_failure_in_passing_is_tried_once_more(numbers: list[int], tries: int) -> None:
    tried: list[int] = []

    def read() -> bytes:
        tried.append(1)
        if len(tried) <= len(numbers):
            raise OSError(numbers[len(tried) - 1], "as told")
        return b"text"

    if len(numbers) >= tries:
        with pytest.raises(OSError, match="as told"):
            files.once_more(read)
    else:
        assert files.once_more(read) == b"text"
    assert len(tried) == tries


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_written_with_the_mode_and_the_time_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "hactl"
    former = os.umask(0o077)
    try:
        files.write_atomically(path, b"one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        files.write_atomically(path, b"two", mode=0o600, mtime_ns=1_000_000_001, sync=True)
    finally:
        os.umask(former)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_mtime_ns == 1_000_000_001
    assert names(tmp_path) == ["hactl"]


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "clstat" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        files.write_atomically(tmp_path / "clstat", b"x")
    assert caught.value.filename == str(tmp_path / "clstat")
    assert names(tmp_path) == ["clstat"]


def test_a_write_into_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.write_atomically(tmp_path / "gone" / "clstat", b"x")


@pytest.mark.root("to mount a small tmpfs")
def test_on_a_full_disk_the_old_file_stays_and_no_temporary_one(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "64k") as disk:
        files.write_atomically(disk / "clstat", b"old")
        with pytest.raises(OSError, match="No space left") as caught:
            files.write_atomically(disk / "clstat", b"x" * (1 << 20))
        assert caught.value.errno == errno.ENOSPC
        assert names(disk) == ["clstat"]
        assert (disk / "clstat").read_bytes() == b"old"


def test_a_reader_never_sees_half_a_write(tmp_path: Path) -> None:
    path = tmp_path / "clstat"
    texts = {b"a" * 10, b"b" * 100_000}
    files.write_atomically(path, b"a" * 10)
    ended = threading.Event()

    def write() -> None:
        for _ in range(100):
            for text in texts:
                files.write_atomically(path, text)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen: set[bytes] = set()
    while not ended.is_set():
        seen.add(files.read_file(path))
    thread.join()
    assert seen <= texts


# --- what a power cut leaves -----------------------------------------------------------------


@pytest.mark.parametrize("sync", [True, False])
def test_what_must_outlive_a_power_cut_is_flushed_before_and_after_its_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, sync: bool
) -> None:
    done: list[str] = []
    flush, rename = os.fsync, os.rename

    def note_flush(fd: int) -> None:
        done.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        flush(fd)

    def note_rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        done.append("rename")
        rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(os, "rename", note_rename)
    files.write_atomically(tmp_path / "node.json", b"text", sync=sync)
    assert done == (["file", "rename", "directory"] if sync else ["rename"])


def test_a_private_file_is_private_from_its_first_byte_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[int] = []
    write = os.write

    def note_write(fd: int, data: bytes) -> int:
        modes.append(stat.S_IMODE(os.fstat(fd).st_mode))
        return write(fd, data)

    monkeypatch.setattr(os, "write", note_write)
    files.write_atomically(tmp_path / "children.json", b"text", mode=0o640)
    assert modes == [0o600]
    assert stat.S_IMODE((tmp_path / "children.json").stat().st_mode) == 0o640
