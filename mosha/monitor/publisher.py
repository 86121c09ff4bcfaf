"""Publishes the own status: checks the mount, looks for a namesake, writes, renames.

One write at a time, in a thread with a deadline. Of several statuses that wait, the last one
is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

import anyio

from mosha import logs
from mosha.clock import boottime
from mosha.core.status import NodeState, Status
from mosha.errors import HostError, UsageError
from mosha.formats.clstat import CLSTAT_MAX_BYTES, UnreadableStatus, parse_clstat, render_clstat
from mosha.monitor.mfs import (
    CLSTAT,
    Layout,
    MountFacts,
    read_facts,
    read_mounts,
    remove_stale_temporaries,
    write_in,
)
from mosha.monitor.workers import HungError, Worker

# For callers that know no better; a quarter of `timeout` fits every cluster.
WRITE_LIMIT_DEFAULT_S = 5.0

# A namesake writes at least once in its own heartbeat, which may be a bit longer than ours.
NAMESAKE_HEARTBEATS = 2.5
NAMESAKE_LOOKS_PER_HEARTBEAT = 4

REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "raise the quota or make room there",
    errno.EROFS: "mount it writable",
    errno.EACCES: "let the user that mosha runs as write there",
    errno.EPERM: "let the user that mosha runs as write there",
    errno.EIO: "look after the disk or the file server",
}

log = logs.get()


class NamesakeError(HostError):
    """Another run publishes under this node's number."""


