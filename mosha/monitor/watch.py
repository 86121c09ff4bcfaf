"""Hears of changes in local directories at once, by watchfiles.

Only an acceleration: everything is read again once a heartbeat by those who need it.
Directories on file systems where other machines write are left out (no event would come),
and those that do not exist yet are picked up when they appear. What cannot be watched,
since the user has no more inotify instances or watches, is polled.

One `awatch` follows all directories, for inotify instances are few. It takes no others later,
and says nothing of a mount or a tree that was moved. So once a heartbeat, and when an event
hints at it, it is looked what is there, and if that is new another `awatch` takes over.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from watchfiles import Change, awatch

from mosha import logs
from mosha.core.timing import Timing
from mosha.monitor.mfs import CLSTAT, CLTAB, HACTL, Mounts, read_mounts
from mosha.monitor.readers import WatchMode
from mosha.monitor.workers import HungError, Worker

NAMES = (CLSTAT, CLTAB, HACTL)

# The default, 1.6 s, is how long a change may be withheld while others follow it.
DEBOUNCE_MS = 50

# The thread of awatch looks once a step whether something has come, and tells it when
# nothing more came for another step. Measured with three directories on a busy machine of
# two cores (idle: % of a core over 20 s; a rename is told after, ms: median and most of 100):
#   step 10: 0.40 %, 16 and 22    step 20: 0.22 %, 33 and 47
#   step 25: 0.19 %, 37 and 51    step 50: 0.11 %, 78 and 100
STEP_MS = 25

# These are local file systems; only a symbolic link to a dead mount could be slow.
SCAN_LIMIT_S = 2.0

log = logs.get()

Targets = dict[Path, tuple[int, int]]
"""What to watch: its path, and which directory that is (device and inode)."""


class Watcher:
    """Tells of changes of clstat, cltab and hactl in a changing set of directories.

    `on_change` gets the path of the file. It is also called for all three files of all
    directories when others begin to be watched, since nothing is known of what happened
    before. `base` is the highest directory that is watched while one below it is missing.
    """

    def __init__(
        self,
        on_change: Callable[[Path], None],
        timing: Timing,
        *,
        base: Path,
        mode: WatchMode = "auto",
    ) -> None:
        self._on_change = on_change
        self._timing = timing
        self._base = base
        self._mode = mode
        self._directories: frozenset[Path] = frozenset()
        self._watched: Targets = {}
        self._stop = asyncio.Event()  # ends the awatch of now; also set when that has failed
        self._failing = False
        self._wake = asyncio.Event()
        self._worker = Worker("watcher")

    def set_directories(self, directories: Iterable[Path]) -> None:
        """Watch these directories from now on, and no others. They need not exist."""
        wanted = frozenset(directories)
        if wanted != self._directories:
            self._directories = wanted
            self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        if self._mode == "poll":
            await anyio.sleep_forever()
        mounts = _MountTable()
        async with anyio.create_task_group() as group:
            try:
                while True:
                    if self._stop.is_set():
                        await self._poll()
                    self._wake.clear()
                    # Once more after a change: what was made below a directory just before
                    # that was watched has raised no event.
                    if not await self._renew(group, mounts):
                        with anyio.move_on_after(self._timing.heartbeat_s):
                            await self._wake.wait()
            finally:
                # Not by cancellation: awatch waits in a thread that hears of nothing but its
                # event, and the group waits for awatch. So this comes before the group ends.
                self._stop.set()
                self._worker.close()
                mounts.close()

    async def _poll(self) -> None:
        """Let everything be looked at for a heartbeat, since events cannot be had."""
        with anyio.move_on_after(self._timing.heartbeat_s):
            while True:
                self._tell_all()
                await anyio.sleep(self._timing.poll_s)

    async def _renew(self, group: TaskGroup, mounts: _MountTable) -> bool:
        """Watch what there is to watch now; return whether that is something else."""
        if mounts.renew():
            self._watched = {}  # a watch does not survive its mount
        known = mounts.known if self._mode == "auto" else None
        try:
            targets = await self._worker.call(
                _scan, self._directories, self._base, known, limit_s=SCAN_LIMIT_S
            )
        except HungError:
            return False
        if targets == self._watched and not self._stop.is_set():
            return False
        former, self._stop = self._stop, asyncio.Event()
        self._watched = targets
        try:
            if targets:
                group.start_soon(self._follow, targets, self._stop)
                await checkpoint()  # its first step makes the watches, before it waits
        finally:
            former.set()
        if self._stop.is_set():
            return False
        if self._failing and self._watched:
            self._failing = False
            log.info("watch_resumed", count=len(targets))
        # All of them, not the new ones only: the former awatch drops what it has just heard.
        self._tell_all()
        return bool(self._watched)

    async def _follow(self, targets: Targets, stop: asyncio.Event) -> None:
        # One name of each directory: of two, inotify would know only the last.
        paths = {identity: path for path, identity in targets.items()}.values()
        changes = awatch(
            *paths,
            watch_filter=None,
            debounce=DEBOUNCE_MS,
            step=STEP_MS,
            stop_event=stop,
            rust_timeout=0,
            debug=False,
            force_polling=False,
            recursive=False,
        )
        try:
            async with aclosing(changes):
                async for batch in changes:
                    self._tell(batch)
        except* FileNotFoundError:
            # Gone again since it was looked at: nothing is followed now.
            self._watched = {}
            await anyio.sleep(STEP_MS / 1000)
            self._wake.set()
        # Refused by inotify or by watchfiles; out of its task group as a group of errors.
        except* (OSError, RuntimeError) as errors:
            if not stop.is_set():
                stop.set()
                self._wake.set()
                if not self._failing:
                    self._failing = True
                    reason = "; ".join(str(error) for error in errors.exceptions)
                    log.warning("watch_failed", count=len(self._watched), reason=reason)

    def _tell(self, batch: Iterable[tuple[Change, str]]) -> None:
        changed: set[Path] = set()
        for change, text in batch:
            path = Path(text)
            if change is Change.deleted and path in self._watched:
                del self._watched[path]  # another one may come, and even get the same inode
                self._wake.set()
            identity = self._watched.get(path.parent)
            for directory in [known for known in self._watched if self._watched[known] == identity]:
                if directory not in self._directories:
                    self._wake.set()  # above one that is missing
                elif path.name in NAMES:
                    changed.add(directory / path.name)
        for path in sorted(changed):
            self._on_change(path)

    def _tell_all(self) -> None:
        for directory in sorted(self._directories & self._watched.keys()):
            for name in NAMES:
                self._on_change(directory / name)


class _MountTable:
    """The mounts of this process, read anew when they have changed.

    A file system that was unmounted and mounted again between two looks has the same device
    and inodes, and the table the same text. But the kernel counts (proc_pid_mounts(5)).
    """

    def __init__(self) -> None:
        self._file = Path("/proc/self/mountinfo").open("rb")  # noqa: SIM115 - see close
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLPRI)
        self.known = read_mounts()

    def renew(self) -> bool:
        """Return whether anything was mounted or unmounted since the last time."""
        if not self._poll.poll(0):
            return False
        self.known = read_mounts()
        return True

    def close(self) -> None:
        self._file.close()


def _scan(directories: Iterable[Path], base: Path, mounts: Mounts | None) -> Targets:
    """Return what exists and can be watched, in the thread.

    For a directory that is missing, the nearest existing one above it, down from `base`.
    With `mounts`, remote file systems are left out.
    """
    found: Targets = {}
    for directory in directories:
        path = directory
        while path == directory or path.is_relative_to(base):
            if mounts is not None and mounts.of(os.path.realpath(path)).remote:
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
