"""One group: its level, the level it should go to, and until when it may run.

The rules of this file (catalogue C4 to C7, docs/explanation/protocol.md):

- A tell sets the wish (`wanted`); the old level is shown until everything that does not belong
  to the wanted level is gone (C4.6, C4.11).
- When an agent, a unit or an address fails or is restarted, the group goes once more to the level
  that it has: what comes after it is stopped, and started again when it is ready.
- Level `stop` is the end: its entries run, then all processes that are left of the group are
  ended, daemons of `wait` and `once` entries too, and only then `stop DONE` is shown.
- At `stop_at` the group goes to `stop` by itself; at `kill_at` all its processes are killed, the
  entries of `stop` too. A renewal undoes neither; a tell with new deadlines does. Without one no
  entry of `stop` is started under that term any more, whenever it is told: the monitor may have
  been paused, and another node may run the group by then.

The group does not know its entries: `unit.py` reports their results.
"""

from __future__ import annotations

import enum

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.escalation import KILL_RUNG, LADDER, Limits, ladder_step
from mosha.core.status import SETTLED, GroupState
from mosha.core.supervision.group_table import ASKS, TABLE, EntriesOrder, GroupTrigger
from mosha.core.tables import STOP_LEVEL
from mosha.core.tell import Tell
from mosha.errors import BugError

TOLD = "tell"
LEASE_ENDED = "lease ended"
LEASE_KILLED = "lease ended: killed"
HALTED = "shutdown"
REMOVED = "removed from cltab"


class Deadlines(Struct, frozen=True):
    """Until when a group may run: seconds of CLOCK_BOOTTIME (docs/explanation/protocol.md, C5)."""

    stop_at: float
    kill_at: float


# --- events --------------------------------------------------------------------------


class Renewed(Struct, frozen=True):
    """The lease of this term now has these deadlines."""

    term: int
    deadlines: Deadlines


class HaltAsked(Struct, frozen=True):
    """End the group without running its `stop` entries, for this cause."""

    cause: str


class GroupTimePassed(Struct, frozen=True):
    """Time has passed; a deadline may or may not be due."""


class LeaversGone(Struct, frozen=True):
    """No entry outside the wanted level is alive."""


class EntriesListed(Struct, frozen=True):
    """The list of entries is now that of the wanted level."""


class EntriesStarted(Struct, frozen=True):
    """Every entry of the level was started, and each `wait` and `test` has ended."""


class EntryLost(Struct, frozen=True):
    """An agent, a unit or an address goes that others need, which run, for this cause."""

    cause: str


class EntriesEnded(Struct, frozen=True):
    """No entry of the level has still to end by itself: what is left now are leftovers."""


class GroupEmptied(Struct, frozen=True):
    """No process of the group is left except the spared entries (answer to WatchLeft)."""

    group: str
    visit: int


class LevelJudged(Struct, frozen=True):
    """The result of the level: DONE, PASSED or FAILED, and why if FAILED."""

    result: GroupState
    reason: str = ""


Event = (
    Tell
    | Renewed
    | HaltAsked
    | GroupTimePassed
    | LeaversGone
    | EntriesListed
    | EntriesStarted
    | EntryLost
    | EntriesEnded
    | GroupEmptied
    | LevelJudged
)

# --- effects -------------------------------------------------------------------------


class Shown(Struct, frozen=True):
    """A change of level or state, with the group as it was and as it is after it."""

    before: Group
    after: Group


class LeaseEnded(Struct, frozen=True):
    """A deadline of the group, `stop_at` or `kill_at`, passed that long ago."""

    group: str
    deadline: str
    late_s: float = 0.0


Effect = EntriesOrder | Shown | LeaseEnded

# --- the machine ---------------------------------------------------------------------


class Sweep(enum.Enum):
    """How far the sweep (ending what is left) has come, in one visit of a state."""

    NOT_YET = enum.auto()
    UNDER_WAY = enum.auto()
    FINISHED = enum.auto()


