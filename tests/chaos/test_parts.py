"""The chaos itself: a seed is a schedule, faults do what they say, verdicts can fail."""

from __future__ import annotations

import errno
import itertools
import os
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mosha.cli.demo import processes
from mosha.host.files import read_facts, read_file, write_atomically
from tests.chaos import verdict
from tests.chaos.edits import Book, Wish
from tests.chaos.machines import Machine
from tests.chaos.schedule import Equipment, kinds, make_faults, make_world
from tests.chaos.views import Views, missing
from tests.e2e.cluster import Cluster
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


EVERYTHING = Equipment(fuse=True, cgroups=True, disks=True, pids=True, root=True)


# --- the schedule ------------------------------------------------------------------


def test_a_seed_stands_for_one_world_and_one_list_of_faults() -> None:
    for seed in range(20):
        world = make_world(seed, EVERYTHING)
        assert world == make_world(seed, EVERYTHING)
        faults = make_faults(world, 120.0)
        assert faults == make_faults(world, 120.0)
        assert all(0 <= fault.at <= fault.until <= 120.0 for fault in faults)


def test_a_long_run_has_every_kind_of_fault() -> None:
    for seed in range(20):
        world = make_world(seed, EVERYTHING)
        assert {fault.kind for fault in make_faults(world, 600.0)} == set(kinds(world))


def test_without_fuse_no_fault_of_a_file_system_is_planned() -> None:
    world = make_world(1, Equipment(fuse=False))
    planned = {fault.kind for fault in make_faults(world, 600.0)}
    assert "kill_node" in planned
    assert not planned & {"delay", "freeze", "fail", "stale", "old", "torn", "partition"}


# --- the file system that lies -----------------------------------------------------


@pytest.fixture
def views(tmp_path: Path) -> Iterator[Views]:
    if why := missing():
        pytest.skip(f"no FUSE: {why}")
    for number in (1, 2):
        (tmp_path / "mfs" / str(number)).mkdir(parents=True)
    made = Views(tmp_path, tmp_path / "mfs", 1)
    try:
        yield made.open(range(1, 3))
    finally:
        made.close()


def seen_by(views: Views, node: int) -> Path:
    """Return where a node sees the file `x` of node 2."""
    return views.nodes[node].point / "2/x"


def test_without_a_fault_everything_passes_through(views: Views) -> None:
    write_atomically(seen_by(views, 2), b"text", mtime_ns=1_700_000_000_000_000_007, mode=0o600)
    facts = read_facts(seen_by(views, 1))
    assert (facts.data, facts.mtime_ns, facts.mode) == (b"text", 1_700_000_000_000_000_007, 0o600)
    assert os.listdir(seen_by(views, 1).parent) == ["x"]  # noqa: PTH208


def test_one_node_sees_one_peer_as_it_was_and_all_others_as_they_are(views: Views) -> None:
    write_atomically(seen_by(views, 2), b"before")
    views.nodes[1].begin(1, 2, "stale", 0.0)
    write_atomically(seen_by(views, 2), b"after")
    assert read_file(seen_by(views, 1)) == b"before"
    assert read_file(seen_by(views, 2)) == b"after"
    views.nodes[1].end(1)
    assert read_file(seen_by(views, 1)) == b"after"


def test_old_versions_come_back_and_torn_files_differ_each_time(views: Views) -> None:
    for number in range(4):
        write_atomically(seen_by(views, 2), b"version %d" % number)
        read_file(seen_by(views, 1))
    views.nodes[1].begin(1, 2, "old", 0.0)
    assert len({read_file(seen_by(views, 1)) for _ in range(50)}) > 1
    views.nodes[1].end(1)
    views.nodes[1].begin(2, 2, "torn", 0.0)
    torn = [read_file(seen_by(views, 1)) for _ in range(20)]
    assert b"version 3" not in torn
    assert all(a != b for a, b in itertools.pairwise(torn))


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOSPC])
def test_calls_fail_as_they_are_told_to(views: Views, number: int) -> None:
    write_atomically(seen_by(views, 1), b"text")
    views.nodes[1].begin(1, 2, "fail", float(number))
    with pytest.raises(OSError, match=r"\[Errno") as caught:
        write_atomically(seen_by(views, 1), b"more")
    assert caught.value.errno == number
    if number == errno.ENOSPC:
        assert read_file(seen_by(views, 1)) == b"text"
    views.nodes[1].end(1)
    assert read_file(seen_by(views, 2)) == b"text"


def test_a_frozen_call_goes_on_when_the_fault_ends_and_fails_when_the_mount_does(
    views: Views,
) -> None:
    write_atomically(seen_by(views, 2), b"text")
    got: list[bytes | OSError] = []

    def read() -> None:
        try:
            got.append(read_file(seen_by(views, 1)))
        except OSError as error:
            got.append(error)

    def go_on() -> None:
        views.nodes[1].end(1)

    for end in (go_on, views.close):
        views.nodes[1].begin(1, 2, "freeze", 0.0)
        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        end()
        thread.join(10.0)
        assert not thread.is_alive()
    assert got[0] == b"text"
    assert isinstance(got[1], OSError)


# --- the verdict -------------------------------------------------------------------


@pytest.fixture
def cluster(short_dir: Path) -> Iterator[Cluster]:
    """Two nodes of which none runs."""
    with Cluster(short_dir, size=2) as made:
        yield made


