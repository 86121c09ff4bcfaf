from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.monitor import mfs
from mosha.monitor.mfs import Layout, Mounts
from tests.monitor.trouble import mount, tmpfs, unmount
from tests.waiting import wait_until

LAYOUT = Layout(Path("/mfs"), "var/mosix-ha")


def test_the_files_of_a_node_are_where_the_original_had_them() -> None:
    assert LAYOUT.directory(2) == Path("/mfs/2/var/mosix-ha")
    assert LAYOUT.clstat(2) == Path("/mfs/2/var/mosix-ha/clstat")
    assert LAYOUT.cltab(2) == Path("/mfs/2/var/mosix-ha/cltab")
    assert LAYOUT.hactl(2) == Path("/mfs/2/var/mosix-ha/hactl")
    assert LAYOUT.hastat(2) == Path("/mfs/2/var/mosix-ha/hastat")


@pytest.mark.parametrize(
    ("path", "node"),
    [
        ("/mfs/2/var/mosix-ha", 2),
        ("/mfs/2/var/mosix-ha/clstat", 2),
        ("/mfs/2/var", None),
        ("/mfs/x/var/mosix-ha/clstat", None),
        ("/mfs/02/var/mosix-ha/clstat", None),
        ("/mfs", None),
        ("/elsewhere/2/var/mosix-ha/clstat", None),
    ],
)
def test_a_path_tells_whose_it_is(path: str, node: int | None) -> None:
    assert LAYOUT.node_of(Path(path)) == node