class Publisher:
    """Writes the clstat of `node` for the monitor whose start is named `run`.

    `on_written(status, began)`: it is there; `began` (boottime) lies before everything that
    led to it (C4). `on_failed(text)`: it could not be written; once for each change of the
    text. `on_namesake(text)`: nothing is ever written again by this object.

    A status whose write failed may still appear later, when a hung thread comes back: no
    (inc, seq) must be used twice.
    """

    def __init__(
        self,
        layout: Layout,
        node: int,
        run: str,
        on_written: Callable[[Status, float], None],
        on_failed: Callable[[str], None],
        on_namesake: Callable[[str], None],
        *,
        limit_s: float = WRITE_LIMIT_DEFAULT_S,
    ) -> None:
        self._directory = layout.directory(node)
        self._node = node
        self._run = run
        self._on_written = on_written
        self._on_failed = on_failed
        self._on_namesake = on_namesake
        self._limit_s = limit_s
        self._worker = Worker(f"publisher of node {node}")
        self._next: Status | None = None
        self._writing = False
        self._failure = ""
        self._own_runs = {run}
        self._last = b""
        self._mount: MountFacts | None = None
        self._place = (0, 0)
        self.namesake = ""

    async def read_former(self) -> Status | None:
        """Return the own status of an earlier life, None if there is none that is whole.

        To be called first: it makes the node's directory, removes what dead writers left in
        it, and notes on which mount it is.

        Raises:
            HostError: the directory cannot be made or read, or does not answer.
        """
        former = await self._worker.call(self._prepare, limit_s=self._limit_s)
        if former is not None:
            self._own_runs.add(former.run)
        return former

    async def wait_for_namesake(
        self, former: Status | None, last_run_known: str, heartbeat_s: float
    ) -> None:
        """Before the first write: watch whether another node uses this number.

        Waits only if `former` is neither of the run that is remembered locally nor left.

        Raises:
            UsageError: the status advances without us.
        """
        self._own_runs.add(last_run_known)
        if former is None or former.run == last_run_known or former.state is NodeState.LEFT:
            return
        until = boottime() + NAMESAKE_HEARTBEATS * heartbeat_s
        while boottime() < until:
            await anyio.sleep(heartbeat_s / NAMESAKE_LOOKS_PER_HEARTBEAT)
            with contextlib.suppress(HungError):
                now = await self._worker.call(self._read_own, limit_s=self._limit_s)
                if now is not None and (now.stamp, now.run) != (former.stamp, former.run):
                    raise UsageError(
                        f"another node publishes as node {self._node}: {self._directory / CLSTAT}"
                        f" changes without us (run {now.run}); give each node its own number"
                        " (mynode in mosha.toml, or mwhois)"
                    )

    async def publish(self, status: Status) -> None:
        """Write a status, or leave it to the call that is at it already.

        Returns when there is nothing left to write, or the write failed.
        """
        self._next = status
        if self._writing or self.namesake:
            return
        self._writing = True
        try:
            while self._next is not None and not self.namesake:
                await self._publish_next()
        finally:
            self._writing = False
            self._next = None

    async def _publish_next(self) -> None:
        try:
            await self._worker.free(limit_s=self._limit_s)
            # Taken only now, for while the thread hung a newer one may have come.
            status, self._next = self._next, None
            assert status is not None
            began = boottime()
            data = render_clstat(status).encode()
            await self._worker.call(self._write, data, limit_s=self._limit_s)
        except HungError:
            self._next = None
            self._fail(f"{self._directory} does not answer: a write hangs")
        except NamesakeError as error:
            self.namesake = str(error)
            log.critical("namesake_found", node=self._node, reason=self.namesake)
            self._on_namesake(self.namesake)
        except HostError as error:
            self._fail(str(error))
        except OSError as error:
            self._fail(_told(error, str(self._directory)))
        else:
            if self._failure:
                self._failure = ""
                log.info("publish_resumed", node=self._node)
            self._on_written(status, began)

    def close(self) -> None:
        """Let the thread end."""
        self._worker.close()

    def _fail(self, text: str) -> None:
        if text != self._failure:
            self._failure = text
            log.error("publish_failed", node=self._node, reason=text)
            self._on_failed(text)

    # --- in the thread ---------------------------------------------------------------

    def _prepare(self) -> Status | None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            remove_stale_temporaries(self._directory)
            with self._opened() as directory:
                self._mount, self._place = _mount_of(directory), _place_of(directory)
        except OSError as error:
            raise HostError(_told(error, str(self._directory))) from error
        return self._read_own()

    def _read_own(self) -> Status | None:
        try:
            return parse_clstat(read_facts(self._directory / CLSTAT, CLSTAT_MAX_BYTES).data)
        except (OSError, UnreadableStatus):
            return None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def _write(self, data: bytes) -> None:
        with self._opened() as directory:
            self._check_mount(directory)
            self._check_namesake()
            write_in(directory, CLSTAT, data)
            self._last = data

    def _check_mount(self, directory: int) -> None:
        place = _place_of(directory)
        if place == self._place:
            return
        now, was = _mount_of(directory), self._mount
        if was is None or now.identity == was.identity:
            self._mount, self._place = now, place
            return
        raise HostError(
            f"{self._directory} was on {was.mountpoint} ({was.fstype}) and is on"
            f" {now.mountpoint} ({now.fstype}) now: nothing is written until that is back"
        )

    def _check_namesake(self) -> None:
        try:
            data = read_facts(self._directory / CLSTAT, CLSTAT_MAX_BYTES).data
            if data == self._last:
                return
            status = parse_clstat(data)
        except (OSError, UnreadableStatus):
            return
        if status.run not in self._own_runs:
            raise NamesakeError(
                f"another node publishes as node {self._node} in {self._directory}"
                f" (its run is {status.run}, ours {self._run}): nothing more is written;"
                " give each node its own number and restart"
            )


def _told(error: OSError, place: str) -> str:
    remedy = REMEDIES.get(error.errno or 0, "")
    return f"cannot publish in {place}: {error.strerror}" + (f"; {remedy}" if remedy else "")


def _place_of(directory: int) -> tuple[int, int]:
    """Return device and mount id: the device alone does not tell a bind mount that vanished."""
    with open(f"/proc/self/fdinfo/{directory}", encoding="ascii") as lines:
        numbers = [line.split()[1] for line in lines if line.startswith("mnt_id:")]
    return os.fstat(directory).st_dev, int(numbers[0])


def _mount_of(directory: int) -> MountFacts:
    return read_mounts().of(os.readlink(f"/proc/self/fd/{directory}"))
