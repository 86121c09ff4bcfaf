"""One node of the cluster as a state machine: events go in, effects come out.

`Agent.handle` takes an event and returns its effects; `due` says when time alone requires
something, which is then done on `TimePassed`. `core.cluster.node.Node` decides; the agent says when
it is asked, and in which order its decisions leave. Mutable inside, pure from outside: the same
events at the same times give the same effects. It uses no clock, no randomness, no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from mosha.core.cluster import access, arming, entry_orders, events, orders, poison, recovery, shots
from mosha.core.cluster.effects import (
    Announce,
    Effect,
    FeedWatchdog,
    HurryWatch,
    LookAround,
    ReadStatus,
    RenewLeases,
    WatchNodes,
    WriteStatus,
)
from mosha.core.cluster.flight_recorder import FlightRecorder
from mosha.core.cluster.group_steps import GroupSteps
from mosha.core.cluster.invariants import Invariants
from mosha.core.cluster.leaving import Leaving, Stage
from mosha.core.cluster.node import Node
from mosha.core.cluster.pace import LOOK_LATEST, LOOK_SOONEST, Looking, Publishing, Renewing
from mosha.core.cluster.reading import PeerReading, ReadSchedule
from mosha.core.replication.node_tables import NodeTables
from mosha.core.replication.table_events import TableEvent
from mosha.core.status import NodeState
from mosha.errors import BugError

if TYPE_CHECKING:
    from mosha.core.cluster.events import Event

NOTHING: Sequence[Effect] = ()


class Agent:
    """One node. Not for several threads; `now` (seconds of boottime) never goes back."""

    def __init__(self, node: Node, tables: NodeTables) -> None:
        timing = node.state.timing
        self.node = node
        self.tables = tables
        self._state = node.state
        self._readings = ReadSchedule(timing)
        self._reads = self._readings.timers
        self._publishing = Publishing(timing.heartbeat_s)
        self._renewing = Renewing(timing.heartbeat_s)
        self._looking = Looking(timing.heartbeat_s)
        self._leaving = Leaving()
        self._fence_at = -math.inf
        self._ready = False
        self._last_begun = False
        self._effects: list[Effect] = []
        self._recorder = FlightRecorder(node.state.me)
        self._invariants = Invariants(node, self._recorder)
        self._steps = GroupSteps(node, self._invariants, self._recorder)
        self._handlers: dict[type, Callable[[Any, float], None]] = {
            events.StatusRead: self._status_read,
            events.ReadFailed: self._read_failed,
            events.FileChanged: self._file_changed,
            events.StatusWritten: self._status_written,
            events.WriteFailed: self._write_failed,
            events.StatusSetBack: self._status_set_back,
            events.NamesakeFound: self._namesake_found,
            events.MembersFound: self._members_found,
            **dict.fromkeys(get_args(TableEvent), self._table_event),
            events.GroupsReported: self._groups_reported,
            events.ClinitLost: self._clinit_lost,
            events.ClinitEnded: self._clinit_ended,
            events.TellAnswered: self._tell_answered,
            events.EntryOrderAnswered: self._entry_order_answered,
            events.LeasesRenewed: lambda _, __: self._renewing.over(),
            events.MethodBegun: lambda it, _: shots.begun(self._state, it),
            events.ShotEnded: self._shot_ended,
            events.StorageAnswered: lambda it, _: access.answered(self._state, it),
            events.DeathConfirmed: self._death_confirmed,
            events.FenceAsked: self._fence_asked,
            events.FenceWithdrawn: lambda it, _: shots.withdraw(self._state, it.node),
            events.PillOrdered: lambda it, _: poison.order(self._state, it.node, it.inc),
            events.PillWithdrawn: lambda it, _: poison.withdraw(self._state, it.node),
            events.DisarmAsked: lambda it, now: arming.order(self._state, it.for_s, it.reason, now),
            events.OrderGiven: self._order_given,
            events.FailureReported: self._failure_reported,
            events.SettingsChanged: self._settings_changed,
            events.LeaveAsked: self._leave_asked,
            events.TimePassed: self._time_passed,
        }
        self._recorder.attach(self._handlers)

    def handle(self, event: Event, now: float) -> Sequence[Effect]:
        """Handle an event and return its effects, in order.

        Raises:
            BugError: the agent does not know this event.
        """
        try:
            handler = self._handlers[type(event)]
        except KeyError as error:
            raise BugError(f"the agent does not know {type(event).__name__}") from error
        handler(event, now)
        state = self._state
        if state.dirty or state.log_records or state.to_step:
            self._show(now)
        if state.to_clinit:
            self._effects += state.to_clinit
            state.to_clinit = []
        if not self._effects:
            return NOTHING
        effects, self._effects = self._effects, []
        return effects

    @property
    def due(self) -> float:
        """When `TimePassed` is wanted: at once (minus infinity), at a time, or never (infinity).

        Nothing but leaving and the tables is due before clinit has said for the first time what it
        has (C7).
        """
        if self._state.to_step and self._ready:
            return -math.inf
        leave_at = self._leaving.due(self.node)
        if not self._ready:
            return min(leave_at, self.tables.due)
        return min(
            self._steps.due,
            self._reads.due,
            self._publishing.due,
            self._renewing.due,
            self._fence_at,
            self.tables.due,
            leave_at,
        )

    def check(self, now: float) -> None:
        """Look whether all that must hold does, as tests do; raises BugError if it does not."""
        self._invariants.check(now)

    def _show(self, now: float) -> None:
        """Write, publish and announce what the last decisions have changed."""
        state = self._state
        if state.dirty and not self.node.mute(now):
            self._publishing.want(now)
        if state.log_records or (state.to_step and self._ready):
            self._fence_at = -math.inf  # a shot may be due, or no longer
            lines = self.node.take_notes()
            for line in lines:
                self._recorder.record_log(line, now)
            self._effects += lines
            self._effects.append(Announce())

    # --- the file system ---------------------------------------------------------------

    def _status_read(self, event: events.StatusRead, now: float) -> None:
        reading = self._readings.ended(event.node, often=event.polled, hung=False)
        if reading is None:
            return
        news = event.status is not reading.status
        reading.status = event.status
        self.node.peer_read(event.node, event.status, began=reading.began, now=now)
        if news and self._state.claimed:
            self._renewing.want()
        for group in self._state.to_step:
            self._recorder.record(group, now, ("status read", event.status.stamp))
        self._judge(reading, now, news=news)

    def _read_failed(self, event: events.ReadFailed, now: float) -> None:
        often = event.polled or event.torn
        reading = self._readings.ended(event.node, often=often, hung=event.hung)
        if reading is None:
            return
        error = event.error
        if reading.hung_since is not None:
            error = f"no answer for {now - reading.hung_since:.0f} s"
        self.node.peer_read(event.node, None, began=reading.began, now=now, error=error)
        self._judge(reading, now, news=False)

    def _judge(self, reading: PeerReading, now: float, *, news: bool) -> None:
        """Plan the next read; let the tables hear of a node that says something new."""
        node = reading.node
        if self._readings.judge(reading, self.node.look_at(node), now):
            self._effects.append(HurryWatch())
        fresh, status = self.node.state.view.speaks(node), reading.status
        if status is not None and (news or fresh is not reading.fresh):
            reading.fresh = fresh
            if self.tables.peer_has(node, status.tables, status.pasts, now, fresh=fresh):
                self._take_tables()

    def _file_changed(self, event: events.FileChanged, now: float) -> None:
        if self._ready and (limit_s := self._readings.want(event.node, now)):
            self._effects.append(ReadStatus(event.node, limit_s))

    def _status_written(self, event: events.StatusWritten, now: float) -> None:
        self.node.wrote(event.status, began=self._publishing.began)
        if self.node.state.claimed:
            self._renewing.want()
        self._publishing_over(now)
        if shots.aims(self._state):  # it is shown now
            self._fence_at = -math.inf

    def _write_failed(self, event: events.WriteFailed, now: float) -> None:
        del event  # leases run out by themselves; the next heartbeat tries again
        self._publishing_over(now)

    def _publishing_over(self, now: float) -> None:
        """Go on after a publication: its thread and those that look around would collide."""
        self._publishing.over()
        if self._leaving.stage is Stage.WRITES_LAST:
            self._last(now)
            return
        self._effects.append(FeedWatchdog())
        if self._looking.is_time(now, LOOK_SOONEST):
            self._look_around(now)

    def _look_around(self, now: float) -> None:
        """Do what is done once a heartbeat, with whatever else wakes this node."""
        self._effects.append(LookAround())
        self.tables.look(now)
        self._take_tables()

    def _status_set_back(self, event: events.StatusSetBack, now: float) -> None:
        del event
        recovery.find_set_back(self.node.state, now)

    def _namesake_found(self, event: events.NamesakeFound, now: float) -> None:
        del event
        self.node.displaced()
        self._leave(now)

    def _members_found(self, event: events.MembersFound, now: float) -> None:
        del now
        self.node.members_found(event.nodes)
        self._watch()

    def _watch(self) -> None:
        nodes = self.node.state.view.watched()
        if nodes != self._readings.nodes:
            self._readings.watch(nodes)
            self._effects.append(WatchNodes(nodes))

    def _table_event(self, event: TableEvent, now: float) -> None:
        self.tables.handle(event, now)
        self._take_tables()

    def _take_tables(self) -> None:
        """Take over what the tables order, and what is in force if that is news."""
        self._effects += self.tables.take_effects()
        if self.tables.take_news():
            found = self.tables.now
            groups = frozenset(found.cltab.groups()) if found.cltab is not None else None
            self.node.cltab_adopted(found.cltab)
            self.node.tables_adopted(
                found.hactl, groups, found.versions, found.refused, found.pasts
            )

    # --- clinit ------------------------------------------------------------------------

    def _groups_reported(self, event: events.GroupsReported, now: float) -> None:
        for report in event.groups:
            self._recorder.record(report.group, now, report)
        if event.full:
            self._leaving.clinit_found()
            self.node.clinit_answered(event.groups, now)
            if not self._ready:
                self._ready = True
                self._watch()
            return
        for report in event.groups:
            self.node.clinit_changed(report)
        for group in event.gone:
            self._recorder.record(group, now, "clinit has dropped it")
            self.node.clinit_dropped(group)

    def _clinit_lost(self, event: events.ClinitLost, now: float) -> None:
        del event
        self._leaving.clinit_lost(now)
        self.node.clinit_lost()

    def _clinit_ended(self, event: events.ClinitEnded, now: float) -> None:
        del event
        self._leaving.clinit_ended()
        self._last(now)

    def _tell_answered(self, event: events.TellAnswered, now: float) -> None:
        self._recorder.record(event.group, now, event)
        if event.refusal:
            self.node.tell_refused(event.group, event.level, event.refusal, now)
        self._steps.answered(event.group)

    def _entry_order_answered(self, event: events.EntryOrderAnswered, now: float) -> None:
        self._recorder.record(event.order.group, now, event)
        entry_orders.replied(self._state, event.order, ok=event.ok, text=event.text, now=now)

    # --- fencing and people ------------------------------------------------------------

    def _shot_ended(self, event: events.ShotEnded, now: float) -> None:
        self.node.shot(event, now)

    def _death_confirmed(self, event: events.DeathConfirmed, now: float) -> None:
        if refusal := self.node.confirmed(event.node, now):
            raise BugError(f"a confirmation that is refused was reported: {refusal}")

    def _fence_asked(self, event: events.FenceAsked, now: float) -> None:
        if refusal := self.node.fence_asked(event.node, now):
            raise BugError(f"a shot that is refused was reported: {refusal}")

    def _order_given(self, event: events.OrderGiven, now: float) -> None:
        self._recorder.record(event.order.group or self._state.me, now, event)
        orders.give(self._state, event.order, now)

    def _failure_reported(self, event: events.FailureReported, now: float) -> None:
        self._recorder.record(event.group, now, event)
        orders.fail(self._state, event.group, event.reason, now)

    def _settings_changed(self, event: events.SettingsChanged, now: float) -> None:
        del now
        state = self.node.state
        state.timing, state.fencing, state.capacity = event.timing, event.fencing, event.capacity
        state.outlived.clear()  # an operator has corrected it
        state.changed()
        state.wake_all()

    def _leave_asked(self, event: events.LeaveAsked, now: float) -> None:
        del event
        self._leave(now)

    def _leave(self, now: float) -> None:
        del now
        if self.node.state.node_state is NodeState.UP:
            self._leaving.begin()
            self.node.leave()

    # --- time --------------------------------------------------------------------------

    def _time_passed(self, event: events.TimePassed, now: float) -> None:
        """Do all that is due. Groups come first: their decisions are published with the rest."""
        if self.tables.due <= now:
            self.tables.pass_time(now)
            self._take_tables()
        if self._ready and (self._state.to_step or self._steps.due <= now):
            self._effects += self._steps.take(now, event.chance)
        if self._leaving.due(self.node) <= now:
            self._effects += self._leaving.go_on(self.node)
        if not self._ready:
            return
        self._show(now)
        if self._fence_at <= now:
            found, self._fence_at = self.node.fence_orders(now)
            self._effects += found
        renew_at = self._renewing.due
        if self._publishing.due <= now:
            self._publish(now)
            renew_at -= self._renewing.early_s  # one wake-up serves both
        if renew_at <= now:
            self._renew(now)
        if self._reads.due <= now:
            self._effects += [ReadStatus(*read) for read in self._readings.begin_due(now)]

    def _publish(self, now: float) -> None:
        if self.node.state.displaced or self.node.mute(now):
            self._publishing.begin(now)
            self._publishing_over(now)  # it publishes nothing (N1), and does all the rest
            return
        self._write(now, left=False)

    def _write(self, now: float, *, left: bool) -> None:
        self._publishing.begin(now)
        status = self.node.next_status(now, left=left)
        self._effects.append(WriteStatus(status, self.node.memory(status)))

    def _last(self, now: float) -> None:
        """Publish that this node has left, then end; a mute node cannot publish it (N1)."""
        self._publishing.stop()
        if self._publishing.under_way:
            return  # called again when that is over
        if self._last_begun or self.node.state.displaced or self.node.mute(now):
            self._effects += self._leaving.wrote_last()
        else:
            self._last_begun = True
            self._write(now, left=True)

    def _renew(self, now: float) -> None:
        connected = self.node.state.clinit_known
        self._renewing.begin(now, under_way=connected)
        renewals = self.node.renewals(now)
        for renewal in renewals:
            self._recorder.record_renewal(renewal, now)
            self._invariants.check_group(self._state.record(renewal.group), now)
        if self._looking.is_time(now, LOOK_LATEST):
            self._look_around(now)
        if connected:
            self._effects.append(RenewLeases(tuple(renewals)))
