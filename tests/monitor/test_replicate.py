"""Tables edited anywhere become the same everywhere, and so do wishes set from a program."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from mosha.core.replication.judging import CLTAB, HACTL, NS_PER_S, TABLES, version_of
from mosha.core.tables import Cltab, Wish
from mosha.errors import HostError, UsageError
from mosha.formats.hactl import parse_change, parse_hactl
from mosha.monitor.tables.wish_edits import Done, Remarks
from tests.monitor.table_cluster import BAR, CLTAB_TEXT, FOO, Cluster, Host
from tests.waiting import until


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def three(cluster: Cluster) -> list[Host]:
    return [cluster.add(number) for number in (1, 2, 3)]


@pytest.fixture
def one(cluster: Cluster) -> Host:
    return cluster.add_one()


async def test_at_the_first_start_the_own_tables_come_into_force(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        (tables,) = one.adopted
        assert tables.hactl
        assert tables.cltab
        assert tables.hactl.level_of("foo") == "start"
        assert tables.cltab.groups() == ("foo", "bar")
        assert one.in_force(CLTAB) == CLTAB_TEXT
        mtime_ns = (one.directory / HACTL).stat().st_mtime_ns
        assert tables.versions[HACTL] == version_of(FOO.encode(), mtime_ns)
        assert (tables.refused, tables.warnings) == ({}, ())


async def test_without_any_table_the_node_says_so_and_goes_on(
    cluster: Cluster, three: list[Host]
) -> None:
    async with cluster.running():
        cluster.connect()
        assert three[0].tables.missing == {name: str(three[0].directory / name) for name in TABLES}
        three[2].edited(FOO)
        await cluster.agree(FOO)


async def test_a_table_that_is_there_and_refused_is_not_called_missing(
    cluster: Cluster, three: list[Host]
) -> None:
    async with cluster.running():
        cluster.connect()
        three[0].edited("web:w:start:respwan:sleep 9\n", CLTAB)
        await until(lambda: CLTAB in three[0].tables.refused)
        assert three[0].tables.missing.keys() == {HACTL}


@pytest.mark.parametrize("name", TABLES)
async def test_an_edit_in_any_directory_comes_into_force_everywhere_with_its_time(
    cluster: Cluster, three: list[Host], name: str
) -> None:
    async with cluster.running():
        cluster.connect()
        for turn, host in enumerate(three):
            text = CLTAB_TEXT + f"# {turn}\n" if name == CLTAB else f"foo start # {turn}\n"
            host.edited(text, name)
            await cluster.agree(text, name)
            times = {(it.directory / name).stat().st_mtime_ns for it in three}
            assert times == {host.tables.versions[name].mtime_ns}


async def test_of_concurrent_edits_the_newest_wins_and_the_others_are_kept(
    cluster: Cluster, three: list[Host]
) -> None:
    async with cluster.running():
        for age_s, host in zip((30, 10, 20), three, strict=True):
            host.edited(f"foo start # {age_s}\n", age_s=age_s)
        await until(lambda: all(HACTL in host.tables.versions for host in three))
        cluster.connect()
        await cluster.agree("foo start # 10\n")
        assert "foo start # 30\n" in three[0].history()
        assert "foo start # 20\n" in three[2].history()


async def test_two_texts_of_the_same_time_end_as_one(cluster: Cluster, three: list[Host]) -> None:
    mtime_ns = time.time_ns() - 60 * NS_PER_S
    for host, text in zip(three, (FOO, BAR, FOO), strict=True):
        os.utime(host.edit(text), ns=(mtime_ns, mtime_ns))
    async with cluster.running():
        cluster.connect()
        first, second = (version_of(text.encode(), mtime_ns) for text in (FOO, BAR))
        await cluster.agree(FOO if first.order > second.order else BAR)


async def test_edits_all_over_the_place_end_with_the_same_tables(
    cluster: Cluster, three: list[Host]
) -> None:
    rng = random.Random(20)  # noqa: S311 - any order will do, but the same each time
    async with cluster.running():
        cluster.connect()
        for turn in range(12):
            rng.choice(three).edited(f"foo start # {turn}\n")
            await anyio.lowlevel.checkpoint()
            if rng.random() < 0.3:
                cluster.heartbeat()
        three[1].edited(BAR)
        await cluster.agree(BAR)
        assert all(host.refused == "" for host in three)


async def test_a_node_that_comes_later_takes_what_is_in_force(
    cluster: Cluster, three: list[Host]
) -> None:
    three[0].edit(FOO)
    three[1].edit(BAR, age_s=99)
    async with cluster.running():
        cluster.connect()
        await cluster.agree(FOO)


async def test_a_peer_that_is_not_fresh_is_not_asked(cluster: Cluster, three: list[Host]) -> None:
    three[0].edit(FOO, age_s=60)
    three[1].edit(BAR)
    async with cluster.running():
        one, two, _three = three
        one.life.hears(2, two.tables.versions, fresh=False)
        await one.life.rest()
        assert one.in_force() == FOO
        one.life.hears(2, two.tables.versions)
        await until(lambda: one.in_force() == BAR)


async def test_a_version_is_taken_when_the_file_of_the_peer_shows_it(
    cluster: Cluster, three: list[Host]
) -> None:
    one, two, _three = three
    two.edit(FOO)
    version = version_of(BAR.encode(), time.time_ns())
    async with cluster.running():
        with capture_logs() as logs:
            one.life.hears(2, {HACTL: version})
            await until(lambda: logs)
            assert (logs[0]["event"], logs[0]["origin"]) == ("table_fetch_failed", 2)
            two.edit(BAR)
            one.life.hears(2, {HACTL: version})
            await until(lambda: one.tables.versions.get(HACTL) == version)
        assert [log["event"] for log in logs].count("table_fetch_failed") == 1


async def test_what_is_in_force_is_found_though_its_file_has_a_refused_text_now(
    cluster: Cluster, three: list[Host]
) -> None:
    one, two, three_ = three
    beside = one.directory / f".{HACTL}.in-force"
    one.edit(FOO)
    async with cluster.running():
        assert one.agrees(FOO)  # and no other node has heard of it
        one.edited("foo\n")
        await until(lambda: one.refused and beside.exists())
        cluster.connect()
        await until(lambda: two.agrees(FOO) and three_.agrees(FOO))
        assert (one.in_force(), one.own()) == (FOO, "foo\n")
        one.edited(BAR)
        await until(lambda: not beside.exists() and one.agrees(BAR))


async def test_the_same_text_at_a_later_time_needs_no_fetching(cluster: Cluster, one: Host) -> None:
    later = version_of(FOO.encode(), time.time_ns())
    async with cluster.running():
        one.life.hears(9, {HACTL: later})  # node 9 has no directory
        await until(lambda: one.tables.versions[HACTL] == later)
        assert one.in_force() == FOO


async def test_a_peer_that_hangs_costs_only_itself(cluster: Cluster) -> None:
    one = cluster.add(1, limit_s=0.1)
    three = cluster.add(3)
    three.edit(FOO)
    release = threading.Event()
    async with cluster.running():
        hung = one.life.ports.peer(2)
        with pytest.raises(HostError):
            await hung.call(release.wait, limit_s=0.01)
        version = three.tables.versions[HACTL]
        one.life.hears(2, {HACTL: version})
        one.life.hears(3, {HACTL: version})
        await until(lambda: one.agrees(FOO))
        assert hung.busy
        # It was asked in vain once, so from now on it is asked last.
        later = version_of(BAR.encode(), version.mtime_ns + 1)
        one.life.hears(2, {HACTL: later})
        one.life.hears(3, {HACTL: later})
        assert one.life.tables.replica(HACTL).peers._choose(set()) == 3
        release.set()


async def test_while_the_own_directory_hangs_the_peers_are_still_heard(cluster: Cluster) -> None:
    one = cluster.add(1, limit_s=0.1)
    two = cluster.add(2)
    two.edit(FOO)
    release = threading.Event()
    async with cluster.running():
        with pytest.raises(HostError):
            await one.life.ports.own.call(release.wait, limit_s=0.01)
        cluster.connect()
        await until(lambda: one.in_force() == FOO)
        hung = f"{one.directory / HACTL}: cannot be read: no answer from the file system"
        await until(lambda: hung in one.tables.warnings)
        with pytest.raises(HostError, match="no answer"):
            await one.set_wish(Wish("foo", "stop"))
        release.set()
        cluster.heartbeat()
        await until(lambda: one.agrees(FOO) and hung not in one.tables.warnings)


# --- mosha set ------------------------------------------------------------------------------------


async def test_a_wish_is_set_everywhere_and_the_comments_stay(
    cluster: Cluster, three: list[Host]
) -> None:
    three[0].edit(CLTAB_TEXT, CLTAB)
    three[0].edit("# ours\nfoo start # mine\n", age_s=-30)  # the clock of its host is ahead
    async with cluster.running():
        cluster.connect()
        await cluster.agree("# ours\nfoo start # mine\n")
        await cluster.agree(CLTAB_TEXT, CLTAB)
        said = await three[1].set_wish(Wish("foo", "stop", prefer=(2, 3)))
        assert said == Done("foo stop prefer=2,3", (1, 2, 3))
        await cluster.agree("# ours\nfoo stop prefer=2,3 # mine\n")
        said = await three[2].set_wish(Wish("foo", "stop", prefer=(2, 3)))
        assert said == Done("foo stop prefer=2,3", (1, 2, 3), changed=False)


async def test_where_a_wish_is_said_to_be_in_force_its_file_shows_it(
    cluster: Cluster, three: list[Host]
) -> None:
    three[0].edit(CLTAB_TEXT, CLTAB, age_s=60)
    three[0].edit(FOO, age_s=60)
    async with cluster.running():
        cluster.connect()
        await cluster.agree(FOO)
        await cluster.agree(CLTAB_TEXT, CLTAB)
        for level in ("stop", "start"):
            done = await three[0].set_wish(Wish("foo", level))
            assert done.nodes == (1, 2, 3)
            assert [host.own() for host in three] == [f"foo {level}\n"] * 3


async def test_the_first_wish_of_all_waits_for_those_who_have_no_table_yet(
    cluster: Cluster, three: list[Host]
) -> None:
    three[0].edit(CLTAB_TEXT, CLTAB, age_s=60)
    async with cluster.running():
        cluster.connect()
        await cluster.agree(CLTAB_TEXT, CLTAB)
        done = await three[0].set_wish(Wish("foo", "start"))
        assert done.nodes == (1, 2, 3)


async def test_a_wish_can_be_the_first_line_of_all(cluster: Cluster) -> None:
    one = cluster.add(1)
    async with cluster.running():
        await one.set_wish(Wish("foo", "stop"))
        assert one.agrees("foo stop\n")


async def test_what_cltab_lacks_is_no_wish_unless_it_is_forced(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        for wish, words in (
            (Wish("fooo", "start"), "no group 'fooo'; did you mean 'foo'? its groups are bar, foo"),
            (Wish("fooo", "stop"), "cltab has no group 'fooo'; did you mean 'foo'?"),
            (Wish("foo", "strat"), "no entry of foo is for level strat: nothing of it would run"),
            (Wish("foo", "strat"), "did you mean 'start'? its levels are start"),
        ):
            with pytest.raises(UsageError) as raised:
                await one.set_wish(wish)
            assert words in str(raised.value)
        assert one.agrees("foo start\n")
        for level in ("plan", "stop", "start"):
            await one.set_wish(Wish("foo", level))
        await one.set_wish(Wish("fooo", "start"), force=True)
        await one.set_wish(Wish("fooo", "stop"))  # hactl has it
        assert one.agrees("foo start\nfooo stop\n")
        (line,) = Remarks().on(one.tables.hactl, one.tables.cltab)
        assert line == (
            "hactl:2: cltab has no group 'fooo'; did you mean 'foo'? its groups are bar, foo; add"
            " it to cltab, or take its line out of hactl"
        )


def test_without_a_cltab_no_line_of_hactl_is_in_doubt() -> None:
    hactl = parse_hactl(b"foo start\n", "hactl")
    assert Remarks().on(hactl, None) == ()
    assert Remarks().on(hactl, Cltab(())) != ()


async def test_a_level_that_nobody_knows_is_a_problem_in_status(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        one.edited("foo strat\n")
        await until(lambda: one.agrees("foo strat\n"))
        (warning,) = one.tables.warnings
        assert warning == (
            "hactl:1: no entry of foo is for level strat: nothing of it would run; "
            "did you mean 'start'? its levels are start"
        )


async def test_of_many_lines_that_are_hardly_meant_the_first_and_their_number_are_told(
    cluster: Cluster, one: Host
) -> None:
    async with cluster.running():
        one.edited("".join(f"nosuch{number} start\n" for number in range(1, 9)))
        await until(lambda: one.tables.warnings)
        *lines, rest = one.tables.warnings
        assert [line.partition(":")[2][0] for line in lines] == list("12345")
        assert rest == "hactl: and 3 more lines of this kind"


async def test_a_wish_that_reaches_no_other_node_is_known_to_be_here_alone(
    cluster: Cluster, three: list[Host]
) -> None:
    one, two, _third = three
    one.edit(CLTAB_TEXT, CLTAB, age_s=60)
    one.edit(FOO, age_s=60)
    one.life.tables._edits.spread_s = 0.5
    async with cluster.running():
        cluster.connect()
        await cluster.agree(FOO)
        two.hears = three[2].hears = []
        done = await one.set_wish(Wish("foo", "stop"))
        assert done == Done("foo stop", (1,))
        two.hears = [one]
        assert (await one.set_wish(Wish("bar", "start"))).nodes == (1, 2)


async def test_options_that_are_not_named_stay(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        for words, line in (
            ("foo start prefer=2 failback=yes", "foo start prefer=2 failback=yes"),
            ("foo start only=2,3", "foo start prefer=2 only=2,3 failback=yes"),
            ("foo stop", "foo stop prefer=2 only=2,3 failback=yes"),
            ("foo start prefer=any", "foo start only=2,3 failback=yes"),
            ("foo start only=any failback=no", "foo start"),
        ):
            done = await one.set_wish(parse_change(words.split()))
            assert done.line == line
            assert one.agrees(f"{line}\n")


async def test_a_wish_is_set_in_the_newest_text_even_if_nobody_has_looked_at_it_yet(
    cluster: Cluster, three: list[Host]
) -> None:
    one, two, _third = three
    one.edit(CLTAB_TEXT, CLTAB)
    two.edit(BAR, age_s=10)
    async with cluster.running():
        one.hears, two.hears = [two], [one]
        one.life.hears(2, two.tables.versions)
        await one.set_wish(Wish("foo", "start"))
        assert one.agrees(BAR + FOO)
        one.edit("# a moment ago\n" + BAR)
        await one.set_wish(Wish("foo", "stop"))
        assert one.agrees("# a moment ago\nbar start\nfoo stop\n")


async def test_a_wish_is_not_written_over_a_refused_file(cluster: Cluster, one: Host) -> None:
    async with cluster.running():
        one.edit("foo\n")
        with pytest.raises(HostError, match="nothing is written over it: correct it"):
            await one.set_wish(Wish("bar", "start"))
        assert one.own() == "foo\n"


async def test_wishes_set_at_once_are_all_there(cluster: Cluster, one: Host) -> None:
    groups = [f"g{number}" for number in range(5)]
    async with cluster.running():
        wishes = [Wish(group, "stop") for group in groups]
        await asyncio.gather(*(one.set_wish(w, force=True) for w in wishes))
        assert sorted((one.own() or "").splitlines()[1:]) == [f"{group} stop" for group in groups]
