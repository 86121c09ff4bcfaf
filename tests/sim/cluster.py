"""A whole cluster in virtual time: machines, files, faults and the checkers that watch it."""

from __future__ import annotations

import math
from functools import partial

from msgspec import Struct, field

from mosha.core.cluster.group_step import GroupStep
from mosha.core.cluster.quorum import Electorate
from mosha.core.cluster.state import LogRecord
from mosha.core.replication.judging import CLTAB, HACTL, version_of
from mosha.core.replication.table_texts import Text
from mosha.core.status import SETTLED, Grade, Status
from mosha.core.supervision.group import Group
from mosha.core.supervision.group_report import GroupReport
from tests.sim import disks, edits, sayings
from tests.sim.agenda import Agenda, chance
from tests.sim.checks.evidence import Evidence
from tests.sim.checks.exclusion import Exclusion
from tests.sim.checks.ladders import Ladders
from tests.sim.checks.leases import Leases
from tests.sim.checks.leftovers import Leftovers
from tests.sim.checks.liveness import Liveness
from tests.sim.checks.orders import Obedience
from tests.sim.checks.pills import Pills
from tests.sim.checks.probation import Probation
from tests.sim.checks.receipts import Receipts
from tests.sim.checks.relations import Decider, Relations
from tests.sim.checks.room import Room
from tests.sim.checks.runs import Runs
from tests.sim.checks.shots import Shots
from tests.sim.checks.survivors import Survivors
from tests.sim.checks.tables import TablesInForce
from tests.sim.checks.terms import Terms
from tests.sim.checks.votes import Votes
from tests.sim.dying import overruns
from tests.sim.expectations import Expectations
from tests.sim.faults import Faults
from tests.sim.fences import Fences
from tests.sim.files import Files, Version, Weather
from tests.sim.ladders import goes_where_it_is_named, ladder_of
from tests.sim.machine import WALL_AT_START_S, Machine
from tests.sim.operators import Operators
from tests.sim.truth import Truth
from tests.sim.world import Fault, World, asked_grade

# How often, per timeout, everything that runs is compared with its deadline.
LOOKS_PER_TIMEOUT = 4
# How long, in T, after somebody was hidden from others the adaptive quorum may bear the blame.
ADAPTIVE_MEMORY = 6
# Notes whose cause belongs to the rule that is counted.
CAUSED = frozenset(
    {"vote_released", "claim_withdrawn", "claim_released", "group_told", "silence_ended"}
)
# Notes of a node that tried to run a group and could not.
FAILURES = frozenset({"group_banned", "move_began", "tell_refused"})


class Outcome(Struct):
    """What came of a run. `settled_s` is how long after the last fault all was as wanted."""

    settled_s: float | None = None
    cold_s: float | None = None
    failovers_s: list[float] = field(default_factory=list)
    moves_in_calm: int = 0