class Group(Struct, frozen=True):
    """A group and where it is.

    `level` and `state` are what is shown, `wanted` is the wish. `lapsed` and `killed` say
    which deadlines have passed and not been replaced by a tell. `visit` numbers the visits
    of states; `escalation_step` and `sweep_due` belong to the sweep. `spent_term` is the term whose
    `kill_at` has passed last, 0 if a tell has brought new deadlines since. `killed_late_s` is by
    how much its processes have outlived a `kill_at`, the longest since this clinit started.
    """

    name: str
    level: str = ""
    state: GroupState = GroupState.CONFIGURED
    wanted: str = ""
    term: int = 0
    node: str = ""
    deadlines: Deadlines | None = None
    lapsed: bool = False
    killed: bool = False
    spent_term: int = 0
    visit: int = 0
    since: float = 0.0
    cause: str = ""
    sweep: Sweep = Sweep.NOT_YET
    escalation_step: int = 0
    sweep_due: float | None = None
    killed_late_s: float = 0.0

    @property
    def due(self) -> float | None:
        """When time alone moves the group on."""
        times = [] if self.sweep_due is None else [self.sweep_due]
        if self.deadlines is not None:
            times += [] if self.lapsed else [self.deadlines.stop_at]
            times += [] if self.killed else [self.deadlines.kill_at]
        return min(times, default=None)

    @property
    def sweep_signal(self) -> str:
        """The current signal of the sweep."""
        return LADDER[min(self.escalation_step - 1, KILL_RUNG)]

    @property
    def spent(self) -> bool:
        """Whether nothing may be started any more under this term, not even to clean up."""
        return self.killed or (self.term > 0 and self.term == self.spent_term)

    @property
    def resting(self) -> bool:
        """Whether no process is alive that a deadline could end."""
        at_stop = self.level == STOP_LEVEL and self.state in SETTLED
        return self.state is GroupState.CONFIGURED or (at_stop and self.wanted == STOP_LEVEL)


def advance(
    group: Group, event: Event, now: float, limits: Limits
) -> tuple[Group, tuple[Effect, ...]]:
    """Return the group after the event, and the effects, in order.

    Late answers, leases of another term and times before `due` change nothing. One call
    handles at most one passed deadline: call again with GroupTimePassed until `due` is later.

    Raises:
        BugError: the event cannot happen in this state.
    """
    passed = _passed(group, now) if isinstance(event, GroupTimePassed) else ""
    trigger = _read(group, event, passed)
    group = _noted(group, event, passed)
    if trigger is None:
        return group, ()
    state = TABLE.get((group.state, trigger))
    if state is None:
        raise BugError(f"{trigger} by {event} at {now} has no row for {group}")
    before, group = group, _enter(group, state, trigger, now, limits)
    effects: tuple[Effect, ...] = ()
    if passed in ("stop_at", "kill_at"):
        late_s = _late_s(before, passed, now)
        effects = (LeaseEnded(group.name, passed, late_s),)
        if passed == "kill_at":
            group = replace(group, killed_late_s=max(group.killed_late_s, late_s))
    if (before.level, before.state) != (group.level, group.state):
        effects += (Shown(before, group),)
    if trigger is GroupTrigger.HALT and before.state is state:
        return group, effects  # C6.8: a repeated halt restarts nothing
    return group, effects + ASKS.get((state, trigger), ())


def _passed(group: Group, now: float) -> str:
    """Return the most urgent due trigger: kill_at, stop_at, sweep, or none."""
    deadlines = group.deadlines
    if deadlines is not None and not group.killed and now >= deadlines.kill_at:
        return "kill_at"
    if deadlines is not None and not group.lapsed and now >= deadlines.stop_at:
        return "stop_at"
    return "sweep" if group.sweep_due is not None and now >= group.sweep_due else ""


def _late_s(group: Group, passed: str, now: float) -> float:
    deadlines = group.deadlines
    if deadlines is None:
        return 0.0
    return now - (deadlines.kill_at if passed == "kill_at" else deadlines.stop_at)


def is_old_stop(group: Group, text: Tell) -> bool:
    """Say whether a monitor says `stop` of a claim under which the group has stopped already.

    It had not read that report yet. To go to `stop` once more would only take time, in which the
    next claim's `plan` would find the group not at rest.
    """
    return text.level == STOP_LEVEL and 0 < text.term <= group.term and text.kill_at is None


def _read(group: Group, event: Event, passed: str) -> GroupTrigger | None:
    match event:
        case GroupTimePassed():
            stopping = group.wanted == STOP_LEVEL or group.state is GroupState.HALTING
            if passed == "stop_at" and stopping:
                return None
            return _PASSED.get(passed)
        case GroupEmptied(_, visit):
            late = visit != group.visit or group.sweep is not Sweep.UNDER_WAY
            return None if late else GroupTrigger.EMPTY
        case LevelJudged(result):
            return _RESULTS[result]
        case Renewed():
            return None
    return _MEANINGS[type(event)]


