from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mosha.errors import HostError, UsageError
from mosha.formats.settings import Settings
from mosha.host import proc
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.membership import Membership, own_number
from tests.monitor.trouble import hanging, tmpfs
from tests.waiting import wait_until

# --- the own number ----------------------------------------------------------------


def test_mynode_is_the_number_and_mwhois_is_not_run(tmp_path: Path) -> None:
    settings = Settings(mynode=7, mwhois=f"touch {tmp_path}/run")
    assert own_number(settings) == 7
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("command", "number"),
    [
        ("echo This is MOSIX 12 of 40", 12),
        ("echo node-3.example", 3),
        ("printf 0042", 42),
        ("echo 5; exit 1", 5),
        ("echo noise >&2; echo 6", 6),
        ("printf '\\377 8'", 8),
    ],
)
def test_the_first_digits_of_mwhois_are_the_number(command: str, number: int) -> None:
    assert own_number(Settings(mwhois=command)) == number


@pytest.mark.parametrize(
    ("command", "story"),
    [
        ("echo nobody", "printed no digits"),
        ("true", "printed no digits"),
        ("no-such-program", r"printed no digits \(.*no-such-program: not found"),
        ("echo 7 >&2", "printed no digits"),
        ("echo 0", "printed 0; a node is a number from 1 to 65535"),
        ("echo 65536", "printed 65536; a node"),
        ("printf '9%.0s' $(seq 5000)", "printed 99999999999999999999; a node"),
    ],
)
def test_without_a_number_the_message_says_what_to_write(command: str, story: str) -> None:
    with pytest.raises(UsageError, match=r"mwhois.*" + story + r".*write mynode = N"):
        own_number(Settings(mwhois=command))


def test_a_host_that_starts_no_mwhois_is_to_blame(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "none left")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(HostError, match=r"^cannot run mwhois \('echo 2'\): none left$"):
        own_number(Settings(mwhois="echo 2"))


def test_a_number_that_nodes_has_not_is_refused() -> None:  # C11
    with pytest.raises(UsageError, match=r"number 4, which is not among nodes \(1, 2\)"):
        own_number(Settings(mwhois="echo node4", nodes=(1, 2)))
    assert own_number(Settings(mwhois="echo node2", nodes=(1, 2))) == 2


def test_a_mwhois_that_does_not_end_is_ended(tmp_path: Path) -> None:
    command = f"sleep 1000 & echo $$ $! > {tmp_path}/pids; wait; echo 3"
    with pytest.raises(UsageError, match=r"did not end within 0\.5 s"):
        own_number(Settings(mwhois=command), limit_s=0.5)
    pids = [*map(int, (tmp_path / "pids").read_text(encoding="ascii").split())]
    assert len(pids) == 2
    wait_until(lambda: not any(map(proc.see, pids)))


# --- who there is ------------------------------------------------------------------


@asynccontextmanager
async def members_of(
    tmp_path: Path, nodes: tuple[int, ...] = (), limit_s: float = 30.0
) -> AsyncIterator[Membership]:
    base, hpc = f"{tmp_path}/mfs", f"{tmp_path}/hpc"
    settings = Settings(mfsbase=base, hpcbase=hpc, varpath="var/ha", nodes=nodes)
    layout = Layout(Path(settings.mfsbase), settings.varpath)
    found = Membership(settings, layout, tmp_path / "state", limit_s=limit_s)
    yield found
    found.close()


def make_nodes(tmp_path: Path, *nodes: object) -> None:
    for node in nodes:
        (tmp_path / "mfs" / str(node) / "var/ha").mkdir(parents=True)


async def test_configured_nodes_are_all_there_is(tmp_path: Path) -> None:
    make_nodes(tmp_path, 7)
    async with members_of(tmp_path, nodes=(1, 2, 3)) as members:
        assert await members.poll() == {1, 2, 3}
    assert not (tmp_path / "state").exists()


