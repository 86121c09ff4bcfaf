"""What is in force outlives a restart, a spoiled, full or read-only disk and a lost mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S, version_of
from mosha.core.replication.table_texts import Text
from mosha.core.tables import Wish
from mosha.errors import HostError
from mosha.monitor.tables.store import VERSIONS_FILE, TableStore
from tests.monitor.table_cluster import BAR, CLTAB_TEXT, FOO, Cluster, Host
from tests.waiting import until


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def one(cluster: Cluster) -> Host:
    return cluster.add_one()


async def again(cluster: Cluster, number: int) -> Host:
    """Start a node anew, without looking at its directory, and return it."""
    host = cluster.add(number)
    async with anyio.create_task_group() as tasks:
        await host.life.load(tasks)
        tasks.cancel_scope.cancel()
    host.life.ports.close()
    return host


async def test_after_a_restart_the_same_versions_are_in_force(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        await one.set_wish(Wish("bar", "start"))
        before = one.tables
    assert (await again(cluster, 1)).tables == before
    before = replace(before, pasts={})  # what that file alone knows
    (one.state / "tables.json").write_text("{", encoding="utf-8")
    assert (await again(cluster, 1)).tables == before
    (one.state / "tables.json").unlink()
    assert (await again(cluster, 1)).tables == before


async def test_an_edit_made_while_the_node_was_down_is_judged_at_its_start(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        pass
    one.edit(BAR, age_s=50)
    assert (await again(cluster, 1)).agrees(BAR)
    one.edit(FOO, age_s=70)
    host = await again(cluster, 1)
    assert host.agrees(BAR)
    assert host.history(".discarded") == [FOO]


async def test_a_spoiled_file_on_the_disk_is_told_and_healed(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        pass
    (one.state / HACTL).write_text("foo\n", encoding="utf-8")
    one.edit("bar\n")
    host = await again(cluster, 1)
    assert f"{one.state / HACTL}:1:1: group without level" in host.refused
    assert host.tables.hactl is None
    one.edit(BAR)
    host = await again(cluster, 1)
    assert host.agrees(BAR)
    assert not host.refused


async def test_a_file_on_the_disk_that_cannot_be_read_is_told(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        pass
    (one.state / HACTL).unlink()
    (one.state / HACTL).mkdir()
    one.edit("bar\n")
    host = await again(cluster, 1)
    assert f"{one.state / HACTL}: cannot be read: not a regular file" in host.refused


async def test_what_cannot_be_kept_on_the_disk_is_not_in_force_until_it_can(
    cluster: Cluster,
) -> None:
    two = cluster.add(2)
    two.edit(FOO, age_s=60)
    two.state.touch()  # where a directory should be
    async with cluster.running():
        cluster.connect()
        assert two.tables.hactl is None
        assert f"{two.state / HACTL}: cannot be written: Not a directory" in two.refused
        with pytest.raises(HostError, match="Not a directory"):
            await two.set_wish(Wish("foo", "stop"))
        two.state.unlink()
        cluster.heartbeat()
        await until(lambda: two.tables.hactl and not two.refused)


async def test_what_cannot_be_kept_is_not_written_over(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        history = one.state / "history"
        history.rename(one.state / "elsewhere")
        history.touch()  # where a directory should be
        one.edited(BAR, age_s=99)
        await until(lambda: one.tables.warnings)
        problem = f"{one.directory / HACTL}: its text cannot be kept in {history}: File exists"
        assert one.tables.warnings == (f"{problem}; so it is left there",)
        assert one.own() == BAR
        history.unlink()
        one.look()
        await until(lambda: one.agrees(FOO))
        assert one.history(".discarded") == [BAR]


def ancestral(data: str, at: int) -> Text:
    """A version with an ancestor of its own."""
    past = (version_of(b"ancestor of " + data.encode(), at),)
    return Text(version_of(data.encode(), at * NS_PER_S), data.encode(), past=past)


def test_a_version_keeps_its_ancestry_whichever_text_a_kill_leaves_there(one: Host) -> None:
    """Without it a version would win as a whole over a concurrent edit of another group."""
    store, path = TableStore(one.state), one.state / HACTL
    former, new = ancestral(FOO, 1), ancestral(FOO + BAR, 2)
    for text in (former, new):
        store.adopt(HACTL, text, NS_PER_S)
    for left in (former, new):
        path.write_bytes(left.data)
        found = store.load(HACTL)
        assert found is not None
        assert (found.version, found.past) == (left.version, left.past)


def test_no_text_comes_into_force_before_its_ancestry_is_on_the_disk(one: Host) -> None:
    store, versions = TableStore(one.state), one.state / VERSIONS_FILE
    store.adopt(HACTL, ancestral(FOO, 1), NS_PER_S)
    versions.unlink()
    versions.mkdir()
    with pytest.raises(OSError, match=VERSIONS_FILE):
        store.adopt(HACTL, ancestral(FOO + BAR, 2), NS_PER_S)
    assert (one.state / HACTL).read_text() == FOO


async def test_the_history_is_bounded(one: Host) -> None:
    store = TableStore(one.state)
    for turn in range(30):
        data = f"foo start # {turn}\n".encode()
        version = version_of(data, turn * NS_PER_S)
        store.adopt(HACTL, Text(version, data), turn * NS_PER_S)
        store.adopt(HACTL, Text(version, data), turn * NS_PER_S + 1)
        store.put_aside(HACTL, Text(version, data), "rejected", turn * NS_PER_S)
        other = version_of(b"#" + data, turn * NS_PER_S)
        store.put_aside(HACTL, Text(other, b"#" + data), "discarded", turn * NS_PER_S)
        store.adopt(CLTAB, Text(version, data), turn * NS_PER_S)
    last = [f"foo start # {turn}\n" for turn in range(10, 30)]
    assert one.history() == last
    assert one.history(name=CLTAB) == last
    assert one.history(".rejected") == last[10:]
    assert one.history(".discarded") == [f"#{text}" for text in last[10:]]


async def test_a_text_that_was_in_force_twice_is_twice_in_the_history(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        one.edited(BAR)
        await until(lambda: one.agrees(BAR))
        one.edited(FOO)
        await until(lambda: one.agrees(FOO))
        assert one.history() == [FOO, BAR, FOO]


# --- disk full, read-only, unmounted -------------------------------------------------------------


def mount(*words: str | Path) -> None:
    subprocess.run(["/bin/mount", *words], check=True)


def unmount(path: Path) -> None:
    subprocess.run(["/bin/umount", path], check=True)


@pytest.fixture
def small(one: Host) -> Iterator[Host]:
    """Node 1 with its own directory on a file system of 32 KiB."""
    mount("-t", "tmpfs", "-o", "size=32k", "tmpfs", one.directory)
    one.edit(CLTAB_TEXT, CLTAB, age_s=60)
    one.edit(FOO, age_s=60)
    yield one
    if os.path.ismount(one.directory):
        unmount(one.directory)


@pytest.mark.root("it mounts a small file system")
async def test_a_full_disk_delays_the_own_copy_and_nothing_else(
    cluster: Cluster, small: Host
) -> None:
    two = cluster.add(2)
    async with cluster.running():
        cluster.connect()
        ballast = small.directory / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        with capture_logs() as logs:
            two.edited(BAR)
            words = f"{small.directory / HACTL}: cannot be written: No space left on device"
            await until(lambda: words in small.tables.warnings)
            assert small.in_force() == BAR
            assert small.own() == FOO
            with pytest.raises(HostError, match="No space left on device"):
                await small.set_wish(Wish("bar", "stop"))
            assert [log["event"] for log in logs].count("table_write_failed") == 1
        assert not list(small.directory.glob(".*"))
        ballast.unlink()
        cluster.heartbeat()
        await until(lambda: small.agrees(BAR) and not small.tables.warnings)


@pytest.mark.root("it mounts a file system read-only")
async def test_a_directory_that_became_read_only_delays_the_own_copy_and_nothing_else(
    cluster: Cluster, small: Host
) -> None:
    two = cluster.add(2)
    async with cluster.running():
        cluster.connect()
        mount("-o", "remount,ro", small.directory)
        two.edited(BAR)
        words = f"{small.directory / HACTL}: cannot be written: Read-only file system"
        await until(lambda: words in small.tables.warnings)
        assert small.in_force() == BAR


@pytest.mark.root("it unmounts a file system")
async def test_when_the_mount_is_lost_nothing_is_written_into_what_is_underneath(
    cluster: Cluster, small: Host
) -> None:
    two = cluster.add(2)
    async with cluster.running():
        cluster.connect()
        await until(lambda: two.agrees(FOO))
        unmount(small.directory)
        underneath = (small.directory / HACTL).stat().st_mtime_ns
        two.edited(BAR)
        await until(lambda: "its mount has changed" in " ".join(small.tables.warnings))
        await until(lambda: small.in_force() == BAR)
        assert (small.directory / HACTL).stat().st_mtime_ns == underneath
        assert small.own() == FOO
