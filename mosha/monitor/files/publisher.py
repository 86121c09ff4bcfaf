"""Publishes this node's status: checks the mount and for a namesake, writes, renames.

One write at a time, in a thread with a deadline.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio

from mosha.core.cluster.events import NamesakeFound, StatusSetBack
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.namesake import HEARTBEATS, NamesakeFinding, OwnStatusFile
from mosha.core.status import NodeState, Stamp, Status
from mosha.errors import HostError, UsageError
from mosha.formats.clstat import CLSTAT_MAX_BYTES, UnreadableStatus, parse_clstat, render_clstat
from mosha.host import logs
from mosha.host.clock import boottime
from mosha.host.files import read_file, write_atomically, write_in
from mosha.host.mounts import MountFacts, file_system_at, file_system_of
from mosha.host.workers import HungError, NoThreadError, Worker
from mosha.monitor.files.cluster_fs import CLSTAT, Layout, remove_stale_temporaries
from mosha.monitor.memory_file import MemoryFile, MemoryNotWrittenError

# The default limit; a quarter of `timeout` fits every cluster.
WRITE_LIMIT_DEFAULT_S = 5.0
HEARTBEAT_DEFAULT_S = 5.0

NAMESAKE_LOOKS_PER_HEARTBEAT = 4

REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "raise the quota or make room there",
    errno.EROFS: "mount it writable",
    errno.EACCES: "let the user that mosha runs as write there",
    errno.EPERM: "let the user that mosha runs as write there",
    errno.EIO: "check the disk or the file server",
}


class NamesakeError(HostError):
    """Another run publishes under this node's number."""