def test_an_overlap_and_a_term_that_does_not_grow_are_found(cluster: Cluster) -> None:
    cluster.witness.write_text(
        "1.0 g 1 5 100 start\n3.0 g 1 5 100 stop\n2.0 g 2 5 200 start\n4.0 g 2 5 200 stop\n"
        "5.0 h 1 7 101 start\n6.0 h 1 7 101 stop\n7.0 h 1 8 102 start\n8.0 h 1 8 102 stop\n"
    )
    ran = verdict.notes(cluster)
    (overlap,) = verdict.owners_at_once(ran)
    assert "g: node 1 (pid 100, term 5) and node 2 (pid 200, term 5)" in overlap
    (term,) = verdict.terms_out_of_order(ran)
    assert "term of g" in term
    assert verdict.served_share(ran) == pytest.approx((3 + 2) / 2 / 7)
    assert verdict.together_on_a_node(cluster) == []
    assert verdict.unseen(ran, ran[1:]) == [f"the kernel's witness missed {ran[0]}"]


def test_a_service_that_is_there_twice_on_its_node_is_found(cluster: Cluster) -> None:
    cluster.witness.write_text("1.0 g 1 5 100 start\n3.0 g 1 5 100 alive\n2.0 g 1 5 200 start\n")
    (twice,) = verdict.together_on_a_node(cluster)
    assert "pid 100" in twice


def test_a_process_that_outlives_its_node_is_found(cluster: Cluster) -> None:
    node = cluster.nodes[1]
    machines = {1: Machine(node, None)}
    assert verdict.left_running(machines) == []
    pid = os.posix_spawn("/bin/sleep", ["sleep", "7605"], os.environ | {processes.MARK: node.mark})
    try:
        wait_until(lambda: verdict.left_running(machines) == [f"orphan of node 1: pid {pid}"])
    finally:
        machines[1].reset()
        os.waitpid(pid, 0)


def test_lines_that_a_log_should_not_have_are_found(cluster: Cluster) -> None:
    cluster.nodes[1].log.write_text(
        '{"event": "publish_failed", "level": "critical"}\n'
        '{"event": "namesake_found", "level": "critical"}\n'
        "Traceback (most recent call last):\n"
        '{"event": "output", "level": "info", "text": "Traceback (most recent call last):"}\n'
    )
    cluster.nodes[2].log.write_text("")
    machines = {number: Machine(node, None) for number, node in cluster.nodes.items()}
    odd, loud = verdict.odd_lines(machines, Counter())
    assert len(odd) == 2
    assert loud == {"publish_failed": 1, "namesake_found": 1}


def test_an_edit_that_is_nowhere_was_lost_and_the_newest_must_be_in_force(
    cluster: Cluster,
) -> None:
    book = Book(cluster, ("g",))
    chance = random.Random(1)  # noqa: S311 - texts, not secrets
    for table in ("cltab", "hactl"):
        book.edit(1, table, chance, how="renamed", valid=True)
    for node in cluster.nodes.values():
        (node.rundir / "state/history").mkdir(parents=True)
        for edit in book.edits:
            (node.rundir / "state" / edit.table).write_text(edit.text)
    assert (book.lost(), book.wrong()) == ([], [])
    assert book.may_edit(1, "hactl")
    late = book.edit(1, "hactl", chance, how="truncated", valid=True)
    assert not book.may_edit(1, "hactl")
    assert book.lost() == [f"{late} is nowhere"]
    assert len(book.wrong()) == 1
    kept = cluster.nodes[2].rundir / "state/history/hactl.x.y"
    kept.write_text(late.text)
    assert book.lost() == []
    for node in cluster.nodes.values():
        (node.rundir / "state/hactl").write_text(late.text)
    assert book.wrong() == []
    bad = book.edit(2, "hactl", chance, how="renamed", valid=False)
    assert book.lost() == [], "it lies where it was put"
    (cluster.nodes[2].directory / "hactl").unlink()
    bad.seen = False
    assert book.lost() == [f"{bad} is nowhere"]


def test_an_order_that_was_acknowledged_must_be_in_force(cluster: Cluster) -> None:
    book = Book(cluster, ("g", "h"))
    chance = random.Random(1)  # noqa: S311 - texts, not secrets
    first = book.edit(1, "hactl", chance, how="renamed", valid=True)
    cltab = book.edit(1, "cltab", chance, how="renamed", valid=True)
    done = Wish(("g", "stop"), first.mtime_ns + 1, first.mtime_ns + 2, 0)
    undone = Wish(("h", "stop"), first.mtime_ns + 1, first.mtime_ns + 2, 1)
    book.wishes += [done, undone]
    for node in cluster.nodes.values():
        (node.rundir / "state").mkdir(parents=True)
        (node.rundir / "state/cltab").write_text(cltab.text)
        (node.rundir / "state/hactl").write_text("g start\nh start\n")
    (wrong,) = book.wrong()
    assert "'mosha set g stop' is not in force" in wrong
    book.wishes.append(Wish(("g", "start"), done.ended_ns, done.ended_ns + 1, 1))
    assert book.wrong() == [], "one that was refused may have been written all the same"
    for node in cluster.nodes.values():
        (node.rundir / "state/hactl").write_text("g stop prefer=2\nh start\n")
    book.wishes.pop()
    assert book.wrong() == []


def test_half_a_text_is_no_edit_yet_and_a_group_can_be_left_out(cluster: Cluster) -> None:
    book = Book(cluster, ("g", "h"))
    chance = random.Random(1)  # noqa: S311 - texts, not secrets
    rest = book.begin_half(1, "cltab", chance)
    path = cluster.nodes[1].directory / "cltab"
    assert "# edit" not in path.read_text()
    assert not book.may_edit(1, "cltab")
    rest()
    assert path.read_text() == book.edits[0].text
    edit = book.edit(2, "cltab", chance, how="renamed", valid=True, without="h")
    assert "g:g-main" in edit.text
    assert "h:h-main" not in edit.text
    (cluster.nodes[1].rundir / "state").mkdir(parents=True)
    (cluster.nodes[1].rundir / "state/cltab").write_text(edit.text)
    assert book.without() == {"h"}
