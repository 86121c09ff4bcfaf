"""Edits of one moment on several nodes: all are kept, and of one group the later one."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from mosha.core.replication.judging import CLTAB, HACTL
from mosha.core.tables import Wish
from tests.monitor.table_cluster import Cluster, Host
from tests.waiting import until

GROUPS = ("a", "b", "c")
ENTRIES = "".join(f"{group}:{group}1:start:respawn:exec sleep 60\n" for group in GROUPS)
WISHES = "".join(f"{group} start\n" for group in GROUPS)
SPARE_S = 5.0


@pytest.fixture
async def three(tmp_path: Path) -> tuple[Cluster, list[Host]]:
    cluster = Cluster(tmp_path)
    hosts = [cluster.add(number) for number in (1, 2, 3)]
    hosts[0].edit(ENTRIES, CLTAB, age_s=60)
    hosts[0].edit(WISHES, age_s=60)
    return cluster, hosts


async def settled(hosts: list[Host], name: str = HACTL) -> str:
    """Wait until all nodes have one text; return it."""

    def one_text() -> bool:
        text = hosts[0].own(name)
        return text is not None and all(host.agrees(text, name) for host in hosts)

    await until(one_text)
    return hosts[0].in_force(name) or ""


async def test_edits_of_different_groups_on_three_nodes_are_all_kept(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        async with anyio.create_task_group() as tasks:
            for host, group in zip(hosts, GROUPS, strict=True):
                tasks.start_soon(host.set_wish, Wish(group, "stop"))
        await until(lambda: all((h.in_force() or "").count("stop") == 3 for h in hosts))
        text = await settled(hosts)
        assert sorted(text.splitlines()) == ["a stop", "b stop", "c stop"]
        assert all(host.tables.warnings == () for host in hosts)


async def test_edits_by_hand_of_both_tables_are_joined_too(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        await cluster.agree(ENTRIES, CLTAB)
        one, other, _ = hosts
        one.edit(WISHES.replace("a start", "a stop"))
        other.edit("# by hand\n" + WISHES.replace("b start", "b stop"))
        one.edit(ENTRIES + "a:a2:start:once:true\n", CLTAB)
        other.edit(ENTRIES + "b:b2:start:once:true\n", CLTAB)
        for host in hosts:
            host.look()
        await until(lambda: (hosts[2].in_force() or "").count("stop") == 2)
        await until(lambda: (hosts[2].in_force(CLTAB) or "").count("once") == 2)
        text = await settled(hosts)
        assert text == "# by hand\na stop\nb stop\nc start\n"
        assert len((await settled(hosts, CLTAB)).splitlines()) == 5


async def test_of_two_edits_of_one_group_the_later_holds_and_the_loser_is_told(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        first = WISHES.replace("a start", "a start only=1")
        hosts[0].edit(first, age_s=2)
        hosts[1].edit(WISHES.replace("a start", "a stop"), age_s=1)
        for host in hosts[:2]:
            host.look()
        await until(lambda: any("lost" in line or "a was" in line for line in warnings(hosts)))
        text = await settled(hosts)
        assert "a stop\n" in text
        # Each node that joined the two says so, and where it keeps the text.
        told = {line for line in warnings(hosts) if "at once" in line}
        histories = {host.state / "history" for host in hosts}
        for line in told:
            assert "hactl: a was edited on two nodes at once; the later edit holds" in line
            assert Path(line.rpartition(" ")[2]).parent in histories
        assert told
        assert first in hosts[0].history()


def warnings(hosts: list[Host]) -> list[str]:
    return [line for host in hosts for line in host.tables.warnings]


async def test_an_edit_beside_a_newer_version_that_is_on_its_way_here_is_kept(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    one, other, _ = hosts
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        async with other.own_directory_hangs():  # its own file is still the old one
            await one.set_wish(Wish("a", "stop"))
            version = one.tables.versions[HACTL]
            await until(lambda: other.has(version))
            # Saved a moment before: it is older than what is in force by now.
            other.edit(WISHES.replace("b start", "b stop"), age_s=SPARE_S)
        other.look()
        await until(lambda: (one.in_force() or "").count("stop") == 2)
        assert await settled(hosts) == "a stop\nb stop\nc start\n"
        assert other.history(".discarded") == []


async def test_a_file_that_only_got_another_time_is_no_edit_of_that_moment(
    three: tuple[Cluster, list[Host]],
) -> None:
    """As `cp` of the text in force over it does, which is the remedy for a text that is refused."""
    cluster, hosts = three
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        hosts[1].edited(WISHES, age_s=2)
        hosts[2].edited(WISHES.replace("a start", "a stop"), age_s=1)
        assert await settled(hosts) == "a stop\nb start\nc start\n"
        assert warnings(hosts) == []
        assert hosts[1].history(".discarded") == []


async def test_an_edit_that_another_one_has_too_is_not_put_aside(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    one, other = hosts[:2]
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        async with other.own_directory_hangs():
            one.edited(WISHES.replace("start", "stop", 2))
            await until(lambda: (one.in_force() or "").count("stop") == 2)
            cluster.heartbeat()
            version = one.tables.versions[HACTL]
            await until(lambda: other.has(version))
            other.edit(WISHES.replace("start", "stop", 1), age_s=SPARE_S)
        other.look()
        assert await settled(hosts) == "a stop\nb stop\nc start\n"
        assert warnings(hosts) == []
        assert other.history(".discarded") == []


async def test_two_new_entries_with_one_tag_are_no_table_and_the_loser_is_told(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    async with cluster.running():
        cluster.connect()
        await cluster.agree(ENTRIES, CLTAB)
        hosts[0].edit(ENTRIES + "a:same:start:once:true\n", CLTAB, age_s=2)
        hosts[1].edit(ENTRIES + "b:same:start:once:true\n", CLTAB, age_s=1)
        for host in hosts[:2]:
            host.look()
        await until(lambda: any("all of it was edited" in line for line in warnings(hosts)))
        assert "b:same" in await settled(hosts, CLTAB)


async def test_a_node_that_was_away_brings_nothing_back(
    three: tuple[Cluster, list[Host]],
) -> None:
    cluster, hosts = three
    async with cluster.running():
        cluster.connect()
        await cluster.agree(WISHES)
        away = hosts[2]
        for host in hosts:
            host.hears = [h for h in hosts if away not in (h, host) and h is not host]
        for level in ("stop", "other", "start", "stop"):
            await hosts[0].set_wish(Wish("a", level), force=True)
        cluster.connect()
        text = await settled(hosts)
        assert text == WISHES.replace("a start", "a stop")
        assert warnings(hosts) == []