class Cluster:
    """One world while it runs."""

    def __init__(self, world: World, *, telling: bool = False) -> None:
        self.world = world
        self.agenda = Agenda()
        blame_s = 3 * world.timing.timeout_s
        self.exclusion = Exclusion(blame_s, self.apart, self.outlived)
        self.leases = Leases()
        self.tables = TablesInForce()
        self.liveness = Liveness()
        self.shots = Shots(world)
        self.evidence = Evidence()
        self.obedience = Obedience()
        self.probation = Probation(world.timing.timeout_s, counts=world.fence.probation > 0)
        self.runs = Runs()
        ladders = {it.name: ladder for it in world.groups if (ladder := ladder_of(it)) is not None}
        named = goes_where_it_is_named(world)
        self.ladders = Ladders(ladders, lambda: self.faults.disturbed_at, blame_s, named=named)
        self.relations = Relations(
            world.timing.timeout_s,
            self._decider,
            lambda: self.faults.unwell_at,
            {spec.name for spec in world.groups if spec.move_after},
        )
        self.room = Room(spec.name for spec in world.groups if spec.move_after)
        self.survivors = Survivors(world.timing.heartbeat_s)
        self.asked_grades = {it.name: asked_grade(world.fence, it) for it in world.groups}
        self.leftovers = Leftovers(blame_s, self.apart, self.asked_grades)
        self.truth = Truth(
            lambda: self.agenda.now,
            [
                self.exclusion,
                Terms(blame_s, self.apart),
                Votes(),
                Pills(),
                self.leases,
                Receipts(blame_s, self.apart, self.asked_grades),
                self.tables,
                self.liveness,
                self.shots,
                self.evidence,
                self.obedience,
                self.probation,
                self.room,
                self.survivors,
                self.runs,
                self.ladders,
                self.relations,
                self.leftovers,
            ],
        )
        self.truth.telling = telling
        self.story = self.truth.tell
        self.weather = Weather()
        self.files = Files(world, self.weather, chance(world.seed, "files"), self.truth.cover)
        self.fences = Fences(self)
        self.machines = {node: Machine(self, node) for node in world.ids}
        self.wrong = Expectations(self).wrong
        self.operators = Operators(self)
        self.faults = Faults(self)
        self.electorates: dict[int, list[tuple[float, Electorate]]] = {n: [] for n in world.ids}
        self.hidden_at = -math.inf
        self.overrun = overruns(world)
        self.failed: set[tuple[int, str]] = set()
        self.calm = False
        self.outcome = Outcome()

    # --- the run -------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Run the world to its end.

        Raises:
            Violation: a checker found a promise broken.
        """
        self.boot()
        for fault in self.world.faults:
            self.agenda.at(fault.at, partial(self.faults.begin, fault))
        self._watch_cold_start()
        self.agenda.run(self.world.chaos_s)
        self.calm = self.files.calm = self.relations.calm = True
        self.story("the faults end")
        self.faults.end_all()
        self._calm_down()
        return self.outcome

    def boot(self) -> None:
        """Let all machines boot soon, and all that runs be watched."""
        rng = chance(self.world.seed, "boot")
        if self.world.adaptive:
            self.truth.cover("rule world with the adaptive quorum")
        self.faults.keep_out()
        mtime_ns = int((WALL_AT_START_S - 86_400) * 1e9)
        for machine in self.machines.values():
            for name, first in ((CLTAB, edits.first_cltab), (HACTL, edits.first_hactl)):
                shelf, data = machine.disk.tables[name], first(self.world.groups)
                text = Text(version_of(data, mtime_ns), data)
                shelf.write(text)
                shelf.store(text)  # a new node waits until a file has settled, before all else
            self.agenda.at(rng.random() * self.world.timing.heartbeat_s, machine.boot)
        self._look()

    def _look(self) -> None:
        """Compare what runs with its deadlines, at all times."""
        for machine in self.machines.values():
            for clinit in machine.clinits() if machine.up else ():
                for name, unit in clinit.supervisor.units.items():
                    deadlines = unit.group.deadlines
                    kill_at = deadlines.kill_at if deadlines else None
                    if not (clinit.condemned and clinit.outlived(name)):
                        self.leases.look(machine.id, clinit.number, name, kill_at, machine.now)
            if not self.hindered(machine):
                self.relations.look(machine.id)
        step = self.world.timing.timeout_s / LOOKS_PER_TIMEOUT
        self.agenda.at(self.agenda.now + step, self._look)

    def watch_ghost(self, machine: Machine) -> None:
        """See to it that what a standing clock kept alive ends at the first look (G1).

        Nothing is judged where something else keeps the node from looking, or from being heard.
        """
        monitor, life = machine.monitor, machine.life
        if monitor is None or not monitor.ready or self.hindered(machine):
            return
        looks_s = 2 * self.world.timing.heartbeat_s + 2 * self.world.lag_s + 8 * self.world.ipc_s

        def judge() -> None:
            same = machine.monitor is monitor and machine.life == life
            if not same or self.hindered(machine):
                return
            if groups := self.exclusion.overlapping(machine.id):
                raise self.truth.violated(
                    "exclusion", f"the ghost of {groups} on node {machine.id} is alive"
                )
            self.truth.cover("rule ghost looked for")

        self.agenda.at(self.agenda.now + looks_s, judge)

    def hindered(self, machine: Machine, besides: Fault | None = None) -> bool:
        """Say whether something keeps a node from its work, except one fault."""
        monitor, clinit = machine.monitor, machine.clinit
        free = monitor is not None and not monitor.paused and not machine.clock.still
        obeyed = clinit is not None and not clinit.paused
        others = any(fault is not besides for fault in self.faults.current)
        return bool(self.weather.in_force or others or machine.strays) or not (free and obeyed)

    def _watch_cold_start(self) -> None:
        first = min((fault.at for fault in self.world.faults), default=self.world.chaos_s)
        if self.agenda.now >= first or self.outcome.cold_s is not None:
            return
        if not self.wrong():
            self.outcome.cold_s = self.agenda.now
            return
        step = self.world.timing.heartbeat_s / 5
        self.agenda.at(self.agenda.now + step, self._watch_cold_start)

    def _calm_down(self) -> None:
        began = self.agenda.now
        step = self.world.timing.heartbeat_s
        wrong = "nothing was looked at"
        while self.agenda.now < began + self.world.calm_s:
            self.agenda.run(self.agenda.now + step)
            self._operate()
            wrong = self.wrong()
            if not wrong and self.outcome.settled_s is None:
                self.outcome.settled_s = self.agenda.now - began
            elif wrong and self.outcome.settled_s is not None:
                self.outcome.settled_s = None
                self.outcome.moves_in_calm += 1
            if self._steady(began):
                break
        if wrong:
            raise self.truth.violated("liveness", wrong)

    def _steady(self, began: float) -> bool:
        """Say whether all has been well for so long that nothing more is to be expected."""
        settled_s = self.outcome.settled_s
        if settled_s is None:
            return False
        quiet_s = self.world.timing.timeout_s * 1.5
        return self.agenda.now - began > max(quiet_s, settled_s + quiet_s / 2)

    def _operate(self) -> None:
        """Let operators tidy up, and vouch for every dead node where receipts are required."""
        self.operators.tidy_up()
        if all(asked is Grade.LEASE_ELAPSED for asked in self.asked_grades.values()):
            return
        for dead in self.machines.values():
            if dead.up or dead.id not in self.stay_dead():
                continue
            for machine in self.machines.values():
                if self.healthy(machine) and self.fences.confirm(machine, dead):
                    break

    # --- judging -------------------------------------------------------------------------

    def stay_dead(self) -> frozenset[int]:
        """Return the nodes that do not come back after the faults."""
        return frozenset(self.world.dead) if self.calm else frozenset()

    def healthy(self, machine: Machine) -> bool:
        """Say whether a node is up and takes part."""
        monitor = machine.monitor
        return machine.up and monitor is not None and monitor.ready and not monitor.leaving

    def _decider(self, node: int) -> Decider | None:
        monitor = self.machines[node].monitor
        return Decider(monitor.node.state, monitor.now()) if monitor is not None else None

    # --- facts from the machines ---------------------------------------------------------

    def land(self, node: int, status: Status, text: str, *, late: bool = False) -> None:
        """Replace a node's file; the others see it each after a lag of its own."""
        version = self.files.land(node, text)
        self.truth.landed(node, status, late=late)
        for reader in self.world.ids:
            if reader != node:
                self.spread(reader, node, version)

    def spread(self, reader: int, writer: int, version: Version) -> None:
        """Let a reader see a version once it is visible and the reader polls."""
        machine = self.machines[reader]
        poll_s = self.world.timing.poll_s * machine.rng.random()
        lag_s = self.files.lag(reader, writer) + poll_s
        self.agenda.at(self.agenda.now + lag_s, partial(self._arrive, reader, writer, version))

    def _arrive(self, reader: int, writer: int, version: Version) -> None:
        if self.weather.in_force and self.weather.cut(reader, writer) is not None:
            self.truth.cover("fault version held back by a cut")
            return
        machine = self.machines[reader]
        monitor = machine.monitor
        if self.files.arrive(reader, writer, version) and machine.up and monitor is not None:
            monitor.handle(partial(monitor.notice, writer))

    def healed(self, fault_links: list[tuple[int, int]]) -> None:
        """Let the newest versions through after a cut."""
        for reader, writer in fault_links:
            kept = self.files.kept[writer]
            if kept and self.weather.cut(reader, writer) is None:
                self.spread(reader, writer, kept[-1])

    def newest_inc(self, node: int) -> int:
        """Return the newest incarnation of a node that ever landed, or 0."""
        kept = self.files.kept[node]
        status = self.files.parse(kept[-1].text) if kept else None
        return status.inc if status else 0

    def outlived(self, node: int, clinit: int, group: str) -> bool:
        """Say whether what a node has of a group has outlived its kill beyond the arithmetic."""
        return self.overrun and self.machines[node].outlived(clinit, group)

    def in_force(self, node: int, table: str, text: bytes) -> None:
        """A node has a table in force."""
        self.tables.adopted(node, table, text)
        if table == HACTL:
            self.relations.adopted(node)

    def counts_on(self, node: int, electorate: Electorate) -> None:
        """A node counts with an electorate."""
        kept = self.electorates[node]
        if not kept or kept[-1][1] != electorate:
            kept.append((self.agenda.now, electorate))

    def apart(self, one: int, other: int) -> bool:
        """Say whether these nodes may have counted with electorates that share no voter (H2.3).

        Only the adaptive quorum can come to that, and only where nodes that live were hidden
        from others for so long that the electorate followed.
        """
        timeout_s = self.world.timing.timeout_s
        if (
            not self.world.adaptive
            or self.agenda.now - self.hidden_at > ADAPTIVE_MEMORY * timeout_s
        ):
            return False
        since = self.agenda.now - 3 * timeout_s
        return any(
            a.needed + b.needed <= len(a.nodes | b.nodes)
            for a in self._counted(one, since)
            for b in self._counted(other, since)
        )

    def _counted(self, node: int, since: float) -> list[Electorate]:
        """Return the electorates of a node since then, the one it had then too."""
        kept = self.electorates[node]
        last = sum(at <= since for at, _ in kept) - 1
        return [electorate for _, electorate in kept[max(last, 0) :]]

    def noted(self, node: int, note: LogRecord) -> None:
        """Count a note of a brain, and tell it."""
        cause = f": {note.fields['cause']}" if note.event in CAUSED else ""
        group = str(note.fields.get("group", ""))
        if note.event in FAILURES:
            self.failed.add((node, group))
            self.obedience.banned(node, group)
        for checker in (self.ladders, self.relations, self.leftovers):
            checker.noted(node, note)
        self.room.noted(note, calm=self.calm)
        if note.event == "claim_made":
            self.probation.claimed(node, group)
            if (monitor := self.machines[node].monitor) is not None:
                self.room.claimed(monitor.node.state, group)
        self.truth.cover(disks.done_to(node, note) or f"note {note.event}{cause}")
        if self.truth.telling and self.tells_of(node) and (said := sayings.say(note)):
            self.truth.tell(f"node {node} {said}")

    def stepped(self, node: int, group: str, step: GroupStep, *, granted: bool) -> None:
        """Count the row of the table that decided a step."""
        if step.row is not None:
            self.truth.counts[f"row {step.row.name}"] += 1
            self.ladders.stepped(node, group, step.row, granted=granted)

    def note_local(self, node: int, report: GroupReport | None) -> None:
        """Tell what a monitor hears of clinit."""
        if report is None or not self.truth.telling or self.world.every_state:
            return
        if report.state in SETTLED and self.tells_of(node):
            self.truth.tell(f"node {node}: {report.group} is at {report.level} {report.state}")

    def shown(self, node: int, group: Group) -> None:
        """Take in each state that clinit shows, and tell it where the world asks for that."""
        self.ladders.shown(node, group)
        self.relations.shown(node, group.name, group.level, group.state)
        if self.world.every_state and self.tells_of(node):
            self.truth.tell(f"node {node}: {group.name} {group.level} {group.state}")

    def tells_of(self, node: int) -> bool:
        """Say whether the story tells what this node does."""
        return not self.world.told_of or node in self.world.told_of