class Publisher:
    """Writes the clstat of `node` for the monitor run named `run`.

    `trouble(what, text)` gets why a status could not be written ("publish"), once per change of
    the text, or that there is a namesake ("namesake"), after which this object never writes again.
    `report` gets that too, and that a status of an earlier run had been restored, and the current
    one is there again.

    A write has `limit_s` to end; a quarter of `timeout` fits. A namesake shows itself within a few
    `heartbeat_s`. `memory`, a file on the local disk, remembers across starts where the directory
    was mounted. `memory_file` saves to the local disk what a status shows, before it is written.

    A status whose write failed may still appear later, when a hung thread comes back: no (inc,
    seq) must be used twice.
    """

    def __init__(
        self,
        layout: Layout,
        node: int,
        run: str,
        *,
        report: Callable[[NamesakeFound | StatusSetBack], None],
        trouble: Callable[[str, str], None],
        heartbeat_s: float = HEARTBEAT_DEFAULT_S,
        memory_file: MemoryFile | None = None,
        limit_s: float = WRITE_LIMIT_DEFAULT_S,
        memory: Path | None = None,
    ) -> None:
        self._base = layout.mfsbase
        self._directory = layout.directory(node)
        self._node = node
        self._run = run
        self._report = report
        self._trouble = trouble
        self._heartbeat_s = heartbeat_s
        self._memory_file = memory_file
        self._limit_s = limit_s
        self._worker = Worker(f"publisher of node {node}")
        self._failure = ""
        self._memory = memory
        self._own_file = OwnStatusFile(run, HEARTBEATS * heartbeat_s)
        self._last = b""
        self._mount: MountFacts | None = None
        self._place = (0, 0)
        self.namesake = ""

    async def read_former(self) -> Status | None:
        """Return this node's status of an earlier run, None if there is no complete one.

        Call it first: it makes the node's directory, removes what dead writers left in it, and
        records on which mount it is.

        Raises:
            HostError: the directory cannot be made or read, or does not answer.
        """
        try:
            former = await self._worker.call(self._prepare, limit_s=self._limit_s)
        except NoThreadError:
            raise
        except HungError as error:
            raise HostError(
                f"cannot publish in {self._directory}: it does not answer; check its mount"
            ) from error
        if former is not None:
            self._own_file.expect(former, exactly=False)
        return former

    async def wait_for_namesake(self, former: Status | None, last_run_known: str) -> None:
        """Before the first write: check whether another node uses this number.

        Waits only if `former` is neither of the run remembered locally nor LEFT.

        Raises:
            UsageError: the status advances without us.
        """
        if last_run_known:
            self._own_file.remember(last_run_known)
        if former is None or former.run == last_run_known or former.state is NodeState.LEFT:
            return
        # No write of that run can land late from here: anything newer is a namesake's.
        self._own_file.expect(former, exactly=True)
        until = boottime() + HEARTBEATS * self._heartbeat_s
        while boottime() < until:
            await anyio.sleep(self._heartbeat_s / NAMESAKE_LOOKS_PER_HEARTBEAT)
            with contextlib.suppress(HungError):
                now = await self._worker.call(self._read_own, limit_s=self._limit_s)
                # An older one was restored, which is not a sign of life.
                if now is not None and now.stamp > former.stamp:
                    raise UsageError(
                        f"another node publishes as node {self._node}: {self._directory / CLSTAT}"
                        f" changes without us (run {now.run}); give each node its own number"
                        " (mynode in mosha.toml, or mwhois)"
                    )

    async def publish(self, status: Status, memory: Memory | None = None) -> bool:
        """Write a status; return whether it is there. One call at a time.

        `memory` must be on the local disk first (V4b).
        """
        if self.namesake:
            return False
        try:
            await self._worker.free(limit_s=self._limit_s)
            if self._memory_file is not None and memory is not None:
                await self._memory_file.keep(memory)
            data = render_clstat(status).encode()
            set_back = await self._worker.call(
                self._write, data, status.stamp, limit_s=self._limit_s
            )
        except MemoryNotWrittenError as error:
            self._fail(str(error))
        except NoThreadError as error:
            self._fail(str(error))
        except HungError:
            self._fail(f"{self._directory} does not answer: a write hangs")
        except NamesakeError as error:
            self.namesake = str(error)
            logs.get().critical("namesake_found", node=self._node, reason=self.namesake)
            logs.get().info("monitor_leaving", node=self._node)
            self._trouble("namesake", self.namesake)
            self._report(NamesakeFound())
        except HostError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(_told(error, self._directory))
        else:
            if self._failure:
                self._failure = ""
                logs.get().info("publish_resumed", node=self._node)
            if set_back:
                self._report(StatusSetBack())
            return True
        return False

    async def restore(self) -> None:
        """Write the memory again, after a loss of the state directory.

        Raises:
            HostError: it cannot be written, or the thread hangs.
        """
        if self._memory_file is not None:
            self._memory_file.lost()
        if self._mount is not None:
            await self._worker.call(self._remember, self._mount, limit_s=self._limit_s)

    @contextlib.contextmanager
    def open_directory(self) -> Iterator[int]:
        """Open this node's directory to write into it, if it is still on its mount; in a thread.

        Raises:
            HostError: it is on another mount, or a mount is missing.
            OSError: it cannot be opened.
        """
        with self._opened() as directory:
            self._check_mount(directory)
            yield directory

    def close(self) -> None:
        """Let the threads end."""
        self._worker.close()
        if self._memory_file is not None:
            self._memory_file.close()

    def _fail(self, text: str) -> None:
        if text != self._failure:
            self._failure = text
            logs.get().critical("publish_failed", node=self._node, reason=text)
            self._trouble("publish", f"cannot publish: {text}")

    # --- in the thread ---------------------------------------------------------------

    def _prepare(self) -> Status | None:
        try:
            self._check_memory(file_system_at(self._directory, fresh=True))
            self._make()
            remove_stale_temporaries(self._directory)
            with self._opened() as directory:
                self._mount = file_system_of(directory, fresh=True)
                self._place = _place_of(directory)
        except OSError as error:
            raise HostError(f"cannot publish in {_told(error, self._directory)}") from error
        self._remember(self._mount)
        return self._read_own()

    def _make(self) -> None:
        """Make the directory of this node, but not MFSBASE.

        A missing MFSBASE is a missing mount: making it would create a cluster of one.
        """
        if not self._base.is_dir():
            raise HostError(f"{self._base} is not a directory; mount it, or make it")
        self._directory.mkdir(parents=True, exist_ok=True)

    def _check_memory(self, now: MountFacts) -> None:
        """Refuse to start below a mount point where nothing is mounted any more."""
        if self._memory is None:
            return
        try:
            was = Path(json.loads(read_file(self._memory))["mountpoint"])
        except (FileNotFoundError, ValueError, TypeError, LookupError):
            return
        except OSError as error:
            where = _told(error, self._memory.parent)
            raise HostError(f"cannot read the mount of the last start in {where}") from error
        here = Path(os.path.realpath(self._directory))
        above = Path(now.mountpoint)
        if was != above and was.is_relative_to(above) and here.is_relative_to(was):
            raise HostError(
                f"nothing is mounted on {was}, where {self._directory} was at the last start:"
                f" mount it, or remove {self._memory} if that is intended"
            )

    def _remember(self, mount: MountFacts) -> None:
        if self._memory is not None:
            text = {"mountpoint": mount.mountpoint, "fstype": mount.fstype, "source": mount.source}
            try:
                self._memory.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(self._memory, json.dumps(text).encode() + b"\n", sync=True)
            except OSError as error:
                where = _told(error, self._memory.parent)
                raise HostError(f"cannot remember the mount in {where}") from error

    def _read_own(self) -> Status | None:
        try:
            return parse_clstat(read_file(self._directory / CLSTAT, CLSTAT_MAX_BYTES))
        except (OSError, UnreadableStatus):
            return None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            fd = os.open(self._directory, flags)
        except FileNotFoundError:
            # It was removed, or its mount is gone: do not make it on the wrong file system.
            self._compare(file_system_at(self._directory, fresh=True))
            self._make()
            fd = os.open(self._directory, flags)
        try:
            yield fd
        finally:
            os.close(fd)

    def _write(self, data: bytes, stamp: Stamp) -> bool:
        """Write a status; return whether the file had been set back to an earlier run."""
        with self.open_directory() as directory:
            set_back = self._check_own(stamp)
            write_in(directory, CLSTAT, data)
        self._last = data
        self._own_file.wrote()
        return set_back

    def _check_mount(self, directory: int) -> None:
        place = _place_of(directory)
        if place != self._place:
            self._compare(file_system_of(directory, fresh=True))
            # Remounted: the same place with other numbers.
            self._place = place

    def _compare(self, now: MountFacts) -> None:
        was = self._mount
        if was is None:
            self._mount = now
        elif now.identity != was.identity:
            raise HostError(
                f"{self._directory} was on {was.mountpoint} ({was.fstype}) and is on"
                f" {now.mountpoint} ({now.fstype}) now: nothing is written until that is back"
            )

    def _check_own(self, stamp: Stamp) -> bool:
        """Check what is there now; return whether it is a restored status of an earlier run.

        Raises:
            NamesakeError: another node has written there.
            HostError: that is possible, so it must not be overwritten.
        """
        try:
            data = read_file(self._directory / CLSTAT, CLSTAT_MAX_BYTES)
        except OSError:
            data = b""
        found = None
        if data != self._last:
            with contextlib.suppress(UnreadableStatus):
                found = parse_clstat(data)
        finding = self._own_file.judge(found, stamp, boottime())
        if found is not None and finding is NamesakeFinding.NAMESAKE:
            raise NamesakeError(
                f"another node publishes as node {self._node} in {self._directory}"
                f" (its run is {found.run}, ours {self._run}): nothing more is written;"
                " give each node its own number and restart"
            )
        if found is not None and finding is NamesakeFinding.UNCLEAR:
            raise HostError(
                f"{self._directory / CLSTAT} is an older status (run {found.run}): it was restored,"
                f" or is another node's; it is watched for {self._own_file.watch_s:.1f} s first"
            )
        return finding is NamesakeFinding.SET_BACK


def _told(error: OSError, directory: Path) -> str:
    remedy = REMEDIES.get(error.errno or 0, "")
    text = f"{directory}: {error.strerror}"
    return f"{text}; {remedy}" if remedy else text


def _place_of(directory: int) -> tuple[int, int]:
    """Return device and inode: the device alone does not reveal a vanished bind mount."""
    facts = os.fstat(directory)
    return facts.st_dev, facts.st_ino
