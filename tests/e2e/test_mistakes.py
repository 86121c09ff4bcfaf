"""What a user or a host can get wrong: a clear message, the right exit status, nothing lost.

Issue: unknown mode, duplicate tag, missing fields, unknown group in hactl … One test each,
with real processes; the same mistakes are tested in the formats, word by word.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from mosha.control.protocol import SetWish
from mosha.formats.clstat import render_clstat
from mosha.host.files import write_atomically
from tests.e2e.cluster import Cluster
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.cluster import Node

GOOD_CLTAB = "a:a-main:start:respawn:sleep 1000\n"
GOOD_HACTL = "a start\n"


def run(*words: object, limit_s: float = 20.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mosha.cli.main", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=limit_s,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@pytest.fixture
def alone(short_dir: Path) -> Iterator[Cluster]:
    """A cluster of one node."""
    with Cluster(short_dir, size=1) as made:
        yield made


BAD_CLTABS = {
    "unknown mode": (b"a:t:start:sometimes:x\n", "cltab:1:11: unknown mode"),
    "duplicate tag": (b"a:t:start:wait:x\nb:t:start:wait:y\n", "entry has duplicate tag: t"),
    "missing fields": (b"a:t:start\n", "cltab:1:10: mode and command missing"),
    "not UTF-8": (b"\xff\xfe\n", "cltab:1:1: not UTF-8"),
    "a line too long": (b"a:t:start:wait:" + b"x" * 100_000 + b"\n", "the line is too long"),
}


def test_a_bad_cltab_is_refused_and_the_last_good_one_stays(alone: Cluster) -> None:
    node = alone.nodes[1]
    file = node.directory / "cltab"
    file.write_text(good := GOOD_CLTAB)
    (node.directory / "hactl").write_text(GOOD_HACTL)
    node.start()
    alone.wait_running(("a",))
    pids = node.pids()
    for name, (cltab, words) in BAD_CLTABS.items():
        file.write_bytes(cltab)
        assert words in wait_until(lambda: _refusal(node, "cltab")), name
        assert any("cltab" in problem for problem in node.report().problems), name
        assert node.pids() == pids, name
        assert file.read_bytes() == cltab, f"{name}: the user's text is not touched"
        assert (node.rundir / "state/cltab").read_text() == good, name
        assert run("status", "--config", node.config).returncode == 1, name
        file.write_text(good := f"{good}# after {name}\n")
        wait_until(lambda: not node.report().refused)
    assert node.pids() == pids


def _refusal(node: Node, name: str) -> str:
    return next((r.text for r in node.report().refused if name in r.file), "")


BAD_HACTLS = {
    "no level": ("a\n", "level"),
    "bad node": ("a start prefer=x\n", "hactl:1:16: not a node number"),
    "unknown option": ("a start colour=red\n", "colour"),
}


def test_a_bad_hactl_is_refused_and_the_last_good_one_stays(alone: Cluster) -> None:
    node = alone.nodes[1]
    file = node.directory / "hactl"
    (node.directory / "cltab").write_text(GOOD_CLTAB)
    file.write_text(good := GOOD_HACTL)
    node.start()
    alone.wait_running(("a",))
    for name, (hactl, words) in BAD_HACTLS.items():
        file.write_text(hactl)
        assert words in wait_until(lambda: _refusal(node, "hactl")), name
        assert alone.places() == {"a": [1]}, name
        file.write_text(good := f"{good}# after {name}\n")
        wait_until(lambda: not node.report().refused)
    assert alone.places() == {"a": [1]}


def test_a_group_that_cltab_lacks_is_named_with_its_remedy(alone: Cluster) -> None:  # H4.6
    node = alone.nodes[1]
    (node.directory / "cltab").write_text(GOOD_CLTAB)
    (node.directory / "hactl").write_text(GOOD_HACTL + "ghost start\n")
    node.start()
    alone.wait_running(("a",))
    ghost = next(g for g in node.report().groups if g.group == "ghost")
    assert "cltab has no group ghost" in ghost.why
    assert "add ghost to cltab" in ghost.next
    assert not node.ask(SetWish(group="spectre", level="start")).ok


def test_without_tables_the_node_waits_and_says_so(alone: Cluster) -> None:  # H4.5, H4.7
    node = alone.nodes[1]
    node.start()
    wait_until(node.answers)
    assert run("status", "--config", node.config).returncode in (0, 1)
    (node.directory / "cltab").write_text(GOOD_CLTAB)
    (node.directory / "hactl").write_text(GOOD_HACTL)
    alone.wait_running(("a",))


def test_an_empty_hactl_stops_everything_and_an_old_version_is_kept(alone: Cluster) -> None:
    node = alone.nodes[1]
    (node.directory / "cltab").write_text(GOOD_CLTAB)
    (node.directory / "hactl").write_text(GOOD_HACTL)
    node.start()
    alone.wait_running(("a",))
    (node.directory / "hactl").write_text("")
    wait_until(lambda: alone.places() == {})
    kept = [p.read_text() for p in (node.rundir / "state/history").iterdir()]
    assert GOOD_HACTL in kept


@pytest.mark.root("only root may give a file to another user")
def test_a_cltab_of_a_stranger_or_writable_by_all_is_refused(alone: Cluster) -> None:
    node = alone.nodes[1]
    cltab = node.directory / "cltab"
    cltab.write_text(GOOD_CLTAB)
    (node.directory / "hactl").write_text(GOOD_HACTL)
    node.start()
    alone.wait_running(("a",))
    cltab.write_text(GOOD_CLTAB + "# edited\n")
    os.chown(cltab, 12345, -1)
    assert "chown" in wait_until(lambda: _refusal(node, "cltab"))
    os.chown(cltab, 0, -1)
    cltab.chmod(0o666)
    wait_until(lambda: "chmod" in _refusal(node, "cltab"))
    assert (node.rundir / "state/cltab").read_text() == GOOD_CLTAB


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        ("timeuot = 3\n", 2, ("timeuot", "timeout")),
        ('timeout = "long"\n', 2, ("timeout",)),
        ("timeout = 2\nlease = 1.9\n", 2, ("lease",)),
        ("timeout = \n", 2, (".toml:1",)),
        ('mynode = 1\nrundir = "/run/' + "x" * 120 + '"\n', 2, ("socket", "107")),
        ('mwhois = "false"\n', 2, ("mynode",)),
    ],
    ids=["unknown key", "wrong type", "unsafe times", "bad TOML", "long socket", "no number"],
)
def test_bad_settings_end_the_start_with_a_clear_message(
    short_dir: Path, text: str, status: int, words: tuple[str, ...]
) -> None:
    config = short_dir / "mosha.toml"
    config.write_text(text)
    done = run("run", "--config", config)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_a_directory_that_cannot_be_made_is_named(short_dir: Path) -> None:
    (short_dir / "file").write_text("")
    config = short_dir / "mosha.toml"
    config.write_text(f'mynode = 1\nmfsbase = "{short_dir}/file"\nrundir = "{short_dir}/r"\n')
    done = run("run", "--config", config)
    assert done.returncode == 1
    assert f"{short_dir}/file" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_monitor_in_the_same_rundir_is_refused(alone: Cluster) -> None:
    node = alone.nodes[1]
    alone.write_tables(("a",))
    node.start()
    alone.wait_running(("a",))
    done = run("run", "--config", node.config)
    assert done.returncode in (1, 2)
    assert "another mosha monitor" in done.stderr
    assert alone.places() == {"a": [1]}


def _has_started(node: Node, times: int) -> bool:
    return len(node.events("monitor_started")) == times


def test_a_clstat_of_an_earlier_life_that_is_put_back_ends_nothing(alone: Cluster) -> None:
    """As a snapshot of the file system does that is older than the last restarts of the monitor."""
    node = alone.nodes[1]
    alone.write_tables(("a",))
    node.start()
    alone.wait_running(("a",))
    clstat, former = node.directory / "clstat", node.status()
    backup = clstat.read_bytes()
    assert former is not None
    for restart in range(2):
        node.signal(signal.SIGUSR1)
        assert node.monitor is not None
        assert node.monitor.wait() == -signal.SIGUSR1  # nobody has asked the node to leave
        node.start()
        wait_until(partial(_has_started, node, restart + 2))
        wait_until(lambda: clstat.read_bytes() != backup and node.report().as_wanted)
    pids = node.pids()
    write_atomically(clstat, backup)
    wait_until(lambda: node.events("writes_lost"))
    wait_until(lambda: (now := node.status()) and now.run != former.run)
    problems = " ".join(node.report().problems)
    assert "was set back to that of an earlier run" in problems
    assert node.events("namesake_found") == []
    assert node.pids() == pids
    assert node.monitor is not None
    assert node.monitor.poll() is None


def test_a_namesake_is_refused_and_the_first_node_goes_on(alone: Cluster) -> None:
    node = alone.nodes[1]
    alone.write_tables(("a",))
    node.start()
    alone.wait_running(("a",))
    other = alone.base / "other.toml"
    other.write_text(node.config.read_text().replace(str(node.rundir), f"{alone.base}/other"))
    done = run("run", "--config", other)
    assert done.returncode in (1, 2)
    assert "number" in done.stderr
    assert "Traceback" not in done.stderr
    assert alone.places() == {"a": [1]}


def _torn(text: str) -> str:
    return text[: len(text) // 2]


def _from_another_version(text: str) -> str:
    return text.replace("version=1", "version=1000")


@pytest.mark.parametrize("spoil", [_torn, _from_another_version], ids=["torn", "other version"])
def test_a_status_that_cannot_be_used_is_named_and_changes_nothing(
    short_dir: Path, spoil: Callable[[str], str]
) -> None:
    with Cluster(short_dir) as cluster:
        cluster.write_tables(("a",))
        for number in (1, 2):
            cluster.nodes[number].start()
        cluster.wait_running(("a",), 1, 2)
        status = cluster.nodes[1].status()
        assert status is not None
        (cluster.nodes[3].directory / "clstat").write_text(spoil(render_clstat(status)))

        def told() -> str:
            views = {n.node: n for n in cluster.nodes[1].report().nodes}
            return views[3].error

        assert wait_until(told)
        assert len(cluster.places(1, 2)["a"]) == 1


@pytest.mark.root("mounting a small file system needs root")
def test_a_full_disk_is_told_and_the_node_goes_on_when_there_is_room(short_dir: Path) -> None:
    with Cluster(short_dir, size=1) as cluster:
        node = cluster.nodes[1]
        place = node.directory.parent
        subprocess.run(["/bin/mount", "-t", "tmpfs", "-o", "size=128k", "none", place], check=True)
        try:
            node.directory.mkdir()
            cluster.write_tables(("a",))
            node.start()
            cluster.wait_running(("a",))
            filler = node.directory / "filler"
            _fill(filler)
            wait_until(lambda: any("No space" in p for p in node.report().problems))
            filler.unlink()
            wait_until(lambda: not any("No space" in p for p in node.report().problems))
            cluster.wait_running(("a",))
        finally:
            node.kill()
            subprocess.run(["/bin/umount", place], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
