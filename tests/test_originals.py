"""Statements about the originals that take several parts (docs/reference/original.md)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.cluster import Cluster
from tests.waiting import wait_until

CLINIT = [sys.executable, "-m", "mosha.cli.clinit"]

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
