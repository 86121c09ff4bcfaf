"""Everything that clinit decides: all groups together with the cltab in force.

Pure composition of `core.supervision.unit`: events in, effects out. The daemon and its simulations
run this and differ only in what carries out the effects.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from mosha.core.escalation import Limits
from mosha.core.instance_names import single
from mosha.core.status import STOPPED, GroupState
from mosha.core.supervision import group as groups
from mosha.core.supervision import process_events
from mosha.core.supervision import unit as units
from mosha.core.supervision.agent_traces import left_behind, unproven
from mosha.core.supervision.group import Deadlines
from mosha.core.supervision.unit import Unit
from mosha.core.tables import PLAN_LEVEL, STOP_LEVEL, Cltab, Entry, agent_stop
from mosha.core.tell import EntryOrder, Tell

STARTED_TEXT = "level transition started"
HALTING_TEXT = "all groups halting"


# --- events --------------------------------------------------------------------------


class TableRead(Struct, frozen=True):
    """A cltab without mistakes was read because of a tell or a reread."""

    cltab: Cltab


class Leased(Struct, frozen=True):
    """The leases of some groups were renewed: group -> (term, deadlines)."""

    leases: Mapping[str, tuple[int, Deadlines]]


class EntryEvent(Struct, frozen=True):
    """Something happened to an entry."""

    group: str
    tag: str
    event: process_events.Event


class Recovered(Struct, frozen=True):
    """An earlier supervisor of this boot has left agents of a group that were not seen to stop."""

    group: str
    agents: tuple[Entry, ...]


class ShutdownAsked(Struct, frozen=True):
    """End all groups, then the daemon."""


Event = (
    Tell
    | EntryOrder
    | TableRead
    | Leased
    | EntryEvent
    | groups.GroupEmptied
    | groups.GroupTimePassed
    | Recovered
    | ShutdownAsked
)

# --- effects -------------------------------------------------------------------------


class TellReply(Struct, frozen=True):
    """The reply to a tell, an order for an entry or a shutdown (texts of C4.1)."""

    ok: bool
    text: str


class Gone(Struct, frozen=True):
    """The group is gone: forget everything about it."""

    group: str


class Halted(Struct, frozen=True):
    """All groups have ended after a shutdown."""


Effect = units.Effect | TellReply | Gone | Halted


class Supervisor(Struct, frozen=True):
    """The cltab in force, and every group that was ever told, in that order.

    `dues` says when time moves a group on, for groups that wait for a time: asking all groups after
    each event would cost more than the event. If `managed`, it refuses levels that need a lease
    (C5) for a group that has none: only the monitor can give one.
    """

    cltab: Cltab = field(default_factory=Cltab)
    units: Mapping[str, Unit] = field(default_factory=dict)
    halting: bool = False
    limits: Limits = field(default_factory=Limits)
    dues: Mapping[str, float] = field(default_factory=dict)
    managed: bool = False

    @property
    def due(self) -> float | None:
        """When time alone moves anything on."""
        return min(self.dues.values(), default=None)

    @property
    def halted(self) -> bool:
        """Whether a shutdown has ended every group."""
        # The first half is checked after each event, all groups only while halting.
        return self.halting and all(
            unit.group.state is GroupState.CONFIGURED for unit in self.units.values()
        )


def step(supervisor: Supervisor, event: Event, now: float) -> tuple[Supervisor, tuple[Effect, ...]]:
    """Return the supervisor after the event, and the effects, in order.

    Events of groups that are gone are late and change nothing.

    Raises:
        BugError: the event cannot happen in the state of its group or entry.
    """
    work = _Work(supervisor, now)
    match event:
        case Tell():
            work.tell(event)
        case EntryOrder():
            work.order_entry(event)
        case TableRead(cltab):
            work.read_table(cltab)
        case Leased(leases):
            for group, (term, deadlines) in leases.items():
                work.feed(group, groups.Renewed(term, deadlines))
        case EntryEvent(group, tag, happened):
            work.feed_entry(group, tag, happened)
        case groups.GroupEmptied(group):
            work.feed(group, event)
        case groups.GroupTimePassed():
            work.pass_time()
        case Recovered(group, agents):
            work.recover(group, agents)
        case ShutdownAsked():
            work.shut_down()
    after = work.result()
    if after.halted and not supervisor.halted:
        work.effects.append(Halted())
    return after, tuple(work.effects)


class _Work:
    """Handles one event: collects the new values and the effects."""

    def __init__(self, supervisor: Supervisor, now: float) -> None:
        self.now = now
        self.limits = supervisor.limits
        self.effects: list[Effect] = []
        # Copied once, at the first change: an event that ends n groups costs n, not n squared.
        self.units = supervisor.units
        self.dues = supervisor.dues
        self._mine: tuple[dict[str, Unit], dict[str, float]] | None = None
        self._before = supervisor
        self._cltab = supervisor.cltab
        self._halting = supervisor.halting

    def result(self) -> Supervisor:
        """Return the supervisor after the event."""
        return replace(
            self._before,
            cltab=self._cltab,
            units=self.units,
            halting=self._halting,
            dues=self.dues,
        )

    def tell(self, told: Tell) -> None:
        if self._halting:
            self.effects.append(TellReply(ok=False, text=HALTING_TEXT))  # C4.21
            return
        unit = self.units.get(told.group, Unit(groups.Group(told.group)))
        entries = self._cltab.entries_of(told.group)
        if entries:
            unit = replace(unit, recovers=False)
        elif unit.recovers:
            entries = unit.entries
        if not entries:
            self._tell_removed(told)
            return
        if self._before.managed and _lacks_lease(unit, told):
            text = (
                f"{told.group} {told.level} needs a lease, which only the monitor can give;"
                f" tell the cluster instead: mosha set {told.group} {told.level}"
            )
            self.effects.append(TellReply(ok=False, text=text))
            return
        self.effects.append(TellReply(ok=True, text=STARTED_TEXT))
        if unit.removed:
            self._put(replace(unit, again=told))
            return
        self._take(units.tell(unit, told, entries, self.now, self.limits))

    def order_entry(self, order: EntryOrder) -> None:
        unit = self.units.get(order.group)
        if unit is None or unit.removed or self._halting:
            text = HALTING_TEXT if self._halting else f"{order.group} does not run here"
            self.effects.append(TellReply(ok=False, text=text))
        elif self._before.managed and unit.group.deadlines is None:
            self.effects.append(TellReply(ok=False, text=f"{order.group} has no lease"))
        else:
            after, effects, reply = units.order_entry(unit, order, self.now, self.limits)
            self.effects.append(TellReply(reply.ok, reply.text))
            self._take((after, effects))

    def _tell_removed(self, text: Tell) -> None:
        """Answer a tell for a group that cltab does not have: one that is ending obeys a stop."""
        unit = self.units.get(text.group)
        if unit is None or not unit.removed or text.level != STOP_LEVEL:
            self.effects.append(TellReply(ok=False, text=f"no such group: {text.group}"))
            return
        self._put(replace(unit, again=None))
        self.effects.append(TellReply(ok=True, text=STARTED_TEXT))

    def read_table(self, cltab: Cltab) -> None:
        """Put a cltab in force; groups that are no longer in it are ended (C5.4)."""
        self._cltab = cltab
        known = set(cltab.groups())
        for name in sorted(name for name in self.units if single(name) not in known):
            unit = self.units[name]
            if unit.recovers:
                continue
            self._put(replace(unit, removed=True, again=None))
            self.feed(name, groups.HaltAsked(groups.REMOVED))

    def recover(self, group: str, agents: tuple[Entry, ...]) -> None:
        """Stop agents of which something may be left, as at level `stop`, and nothing else."""
        stops = tuple(map(agent_stop, reversed(agents)))
        left = Unit(groups.Group(group), traces=left_behind(agents), recovers=True)
        self._take(units.tell(left, Tell(group, STOP_LEVEL), stops, self.now, self.limits))

    def shut_down(self) -> None:
        self.effects.append(TellReply(ok=True, text=HALTING_TEXT))
        self._halting = True
        for name in tuple(self.units):
            self._put(replace(self.units[name], again=None))
            self.feed(name, groups.HaltAsked(groups.HALTED))

    def feed(self, group: str, event: groups.Event) -> None:
        unit = self.units.get(group)
        if unit is not None:
            self._take(units.feed_group(unit, event, self.now, self.limits))

    def feed_entry(self, group: str, tag: str, event: process_events.Event) -> None:
        unit = self.units.get(group)
        if unit is not None:
            self._take(units.feed_process(unit, tag, event, self.now, self.limits))

    def pass_time(self) -> None:
        for group, due in tuple(self.dues.items()):
            if due <= self.now:
                self._take(units.pass_time(self.units[group], self.now, self.limits))

    def _take(self, result: tuple[Unit, tuple[units.Effect, ...]]) -> None:
        unit, effects = result
        self.effects += effects
        if not _is_over(unit):
            self._put(unit)
            return
        name = unit.group.name
        units_now, dues_now = self._own()
        units_now.pop(name, None)
        dues_now.pop(name, None)
        self.effects.append(Gone(name))
        entries = self._cltab.entries_of(name)
        if unit.again is not None and entries:
            fresh = Unit(groups.Group(name, spent_term=unit.group.spent_term), traces=unit.traces)
            self._take(units.tell(fresh, unit.again, entries, self.now, self.limits))
        elif (left := unproven(unit.traces)) and not self._halting:
            self.recover(name, left)

    def _put(self, unit: Unit) -> None:
        name, due = unit.group.name, unit.due
        units_now, dues_now = self._own()
        units_now[name] = unit
        if due is None:
            dues_now.pop(name, None)
        else:
            dues_now[name] = due

    def _own(self) -> tuple[dict[str, Unit], dict[str, float]]:
        """Return private copies of units and dues that may be changed."""
        if self._mine is None:
            self._mine = dict(self.units), dict(self.dues)
            self.units, self.dues = self._mine
        return self._mine


def _is_over(unit: Unit) -> bool:
    """Say whether nothing is to be known of a group any more."""
    group = unit.group
    if unit.recovers and not unproven(unit.traces):
        return group.level == STOP_LEVEL and group.state in STOPPED
    return unit.removed and group.state is GroupState.CONFIGURED


def _lacks_lease(unit: Unit, text: Tell) -> bool:
    """Say whether the told level needs a lease and there is none (C5)."""
    if text.level in (PLAN_LEVEL, STOP_LEVEL) or text.stop_at is not None:
        return False
    return unit.group.deadlines is None or unit.group.lapsed
