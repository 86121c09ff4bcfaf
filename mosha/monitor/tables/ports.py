"""The ports of the tables: they carry out the core's `table_effects` on files, in threads.

People edit MFSBASE/NODE/VARPATH/{cltab,hactl} of any node. What is in force here is in STATE_DIR on
the local disk, where clinit reads it, and as a copy in this node's directory, for people and peers.
Each order is answered by one event; nothing is decided here. A hung file system costs a thread:
this node's directory, the local disk and each peer have one each.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import anyio
from msgspec import Struct

from mosha.core.replication import table_effects as effects
from mosha.core.replication import table_events as events
from mosha.core.replication.judging import TABLES
from mosha.core.replication.table_events import TableEvent
from mosha.core.replication.table_texts import InForce, Places
from mosha.core.status import TableVersion
from mosha.core.tables import Wish, WishEdit
from mosha.core.wish_options import FIELDS
from mosha.errors import HostError, UsageError
from mosha.formats.mistakes import Mistakes
from mosha.formats.table_kinds import in_a_line, in_force_of
from mosha.host.workers import HungError, Worker, reason
from mosha.monitor.tables import files, wish_edits
from mosha.monitor.tables.join import join
from mosha.monitor.tables.store import TableStore

LIMIT_S = 5.0
"""How long a call on a file system may take. The measured network file systems answer within 3 s
when nothing is wrong."""


class Directories(Protocol):
    """Where nodes publish; `mosha.monitor.files.cluster_fs.Layout` is one."""

    def directory(self, node: int) -> Path:
        """Return the directory of a node."""
        ...


class Result(Struct, frozen=True):
    """The result of a call in a worker, or `error`; "" on success.

    `hung`: the call has not ended, and may still have an effect.
    """

    value: Any = None
    error: str = ""
    hung: bool = False


class TablePorts:
    """Carries out the file work for the tables of node `me`, and reports the results.

    `start` starts a task: a coroutine function and its arguments.
    """

    def __init__(
        self,
        layout: Directories,
        me: int,
        state_dir: Path,
        start: Callable[..., None],
        report: Callable[[TableEvent], None],
        *,
        wall_ns: Callable[[], int] = time.time_ns,
        limit_s: float = LIMIT_S,
    ) -> None:
        self._layout = layout
        self._directory = layout.directory(me)
        self._store = TableStore(state_dir)
        self._start = start
        self._report = report
        self._wall_ns = wall_ns
        self._limit_s = limit_s
        self.own = Worker("own tables")
        self.disk = Worker("tables in force")
        self._peers: dict[int, Worker] = {}
        self._numbers = count(1)
        self._asked: dict[int, asyncio.Future[effects.AnswerEdit]] = {}
        self.places = Places(
            directory=lambda node: str(layout.directory(node)),
            state=str(state_dir),
            history=str(self._store.history),
        )

    def table(self) -> Mapping[type, Callable[[Any], None]]:
        """Return the port of each kind of effect."""
        works = {
            effects.ReadOwnTable: self._read_own,
            effects.ReadPeerTable: self._read_peer,
            effects.JoinTables: self._join,
            effects.StoreTable: self._store_table,
            effects.WriteOwnTable: self._write_own,
            effects.ShowTable: self._show,
            effects.KeepText: self._keep,
            effects.EditText: self._edit,
        }
        found: dict[type, Callable[[Any], None]] = {
            kind: partial(self._start, work) for kind, work in works.items()
        }
        found[effects.AnswerEdit] = self._answer
        return found

    def close(self) -> None:
        """End the threads; no orders after this."""
        for worker in (self.own, self.disk, *self._peers.values()):
            worker.close()

    async def load(self) -> None:
        """Read what was in force in the last run; once, before everything else."""
        async with anyio.create_task_group() as tasks:
            for name in TABLES:
                tasks.start_soon(self._load, name)

    async def set_wish(self, wish: Wish | WishEdit, *, force: bool = False) -> wish_edits.Done:
        """Edit the wish of a group, newest on all nodes; return what hactl says then, and where.

        Returns when all fresh nodes have it, or when some have it and the others take long.
        `force`: accept a wish that does not agree with cltab.

        Raises:
            UsageError: a group or a level that cltab in force lacks.
            HostError: hactl cannot be written, or is not in force here.
        """
        change = wish if isinstance(wish, WishEdit) else WishEdit(wish, FIELDS)
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._report(events.EditAsked(number, change, force))
            return wish_edits.done(await answer)
        finally:
            del self._asked[number]

    # --- orders --------------------------------------------------------------------------

    async def _call(self, worker: Worker, work: Callable[..., object], *args: object) -> Result:
        try:
            return Result(await worker.call(partial(work, *args), limit_s=self._limit_s))
        except (OSError, HostError) as error:
            return Result(error=reason(error), hung=isinstance(error, HungError))

    async def _load(self, name: str) -> None:
        path, store = self._store.path(name), self._store
        in_force: InForce | None = None
        error = ""
        try:
            in_force = await self.disk.call(_load, store, name, limit_s=self._limit_s)
        except Mistakes as mistakes:
            error = in_a_line(mistakes)
        except (OSError, HostError) as failure:
            error = f"{path}: cannot be read: {reason(failure)}"
        # If they cannot be read, an old copy counts as an edit.
        adopted: tuple[TableVersion, ...] = (
            await self._call(self.disk, store.adopted, name)
        ).value or ()
        self._report(events.TableLoaded(name, self._wall_ns(), in_force, adopted, error))

    async def _read_own(self, order: effects.ReadOwnTable) -> None:
        name, path = order.table, self._directory / order.table
        found = await self._call(self.own, files.read_own, path, name, order.former)
        if found.error:
            self._report(events.OwnTableRead(name, self._wall_ns(), error=found.error))
        else:
            seen, mount = found.value
            self._report(events.OwnTableRead(name, self._wall_ns(), seen, mount))

    async def _read_peer(self, order: effects.ReadPeerTable) -> None:
        name, digest = order.table, order.version.digest
        path = self._layout.directory(order.node) / name
        worker = self.peer(order.node)
        found = await self._call(worker, files.read_either, path, name, digest)
        if found.error:
            self._report(events.PeerTableRead(name, self._wall_ns(), error=found.error))
        else:
            self._report(events.PeerTableRead(name, self._wall_ns(), found.value))

    async def _join(self, order: effects.JoinTables) -> None:
        now_ns = self._wall_ns()
        words = (self._store, order.table, order.mine, order.other, now_ns)
        found = await self._call(self.disk, join, *words)
        self._report(events.TablesJoined(order.table, self._wall_ns(), found.value, found.error))

    async def _store_table(self, order: effects.StoreTable) -> None:
        words = (order.table, order.text, self._wall_ns())
        found = await self._call(self.disk, self._store.adopt, *words)
        self._report(events.TableStored(order.table, self._wall_ns(), found.error))

    async def _write_own(self, order: effects.WriteOwnTable) -> None:
        words = (self._directory / order.table, order.expected, order.text)
        found = await self._call(self.own, files.replace_table, *words)
        changed = found.value is False
        self._report(
            events.OwnTableWritten(
                order.table, self._wall_ns(), changed, error=found.error, hung=found.hung
            )
        )

    async def _show(self, order: effects.ShowTable) -> None:
        path = self._directory / order.table
        found = await self._call(self.own, files.show_beside, path, order.text)
        self._report(events.TableShown(order.table, self._wall_ns(), found.error))

    async def _keep(self, order: effects.KeepText) -> None:
        words = (order.table, order.text, order.fate, self._wall_ns())
        found = await self._call(self.disk, self._store.put_aside, *words)
        path = str(found.value or "")
        self._report(events.TextKept(order.table, self._wall_ns(), path, found.error))

    async def _edit(self, order: effects.EditText) -> None:
        number = order.number
        try:
            found = await self._call(self.disk, wish_edits.edited, order)
        except UsageError as error:
            wrong = events.TextEdited(number, self._wall_ns(), error=str(error), usage=True)
            self._report(wrong)
            return
        if found.error:
            self._report(events.TextEdited(number, self._wall_ns(), error=found.error))
        else:
            self._report(events.TextEdited(number, self._wall_ns(), found.value))

    def _answer(self, order: effects.AnswerEdit) -> None:
        answer = self._asked.get(order.number)
        if answer is not None and not answer.done():  # the caller may have given up
            answer.set_result(order)

    def peer(self, node: int) -> Worker:
        """Return the thread for the files of a node."""
        found = self._peers.get(node)
        if found is None:
            found = self._peers[node] = Worker(f"tables of node {node}")
        return found


def _load(store: TableStore, name: str) -> InForce | None:
    kept = store.load(name)
    return None if kept is None else in_force_of(name, kept, file=str(store.path(name)))
