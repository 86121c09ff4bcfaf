"""Hears of changes in local directories at once, by inotify.

Only an acceleration: everything is read again once a heartbeat by those who need it. One
`awatch` for all directories, for inotify instances are few. Directories on file systems
where other machines write are left out (no event would come), and those that do not exist
yet are picked up when they appear.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
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

# The defaults of watchfiles wait up to 1.6 s on a busy tree; with these a rename is seen
# after 17 ms. A smaller step is paid for with wake-ups when nothing happens.
DEBOUNCE_MS = 50
STEP_MS = 10

# These are local file systems; only a symbolic link to a dead mount could be slow.
SCAN_LIMIT_S = 2.0

log = logs.get()

Targets = Mapping[Path, tuple[int, int]]


class Watcher:
    """Tells of changes of clstat, cltab and hactl in a changing set of directories.

    `on_change` gets the path of the file. It is also called for all three files of a
    directory that begins to be watched, since nothing is known of what happened before.
    `base` is the highest directory that is watched while a directory below it is missing.
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
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._failure = ""
        self._worker = Worker("watcher")

    def set_directories(self, directories: Iterable[Path]) -> None:
        """Watch these directories from now on, and no others. They need not exist."""
        self._directories = frozenset(directories)
        self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        if self._mode == "poll":
            await anyio.sleep_forever()
        try:
            async with anyio.create_task_group() as group:
                while True:
                    self._wake.clear()
                    if not await self._renew(group):
                        await self._pause()
        finally:
            # Not by cancellation alone: the thread inside awatch listens to nothing else.
            self._stop.set()
            self._worker.close()

    async def _pause(self) -> None:
        """Wait for a reason to look again; poll meanwhile, if events cannot be had."""
        if not self._failure:
            with anyio.move_on_after(self._timing.heartbeat_s):
                await self._wake.wait()
            return
        with anyio.move_on_after(self._timing.heartbeat_s):
            while True:
                await anyio.sleep(self._timing.poll_s)
                self._tell_all(self._directories)

    async def _renew(self, group: TaskGroup) -> bool:
        """Watch what there is to watch now; return whether that is something else."""
        try:
            targets = await self._worker.call(
                _scan,
                self._directories,
                self._base,
                read_mounts(),
                self._mode == "auto",
                limit_s=SCAN_LIMIT_S,
            )
        except HungError:
            return False
        if targets == self._watched and not self._failure:
            return False
        former, stop = self._stop, asyncio.Event()
        failure, self._failure = self._failure, ""
        if targets:
            group.start_soon(self._follow, list(targets), stop)
            # The first step of that task makes the inotify instance, before it waits.
            await checkpoint()
        former.set()
        new = targets.keys() - self._watched.keys()
        self._stop, self._watched = stop, targets
        self._settle(failure)
        self._tell_all(new & self._directories)
        return not self._failure

    def _settle(self, failure: str) -> None:
        """Log that events begin to fail, or arrive again."""
        if self._failure and not failure:
            log.warning("watch_failed", reason=self._failure, directories=len(self._watched))
        elif failure and not self._failure:
            log.info("watch_resumed", directories=len(self._watched))

    async def _follow(self, paths: list[Path], stop: asyncio.Event) -> None:
        try:
            async for changes in awatch(
                *paths,
                stop_event=stop,
                watch_filter=None,
                debounce=DEBOUNCE_MS,
                step=STEP_MS,
                rust_timeout=0,
                recursive=False,
                force_polling=False,
                ignore_permission_denied=True,
            ):
                self._tell(changes)
        # What inotify refuses comes as an OSError, what watchfiles makes of it as a
        # RuntimeError, and out of its task group as a group of them.
        except* (OSError, RuntimeError) as errors:
            self._failure = "; ".join(str(error) for error in errors.exceptions)
            self._wake.set()

    def _tell(self, changes: Iterable[tuple[Change, str]]) -> None:
        for path in sorted({Path(path) for _change, path in changes}):
            if path.name in NAMES and path.parent in self._directories:
                self._on_change(path)
            elif path.parent not in self._directories:
                self._wake.set()  # a directory came or went

    def _tell_all(self, directories: Iterable[Path]) -> None:
        for directory in sorted(directories):
            for name in NAMES:
                self._on_change(directory / name)


def _scan(directories: Iterable[Path], base: Path, mounts: Mounts, local: bool) -> Targets:
    """Return what exists and can be watched, with its identity, in the thread.

    For a directory that is missing, the nearest existing one above it, down from `base`.
    """
    found: dict[Path, tuple[int, int]] = {}
    for directory in directories:
        path = directory
        while path.is_relative_to(base):
            if local and mounts.of(os.path.realpath(path)).remote:
                break
            try:
                facts = path.stat()
            except OSError:
                path = path.parent
                continue
            if os.access(path, os.R_OK):
                found[path] = (facts.st_dev, facts.st_ino)
            break
    return found
