"""The monitor: the shell around the brain of one node (`mosha run`).

Every task here only waits, reports facts to `core.node.Node` and carries out what comes
back. `Monitor.settle` is the one place where the brain's orders leave: groups to wake, a
status to publish, lines to log, looks to schedule.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from mosha import __version__, logs
from mosha.clock import boottime
from mosha.control.protocol import GroupReport, Tell, Update
from mosha.core import recovery, turn
from mosha.core.fencing import FencingRules
from mosha.core.node import Node
from mosha.core.status import NodeState, Status
from mosha.formats import hastat
from mosha.formats.settings import Settings
from mosha.host.lock_file import LockFile
from mosha.monitor import birth, identity, report, stomith
from mosha.monitor.clinit_link import ClinitLink, ClinitPlace
from mosha.monitor.groups import Groups, as_local
from mosha.monitor.hastat_file import HastatFile
from mosha.monitor.membership import Membership
from mosha.monitor.memory_file import MemoryFile
from mosha.monitor.mfs import CLSTAT, Layout
from mosha.monitor.notes import write as write_notes
from mosha.monitor.publisher import Publisher
from mosha.monitor.pulse import Pulse
from mosha.monitor.readers import PeerReaders
from mosha.monitor.replicate import Replicator, Tables
from mosha.monitor.watch import Watcher

# A peer that is silent for so many heartbeats will soon be one to take over from.
LATE = 2.5
# clinit answers within milliseconds; this long without a word it is taken for hung.
CLINIT_LIMIT_MIN_S = 3.0


class Monitor:
    """One monitor. After `prepare` it has a brain and may `run`, once.

    Args:
        settings: of this node.
        me: the own node number.
        on_stomith: the callable of the Python API, tried before all methods.
        starts_clinit: whether clinit is this monitor's to start and end, or systemd's.
    """

    lock: LockFile
    node: Node
    publisher: Publisher
    pulse: Pulse
    groups: Groups
    fencing: stomith.Duty

    def __init__(
        self,
        settings: Settings,
        me: int,
        on_stomith: stomith.Stomith | None = None,
        *,
        starts_clinit: bool = True,
    ) -> None:
        self.settings = settings
        self.me = me
        self.log = logs.get().bind(node=me)
        self.layout = Layout(Path(settings.mfsbase), settings.varpath)
        timing = settings.timing
        self.clinit = ClinitLink(
            ClinitPlace.of(settings, me),
            limit_s=max(timing.stop_budget_s, CLINIT_LIMIT_MIN_S),
            on_full=self.on_clinit_full,
            on_update=self.on_clinit_update,
            on_lost=self.on_clinit_lost,
            starts=starts_clinit,
        )
        self.readers = PeerReaders(self.layout, timing, self.on_read, watch=settings.watch)
        self.watcher = Watcher(
            self.on_file_changed,
            timing,
            base=Path(settings.mfsbase),
            mode=settings.watch,
            ignored=self.layout.clstat(me),
        )
        own = (self.layout, me, settings.state_path, self.on_tables)
        self.replicator = Replicator(*own, heartbeat_s=timing.heartbeat_s)
        self.membership = Membership(settings, self.layout, settings.state_path)
        self.read_settings: Callable[[], Settings] | None = None
        self.on_published: Callable[[], None] = lambda: None
        self._on_stomith = on_stomith
        self.news = 0
        self._changed = asyncio.Event()
        self.stranded = False
        self._troubles: dict[str, str] = {}
        self._tables = Tables()
        self._tasks: TaskGroup | None = None
        self._ended = asyncio.Event()
        self._directories: dict[Path, int] = {}

    async def prepare(self) -> None:
        """Do everything that comes before the first status, tables included.

        Raises:
            UsageError, HostError: as `birth` says; a namesake is alive; a mount is missing.
        """
        self.lock = birth.prepare_directories(self.settings)
        memory = identity.load(self.settings.state_path)
        members = frozenset(self.settings.nodes) or await self.membership.poll()
        run, timing = identity.new_run(), self.settings.timing
        self.publisher = Publisher(
            self.layout,
            self.me,
            run,
            self.on_written,
            self.on_write_failed,
            self.on_namesake,
            on_set_back=self.on_set_back,
            heartbeat_s=timing.heartbeat_s,
            memory_file=MemoryFile(self.settings.state_path, memory, timing.timeout_s / 4),
            limit_s=timing.timeout_s / 4,
            memory=self.settings.state_path / identity.MOUNT_FILE,
        )
        former = await self.publisher.read_former()
        await birth.check_place(self.layout, self.me, timing.timeout_s / 4)
        known = former.run if former and memory.knows(former.run, identity.machine()) else ""
        await self.publisher.wait_for_namesake(former, known)
        self.node = birth.make_node(
            self.settings,
            self.me,
            run=run,
            former=former,
            memory=memory,
            members=members,
            rules=self.fencing_rules(),
        )
        self.pulse = Pulse(
            self.node,
            self.publisher,
            self.clinit,
            settle=self.settle,
            published=self._published,
            look=self._look_around,
        )
        self.groups = Groups(self.node, self._tell, self.settle)
        methods = self.settings.fencing.methods
        self.fencing = stomith.Duty(self.node, methods, self._on_stomith, self.settle)
        self._look_at(self.node.mind.view.watched())
        await self.replicator.load()

    def fencing_rules(self) -> FencingRules:
        """Return the rules that follow from the settings and the Python callable."""
        return birth.fencing_rules(self.settings, with_callable=self._on_stomith is not None)

    def _look_at(self, peers: frozenset[int]) -> None:
        self._directories = {self.layout.directory(node): node for node in {*peers, self.me}}
        self.readers.set_members(peers)
        self.watcher.set_directories(tuple(self._directories))

    # --- the one way out of the brain ------------------------------------------------

    def settle(self) -> None:
        """Carry out at once what the last fact or turn asks for."""
        node = self.node
        woken = node.take_woken()
        if woken:
            self.groups.wake(woken)
        if node.dirty:
            self.pulse.want_publish()
        notes = node.take_notes()
        write_notes(self.log, notes)
        if notes or woken:
            self.watcher.hurry()
            self.fencing.wake()
            self._announce()

    def _announce(self) -> None:
        """Wake everybody who waits for news."""
        self.news += 1
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def troubles(self) -> list[str]:
        """What is wrong with this host at this moment."""
        of_past = recovery.troubles(self.node.mind, boottime())
        others = filter(None, [self.clinit.trouble, logs.trouble()])
        return [*self._troubles.values(), *of_past, *others]

    def trouble(self, what: str, text: str) -> None:
        """Remember or (with an empty text) forget something wrong with this host."""
        if self._troubles.get(what, "") == text:
            return
        if text:
            self._troubles[what] = text
        else:
            self._troubles.pop(what, None)
        self._announce()

    # --- facts -----------------------------------------------------------------------

    def on_read(
        self, peer: int, status: Status | None, began: float, ended: float, error: str
    ) -> None:
        """Take in that an attempt to read a peer was completed."""
        self.node.peer_read(peer, status, began=began, now=ended, error=error)
        due, timing = self.node.look_at(peer), self.node.mind.timing
        self.readers.look_at(peer, None if due == math.inf else due)
        if due != math.inf and ended > due - timing.timeout_s + LATE * timing.heartbeat_s:
            self.watcher.hurry()
        if status is not None:
            view = self.node.mind.view
            fresh = view.speaks(peer)
            self.replicator.peer_tables(peer, status.tables, status.pasts, fresh=fresh)
        self.pulse.want_renewals()
        self.settle()

    def on_written(self, status: Status, began: float) -> None:
        """Take in that a status is on the file system."""
        self.trouble("publish", "")
        self.node.wrote(status, began=began)
        self.pulse.want_renewals()
        self.settle()

    def on_write_failed(self, text: str) -> None:
        """Take in that the own status could not be written: leases will run out."""
        self.trouble("publish", f"cannot publish: {text}")

    def on_namesake(self, text: str) -> None:
        """Take in that another node writes with this node's number."""
        self.trouble("namesake", text)
        self.node.displaced()
        self.leave()

    def on_set_back(self) -> None:
        """Take in that the own status was set back to that of an earlier life, and is mended."""
        recovery.find_set_back(self.node.mind, boottime())
        self.settle()

    def on_clinit_full(self, update: Update) -> None:
        """Take in everything that clinit has."""
        self.node.clinit_answered([as_local(group) for group in update.groups], boottime())
        self.settle()

    def on_clinit_update(self, update: Update) -> None:
        """Take in some changes of clinit."""
        for group in update.groups:
            self.node.clinit_changed(as_local(group))
        for name in update.gone:
            self.node.clinit_dropped(name)
        self.settle()

    def on_clinit_lost(self) -> None:
        """Take in that clinit does not answer."""
        self.node.clinit_lost()
        self.settle()

    def on_tables(self, tables: Tables) -> None:
        """Take in which tables are in force."""
        self._tables = tables
        groups = frozenset(tables.cltab.groups()) if tables.cltab is not None else None
        self.node.cltab_adopted(tables.cltab)
        adopted = (tables.hactl, groups, tables.versions, tables.refused)
        self.node.tables_adopted(*adopted, tables.pasts)
        self.settle()

    # --- orders ----------------------------------------------------------------------

    async def _tell(self, order: turn.Tell) -> None:
        message = Tell(
            group=order.group,
            level=order.level,
            term=order.term,
            stop_at=order.stop_at,
            kill_at=order.kill_at,
            node=str(self.me),
        )
        reply = await self.clinit.tell(message)
        if reply is not None and not reply.ok:
            self.node.tell_refused(order.group, order.level, reply.text, boottime())
            self.settle()

    def _published(self) -> None:
        self.on_published()

    def _look_around(self) -> None:
        """Look without an event, once a heartbeat: at the own tables, and at what to watch."""
        self.replicator.look()
        self.watcher.look()

    async def _finding_members(self) -> None:
        """Look for new nodes once a heartbeat, where no configuration names them."""
        while True:
            if found := await self.membership.poll():
                self.node.members_found(found)
                self._look_at(self.node.mind.view.watched())
                self.settle()
            await anyio.sleep(self.node.mind.timing.heartbeat_s)

    def on_file_changed(self, path: Path) -> None:
        """Take in that a file of some node's directory changed: look at it."""
        node = self._directories.get(path.parent)
        if node == self.me and path.name != CLSTAT:
            self.replicator.look()
        elif node is not None and node != self.me and path.name == CLSTAT:
            self.readers.look(node)

    # --- what the command line asks --------------------------------------------------

    def report(self, groups: dict[str, GroupReport] | None = None) -> hastat.Report:
        """Return the view of this moment; `groups` says more than clinit has told unasked."""
        own, tables = self.clinit, self._tables
        told = (self.troubles, tables.warnings, own.lost_at, own.no_cgroups, tables.missing)
        around = report.Surroundings(groups or own.groups, *told)
        return report.make(self.node, around, boottime())

    async def next_change(self, seen: int) -> None:
        """Wait until `news`, the number of changes so far, is another than `seen`."""
        while self.news == seen:
            await self._changed.wait()

    def leave(self) -> None:
        """Begin to leave: halt all groups, end clinit, say so, go. A second call does nothing."""
        if self._tasks is None or self.node.mind.state is not NodeState.UP:
            return
        self.log.info("monitor_leaving")
        self.node.leave()
        self.settle()
        self._tasks.start_soon(self._leaving, name="leaving")

    def hand_over(self) -> None:
        """End at once and touch nothing: clinit and all groups wait for the next monitor."""
        self._ended.set()

    async def left(self) -> None:
        """Wait until this node has left, or is `stranded`."""
        await self._ended.wait()

    async def _leaving(self) -> None:
        if await self._halted():
            await self.clinit.shut_down()
            await self.pulse.last()
            self.log.info("monitor_stopped")
        else:  # it cannot say that nothing runs here, so it ends as one that dies
            self.stranded = True
            self.log.error("monitor_stranded")
        self._ended.set()

    async def _halted(self) -> bool:
        """Wait until nothing of any group is left here, False if there is no clinit to say so.

        systemd does not start one while it stops the monitor, if it died just before.
        """
        while not self.node.halted():
            if self.clinit.given_up:
                return False
            with anyio.move_on_after(self.node.mind.timing.heartbeat_s):
                await self._changed.wait()
        return True

    # --- life ------------------------------------------------------------------------

    async def run(self) -> int:
        """Run until the node has left or hands over; returns the exit status."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            self.groups.open(tasks)
            tasks.start_soon(self.clinit.run, name="clinit")
            tasks.start_soon(self._begin, tasks)
            await self._ended.wait()
            tasks.cancel_scope.cancel()
        return 1 if self.node.mind.displaced or self.stranded else 0

    async def _begin(self, tasks: TaskGroup) -> None:
        """Do all the rest as soon as clinit has said what runs (C7)."""
        await self.clinit.known()
        for task in (
            self.readers.run,
            self.watcher.run,
            self.replicator.run,
            self.pulse.publishing,
            self.pulse.renewing,
            self.fencing.run,
            HastatFile(self).run,
        ):
            tasks.start_soon(task)
        if not self.settings.nodes:
            tasks.start_soon(self._finding_members)
        mind = self.node.mind
        self.log.info("monitor_started", inc=mind.inc, run=mind.run, version=__version__)
        self.settle()