_PASSED = {
    "kill_at": GroupTrigger.KILL,
    "stop_at": GroupTrigger.LAPSE,
    "sweep": GroupTrigger.SWEEP_ON,
}

_MEANINGS: dict[type, GroupTrigger] = {
    Tell: GroupTrigger.TELL,
    HaltAsked: GroupTrigger.HALT,
    LeaversGone: GroupTrigger.GONE,
    EntriesListed: GroupTrigger.LISTED,
    EntriesStarted: GroupTrigger.STARTED,
    EntryLost: GroupTrigger.LOST,
    EntriesEnded: GroupTrigger.ENDED,
}

_RESULTS = {
    GroupState.DONE: GroupTrigger.DONE,
    GroupState.PASSED: GroupTrigger.PASS,
    GroupState.FAILED: GroupTrigger.FAIL,
}


def _noted(group: Group, event: Event, passed: str) -> Group:
    match event:
        case Tell():
            return _noted_tell(group, event)
        case Renewed(term, deadlines):
            # What has lapsed stays lapsed: only the time for an orderly end grows.
            late = term != group.term or group.killed or group.resting
            return group if late else replace(group, deadlines=deadlines)
        case HaltAsked(cause) if group.state not in (GroupState.CONFIGURED, GroupState.HALTING):
            return replace(group, cause=cause)
        case LevelJudged(GroupState.FAILED, reason):
            return replace(group, cause=reason)
        case EntryLost(cause):
            return replace(group, cause=cause)
    if passed == "stop_at":
        cause = group.cause if group.wanted == STOP_LEVEL else LEASE_ENDED
        return replace(group, wanted=STOP_LEVEL, cause=cause, lapsed=True)
    if passed == "kill_at":
        group = replace(group, wanted=STOP_LEVEL, cause=LEASE_KILLED, lapsed=True, killed=True)
        return replace(group, spent_term=group.term)
    return group


def _noted_tell(group: Group, text: Tell) -> Group:
    if text.stop_at is not None and text.kill_at is not None:
        deadlines = Deadlines(text.stop_at, text.kill_at)
        if text.term == group.term and text.level != STOP_LEVEL:
            deadlines = _later(group.deadlines, deadlines)
        group = replace(group, deadlines=deadlines, lapsed=False, killed=False, spent_term=0)
    if group.lapsed and text.level != STOP_LEVEL:
        # Its lease has ended and this tell has no new one: it goes on to `stop`.
        return replace(group, term=text.term, node=text.node)
    late = text.level == STOP_LEVEL and 0 < text.term < group.term  # of an earlier claim
    term = group.term if late else text.term
    return replace(group, wanted=text.level, term=term, node=text.node, cause=TOLD)


def _later(known: Deadlines | None, text: Deadlines) -> Deadlines:
    """Return the later deadlines: a delayed tell may arrive after a renewal made later.

    Both were granted under the same claim. A tell of `stop` brings earlier ones on purpose: that
    is how a superseded owner is killed (G1).
    """
    if known is None:
        return text
    return Deadlines(max(known.stop_at, text.stop_at), max(known.kill_at, text.kill_at))


def _enter(
    group: Group, state: GroupState, trigger: GroupTrigger, now: float, limits: Limits
) -> Group:
    if state is not group.state:
        visit = group.visit + 1
        group = replace(group, state=state, visit=visit, since=now)
        group = replace(group, sweep=Sweep.NOT_YET, escalation_step=0, sweep_due=None)
    if trigger in (GroupTrigger.TELL, GroupTrigger.LISTED) and state is GroupState.STARTING:
        group = replace(group, level=group.wanted)
    elif trigger in _SWEEPING or (trigger is GroupTrigger.GONE and state is GroupState.HALTING):
        escalation_step = max(group.escalation_step, KILL_RUNG if group.killed else 0)
        _, next_s = ladder_step(escalation_step, limits)
        group = replace(
            group,
            sweep=Sweep.UNDER_WAY,
            escalation_step=escalation_step + 1,
            sweep_due=now + next_s,
        )
    elif trigger is GroupTrigger.EMPTY:
        group = replace(group, sweep=Sweep.FINISHED, sweep_due=None)
    if group.resting:
        group = replace(group, deadlines=None, lapsed=False, killed=False)
    return group


_SWEEPING = (GroupTrigger.ENDED, GroupTrigger.SWEEP_ON)