MOUNTINFO = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:40 / /mfs rw,relatime shared:1 master:2 - nfs4 server:/export rw
31 30 0:41 / /mfs/2 rw - fuse.sshfs root@b:/mfs rw
32 27 0:42 / /mfs2 rw - glusterfs x rw
33 27 0:43 / /with\040blank\134 rw - tmpfs tmpfs rw
34 27 0:44 / /two rw - tmpfs lower rw
35 34 0:45 / /two rw - tmpfs upper rw
36 27 0:46 / /covered/deep rw - nfs hidden rw
37 27 0:47 / /covered rw - tmpfs cover rw
38 27 254:0 /data /bind rw - ext4 /dev/vda rw
39 27 0:48 / /auto rw - autofs systemd-1 rw
short line
40 27 nonsense / /odd rw - ext4 /dev/odd rw
"""


@pytest.mark.parametrize(
    ("path", "mountpoint", "source", "remote"),
    [
        ("/", "/", "/dev/vda", False),
        ("/var/mosix-ha", "/", "/dev/vda", False),
        ("/mfs", "/mfs", "server:/export", True),
        ("/mfs/1/var", "/mfs", "server:/export", True),
        ("/mfs/2", "/mfs/2", "root@b:/mfs", True),
        ("/mfs/2/var/mosix-ha", "/mfs/2", "root@b:/mfs", True),
        ("/mfs/20/var", "/mfs", "server:/export", True),
        ("/mfs2/x", "/mfs2", "x", True),
        ("/mfs/1/../../var", "/", "/dev/vda", False),
        ("/with blank\\/x", "/with blank\\", "tmpfs", False),
        ("/two/x", "/two", "upper", False),
        ("/covered/deep/x", "/covered", "cover", False),
        ("/bind/x", "/bind", "/dev/vda", False),
        ("/auto/x", "/auto", "systemd-1", True),
        ("/odd", "/", "/dev/vda", False),
    ],
)
def test_the_mount_of_a_path_is_found_by_its_text(
    path: str, mountpoint: str, source: str, *, remote: bool
) -> None:
    facts = Mounts(MOUNTINFO).of(path)
    assert (facts.mountpoint, facts.source, facts.remote) == (mountpoint, source, remote)


def test_without_any_mount_nothing_is_known_and_nothing_breaks() -> None:
    facts = Mounts("").of("/mfs/1")
    assert (facts.fstype, facts.remote) == ("unknown", False)


LINES = st.lists(
    st.one_of(st.sampled_from(MOUNTINFO.splitlines()), st.text(max_size=60)), max_size=12
)


@given(LINES, st.text())
def test_no_text_breaks_the_reader_of_mounts(lines: list[str], path: str) -> None:
    assert Mounts("\n".join(lines)).of(f"/{path}").mountpoint.startswith("/")


def test_the_mounts_of_this_machine_are_read() -> None:
    facts = mfs.file_system_at(Path("/proc/self/status"))
    assert (facts.fstype, facts.mountpoint) == ("proc", "/proc")
    assert facts.device == Path("/proc").stat().st_dev


def test_mounts_that_have_not_changed_are_not_worked_out_again() -> None:
    # Machines of other tests may come and go meanwhile.
    wait_until(lambda: mfs.read_mounts() is mfs.read_mounts())


class Once:
    """A poll that tells of one change."""

    def __init__(self) -> None:
        self.told = [[(0, 0)]]

    def poll(self, timeout: int) -> list[tuple[int, int]]:
        assert timeout == 0
        return self.told.pop() if self.told else []


def test_after_a_change_that_could_not_be_read_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = mfs._MountTable()
    try:
        before = table.now(fresh=False)
        monkeypatch.setattr(table, "_changes", Once())
        with monkeypatch.context() as no_descriptors:
            no_descriptors.setattr(Path, "read_bytes", lambda _: os.open("/no/such", 0))
            with pytest.raises(OSError, match="No such file"):
                table.now(fresh=False)
        after = table.now(fresh=False)
        assert after is not before
        assert table.now(fresh=False) is after
        assert table.now(fresh=True) is not after
    finally:
        os.close(table._file)


@pytest.mark.root("to mount a tmpfs")
def test_a_mount_that_comes_and_goes_is_seen(tmp_path: Path) -> None:
    before = mfs.read_mounts()
    with tmpfs(tmp_path / "a b") as point:
        assert mfs.read_mounts() is not before
        there = mfs.file_system_at(point / "x")
        assert (there.fstype, there.mountpoint) == ("tmpfs", str(point))
        assert there.device == point.stat().st_dev
        before = mfs.read_mounts()
        unmount(point)
        mount("-t", "tmpfs", "tmpfs", point)
        assert mfs.read_mounts() is not before
        unmount(point)
        assert mfs.file_system_at(point / "x").mountpoint != str(point)


# --- reading -----------------------------------------------------------------------


def test_a_file_is_read_with_what_the_system_says_of_it(tmp_path: Path) -> None:
    path = tmp_path / "cltab"
    path.write_bytes(b"text")
    path.chmod(0o640)
    os.utime(path, ns=(5, 123_456_789_012_345_678))
    facts = mfs.read_facts(path)
    assert facts.data == mfs.read_file(path) == b"text"
    assert (facts.mtime_ns, facts.uid, facts.mode) == (123_456_789_012_345_678, os.getuid(), 0o640)
    assert facts.device == path.stat().st_dev


@pytest.mark.parametrize("size", [0, 1, mfs.READ_CHUNK_BYTES, 3 * mfs.READ_CHUNK_BYTES + 1])
def test_a_file_of_any_size_is_read_as_a_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "clstat"
    path.write_bytes(b"x" * size)
    assert mfs.read_file(path, max_bytes=size) == b"x" * size


def test_a_file_that_is_too_big_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "clstat"
    path.write_bytes(b"x" * 101)
    with pytest.raises(OSError, match="more than 100 bytes") as caught:
        mfs.read_file(path, max_bytes=100)
    assert caught.value.errno == errno.EFBIG


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [make_fifo, Path.mkdir, make_link_to_device])
def test_what_is_no_regular_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "clstat")
    with pytest.raises(OSError, match="not a regular file"):
        mfs.read_file(tmp_path / "clstat")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"text")
    (tmp_path / "cltab").symlink_to(tmp_path / "elsewhere")
    assert mfs.read_file(tmp_path / "cltab") == b"text"


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mfs.read_file(tmp_path / "clstat")


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
            mfs.once_more(read)
    else:
        assert mfs.once_more(read) == b"text"
    assert len(tried) == tries


# --- writing -----------------------------------------------------------------------


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_file_is_written_with_the_mode_and_the_time_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "hactl"
    former = os.umask(0o077)
    try:
        mfs.write_atomically(path, b"one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o644
        mfs.write_atomically(path, b"two", mode=0o600, mtime_ns=1_000_000_001, sync=True)
    finally:
        os.umask(former)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_mtime_ns == 1_000_000_001
    assert names(tmp_path) == ["hactl"]


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "clstat" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError) as caught:
        mfs.write_atomically(tmp_path / "clstat", b"x")
    assert caught.value.filename == str(tmp_path / "clstat")
    assert names(tmp_path) == ["clstat"]


def test_a_write_into_a_missing_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        mfs.write_atomically(tmp_path / "gone" / "clstat", b"x")


@pytest.mark.root("to mount a small tmpfs")
def test_on_a_full_disk_the_old_file_stays_and_no_temporary_one(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "small", "64k") as disk:
        mfs.write_atomically(disk / "clstat", b"old")
        with pytest.raises(OSError, match="No space left") as caught:
            mfs.write_atomically(disk / "clstat", b"x" * (1 << 20))
        assert caught.value.errno == errno.ENOSPC
        assert names(disk) == ["clstat"]
        assert (disk / "clstat").read_bytes() == b"old"


def test_a_reader_never_sees_half_a_write(tmp_path: Path) -> None:
    path = tmp_path / "clstat"
    texts = {b"a" * 10, b"b" * 100_000}
    mfs.write_atomically(path, b"a" * 10)
    ended = threading.Event()

    def write() -> None:
        for _ in range(100):
            for text in texts:
                mfs.write_atomically(path, text)
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen: set[bytes] = set()
    while not ended.is_set():
        seen.add(mfs.read_file(path))
    thread.join()
    assert seen <= texts


def test_what_dead_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    gone = 2**22 + 1  # greater than any pid
    kept = [
        f".clstat.{os.getpid()}.1.tmp",
        f".other.{gone}.1.tmp",
        f".clstat.{gone}.tmp",
        f"clstat.{gone}.1.tmp",
        "clstat",
    ]
    for name in (f".clstat.{gone}.1.tmp", f".cltab.{gone}.123456789.tmp", *kept):
        (tmp_path / name).touch()
    mfs.remove_stale_temporaries(tmp_path)
    assert names(tmp_path) == sorted(kept)
