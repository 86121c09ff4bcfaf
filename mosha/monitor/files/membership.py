"""The number of this node, and which nodes exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import anyio
from msgspec import Struct

from mosha.errors import HostError, UsageError
from mosha.formats.names import NODE_MAX, NODE_RULE, node_number, one_line
from mosha.formats.settings import Settings
from mosha.host import logs
from mosha.host.files import read_file, write_atomically
from mosha.host.mounts import read_mounts
from mosha.host.workers import HungError, Worker
from mosha.monitor.files.cluster_fs import Layout

MWHOIS_LIMIT_S = 10.0
MEMBERS_FILE = "members.json"
MWHOIS_DEFAULT = Settings().mwhois
HOST_NAME_COMMAND = "uname -n"  # `hostname` is a separate package
REMEDY = "write mynode = N in mosha.toml"
STATUS_MAX_BYTES = 64
UP_BIT = 0b10
"""The bit of a status number in hpcbase that means: this node is up (H1.5)."""

# Local directories and /proc answer at once; a network file system that takes longer is asked
# again at the next poll.
LOOK_LIMIT_S = 2.0

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def own_number(settings: Settings, limit_s: float = MWHOIS_LIMIT_S) -> int:
    """Return `mynode`, else the first digits that `mwhois` prints (H1.1). Blocks.

    Raises:
        UsageError: the number cannot be determined, or it is not among `nodes`.
        HostError: the host starts no process now.
    """
    if settings.mynode is not None:
        return settings.mynode
    text, complaint = _output(number_command(settings), limit_s)
    digits = re.search(r"[0-9]+", text)
    if digits is None:
        raise UsageError(
            f"no node number: mynode is not set, and {_source(settings)} printed"
            f" no digits{f' ({complaint})' if complaint else ''}; {REMEDY}"
        )
    number = int(digits[0][: len(str(NODE_MAX)) + 1])
    if not 1 <= number <= NODE_MAX:
        raise UsageError(
            f"no node number: {_source(settings)} printed {digits[0][:20]}; {NODE_RULE}; {REMEDY}"
        )
    if settings.nodes and number not in settings.nodes:  # as parse_settings judges `mynode`
        raise UsageError(
            f"{_source(settings)} printed the number {number}, which is not among nodes"
            f" ({', '.join(map(str, settings.nodes))}); add it to nodes, or {REMEDY}"
        )
    return number


def number_command(settings: Settings) -> str:
    """Return the command that prints the node number.

    The default is the original's. Without openMosix it is the name of the host.
    """
    if settings.mwhois == MWHOIS_DEFAULT and shutil.which(MWHOIS_DEFAULT.split(" ")[0]) is None:
        return HOST_NAME_COMMAND
    return settings.mwhois


def _source(settings: Settings) -> str:
    return f"mwhois ({number_command(settings)!r})"


def _output(command: str, limit_s: float) -> tuple[str, str]:
    """Return what a command line writes to stdout and stderr, whatever its exit status."""
    try:
        started = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise HostError(f"cannot run mwhois ({command!r}): {error.strerror}") from error
    with started as process:
        try:
            text, complained = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            raise UsageError(
                f"no node number: mynode is not set, and mwhois ({command!r}) did not end"
                f" within {limit_s:g} s; {REMEDY}"
            ) from error
    return text.decode("utf-8", "replace"), one_line(complained.decode("utf-8", "replace"))


class _Found(Struct, frozen=True):
    """The result of one search. `elsewhere`: directories on separate mounts, not opened."""

    up: frozenset[int] | None = None
    here: frozenset[int] = frozenset()
    elsewhere: frozenset[int] = frozenset()
    error: str = ""


class Membership:
    """Which nodes exist: configured, or else found in hpcbase or under mfsbase.

    Nodes found under mfsbase are remembered in `state_dir`, because a missing mount must not make
    the cluster smaller; remove a node that leaves for good from that file by hand. `error` says why
    the last search was incomplete, if it was. A file system has `limit_s` to answer.
    """

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        state_dir: Path,
        *,
        limit_s: float = LOOK_LIMIT_S,
    ) -> None:
        self._configured = frozenset(settings.nodes)
        self._hpc_nodes = Path(settings.hpcbase) / "nodes"
        self._layout = layout
        self._memory = state_dir / MEMBERS_FILE
        self._known: frozenset[int] | None = None
        self._worker = Worker("membership")
        self._visitors: dict[int, Worker] = {}
        self._limit_s = limit_s
        self.error = ""

    async def poll(self) -> frozenset[int]:
        """Return all nodes, this one among them if it is found. Never raises for I/O."""
        if self._configured:
            return self._configured
        if self._known is None:
            self._known = await self._local(_load, self._memory) or frozenset()
        known = self._known
        found = await self._local(_look, self._hpc_nodes, self._layout, known)
        if found is None:
            return known
        self.error = found.error
        if found.up is not None:
            return found.up
        self._known = known | found.here | await self._visit(found.elsewhere - known)
        if self._known != known:
            await self._local(_save, self._memory, self._known)
        return self._known

    def close(self) -> None:
        """End the threads."""
        for worker in (self._worker, *self._visitors.values()):
            worker.close()

    async def _local(self, fn: Callable[[*Ts], T], *args: *Ts) -> T | None:
        try:
            return await self._worker.call(fn, *args, limit_s=self._limit_s)
        except HungError as error:
            self.error = str(error)
            return None

    async def _visit(self, candidates: frozenset[int]) -> frozenset[int]:
        """Return those whose directory exists, each checked in its own thread."""
        there: set[int] = set()

        async def ask(node: int) -> None:
            worker = self._visitors.setdefault(node, Worker(f"look at node {node}"))
            if worker.busy is not None:
                self.error = f"{self._layout.directory(node)} does not answer"
                return
            try:
                if await worker.call(_opens, self._layout.directory(node), limit_s=self._limit_s):
                    there.add(node)
            except HungError as error:
                self.error = str(error)

        async with anyio.create_task_group() as group:
            for node in candidates:
                group.start_soon(ask, node)
        for node in there | (self._visitors.keys() - candidates):
            self._visitors.pop(node).close()
        return frozenset(there)


def _look(hpc_nodes: Path, layout: Layout, known: frozenset[int]) -> _Found:
    """Search for nodes, in the thread, without touching mounts below mfsbase."""
    up = _hpc_up(hpc_nodes)
    if up is not None:
        return _Found(up=up)
    base = Path(os.path.realpath(layout.mfsbase))
    here: set[int] = set()
    elsewhere: set[int] = set()
    try:
        mounts = read_mounts()
        own = mounts.of(base)
        with os.scandir(base) as entries:
            for entry in entries:
                node = node_number(entry.name)
                if node is None or node in known:
                    continue
                if entry.is_symlink() or mounts.of(base / entry.name / layout.varpath) != own:
                    elsewhere.add(node)
                elif _opens(layout.directory(node)):
                    here.add(node)
    except OSError as error:
        return _Found(error=f"{layout.mfsbase}: {error.strerror}")
    return _Found(here=frozenset(here), elsewhere=frozenset(elsewhere))


def _opens(directory: Path) -> bool:
    """Say whether the directory exists: by opening it, since stat may be out of date."""
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    os.close(fd)
    return True


def _hpc_up(nodes: Path) -> frozenset[int] | None:
    """Return the nodes that are up according to hpcbase (H1.5); None without that directory."""
    try:
        names = [path.name for path in nodes.iterdir()]
    except OSError:
        return None
    return frozenset(
        number
        for name in names
        if (number := node_number(name)) is not None and _is_up(nodes / name / "status")
    )


def _is_up(path: Path) -> bool:
    try:
        number = re.match(rb"\s*(\d+)", read_file(path, STATUS_MAX_BYTES))
    except OSError:
        return False
    return number is not None and bool(int(number[1]) & UP_BIT)


def _load(path: Path) -> frozenset[int]:
    try:
        found = json.loads(read_file(path))
        return frozenset(n for n in found if isinstance(n, int) and 1 <= n <= NODE_MAX)
    except FileNotFoundError:
        return frozenset()
    except (OSError, ValueError, TypeError) as error:
        logs.get().warning("memory_failed", path=str(path), reason=str(error))
        return frozenset()


def _save(path: Path, members: frozenset[int]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(sorted(members)).encode() + b"\n", sync=True)
    except OSError as error:
        logs.get().warning("memory_failed", path=str(path), reason=str(error))
