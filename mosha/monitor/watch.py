"""Hears of changes in local directories at once.

Only an acceleration: everything is read again once a heartbeat by those who need it.
Directories on file systems where other machines write are left out (no event would come),
and those that do not exist yet are picked up when they appear. What cannot be watched,
since the user has no more inotify instances or watches, is polled.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from mosha import logs
from mosha.core.timing import Timing
from mosha.monitor.inotify import Event, Inotify, Mask
from mosha.monitor.mfs import CLSTAT, CLTAB, HACTL, Mounts, read_mounts
from mosha.monitor.readers import WatchMode
from mosha.monitor.workers import HungError, Worker

NAMES = (CLSTAT, CLTAB, HACTL)

# A rename, an editor that writes in place, a file taken away.
FILE_CHANGES = Mask.MOVED_TO | Mask.CLOSE_WRITE | Mask.DELETE | Mask.DELETE_SELF | Mask.MOVE_SELF
# In a directory above one that is missing.
NEW_DIRECTORIES = Mask.CREATE | Mask.MOVED_TO | Mask.DELETE_SELF | Mask.MOVE_SELF
# After any of these the watches themselves may be the wrong ones.
MOVED_GROUND = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT | Mask.IGNORED

# A change is told at once; those of the next few milliseconds together, so that a busy
# directory cannot take the whole processor. A write begins with the temporary file, whose
# events say nothing: the rename that they announce must not wait for long.
GATHER_S = 0.01
OTHERS_S = 0.001

# What raises no event (a mount, a tree that was moved as a whole) is looked for at each
# heartbeat, but with short ones not so often: it only matters for the speed.
RESCAN_MIN_S = 2.0

# These are local file systems; only a symbolic link to a dead mount could be slow.
SCAN_LIMIT_S = 2.0

log = logs.get()


@dataclass(slots=True)
class _Scan:
    """What is watched (path -> number of the watch), and what should be and is not."""

    watched: dict[Path, int] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)


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
        rescan_min_s: float = RESCAN_MIN_S,
    ) -> None:
        self._rescan_s = max(timing.heartbeat_s, rescan_min_s)
        self._on_change = on_change
        self._timing = timing
        self._base = base
        self._mode = mode
        self._directories: frozenset[Path] = frozenset()
        self._scan = _Scan()
        self._paths: Mapping[int, list[Path]] = {}
        self._wake = asyncio.Event()
        self._worker = Worker("watcher")
        self._inotify: Inotify | None = None
        self._mounts: Mounts | None = None

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
        try:
            async with anyio.create_task_group() as group:
                while True:
                    self._wake.clear()
                    # Once more after a change: what was made below a directory just
                    # before that was watched has raised no event.
                    if not await self._renew(group):
                        await self._pause()
                        await anyio.sleep(GATHER_S)
        finally:
            self._worker.close()
            if self._inotify is not None:
                self._inotify.close()
                self._inotify = None

    async def _pause(self) -> None:
        """Wait for a reason to look again; meanwhile poll what could not be watched."""
        with anyio.move_on_after(self._rescan_s):
            while self._scan.refused:
                with anyio.move_on_after(self._timing.poll_s):
                    await self._wake.wait()
                    return
                self._tell_all(self._scan.refused)
            await self._wake.wait()

    async def _renew(self, group: TaskGroup) -> bool:
        """Watch what there is to watch now; return whether that is something else."""
        if self._inotify is None:
            try:
                self._inotify = Inotify()
            except OSError as error:
                self._take(_Scan(refused=dict.fromkeys(self._directories, str(error))))
                return False
            group.start_soon(self._listen, self._inotify)
        self._mounts = read_mounts(self._mounts)
        mounts = self._mounts if self._mode == "auto" else None
        try:
            scan = await self._worker.call(
                _scan, self._inotify, self._directories, self._base, mounts, limit_s=SCAN_LIMIT_S
            )
        except HungError:
            return False
        return self._take(scan)

    async def _listen(self, inotify: Inotify) -> None:
        while True:
            await anyio.wait_readable(inotify)
            told = self._tell(inotify.read())
            await anyio.sleep(GATHER_S if told else OTHERS_S)

    def _take(self, scan: _Scan) -> bool:
        """Go on from what a scan found; return whether other directories are watched now."""
        former, self._scan = self._scan, scan
        paths: dict[int, list[Path]] = {}
        for path, watch in scan.watched.items():
            paths.setdefault(watch, []).append(path)
        for watch in self._paths.keys() - paths.keys():
            if self._inotify is not None:
                self._inotify.remove(watch)
        self._paths = paths
        if scan.refused and not former.refused:
            reason = next(iter(scan.refused.values()))
            log.warning("watch_failed", count=len(scan.refused), reason=reason)
        elif former.refused and not scan.refused:
            log.info("watch_resumed", count=len(scan.watched))
        new = dict(scan.watched.items() - former.watched.items())
        self._tell_all(self._directories & new.keys())
        return bool(new)

    def _tell(self, events: Iterable[Event]) -> bool:
        """Report what the events mean; return whether they meant anything."""
        changed: set[Path] = set()
        for event in events:
            if event.mask & Mask.OVERFLOW:
                self._wake.set()
                self._tell_all(self._directories)
            if event.mask & MOVED_GROUND and event.watch in self._paths:
                self._wake.set()
            for directory in self._paths.get(event.watch, ()):
                if directory not in self._directories:
                    self._wake.set()
                elif event.name in NAMES:
                    changed.add(directory / event.name)
        for path in sorted(changed):
            self._on_change(path)
        return bool(changed)

    def _tell_all(self, directories: Iterable[Path]) -> None:
        for directory in sorted(directories):
            for name in NAMES:
                self._on_change(directory / name)


def _scan(
    inotify: Inotify, directories: AbstractSet[Path], base: Path, mounts: Mounts | None
) -> _Scan:
    """Watch the directories, in the thread; those that are watched already stay so.

    For a directory that is missing, the nearest existing one above it, down from `base`.
    With `mounts`, remote file systems are left out.
    """
    scan = _Scan()
    for directory in sorted(directories):
        path = directory
        while path == directory or path.is_relative_to(base):
            if mounts is not None and mounts.of(os.path.realpath(path)).remote:
                break
            mask = FILE_CHANGES if path in directories else NEW_DIRECTORIES
            try:
                scan.watched[path] = inotify.add(path, mask)
            except (FileNotFoundError, NotADirectoryError):
                path = path.parent
                continue
            except OSError as error:
                scan.refused[directory] = str(error)
            break
    return scan
