"""Statements about the originals that take several parts (docs/reference/original.md)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from msgspec.structs import replace

from mosha.core.status import GroupLine, GroupState
from mosha.formats.clstat import parse_clstat, render_clstat
from tests.e2e.cluster import Cluster, Node
from tests.waiting import wait_until

CLINIT = [sys.executable, "-m", "mosha.cli.clinit"]

HEARTBEATS = 10
"""Of the owner, while it reads what has to leave it cold."""

CLTAB = """\
web:shell:1:wait:/no/such/program; true
web:job:1:once:exec sleep 7702
web:next:2:wait:true
"""


class Alone:
    """A clinit used alone, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.clstat = directory / "clstat"
        self.log = directory / "log"
        cltab = directory / "cltab"
        cltab.write_text(CLTAB, encoding="utf-8")
        self._command = [*CLINIT, "-c", str(cltab), "-s", str(directory / "s")]
        with self.log.open("wb") as log:
            words = [*self._command, "-d", "--clstat", str(self.clstat)]
            self.process = subprocess.Popen(words, stderr=log)

    def tell(self, *words: str) -> None:
        subprocess.run([*self._command, *words], check=True, capture_output=True, timeout=30)

    def shows(self, text: str) -> bool:
        return self.clstat.exists() and self.clstat.read_text(encoding="utf-8") == text

    def logged(self, text: str) -> bool:
        return text in self.log.read_text(encoding="utf-8")


@pytest.fixture
def alone(short_dir: Path) -> Iterator[Alone]:
    """A clinit that ends with the test."""
    made = Alone(short_dir)
    try:
        wait_until(partial(made.logged, "clinit_started"))
        yield made
        made.tell("-k")
        assert made.process.wait(20) == 0
    finally:
        made.process.kill()  # whatever it had ends with it
        made.process.wait()


def test_c7_5_clstat_is_there_and_empty_before_the_first_tell(alone: Alone) -> None:
    wait_until(partial(alone.shows, ""))


def test_c3_16_a_program_that_the_shell_does_not_find_is_an_ordinary_end(alone: Alone) -> None:
    wait_until(partial(alone.shows, ""))
    alone.tell("web", "1")
    wait_until(partial(alone.shows, "Cluster::Init::Group web 1 DONE\n"))
    wait_until(partial(alone.logged, "/no/such/program"))
    wait_until(partial(alone.logged, '"status": "exit 0"'))


def test_c6_5_leaving_a_level_stops_a_once_entry_that_runs(alone: Alone) -> None:
    wait_until(partial(alone.shows, ""))
    alone.tell("web", "1")
    wait_until(partial(alone.shows, "Cluster::Init::Group web 1 DONE\n"))
    alone.tell("web", "2")
    wait_until(partial(alone.shows, "Cluster::Init::Group web 2 DONE\n"))
    assert alone.logged('"status": "signal 2"')


def test_h6_6_hup_reads_settings_and_tables_again_and_the_groups_go_on(short_dir: Path) -> None:
    with Cluster(short_dir, size=1) as cluster:
        node = cluster.nodes[1]
        cluster.write_tables(["a"])
        cluster.start()
        cluster.wait_running(["a"])
        before = wait_until(lambda: node.pids()["a"])
        node.config.write_text(node.config.read_text() + "ban = 7.0\n")
        node.signal(signal.SIGHUP)
        (event,) = wait_until(lambda: node.events("settings_reloaded"))
        assert event["text"] == "in force now: ban"
        assert node.pids()["a"] == before


def test_h5_24_another_hactl_stops_all_old_groups_and_starts_the_new_ones(short_dir: Path) -> None:
    with Cluster(short_dir) as cluster:
        cluster.write_tables(["a", "b", "c", "d"])
        hactl = cluster.nodes[2].directory / "hactl"
        (cluster.nodes[1].directory / "hactl").write_text("a start\nb start\n")
        cluster.start()
        cluster.wait_running(["a", "b"])
        hactl.write_text("c start\nd start\n")
        cluster.wait_running(["c", "d"])
        wait_until(lambda: set(cluster.places()) == {"c", "d"} and cluster.witness.exists())
        assert cluster.overlaps() == []


def fail_over(cluster: Cluster) -> tuple[Node, Node, bytes]:
    """End the owner of group `a` like a crash of its daemons; return it, the next one, its file."""
    cluster.write_tables(["a"])
    cluster.start()
    _, places = cluster.wait_running(["a"])
    (number,) = places["a"]
    dead = cluster.nodes[number]
    left_over = (dead.directory / "clstat").read_bytes()
    dead.kill()
    others = [other for other in cluster.nodes if other != number]
    _, places = cluster.wait_running(["a"], *others)
    return dead, cluster.nodes[places["a"][0]], left_over


def published(node: Node) -> int:
    """Return the number of a node's last status."""
    status = node.status()
    return status.seq if status is not None else 0


def test_h3_7_h3_8_a_dead_node_is_replaced_and_what_it_left_stops_nothing_however_new(
    short_dir: Path,
) -> None:
    with Cluster(short_dir) as cluster:
        dead, owner, left_over = fail_over(cluster)
        before, seq = wait_until(lambda: owner.pids()["a"]), published(owner)

        def written_often() -> bool:
            (dead.directory / "clstat").write_bytes(left_over)  # its time is now
            return published(owner) > seq + HEARTBEATS

        wait_until(written_often)
        assert owner.pids()["a"] == before
        states = {it.node: it.state for it in owner.report().nodes}
        assert states[dead.number] == "stale"
        assert cluster.overlaps() == []


def test_h5_14_a_node_that_runs_a_group_does_not_stop_it_for_one_that_only_plans_it(
    short_dir: Path,
) -> None:
    with Cluster(short_dir) as cluster:
        dead, owner, left_over = fail_over(cluster)
        before = wait_until(lambda: owner.pids()["a"])
        last = parse_clstat(left_over)
        term = max(last.terms["a"].known, owner.report().groups[0].instances[0].claim_term or 0)
        numbers = count(last.seq + 1000)

        def plans() -> bool:
            """Publish that it plans the group, and say whether the owner has read it."""
            line = GroupLine("plan", GroupState.DONE)
            now = replace(last, seq=next(numbers), groups={"a": line}, claims={"a": term + 1})
            (dead.directory / "clstat").write_text(render_clstat(now))
            (view,) = owner.report().groups
            return any((it.node, it.level) == (dead.number, "plan") for it in view.instances)

        wait_until(plans)
        seq = published(owner)
        wait_until(lambda: plans() and published(owner) > seq + HEARTBEATS)
        assert owner.pids()["a"] == before
        assert cluster.overlaps() == []
