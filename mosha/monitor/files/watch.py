"""Reports changes in local directories at once, with watchfiles.

Only an acceleration: everything is also read once per heartbeat. Directories on file systems where
other machines write are left out (no event would come), and those that do not exist yet are added
when they appear. What cannot be watched, because the user has no more inotify instances or watches,
is polled.

One source (`watch_source.py`) watches all directories, for inotify instances are scarce. It cannot
be extended later, and does not report a mount or a moved tree. So once per heartbeat, and when an
event hints at it, the directories are checked, and if they have changed a new source takes over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
from watchfiles import Change

from mosha.core.cluster.timing import Timing
from mosha.host import logs
from mosha.host.clock import boottime
from mosha.host.mounts import Mounts, file_system_at, read_mounts
from mosha.host.waking import set_within
from mosha.host.workers import HungError, Worker
from mosha.monitor.files.cluster_fs import CLSTAT, CLTAB, HACTL, is_temporary
from mosha.monitor.files.reader import WatchMode
from mosha.monitor.files.watch_source import Batch, MakeSource, source_here

EAR = "watchfiles"
"""The name of the thread."""

NAMES = (CLSTAT, CLTAB, HACTL)

# The thread checks once per step whether something has come, and reports it when nothing more came
# for another step. While groups move, and a little longer, the step is short. Measured with three
# directories on a busy machine of two cores (idle: % of a core over 20 s; delay of the report of a
# rename, ms: median and maximum of 100):
#   step 10: 0.74 %, 17 and 21    step 20: 0.39 %, 32 and 41
#   step 50: 0.17 %, 79 and 101   step 100: 0.09 %, 141 and 196
# A node's last status that is read late makes it count as dead late: so the step is a tenth of a
# heartbeat, within these bounds.
STEP_PER_HEARTBEAT = 0.1
STEP_MIN_MS, STEP_MAX_MS = 50, 100
HURRY_STEP_MS = 10
HURRY_S = 1.0
HURRY_LIMIT_MS = 500
"""After this long without changes it is checked whether the short step is still needed."""

# Longer than a heartbeat, at each of which `look` is called anyway.
LOOK_PER_HEARTBEAT = 1.25

# Local file systems; only a symbolic link to a dead mount could be slow.
SCAN_LIMIT_S = 2.0


Targets = dict[Path, tuple[int, int]]
"""What to watch: its path, and the identity of the directory (device and inode)."""


class Watcher:
    """Reports changes of clstat, cltab and hactl in a changing set of directories.

    `on_change` gets the path of the file. It is also called for all three files of all
    directories when the watched set changes, since earlier changes are not known. `base` is the
    highest directory that is watched while one below it is missing. `ignored` is a file that this
    process writes itself: its changes are not reported.
    """

    def __init__(
        self,
        on_change: Callable[[Path], None],
        timing: Timing,
        *,
        base: Path,
        mode: WatchMode = "auto",
        ignored: Path | None = None,
    ) -> None:
        self._on_change = on_change
        self._ignored = "" if ignored is None else str(ignored)
        step_ms = round(timing.heartbeat_s * STEP_PER_HEARTBEAT * 1000)
        self._step_ms = min(max(step_ms, STEP_MIN_MS), STEP_MAX_MS)
        self._timing = timing
        self._base = base
        self._mode = mode
        self._directories: frozenset[Path] = frozenset()
        self._mounts: Mounts | None = None
        self._watched: Targets = {}
        self._names: dict[str, tuple[Path, ...]] = {}  # a watched directory, under all its names
        # What most events are about, ready made: a path is slow to make and to compare.
        self._files: dict[str, tuple[Path, ...]] = {}
        self._ear: _WatchThread | None = None
        self._hurry_until = 0.0
        self._failing = False
        self._wake = asyncio.Event()
        self._worker = Worker("watcher")
        self._make_source, self._why_public = source_here()

    def set_directories(self, directories: Iterable[Path]) -> None:
        """Watch these directories from now on, and no others. They may be missing."""
        wanted = frozenset(directories)
        if wanted != self._directories:
            self._directories = wanted
            self._wake.set()

    def hurry(self) -> None:
        """Report changes faster for a while: groups move, or soon will."""
        self._hurry_until = boottime() + HURRY_S
        if self._ear is not None:
            self._ear.hurry_until = self._hurry_until

    def look(self) -> None:
        """Check what there is to watch: a heartbeat has passed."""
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        if self._mode == "poll":
            await anyio.sleep_forever()
        if self._why_public:
            lost = f"a change is heard up to {self._step_ms} ms later, also while groups move"
            logs.get().warning("watch_degraded", reason=self._why_public, lost=lost)
        try:
            while True:
                if self._failing:
                    await self._poll()
                self._wake.clear()
                # Once more after a change: what was made below a directory just before it
                # was watched has raised no event.
                if not await self._renew():
                    await set_within(self._wake, self._timing.heartbeat_s * LOOK_PER_HEARTBEAT)
        finally:
            self._follow({})
            self._worker.close()

    async def _poll(self) -> None:
        """Report every file as changed for a heartbeat, since there are no events."""
        with anyio.move_on_after(self._timing.heartbeat_s):
            while True:
                self._tell_all(self._directories)
                await anyio.sleep(self._timing.poll_s)

    async def _renew(self) -> bool:
        """Watch what exists now; return whether that has changed."""
        try:
            mounts = read_mounts()
            if mounts is not self._mounts:
                self._mounts = mounts
                self._watched = {}  # a watch does not survive its mount
            where = (self._directories, self._base, self._mode)
            targets = await self._worker.call(_scan, *where, self._watched, limit_s=SCAN_LIMIT_S)
        except (OSError, HungError):  # checked again later; this is only an acceleration
            return False
        if targets == self._watched and not self._failing:
            return False
        try:
            self._follow(targets)
        except FileNotFoundError:  # gone again since the check: nothing is watched now
            await anyio.sleep(STEP_MIN_MS / 1000)
            return True
        except (OSError, RuntimeError) as error:  # refused by inotify or by watchfiles
            self._failed(error)
            return False
        if self._failing:
            self._failing = False
            logs.get().info("watch_resumed", count=len(targets))
        # All of them, not only the new ones: the former source drops pending changes.
        self._tell_all(self._directories & self._watched.keys())
        return bool(self._watched)

    def _follow(self, targets: Targets) -> None:
        """Watch these directories from now on, and no others."""
        ear, self._ear = self._ear, None
        self._watched, self._names, self._files = {}, {}, {}
        try:
            if targets:
                # One name per directory: of two, inotify would keep only the last.
                paths = {identity: str(path) for path, identity in targets.items()}
                self._ear = _WatchThread(
                    self._make_source,
                    paths.values(),
                    self._hear,
                    asyncio.get_running_loop(),
                    ignored=self._ignored,
                    step_ms=self._step_ms,
                )
                self._ear.hurry_until = self._hurry_until
                self._watched = targets
                names: dict[tuple[int, int], list[Path]] = {}
                for path, identity in targets.items():
                    names.setdefault(identity, []).append(path)
                self._names = {paths[identity]: tuple(found) for identity, found in names.items()}
                self._files = {
                    f"{directory}/{name}": tuple(path / name for path in found)
                    for directory, found in self._names.items()
                    if self._directories.issuperset(found)
                    for name in NAMES
                }
        finally:
            if ear is not None:
                ear.close()

    def _hear(self, ear: _WatchThread, heard: Batch | Exception) -> None:
        if ear is not self._ear:
            return  # a new source has taken over
        if isinstance(heard, FileNotFoundError):  # gone before it was watched, by `PublicSource`
            self._follow({})
            self._wake.set()
        elif isinstance(heard, Exception):
            self._failed(heard)
            self._wake.set()
        else:
            self._tell(heard)

    def _failed(self, error: Exception) -> None:
        count = len(self._watched)
        self._follow({})
        if not self._failing:
            self._failing = True
            logs.get().warning("watch_failed", count=count, reason=str(error))

    def _tell(self, batch: Batch) -> None:
        changed: list[Path] = []
        for change, text in sorted(batch):
            if text in self._files:
                changed += self._files[text]
                continue
            parent, _, name = text.rpartition("/")
            if change == Change.deleted and text in self._names:
                for path in self._names.pop(text):
                    # A new one may appear, even with the same inode.
                    self._watched.pop(path, None)
                self._wake.set()
            for directory in self._names.get(parent, ()):
                if directory not in self._directories:
                    self._wake.set()  # a parent of a missing one
                elif name in NAMES:
                    changed.append(directory / name)
        for path in dict.fromkeys(changed):
            self._on_change(path)

    def _tell_all(self, directories: Iterable[Path]) -> None:
        for directory in sorted(directories):
            for name in NAMES:
                self._on_change(directory / name)


class _WatchThread:
    """A source of changes and the thread that waits for it; ends within a step of `close`.

    Raises what the source raises (`MakeSource`).
    """

    def __init__(
        self,
        make: MakeSource,
        paths: Iterable[str],
        hear: Callable[[_WatchThread, Batch | Exception], None],
        loop: asyncio.AbstractEventLoop,
        *,
        ignored: str,
        step_ms: int,
    ) -> None:
        self._stop = threading.Event()
        self._source = make(paths, step_ms, self._stop)
        self._ignored = ignored
        self._step_ms = step_ms
        self._hear = hear
        self._loop = loop
        self.hurry_until = 0.0
        threading.Thread(target=self._run, name=EAR, daemon=True).start()

    def close(self) -> None:
        """Stop reporting."""
        self._stop.set()

    def _run(self) -> None:
        heard: Batch | Exception
        with contextlib.closing(self._source):
            while not self._stop.is_set():
                hurry = boottime() < self.hurry_until
                step_ms, limit_ms = self._step_ms, 0
                if hurry:
                    step_ms, limit_ms = HURRY_STEP_MS, HURRY_LIMIT_MS
                try:
                    batch = self._source.wait(step_ms, limit_ms)
                except (OSError, RuntimeError) as error:
                    self._stop.set()
                    heard = error
                else:
                    heard = {(change, path) for change, path in batch if not self._is_own(path)}
                    if not heard:
                        continue
                # The loop was closed at the same moment.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._hear, self, heard)

    def _is_own(self, path: str) -> bool:
        return path == self._ignored or is_temporary(path.rpartition("/")[2])


def _scan(directories: Iterable[Path], base: Path, mode: WatchMode, watched: Targets) -> Targets:
    """Return what exists and can be watched; runs in the thread.

    For a missing directory, the nearest existing parent, down from `base`. In mode `auto` remote
    file systems are left out: no events come from there. What is still where it was when it was
    `watched`, under the same mounts, is not examined again.
    """
    found: Targets = {}
    for directory in directories:
        path = directory
        if path in watched and _identity(path) == watched[path]:
            found[path] = watched[path]
            continue
        while path == directory or path.is_relative_to(base):
            if mode == "auto" and file_system_at(path).remote:
                break
            try:
                facts = path.stat()
            except OSError:
                facts = None
            if facts is None or not stat.S_ISDIR(facts.st_mode):
                path = path.parent
                continue
            if os.access(path, os.R_OK):
                found[path] = (facts.st_dev, facts.st_ino)
            break
    return found


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of what is there, None if it cannot be determined."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - of each node at each heartbeat
    except OSError:
        return None
    return facts.st_dev, facts.st_ino
