"""Edits that are no good: refused with a word, put aside, never lost; and files half written."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S, SETTLE_S, version_of
from mosha.core.replication.table_texts import Text
from mosha.core.tables import Wish
from mosha.errors import HostError
from mosha.formats.mistakes import FILE_MAX_BYTES
from mosha.host.clock import boottime
from mosha.monitor.tables.files import _unreadable, read_table, replace_table
from tests.monitor.table_cluster import BAR, CLTAB_TEXT, FOO, Cluster, Host
from tests.waiting import pass_until, until


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def three(cluster: Cluster) -> list[Host]:
    return [cluster.add(number) for number in (1, 2, 3)]


@pytest.fixture
def one(cluster: Cluster) -> Host:
    return cluster.add_one()


async def test_mistakes_are_refused_with_their_place_until_they_are_mended(
    cluster: Cluster, three: list[Host]
) -> None:
    three[0].edit(CLTAB_TEXT, CLTAB, age_s=60)
    async with cluster.running():
        cluster.connect()
        await cluster.agree(CLTAB_TEXT, CLTAB)
        wrong = CLTAB_TEXT + "foo:f2:start:rspawn:true\nshort\n"
        three[1].edited(wrong, CLTAB)
        await until(lambda: three[1].tables.refused)
        path = three[1].directory / CLTAB
        text = three[1].tables.refused[CLTAB]
        assert text.startswith(f"2 mistakes, the first: {path}:3:14: unknown mode: 'rspawn';")
        assert three[1].own(CLTAB) == wrong
        cluster.heartbeat()
        assert [host.in_force(CLTAB) for host in three] == [CLTAB_TEXT] * 3
        mended = CLTAB_TEXT + "foo:f2:start:respawn:true\n"
        three[1].edited(mended, CLTAB)
        await cluster.agree(mended, CLTAB)
        assert three[1].tables.refused == {}


async def test_at_the_first_start_mistakes_leave_the_node_without_a_table(
    cluster: Cluster, three: list[Host]
) -> None:
    three[0].edit("foo\n")
    three[2].edit(FOO, age_s=60)
    async with cluster.running():
        assert three[0].tables.hactl is None
        assert f"{three[0].directory / HACTL}:1:1: group without level" in three[0].refused
        cluster.connect()
        await until(lambda: three[0].in_force() == FOO)
        assert three[0].own() == "foo\n"  # it is newer: somebody is at it


async def test_a_newer_version_replaces_a_refused_file_and_keeps_its_text(
    cluster: Cluster, three: list[Host]
) -> None:
    async with cluster.running():
        cluster.connect()
        three[0].edited("foo start\nbar\n", age_s=5)
        await until(lambda: three[0].refused)
        three[1].edited(FOO)
        await cluster.agree(FOO)
        await until(lambda: not three[0].refused)
        assert three[0].history(".rejected") == ["foo start\nbar\n"]


async def test_an_edit_that_is_older_is_put_aside_and_nothing_is_lost(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        with capture_logs() as logs:
            one.edited(BAR, age_s=65)
            await until(lambda: one.history(".discarded"))
            await until(lambda: one.agrees(FOO) and one.tables.warnings)
        assert one.history(".discarded") == [BAR]
        (warning,) = one.tables.warnings
        assert "s older than the version in force; it was kept as" in warning
        discarded = next(log for log in logs if log["event"] == "table_discarded")
        assert discarded["fate"] == "discarded"
        assert discarded["kept"] in warning
        one.edited(BAR)
        await until(lambda: one.agrees(BAR) and not one.tables.warnings)


async def test_half_of_a_table_waits_for_its_other_half(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        one.edited(FOO + BAR)
        await until(lambda: one.agrees(FOO + BAR))
        told = len(one.adopted)
        for half in ("foo start\nbar st", FOO, "foo start\nbar sta\n"):
            one.edit(half)
            look = asyncio.ensure_future(one.looked())
            await asyncio.to_thread(pass_until, boottime() + 3 * SETTLE_S)
            one.edit("foo start\nbar stop\n")
            await look
            assert one.agrees("foo start\nbar stop\n")
            one.edited(FOO + BAR)
            await until(lambda: one.agrees(FOO + BAR))
        levels = {t.hactl.level_of("bar") for t in one.adopted[told:] if t.hactl}
        assert levels == {"stop", "start"}


async def test_a_text_that_is_put_back_at_once_is_in_force(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        for text in (FOO + BAR, "foo stop\nbar start\n", FOO + BAR):
            one.edited(text)
            await until(lambda text=text: one.agrees(text))  # type: ignore[misc]
        assert one.tables.warnings == ()


async def test_a_node_that_is_versions_behind_warns_of_nothing(
    cluster: Cluster, three: list[Host]
) -> None:
    first, second = three[:2]
    for host in (first, second):
        host.edit(CLTAB_TEXT, CLTAB, age_s=60)
        host.edit(FOO, age_s=60)
    async with cluster.running():
        cluster.connect()
        await cluster.agree(FOO)
        async with second.own_directory_hangs():
            for level in ("start", "stop", "start"):
                await first.set_wish(Wish("bar", level))
                version = first.tables.versions[HACTL]
                await until(lambda v=version: second.has(v))  # type: ignore[misc]
            assert second.own() == FOO
        await cluster.agree(FOO + BAR)
        assert second.history(".discarded") == []
        assert second.tables.warnings == ()


async def test_a_private_table_is_private_everywhere(cluster: Cluster, three: list[Host]) -> None:
    three[0].edit(CLTAB_TEXT, CLTAB, age_s=60).chmod(0o600)
    three[0].edit(FOO, age_s=60).chmod(0o640)
    os.chown(three[0].directory / HACTL, -1, a_group())
    async with cluster.running():
        cluster.connect()
        await cluster.agree(CLTAB_TEXT, CLTAB)
        await cluster.agree(FOO)
        await three[1].set_wish(Wish("bar", "start"))
        await cluster.agree(FOO + BAR)
        for host in three:
            tables = [host.directory / CLTAB, host.state / CLTAB]
            tables += (host.state / "history").glob("cltab.*")
            assert {stat.S_IMODE(path.stat().st_mode) for path in tables} == {0o600}
            wishes = [host.directory / HACTL, host.state / HACTL]
            wishes += (host.state / "history").glob("hactl.*")
            facts = {(stat.S_IMODE(p.stat().st_mode), p.stat().st_gid) for p in wishes}
            assert facts == {(0o640, a_group())}
            assert stat.S_IMODE((host.state / "history").stat().st_mode) == 0o700


def a_group() -> int:
    """A group to which this process may give a file, another than its own if there is one."""
    return 12345 if os.geteuid() == 0 else max([os.getegid(), *os.getgroups()])


async def test_a_symbolic_link_is_refused_and_stays(
    cluster: Cluster, one: Host, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    async with cluster.running():
        elsewhere.write_text(FOO + BAR)
        path = one.directory / HACTL
        path.unlink()
        path.symlink_to(elsewhere)
        one.look()
        await until(lambda: "it is a symbolic link" in one.refused)
        with pytest.raises(HostError, match="it is a symbolic link"):
            await one.set_wish(Wish("foo", "stop"))
        assert path.is_symlink()
        assert one.in_force() == FOO
        path.unlink()
        path.write_text(FOO + BAR)
        one.look()
        await until(lambda: one.agrees(FOO + BAR) and not one.refused)


async def test_a_touch_is_no_edit(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        before = one.tables
        for age_s in (0, 99, -999):
            one.edit(FOO, age_s=age_s)
            await one.looked()
        assert one.tables is before


async def test_a_time_in_the_future_is_refused_until_it_is_touched(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        one.edited(BAR, age_s=-7200)
        await until(lambda: one.refused)
        assert one.refused == (
            f"{one.directory / HACTL}: its time lies 7200 s in the future; touch it"
        )
        assert one.own() == BAR
        told = len(one.adopted)
        await one.looked()
        assert len(one.adopted) == told  # it does not count down
        (one.directory / HACTL).touch()
        one.look()
        await until(lambda: one.agrees(BAR) and not one.refused)


async def test_a_file_of_the_future_does_not_wait_for_its_time_once_there_is_another_edit(
    cluster: Cluster, three: list[Host]
) -> None:
    async with cluster.running():
        cluster.connect()
        three[0].edited(BAR, age_s=-7200)
        await until(lambda: three[0].refused)
        three[1].edited(FOO)
        await cluster.agree(FOO)
        assert three[0].history(".rejected") == [BAR]


async def test_a_version_from_a_clock_that_is_ahead_is_refused_by_the_others(
    cluster: Cluster,
) -> None:
    one = cluster.add(1)
    fast = cluster.add(2, wall_ns=lambda: time.time_ns() + 7200 * NS_PER_S)
    one.edit(FOO, age_s=60)
    fast.edit(BAR, age_s=-7100)
    async with cluster.running():
        cluster.connect()
        await until(lambda: one.refused)
        assert fast.in_force() == BAR
        assert one.in_force() == FOO
        assert str(fast.directory / HACTL) in one.refused
        assert "s ahead of this node's clock; set the clocks, then touch it" in one.refused


async def test_when_a_clock_was_set_back_the_next_edit_wins(cluster: Cluster) -> None:
    ahead_ns = 7200 * NS_PER_S
    one = cluster.add(1, wall_ns=lambda: time.time_ns() + ahead_ns)
    one.edit(FOO, age_s=-7100)
    async with cluster.running():
        assert one.in_force() == FOO
        ahead_ns = 0
        one.look()
        one.edited(BAR)
        await until(lambda: one.agrees(BAR))
        assert one.tables.versions[HACTL].mtime_ns < time.time_ns()


def become_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


HOSTILE: list[tuple[str, Callable[[Path], object], str]] = [
    ("writable by others", lambda path: path.chmod(0o666), "(mode 0666); chmod go-w it"),
    ("writable by the group", lambda path: path.chmod(0o664), "(mode 0664); chmod go-w it"),
    ("not UTF-8", lambda path: path.write_bytes(b"foo \xff\n"), ":1:5: not UTF-8"),
    (
        "too big",
        lambda path: path.write_bytes(b"#" * (FILE_MAX_BYTES + 1)),
        "it is too big; at most 1048576 bytes are read",
    ),
    ("a directory", become_directory, "it is not a regular file; put a file there instead"),
    ("a fifo", become_fifo, "it is not a regular file; put a file there instead"),
]


@pytest.mark.parametrize(
    ("spoil", "words"), [row[1:] for row in HOSTILE], ids=[row[0] for row in HOSTILE]
)
async def test_what_is_not_to_be_trusted_or_read_is_refused_with_its_remedy(
    cluster: Cluster, one: Host, spoil: Callable[[Path], object], words: str
) -> None:
    async with cluster.running():
        path = one.edit(BAR)
        spoil(path)
        one.look()
        await until(lambda: one.refused)
        assert str(path) in one.refused
        assert words in one.refused
        assert one.in_force() == FOO


async def test_a_file_that_cannot_be_read_is_never_replaced(cluster: Cluster, one: Host) -> None:
    two = cluster.add(2)
    async with cluster.running():
        cluster.connect()
        path = one.directory / HACTL
        path.unlink()
        path.mkdir()
        (path / "precious").touch()
        one.look()
        await until(lambda: one.refused)
        two.edited(BAR)
        await until(lambda: one.in_force() == BAR)
        with pytest.raises(HostError, match="not a regular file"):
            await one.set_wish(Wish("foo", "stop"))
        assert (path / "precious").exists()
        assert one.refused
        (path / "precious").unlink()
        path.rmdir()
        one.look()
        await until(lambda: one.agrees(BAR) and not one.refused)


@pytest.mark.root("only root can give a file away")
async def test_the_file_of_a_stranger_is_refused_and_his_copy_is_warned_of(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        path = one.directory / HACTL
        os.chown(path, 12345, -1)
        one.look()
        await until(lambda: one.tables.warnings)
        words = "it belongs to uid 12345, which is neither root nor mosha's user; chown root it"
        assert one.tables.warnings == (f"{path}: {words}",)
        assert not one.refused
        one.edited(BAR)
        await until(lambda: one.refused)
        assert one.refused == f"{path}: {words}"
        os.chown(path, 0, -1)
        one.look()
        await until(lambda: one.agrees(BAR) and not one.refused)


async def test_what_a_peer_has_and_this_node_cannot_read_is_passed_over(
    cluster: Cluster, three: list[Host]
) -> None:
    # A peer of another version of mosha, say, that knows more than this one.
    one, two, third = three
    odd = two.edit("foo start colour=red\n").read_bytes()
    version = version_of(odd, time.time_ns())
    third.edit(FOO, age_s=60)
    async with cluster.running():
        one.life.hears(2, {HACTL: version})
        one.life.hears(3, third.tables.versions)
        await until(lambda: one.in_force() == FOO and one.refused)
        assert f"{two.directory / HACTL}:1:11: unknown option: 'colour=red'" in one.refused
        one.life.hears(2, third.tables.versions)
        await until(lambda: not one.refused)


def test_a_file_that_denies_being_read_is_told_with_its_remedy(one: Host) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied")
    assert _unreadable(denied) == ("it cannot be read: permission denied; chmod u+r, or chown root")
    assert _unreadable(OSError(errno.EIO, "Input/output error")) is None
    assert read_table(one.directory / HACTL, HACTL).distrust == ""


def test_an_edit_that_came_in_between_is_not_written_over(one: Host) -> None:
    path = one.directory / HACTL
    judged = read_table(path, HACTL).version
    one.edit(BAR)
    assert not replace_table(path, judged, Text(version_of(b"", 0), b""))
    assert not replace_table(path, None, Text(version_of(b"", 0), b""))
    assert one.own() == BAR
    new = Text(version_of(FOO.encode(), NS_PER_S), FOO.encode())
    assert replace_table(path, read_table(path, HACTL).version, new)
    assert one.own() == FOO
    assert path.stat().st_mtime_ns == NS_PER_S


# --- gone, empty, half written ----------------------------------------------------------------


async def test_a_file_that_was_removed_is_written_back(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        (one.directory / HACTL).unlink()
        one.look()
        await until(lambda: one.agrees(FOO))
        mtime_ns = (one.directory / HACTL).stat().st_mtime_ns
        assert mtime_ns == one.tables.versions[HACTL].mtime_ns


async def test_a_directory_that_is_gone_is_not_made_anew(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        moved = one.directory.rename(cluster.base / "elsewhere")
        one.look()
        await until(lambda: one.tables.warnings)
        assert "cannot be read: No such file or directory" in one.tables.warnings[0]
        assert one.tables.hactl
        assert not one.directory.exists()
        moved.rename(one.directory)
        one.look()
        await until(lambda: not one.tables.warnings)


async def test_an_empty_hactl_is_what_it_says_and_is_warned_of(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        with capture_logs() as logs:
            one.edited("# nothing for now\n")
            await until(lambda: one.agrees("# nothing for now\n"))
        assert one.tables.hactl
        assert one.tables.hactl.wishes == {}
        history = one.state / "history"
        assert one.tables.warnings == (f"hactl is empty now; what it said is in {history}",)
        assert "table_emptied" in {log["event"] for log in logs}
        one.edited(FOO)
        await until(lambda: one.agrees(FOO) and not one.tables.warnings)


async def test_a_file_that_is_written_slowly_is_never_taken_in_parts(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        with (one.directory / HACTL).open("wb", buffering=0) as file:
            look = asyncio.create_task(one.looked())
            for part in (b"bar", b" start\n", b"foo st", b"art\n"):
                for _turn in range(50):  # the reader is at it meanwhile
                    await asyncio.sleep(0)
                file.write(part)
        await look
        one.look()
        await until(lambda: one.agrees(BAR + FOO))
        assert {len(tables.hactl.wishes) for tables in one.adopted if tables.hactl} <= {1, 2}
        assert all(not tables.refused for tables in one.adopted)
        assert len(one.history()) == 2
