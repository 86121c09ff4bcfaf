"""The monitor: the shell around the agent of one node (`mosha run`).

It creates and runs the parts: the runtime that passes events to the agent (`runtime`), the ports
that carry out its effects (`ports`), the link to clinit, the tables, the reports for people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from mosha import __version__
from mosha.core import watchdog as watchdogs
from mosha.core.cluster import recovery
from mosha.core.cluster.agent import Agent
from mosha.core.cluster.events import (
    Event,
    FileChanged,
    LeaveAsked,
    MembersFound,
)
from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.node import Node
from mosha.core.replication.judging import TABLES
from mosha.core.replication.node_tables import NodeTables
from mosha.core.replication.table_events import OwnTableChanged
from mosha.core.status import NodeState
from mosha.core.supervision.group_report import GroupReport
from mosha.formats import hastat
from mosha.formats.self_reset import SelfReset
from mosha.formats.settings import Settings
from mosha.host import killable, logs
from mosha.host.clock import boottime
from mosha.host.lock_file import LockFile
from mosha.monitor import identity, own_reset, report, startup
from mosha.monitor.clinit_link import ClinitLink
from mosha.monitor.clinit_place import ClinitPlace
from mosha.monitor.fence_callable import Stomith
from mosha.monitor.fence_schedule import FenceSchedule
from mosha.monitor.files.cluster_fs import CLSTAT, Layout
from mosha.monitor.files.hastat_file import HastatFile
from mosha.monitor.files.membership import Membership
from mosha.monitor.files.publisher import Publisher
from mosha.monitor.files.reader import StatusReader
from mosha.monitor.files.watch import NAMES, Watcher
from mosha.monitor.loop_clock import LoopClock
from mosha.monitor.memory_file import MemoryFile
from mosha.monitor.no_clinit import NoClinit, needs_clinit
from mosha.monitor.ports import Ports
from mosha.monitor.runtime import Runtime
from mosha.monitor.tables.wish_edits import Remarks
from mosha.monitor.unfence import Unfencing

# clinit answers within milliseconds; if it is silent this long it counts as hung.
CLINIT_LIMIT_MIN_S = 3.0


class Monitor:
    """One monitor. After `prepare` it has an agent and may `run`, once.

    Args:
        settings: of this node.
        me: the number of this node.
        on_stomith: the callable of the Python API, tried before all methods.
        starts_clinit: whether this monitor starts and ends clinit, or systemd.
    """

    lock: LockFile
    node: Node
    publisher: Publisher
    runtime: Runtime

    def __init__(
        self,
        settings: Settings,
        me: int,
        on_stomith: Stomith | None = None,
        *,
        starts_clinit: bool = True,
    ) -> None:
        self.settings = settings
        self.me = me
        self.log = logs.get().bind(node=me)
        self.layout = Layout(Path(settings.mfsbase), settings.varpath)
        timing = settings.timing
        self.clinit: ClinitLink | NoClinit = NoClinit(self.report_event)
        if needs_clinit(settings):
            self.clinit = ClinitLink(
                ClinitPlace.of(settings, me),
                limit_s=max(timing.stop_budget_s, CLINIT_LIMIT_MIN_S),
                report=self.report_event,
                starts=starts_clinit,
            )
        self.reader = StatusReader(self.layout, self.report_event, watch=settings.watch)
        self.watcher = Watcher(
            self.on_file_changed,
            timing,
            base=Path(settings.mfsbase),
            mode=settings.watch,
            ignored=self.layout.clstat(me),
        )
        self.membership = Membership(settings, self.layout, settings.state_path)
        self.read_settings: Callable[[], Settings] | None = None
        self.on_published: Callable[[], None] = lambda: None
        self.on_stomith = on_stomith
        self.news = 0
        self._changed = asyncio.Event()
        self.stranded = False
        self._troubles: dict[str, str] = {}
        self._tables_known = asyncio.Event()
        self._remarks = Remarks()
        self._clock = LoopClock()
        self.fence_schedule = FenceSchedule(self)
        self._ports = Ports(self)
        self.tables = self._ports.tables
        self._runs = False
        self._ended = asyncio.Event()
        self._files: dict[str, tuple[int, str]] = {}
        self.own_reset: SelfReset | None = None

    async def prepare(self) -> None:
        """Do everything that comes before the first status, tables included.

        Raises:
            UsageError, HostError: as in `startup`; a namesake is alive; a mount is missing.
        """
        startup.check_watchdog(self.settings)
        self.lock = startup.prepare_directories(self.settings)
        if left := killable.inherit(self.settings.state_path):
            self.log.warning("shots_ended", count=left)
        memory = identity.load(self.settings.state_path)
        self.own_reset = own_reset.load(self.settings.state_path)
        members = frozenset(self.settings.nodes) or await self.membership.poll()
        run, timing = identity.new_run(), self.settings.timing
        self.publisher = Publisher(
            self.layout,
            self.me,
            run,
            report=self.report_event,
            trouble=self.trouble,
            heartbeat_s=timing.heartbeat_s,
            memory_file=MemoryFile(self.settings.state_path, memory, timing.timeout_s / 4),
            limit_s=timing.timeout_s / 4,
            memory=self.settings.state_path / identity.MOUNT_FILE,
        )
        former = await self.publisher.read_former()
        await startup.check_place(self.layout, self.me, timing.timeout_s / 4)
        known = former.run if former and memory.knows(former.run, identity.machine()) else ""
        await self.publisher.wait_for_namesake(former, known)
        self.node = startup.make_node(
            self.settings,
            self.me,
            run=run,
            former=former,
            memory=memory,
            members=members,
            rules=self.fencing_rules(),
        )
        tables = NodeTables(self.me, self.tables.places, timing.heartbeat_s)
        agent = Agent(self.node, tables)
        self.runtime = Runtime(agent, self._ports.table(), self._clock)
        await self._load_tables()

    async def _load_tables(self) -> None:
        """Bring into force what was so before, or a newer edit: it is in the first status."""
        async with anyio.create_task_group() as tasks:
            self._ports.open(tasks)
            tasks.start_soon(self._clock.run, self.runtime.wake, name="tables")
            await self.tables.load()
            await self._tables_known.wait()
            self._ports.shut()
            tasks.cancel_scope.cancel()

    def fencing_rules(self) -> FencingRules:
        """Return the rules that follow from the settings and the Python callable."""
        return startup.fencing_rules(self.settings, with_callable=self.on_stomith is not None)

    def report_event(self, event: Event) -> None:
        """Pass an event to the agent."""
        self.runtime.report(event)
        tables = self.runtime.agent.tables
        if not self._tables_known.is_set() and tables.complete and tables.idle:
            self._tables_known.set()

    def watch(self, peers: frozenset[int]) -> None:
        """Watch and read the files of these nodes from now on, and of this one."""
        directories = {self.layout.directory(node): node for node in {*peers, self.me}}
        self._files = {
            str(directory / name): (node, name)
            for directory, node in directories.items()
            for name in NAMES
        }
        self.reader.watch(peers)
        self.watcher.set_directories(directories)

    # --- changes -----------------------------------------------------------------------

    def announce(self) -> None:
        """Wake everything that waits for changes."""
        self.watcher.hurry()
        self.news += 1
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def troubles(self) -> list[str]:
        """What is wrong with this host now."""
        of_past = recovery.troubles(self.node.state, boottime())
        others = filter(None, [self.clinit.trouble, self._watchdog_trouble, logs.trouble()])
        return [*self._troubles.values(), *of_past, *others]

    @property
    def _watchdog_trouble(self) -> str:
        if not self.clinit.reported:  # a clinit that does not answer is a trouble of its own
            return ""
        wanted, timeout_s = self.settings.watchdog, self.settings.watchdog_s
        return watchdogs.trouble(wanted, timeout_s, self.clinit.watchdog)

    def trouble(self, what: str, text: str) -> None:
        """Remember or (with an empty text) forget something wrong with this host."""
        if self._troubles.get(what, "") == text:
            return
        if text:
            self._troubles[what] = text
        else:
            self._troubles.pop(what, None)
        self.announce()

    # --- facts -----------------------------------------------------------------------

    def look_at_tables(self) -> None:
        """Check this node's tables now."""
        for name in TABLES:
            self.report_event(OwnTableChanged(name))

    async def _finding_members(self) -> None:
        """Search for new nodes once per heartbeat, if no configuration names them."""
        while True:
            if found := await self.membership.poll():
                self.report_event(MembersFound(found))
            await anyio.sleep(self.node.state.timing.heartbeat_s)

    def on_file_changed(self, path: Path) -> None:
        """Handle a change of a file in a node's directory: read it."""
        node, name = self._files.get(str(path), (0, ""))
        if node == self.me and name in TABLES:
            self.report_event(OwnTableChanged(name))
        elif node not in (0, self.me) and name == CLSTAT:
            self.report_event(FileChanged(node))

    # --- for the command line --------------------------------------------------------

    def report(
        self, groups: dict[str, GroupReport] | None = None, *, asked: Collection[str] = ()
    ) -> hastat.Report:
        """Return the current view; `groups` may have more than clinit's updates.

        It has the groups that are `asked` for, whatever is known of them.
        """
        own, tables = self.clinit, self.runtime.agent.tables.now
        warnings = (*tables.notices, *self._remarks.on(tables.hactl, tables.cltab))
        text = (self.troubles, warnings, own.lost_at, own.no_cgroups, tables.missing)
        around = report.HostFacts(groups or own.groups, *text)
        around.watchdog, around.fencing = own.watchdog, self.fence_schedule.report()
        return report.make(self.node, around, boottime(), asked=asked)

    async def next_change(self, seen: int) -> None:
        """Wait until `news`, the number of changes so far, differs from `seen`."""
        while self.news == seen:
            await self._changed.wait()

    def leave(self) -> None:
        """Start to leave: halt all groups, end clinit, publish that, end. Idempotent."""
        if self._runs and self.node.state.node_state is NodeState.UP:
            self.log.info("monitor_leaving")
            self.report_event(LeaveAsked())

    def has_left(self, *, stranded: bool) -> None:
        """End, all is done; `stranded`: end like a node that dies, nothing more can be done."""
        self.stranded = stranded
        if stranded:  # it cannot promise that nothing runs here
            self.log.error("monitor_stranded")
        else:
            self.log.info("monitor_stopped")
        self._ended.set()

    def hand_over(self) -> None:
        """End at once and leave clinit and all groups running, for the next monitor."""
        self._ended.set()

    async def left(self) -> None:
        """Wait until this node has left, or is `stranded`."""
        await self._ended.wait()

    # --- running ---------------------------------------------------------------------

    async def run(self) -> int:
        """Run until the node has left or hands over; return the exit status."""
        async with anyio.create_task_group() as tasks:
            self._ports.open(tasks)
            self._runs = True
            tasks.start_soon(self._clock.run, self.runtime.wake, name="agent")
            tasks.start_soon(self.clinit.run, name="clinit")
            tasks.start_soon(self._begin, tasks)
            await self._ended.wait()
            self._ports.shut()
            tasks.cancel_scope.cancel()
        self.tables.close()
        return 1 if self.node.state.displaced or self.stranded else 0

    async def _begin(self, tasks: TaskGroup) -> None:
        """Start everything else once clinit has reported what runs (C7)."""
        await self.clinit.known()
        for task in (
            self.reader.run,
            self.watcher.run,
            HastatFile(self, self.publisher.open_directory).run,
            self.fence_schedule.run,
            self.fence_schedule.run_after_shots,
            Unfencing(self).run,
        ):
            tasks.start_soon(task)
        if not self.settings.nodes:
            tasks.start_soon(self._finding_members)
        state = self.node.state
        self.log.info("monitor_started", inc=state.inc, run=state.run, version=__version__)
