from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosha.host import mounts
from mosha.host.mounts import Mounts
from tests.monitor.trouble import mount, tmpfs, unmount
from tests.waiting import wait_until

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
    facts = mounts.file_system_at(Path("/proc/self/status"))
    assert (facts.fstype, facts.mountpoint) == ("proc", "/proc")
    assert facts.device == Path("/proc").stat().st_dev


def test_mounts_that_have_not_changed_are_not_worked_out_again() -> None:
    # Machines of other tests may come and go meanwhile.
    wait_until(lambda: mounts.read_mounts() is mounts.read_mounts())


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
    table = mounts._MountTable()
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
    before = mounts.read_mounts()
    with tmpfs(tmp_path / "a b") as point:
        assert mounts.read_mounts() is not before
        there = mounts.file_system_at(point / "x")
        assert (there.fstype, there.mountpoint) == ("tmpfs", str(point))
        assert there.device == point.stat().st_dev
        before = mounts.read_mounts()
        unmount(point)
        mount("-t", "tmpfs", "tmpfs", point)
        assert mounts.read_mounts() is not before
        unmount(point)
        assert mounts.file_system_at(point / "x").mountpoint != str(point)
