from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import requires
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from mosha.core.cluster.timing import Timing, derive
from mosha.host.files import write_atomically
from mosha.host.mounts import read_mounts
from mosha.monitor.files import watch
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.reader import WatchMode
from mosha.monitor.files.watch import EAR, Watcher
from mosha.monitor.files.watch_source import (
    ChangeSource,
    DirectSource,
    PublicSource,
    source_here,
)
from tests.monitor.trouble import mount, no_thread_to_be_had, tmpfs, unmount
from tests.waiting import until, wait_until

ROOT = Path(__file__).parents[2]
# Whatever is heard within a test is heard by events: nothing else comes in this time.
SLOW = derive(600.0, heartbeat_s=60.0)
FAST = derive(600.0, heartbeat_s=0.05, poll_s=0.05)


@dataclass
class Tree:
    """A tree of nodes' directories, and what was told of it."""

    base: Path
    reported: list[Path] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return Layout(self.base, "var/mosix-ha")

    def make(self, *nodes: int) -> None:
        for node in nodes:
            self.layout.directory(node).mkdir(parents=True)

    async def hears(self, path: Path) -> None:
        """Wait until a change of a file is told; forget all before it."""
        assert await until(lambda: path in self.reported)
        self.reported.clear()

    async def hears_all_of(self, node: int) -> None:
        files = {self.layout.clstat(node), self.layout.cltab(node), self.layout.hactl(node)}
        assert await until(lambda: files <= set(self.reported))
        self.reported.clear()

    @asynccontextmanager
    async def watched(
        self,
        *nodes: int,
        timing: Timing = SLOW,
        mode: WatchMode = "auto",
        ignored: Path | None = None,
    ) -> AsyncIterator[Watcher]:
        watcher = Watcher(self.reported.append, timing, base=self.base, mode=mode, ignored=ignored)
        watcher.set_directories([self.layout.directory(node) for node in nodes])
        async with anyio.create_task_group() as group:
            group.start_soon(watcher.run)
            yield watcher
            group.cancel_scope.cancel()


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "mfs")


@pytest.fixture(params=["direct", "public"])
def either(request: pytest.FixtureRequest, tree: Tree, monkeypatch: pytest.MonkeyPatch) -> Tree:
    """A tree that is watched by the inner class of watchfiles, or where that is not there."""
    if request.param == "public":
        monkeypatch.delattr("watchfiles._rust_notify.RustNotify")
    return tree


async def test_a_directory_that_begins_to_be_watched_counts_as_changed(either: Tree) -> None:
    either.make(2, 3)
    async with either.watched(2, 3):
        await until(lambda: len(set(either.reported)) == 6)
        assert set(either.reported) >= {either.layout.hactl(2), either.layout.clstat(3)}


@pytest.mark.parametrize("name", ["clstat", "cltab", "hactl"])
async def test_a_rename_a_write_and_a_removal_are_told(either: Tree, name: str) -> None:
    either.make(2)
    path = either.layout.directory(2) / name
    async with either.watched(2):
        await either.hears_all_of(2)
        write_atomically(path, b"one")
        await either.hears(path)
        path.write_bytes(b"two")
        await either.hears(path)
        path.unlink()
        await either.hears(path)


async def test_other_files_are_not_told(either: Tree) -> None:
    either.make(2)
    async with either.watched(2):
        await either.hears_all_of(2)
        for name in (".clstat.1.1.tmp", "hastat", "cltab~", "clstat.old"):
            (either.layout.directory(2) / name).write_bytes(b"x")
        write_atomically(either.layout.cltab(2), b"x")
        await until(lambda: either.reported)
        assert either.reported == [either.layout.cltab(2)]