# The original's cases HN-01 to HN-12. HN-08 (`2x`) is a choice: a node is a number.
@pytest.mark.parametrize(
    ("statuses", "up"),
    [
        ({"1": "3"}, {1}),
        ({"1": "1"}, set()),
        ({"1": "2"}, {1}),
        ({"1": "0"}, set()),
        ({"1": "4"}, set()),
        ({"1": "6"}, {1}),
        ({"1": "7"}, {1}),
        ({"2x": "3"}, set()),
        ({"x2": "3"}, set()),
        ({"10": "3", "2": "3"}, {2, 10}),
        ({"1": "3 junk"}, {1}),
        ({"1": None, "2": "3"}, {2}),
        ({"1": "", "2": "junk", "3": " 2\n", "4": "3" * 100}, {3}),
        ({}, set()),
    ],
)
async def test_hpcbase_says_which_nodes_are_up(
    tmp_path: Path, statuses: dict[str, str | None], up: set[int]
) -> None:
    make_nodes(tmp_path, 50)
    (tmp_path / "hpc/nodes").mkdir(parents=True)
    for name, text in statuses.items():
        (tmp_path / "hpc/nodes" / name).mkdir()
        if text is not None:
            (tmp_path / "hpc/nodes" / name / "status").write_text(text, encoding="ascii")
    async with members_of(tmp_path) as members:
        assert await members.poll() == up


async def test_nodes_are_found_by_their_directories(tmp_path: Path) -> None:
    make_nodes(tmp_path, 1, 20, "x3", "04", 65536, 0)
    (tmp_path / "mfs/5").mkdir()
    (tmp_path / "mfs/6").touch()
    (tmp_path / "mfs/7/var").mkdir(parents=True)
    (tmp_path / "mfs/7/var/ha").touch()
    (tmp_path / "mfs/8").symlink_to(tmp_path / "mfs/1")
    (tmp_path / "mfs/9").symlink_to(tmp_path / "nowhere")
    async with members_of(tmp_path) as members:
        assert await members.poll() == {1, 8, 20}
        assert members.error == ""


async def test_who_was_found_once_is_remembered(tmp_path: Path) -> None:
    make_nodes(tmp_path, 1, 2)
    async with members_of(tmp_path) as members:
        assert await members.poll() == {1, 2}
        make_nodes(tmp_path, 3)
        (tmp_path / "mfs/2/var/ha").rmdir()
        assert await members.poll() == {1, 2, 3}
    (tmp_path / "mfs").rename(tmp_path / "gone")
    async with members_of(tmp_path) as members:
        assert await members.poll() == {1, 2, 3}
        assert "mfs: No such file or directory" in members.error
    assert json.loads((tmp_path / "state/members.json").read_bytes()) == [1, 2, 3]


@pytest.mark.parametrize("text", [b"", b"{", b"7", b"\xff", b'["1", null, 70000, -1]'])
async def test_a_spoilt_memory_is_written_anew(tmp_path: Path, text: bytes) -> None:
    make_nodes(tmp_path, 1)
    (tmp_path / "state").mkdir()
    (tmp_path / "state/members.json").write_bytes(text)
    async with members_of(tmp_path) as members:
        assert await members.poll() == {1}
    assert json.loads((tmp_path / "state/members.json").read_bytes()) == [1]


async def test_without_any_directory_there_is_nobody(tmp_path: Path) -> None:
    async with members_of(tmp_path) as members:
        assert await members.poll() == set()


@pytest.mark.root("to mount a tmpfs")
async def test_a_node_on_a_mount_of_its_own_is_found(tmp_path: Path) -> None:
    make_nodes(tmp_path, 1)
    with tmpfs(tmp_path / "mfs/2"), tmpfs(tmp_path / "mfs/3"):
        (tmp_path / "mfs/2/var/ha").mkdir(parents=True)
        async with members_of(tmp_path) as members:
            assert await members.poll() == {1, 2}
            (tmp_path / "mfs/3/var/ha").mkdir(parents=True)
            assert await members.poll() == {1, 2, 3}


@pytest.mark.root("to make a directory hang")
async def test_a_mount_that_hangs_does_not_hide_the_others(tmp_path: Path) -> None:
    make_nodes(tmp_path, 1)
    (tmp_path / "other/var/ha").mkdir(parents=True)
    (tmp_path / "mfs/2").symlink_to(tmp_path / "other")
    with hanging(tmp_path / "other/var/ha") as hang:
        async with members_of(tmp_path, limit_s=1.0) as members:
            assert await members.poll() == {1}
            assert "no answer" in members.error
            assert await members.poll() == {1}
            assert "does not answer" in members.error
            hang.close()
            while members.error:  # until the thread has come back from there
                found = await members.poll()
            assert found == {1, 2}
