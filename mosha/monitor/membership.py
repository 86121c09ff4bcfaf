"""Which node this one is, and which nodes there are."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

from mosha import logs
from mosha.errors import UsageError
from mosha.formats.names import NODE_MAX, NODE_RULE, node_number
from mosha.formats.settings import Settings
from mosha.monitor.mfs import Layout, Mounts, read_file, read_mounts, write_atomically
from mosha.monitor.workers import HungError, Worker

MWHOIS_LIMIT_S = 10.0
MEMBERS_FILE = "members.json"
UP_BIT = 0b10
"""The bit of a status number in hpcbase that says: this node is up (H1.5)."""

# Directories of a machine and /proc answer at once; a network file system that takes
# longer is asked again at the next poll.
LOOK_LIMIT_S = 2.0

log = logs.get()


def own_number(settings: Settings) -> int:
    """Return `mynode`, else the first digits that `mwhois` prints (H1.1). Blocks up to 10 s.

    Raises:
        UsageError: there is no number to be had.
    """
    if settings.mynode is not None:
        return settings.mynode
    told = _output(settings.mwhois)
    digits = re.search(r"[0-9]+", told)
    if digits is None:
        raise UsageError(
            f"no node number: mynode is not set, and mwhois ({settings.mwhois!r}) printed"
            f" no digits; write mynode = N in mosha.toml"
        )
    number = int(digits[0][: len(str(NODE_MAX)) + 1])
    if not 1 <= number <= NODE_MAX:
        raise UsageError(
            f"no node number: mwhois ({settings.mwhois!r}) printed {digits[0][:20]};"
            f" {NODE_RULE}; write mynode = N in mosha.toml"
        )
    return number


def _output(command: str) -> str:
    """Return what a command line prints, whatever its exit status; it ends with its session."""
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=MWHOIS_LIMIT_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise UsageError(
                f"no node number: mynode is not set, and mwhois ({command!r}) did not end"
                f" within {MWHOIS_LIMIT_S:g} s; write mynode = N in mosha.toml"
            ) from error
    return told.decode("utf-8", "replace")


class Membership:
    """Which nodes there are: configured, or else found in hpcbase or under mfsbase.

    What is found under mfsbase is remembered in `state_dir`, for a mount that is not there
    yet must not make the cluster smaller. `error` says why the last look was incomplete.
    """

    def __init__(self, settings: Settings, layout: Layout, state_dir: Path) -> None:
        self._configured = frozenset(settings.nodes)
        self._hpc_nodes = Path(settings.hpcbase) / "nodes"
        self._layout = layout
        self._memory = state_dir / MEMBERS_FILE
        self._known: frozenset[int] | None = None
        self._worker = Worker("membership")
        self._doubtful: dict[int, Worker] = {}
        self.error = ""

    async def poll(self) -> frozenset[int]:
        """Return all nodes, the own one among them if it is found. Never raises for I/O."""
        if self._configured:
            return self._configured
        try:
            return await self._worker.call(self._look, limit_s=LOOK_LIMIT_S)
        except HungError as error:
            self.error = str(error)
            return self._known or frozenset()

    def close(self) -> None:
        """Let the threads end."""
        for worker in (self._worker, *self._doubtful.values()):
            worker.close()

    def _look(self) -> frozenset[int]:
        up = _hpc_up(self._hpc_nodes)
        if up is not None:
            return up
        if self._known is None:
            self._known = _load(self._memory)
        found = self._known | _found(self._layout, self._known, read_mounts())
        if found != self._known:
            self._known = found
            _save(self._memory, found)
        return found


def _hpc_up(nodes: Path) -> frozenset[int] | None:
    """Return the nodes that hpcbase says are up (H1.5); None if there is no such directory."""
    try:
        names = os.listdir(nodes)
    except OSError:
        return None
    return frozenset(
        number
        for name in names
        if (number := node_number(name)) is not None and _is_up(nodes / name / "status")
    )


def _is_up(path: Path) -> bool:
    try:
        return bool(int(read_file(path, 64)) & UP_BIT)
    except (OSError, ValueError):
        return False


def _found(layout: Layout, known: Iterable[int], mounts: Mounts) -> frozenset[int]:
    del mounts
    try:
        names = os.listdir(layout.mfsbase)
    except OSError:
        return frozenset()
    numbers = {number for name in names if (number := node_number(name)) is not None}
    return frozenset(n for n in numbers - set(known) if layout.directory(n).is_dir())


def _load(path: Path) -> frozenset[int]:
    try:
        found = json.loads(read_file(path))
        return frozenset(n for n in found if isinstance(n, int) and 1 <= n <= NODE_MAX)
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, TypeError) as error:
        log.warning("memory_failed", path=str(path), reason=str(error))
        return frozenset()


def _save(path: Path, members: frozenset[int]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(sorted(members)).encode() + b"\n", sync=True)
    except OSError as error:
        log.warning("memory_failed", path=str(path), reason=str(error))