async def test_a_file_that_this_process_writes_wakes_nobody(
    either: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    either.make(2)
    heard: list[set[tuple[int, str]]] = []
    hear = Watcher._hear

    def note(watcher: Watcher, ear: watch._WatchThread, batch: set[tuple[int, str]]) -> None:
        heard.append(batch)
        hear(watcher, ear, batch)

    monkeypatch.setattr(Watcher, "_hear", note)
    async with either.watched(2, ignored=either.layout.clstat(2)):
        await either.hears_all_of(2)
        for _ in range(3):
            write_atomically(either.layout.clstat(2), b"x")
        write_atomically(either.layout.cltab(2), b"x")
        await either.hears(either.layout.cltab(2))
    assert {path for batch in heard for _, path in batch} == {str(either.layout.cltab(2))}


async def test_directories_are_picked_up_when_they_appear(either: Tree) -> None:
    either.base.mkdir()
    async with either.watched(2, 3):
        either.make(2)
        await either.hears_all_of(2)
        write_atomically(either.layout.clstat(2), b"x")
        await either.hears(either.layout.clstat(2))
        either.make(3)
        await either.hears_all_of(3)


async def test_a_base_that_is_missing_is_looked_for_once_a_heartbeat(tree: Tree) -> None:
    async with tree.watched(2, timing=FAST):
        tree.make(2)
        await tree.hears_all_of(2)


async def test_a_directory_that_was_replaced_is_watched_in_its_new_form(either: Tree) -> None:
    either.make(2)
    async with either.watched(2):
        await either.hears_all_of(2)
        either.layout.directory(2).rename(either.base / "2" / "old")
        either.make(2)
        await either.hears_all_of(2)
        write_atomically(either.layout.clstat(2), b"x")
        await either.hears(either.layout.clstat(2))


async def test_a_tree_that_was_moved_away_is_found_out_within_a_heartbeat(
    either: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = read_mounts()  # what others mount meanwhile is no reason to look again
    monkeypatch.setattr(watch, "read_mounts", lambda: mounts)
    either.make(2)
    async with either.watched(2, timing=FAST):
        await either.hears_all_of(2)
        (either.base / "2").rename(either.base / "old")
        either.make(2)
        await either.hears_all_of(2)


async def test_what_changes_while_the_set_changes_is_told(either: Tree) -> None:
    either.make(2, 3, 4, 5)
    async with either.watched(2) as watcher:
        await either.hears_all_of(2)
        for node in (3, 4, 5):
            write_atomically(either.layout.clstat(2), b"x")
            watcher.set_directories([either.layout.directory(2), either.layout.directory(node)])
            await either.hears(either.layout.clstat(2))


async def test_only_the_directories_of_now_are_watched(either: Tree) -> None:
    either.make(2, 3)
    async with either.watched(2) as watcher:
        await either.hears_all_of(2)
        watcher.set_directories([either.layout.directory(3)])
        await either.hears_all_of(3)
        write_atomically(either.layout.clstat(2), b"x")
        write_atomically(either.layout.clstat(3), b"x")
        await until(lambda: either.reported)
        assert either.reported == [either.layout.clstat(3)]


async def test_one_directory_under_two_names_is_told_under_both(tree: Tree) -> None:
    tree.make(2)
    (tree.base / "3").symlink_to(tree.base / "2")
    async with tree.watched(2, 3):
        await until(lambda: len(set(tree.reported)) == 6)
        tree.reported.clear()
        write_atomically(tree.layout.clstat(2), b"x")
        # Not these alone: when another test mounts something, all are told.
        both = {tree.layout.clstat(2), tree.layout.clstat(3)}
        await until(lambda: both <= set(tree.reported))


async def test_cancelled_it_ends_at_once_and_so_does_its_thread(either: Tree) -> None:
    either.make(2)
    watcher = Watcher(either.reported.append, SLOW, base=either.base)
    watcher.set_directories([either.layout.directory(2)])
    with anyio.fail_after(5.0):
        for act in ("at once", "when it watches"):
            either.reported.clear()
            task = asyncio.create_task(watcher.run())
            if act == "when it watches":
                await either.hears_all_of(2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert await until(lambda: EAR not in {thread.name for thread in threading.enumerate()})


async def test_events_that_break_off_are_had_again_after_a_heartbeat(either: Tree) -> None:
    either.make(2)
    async with either.watched(2, timing=FAST):
        await either.hears_all_of(2)
        # watchfiles gives up at a name that is no UTF-8.
        write_atomically(either.layout.directory(2) / os.fsdecode(b"\xff"), b"")
        await either.hears_all_of(2)
        write_atomically(either.layout.clstat(2), b"x")
        await either.hears(either.layout.clstat(2))


async def test_in_mode_poll_nothing_is_watched(tree: Tree) -> None:
    tree.make(2)
    async with tree.watched(2, mode="poll"), Tree.watched(other := Tree(tree.base), 2):
        await other.hears_all_of(2)
        write_atomically(tree.layout.clstat(2), b"x")
        await other.hears(tree.layout.clstat(2))
    assert tree.reported == []


@pytest.mark.root("to mount a tmpfs")
async def test_a_mount_that_comes_and_goes_is_found_within_a_heartbeat(tree: Tree) -> None:
    with tmpfs(tree.base):
        tree.make(2)
        async with tree.watched(2, timing=FAST):
            await tree.hears_all_of(2)
            await until(lambda: not tree.reported)
            unmount(tree.base)
            tree.make(2)
            await tree.hears_all_of(2)
            write_atomically(tree.layout.clstat(2), b"x")
            await tree.hears(tree.layout.clstat(2))


@pytest.mark.root("to mount a tmpfs")
async def test_a_mount_that_was_renewed_with_the_same_numbers_is_found(tree: Tree) -> None:
    place = tree.layout.directory(2)
    place.mkdir(parents=True)
    with tmpfs(place):
        async with tree.watched(2, timing=FAST):
            await tree.hears_all_of(2)
            unmount(place)
            mount("-t", "tmpfs", "tmpfs", place)
            await tree.hears_all_of(2)
            write_atomically(tree.layout.clstat(2), b"x")
            await tree.hears(tree.layout.clstat(2))


# Runs in a user namespace of its own, where the number of inotify instances can be limited
# without anybody else noticing. Prints "polled", then "events".
REFUSED = """
import ctypes, os, sys
import anyio
from mosha.host import logs
from mosha.core.cluster.timing import derive
from mosha.monitor.files.watch import Watcher
from tests.monitor.test_watch import Path, Tree, until

def limit(instances):
    Path("/proc/sys/user/max_inotify_instances").write_text(str(instances))

async def main():
    tree = Tree(Path(sys.argv[1]))
    tree.make(2)
    limit(0)
    timing = derive(600.0, heartbeat_s=0.3, poll_s=0.02)
    async with tree.watched(2, timing=timing) as watcher:
        await until(lambda: len(tree.reported) >= 60)
        print("polled", flush=True)
        limit(5)
        await until(lambda: not watcher._failing)
        print("events", flush=True)

uid = os.getuid()
if ctypes.CDLL(None).unshare(0x10000000) != 0:
    sys.exit(77)
try:
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    limit(0)
except OSError:
    sys.exit(77)
logs.configure(people=False)
anyio.run(main)
"""


def test_where_inotify_is_refused_files_are_polled_and_one_line_says_so(tree: Tree) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, tree.base],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
        text=True,
    )
    if done.returncode == 77:
        pytest.skip("needs a user namespace of its own")
    assert done.stdout.splitlines() == ["polled", "events"], done.stderr
    failed, resumed = map(json.loads, done.stderr.splitlines())
    assert failed["event"] == "watch_failed"
    assert "Too many open files" in failed["reason"]
    assert resumed["event"] == "watch_resumed"


class Recorder:
    """Stands for watchfiles: notes the steps it was asked for; nothing ever changes."""

    def __init__(self, *asked: object) -> None:
        del asked
        self.steps: list[int] = []
        made.append(self)

    def close(self) -> None:
        pass

    def watch(self, debounce: int, step: int, limit: int, stop: threading.Event) -> str:
        del debounce
        self.steps.append(step)
        # What has no limit of its own ends when another step is asked for or all is over.
        stop.wait(limit / 1000 if limit else 0.01)
        return "timeout"


made: list[Recorder] = []


@pytest.mark.parametrize(
    ("heartbeat_s", "step_ms"), [(0.2, 50), (0.5, 50), (0.8, 80), (1.0, 100), (60.0, 100)]
)
async def test_it_looks_ten_times_in_a_heartbeat_within_bounds(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, heartbeat_s: float, step_ms: int
) -> None:
    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", Recorder)
    made.clear()
    tree.make(2)
    async with tree.watched(2, timing=derive(600.0, heartbeat_s=heartbeat_s)):
        await until(lambda: made[1:] and made[-1].steps)  # the first one was the trial
        assert set(made[-1].steps) == {step_ms}


async def test_in_a_hurry_it_looks_more_often_and_then_no_more(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", Recorder)
    monkeypatch.setattr(watch, "HURRY_S", 0.2)
    monkeypatch.setattr(watch, "HURRY_LIMIT_MS", 50)
    made.clear()
    tree.make(2)
    async with tree.watched(2) as watcher:
        await tree.hears_all_of(2)
        await until(lambda: made[1:])
        steps = made[-1].steps
        await until(lambda: watch.STEP_MAX_MS in steps)
        assert watch.HURRY_STEP_MS not in steps
        watcher.hurry()
        await until(lambda: watch.HURRY_STEP_MS in steps)
        await until(lambda: steps[-1] == watch.STEP_MAX_MS)


@pytest.mark.parametrize("source", [DirectSource, PublicSource])
def test_without_a_free_thread_no_source_is_made(
    tmp_path: Path, source: Callable[..., ChangeSource]
) -> None:
    """Notify, the library below, would end the whole process."""
    with no_thread_to_be_had(), pytest.raises(RuntimeError, match="can't start new thread"):
        source([str(tmp_path)], 1, threading.Event())


@pytest.mark.parametrize("make", [DirectSource, PublicSource])
def test_a_source_tells_nothing_of_what_is_below_a_directory(
    tmp_path: Path, make: Callable[..., ChangeSource]
) -> None:
    below = tmp_path / "below"
    below.mkdir()
    stop = threading.Event()
    source = make([str(tmp_path)], 10, stop)
    seen: set[Path] = set()

    def write() -> None:
        number = 0
        while not stop.wait(0.02):
            number += 1
            for directory in (below, tmp_path):
                (directory / str(number)).touch()

    def have_two_come() -> bool:  # while the first one was written, nobody may have watched yet
        seen.update(Path(path) for _, path in source.wait(10, 100))
        return len([path for path in seen if path.parent == tmp_path]) > 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_until(have_two_come)
    finally:
        stop.set()
        writer.join()
        source.close()
    assert [path for path in seen if path.parent == below] == []


class Stranger:
    """What the inner class of watchfiles may become."""

    def __init__(self, paths: list[str], *, recursive: bool) -> None:
        del paths, recursive


async def test_where_the_inner_class_of_watchfiles_is_another_one_a_line_says_so(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source_here() == (DirectSource, "")
    monkeypatch.setattr("watchfiles._rust_notify.RustNotify", Stranger)
    tree.make(2)
    with capture_logs() as logs:
        async with tree.watched(2):
            await tree.hears_all_of(2)
            write_atomically(tree.layout.clstat(2), b"x")
            await tree.hears(tree.layout.clstat(2))
    (warning,) = logs
    assert warning["event"] == "watch_degraded"
    assert "takes 2 positional arguments" in warning["reason"]
    assert warning["lost"] == "a change is heard up to 100 ms later, also while groups move"


def test_a_release_of_watchfiles_that_may_be_another_one_is_not_taken() -> None:
    (needed,) = [need for need in requires("mosha") or () if need.startswith("watchfiles")]
    assert "<2" in needed
