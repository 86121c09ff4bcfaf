"""Whether the entries of a group work: what `start DONE` does not say.

A group is at its level as soon as its entries were started. Whether they work is another
question: a program can be missing, keep ending, pause (C3.9), delay the level, or run with an
outdated definition. That is judged here, from the reports of this node's clinit; a node publishes
it in its status (`Mosha::Entry`), and all show the same in `mosha status` and `mosha why`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mosha.core.status import SETTLED, GroupState, Trouble, TroubleKind
from mosha.core.supervision.failures import STEADY_S, Severity
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.stop_order import moved_across
from mosha.core.tables import (
    PLAN_LEVEL,
    STOP_LEVEL,
    Entry,
    Mode,
    ProcessAttributes,
    level_matches,
)

FAILURES_MIN = 3
"""One failure can be an operator's `kill`; this many in a row are a program that does not work."""

LATE_S = 10.0
"""An entry that starts, tests or becomes ready for longer is reported: most take a second."""

LATE_TO_STOP_S = 20.0
"""Longer than INT, TERM and KILL take by default: what is left does not die from signals."""

NOT_FOUND = frozenset({"exit 126", "exit 127"})
"""With these a shell reports that it could not execute its command (POSIX, 2.8.2)."""

STOPPED = "is stopped by an operator"
BEING_STOPPED = "is being stopped by an operator"
NOT_STOPPED = "was to be stopped by an operator, and its stop failed"
BEING_RESTARTED = "is being restarted by an operator"
"""What is said of `TroubleKind.STOPPED`: in clstat where it is not just `STOPPED`."""

UNPROVEN = "no run has succeeded since the group was restarted in place"
"""What is said of a monitor that is `still_failing`."""

STARTING = "starting"
"""The state of a run that is not ready yet (`ready=`)."""

DAEMONIZED = "it went into the background; run it in the foreground"
"""What is said of `EntryReport.daemonized`."""

PER_GROUP_MAX = 4
"""So many entries in trouble of a group are put into words; of the others it is said how many."""

PUBLISHED_PER_GROUP_MAX = 16
"""So many entries in trouble of a group are in the status of a node, those that failed first."""


class EntryReport(Struct, frozen=True, omit_defaults=True):
    """One entry of a group as this node's clinit reports it, on its socket and to the agent.

    `state` is one of waiting, running, pausing (respawn throttle), retrying (the host could not
    start it, and tries again each second), clearing (the leader is dead, what it left behind is
    being ended), stopping, timed-out (it is being ended because it took too long), done, passed,
    failed, off, stopped (by an operator). `until` is when a pause ends. `exit` is the last exit as
    text (`exit 3`, `signal 9`, `cannot execute: …`, `timed out after 10 s`), empty if it has not
    exited yet.

    `command` and `attributes` (`user=` …) are those that it was started with, "" if clinit is of a
    version that does not report it; `since` is when its state or its run last changed, in seconds
    of boottime; `error` is why the last run could not be executed, empty if it was, and `prevented`
    says that the host was the reason; `exit_said` is the last line that the run of `exit` printed,
    of entries in trouble; `failures` counts the consecutive runs that failed soon after
    their start, `daemonized` those that ended well at once and left processes (0 if clinit does not
    report it); `limit_s` is how long a run may take (a respawn entry: to be ready), None without
    limit, and `timed_out` says that the last one took longer; `ready` is false while a run does not
    count as started (`ready=`), and `status` is what it says of itself (sd_notify); `failed_at`
    lists the recent failures of a respawn entry, in seconds of boottime, oldest first. `said` are
    the last lines it printed, oldest first: a few of entries in trouble, more of all entries in the
    reply to `Ask`. `held`: an operator has stopped it, or it is being stopped for that;
    `restarting`: it is being stopped for an operator, to be started again; `obeyed` are the last
    operators' orders for it that were carried out; `failures_max` is how many runs of a monitor
    have to fail in a row, 0 of others. `severity` is how grave the last failure of an agent was:
    `hard` if it cannot run its service here, `fatal` if on no node. `degraded`: its agent
    says that it works, and that something is wrong with it; `status` says what. `unproven`: it is a
    monitor, and none of its runs has succeeded since its group came to its level. `unattended`: its
    service may be there although its process is not: that was killed, or could not stop it.
    """

    tag: str
    mode: Mode
    state: str
    pid: int = 0
    starts: int = 0
    exit: str = ""
    until: float | None = None
    command: str = ""
    since: float | None = None
    error: str = ""
    failures: int = 0
    said: tuple[str, ...] = ()
    limit_s: float | None = None
    timed_out: bool = False
    prevented: bool = False
    failed_at: tuple[float, ...] = ()
    held: bool = False
    restarting: bool = False
    obeyed: tuple[str, ...] = ()
    daemonized: int = 0
    ready: bool = True
    unattended: bool = False
    status: str = ""
    attributes: ProcessAttributes | None = None
    failures_max: int = 0
    severity: Severity = Severity.SOFT
    degraded: bool = False
    unproven: bool = False
    exit_said: str = ""

    @property
    def restarts(self) -> int:
        """How often it was restarted; a monitor is only run again."""
        return max(0, self.starts - 1) if self.mode is not Mode.MONITOR else 0

    @property
    def unhealthy(self) -> bool:
        """Whether it is a monitor that has failed so often in a row that its group has failed."""
        fails = self.mode is Mode.MONITOR and 0 < self.failures_max <= self.failures
        in_force = self.state not in (ProcessState.WAITING, ProcessState.STOPPED)
        return fails and in_force and not (self.held or self.restarting or self.prevented)

    @property
    def shown_state(self) -> str:
        """Its state as people are shown it: a run that is not ready is starting."""
        return self.state if self.ready or self.state != ProcessState.RUNNING else STARTING

    def for_s(self, now: float) -> float:
        """Return how long it has been in its state, 0 if not known."""
        return 0.0 if self.since is None else max(0.0, now - self.since)


def troubles(
    found: Sequence[EntryReport],
    level: str,
    state: GroupState,
    defined: Sequence[Entry] | None,
    now: float,
) -> tuple[Trouble, ...]:
    """Return what is wrong with the entries of a group at a level, in file order.

    Args:
        found: the entries as clinit has them.
        level: where the group is.
        state: how it is there.
        defined: the entries of the group in the cltab in force, None if not known.
        now: seconds of boottime.
    """
    wrong = [trouble for entry in found if (trouble := _trouble(entry, now)) is not None]
    if defined is None or state not in SETTLED or level in (PLAN_LEVEL, STOP_LEVEL):
        return tuple(wrong)
    named = {trouble.tag for trouble in wrong}
    old = {trouble.tag: trouble for trouble in _outdated(found, level, defined, now)}
    wrong = [_with_its_definition(trouble, old.get(trouble.tag)) for trouble in wrong]
    return (*wrong, *(trouble for trouble in old.values() if trouble.tag not in named))


def _with_its_definition(trouble: Trouble, outdated: Trouble | None) -> Trouble:
    """Return a trouble; of what is stopped also that `mosha start` does not start cltab's entry."""
    if outdated is None or trouble.kind is not TroubleKind.STOPPED:
        return trouble
    return replace(trouble, text=f"{trouble.text or STOPPED}; {outdated.text}")


def still_failing(found: Sequence[EntryReport], reason: str, now: float) -> tuple[Trouble, ...]:
    """Return what is wrong with the monitor because of which a group was restarted in place.

    Nothing if a run of it has succeeded since, or if it fails again: `troubles` says that.

    Args:
        found: the entries as clinit has them.
        reason: why the group was restarted: it begins with `failing_text` of the monitor.
        now: seconds of boottime.
    """
    return tuple(
        Trouble(entry.tag, TroubleKind.UNHEALTHY, 0, int(entry.for_s(now)), UNPROVEN)
        for entry in found
        if entry.unproven and reason.startswith(failing_text(entry)) and _kind(entry, now) is None
    )


def failing_text(monitor: EntryReport) -> str:
    """Return how the reason of a restart because of a monitor begins."""
    return f"monitor {monitor.tag} failed "


def is_outdated(trouble: Trouble) -> bool:
    """Say whether an entry is not as cltab has it; a stopped one is both."""
    stopped = trouble.kind is TroubleKind.STOPPED
    return trouble.kind is TroubleKind.OUTDATED or (stopped and "; " in trouble.text)


def _trouble(entry: EntryReport, now: float) -> Trouble | None:
    kind = _kind(entry, now)
    if kind is None:
        return None
    # The exit status of what runs an agent says less than its last line.
    told = entry.error or (entry.exit if entry.severity is Severity.SOFT else "")
    if kind in (TroubleKind.LATE, TroubleKind.UNREADY):
        told = "" if entry.limit_s is None else f"its time limit is {entry.limit_s:g} s"
    if kind is TroubleKind.STOPPED:
        text = BEING_RESTARTED if entry.restarting else ""
        text = text or (BEING_STOPPED if entry.state == ProcessState.STOPPING else "")
        if not text and entry.unattended:
            text = f"{NOT_STOPPED}: {': '.join(filter(None, (entry.exit, entry.exit_said)))}"
        return Trouble(entry.tag, kind, entry.restarts, int(entry.for_s(now)), text)
    if kind is TroubleKind.DEGRADED:
        return Trouble(entry.tag, kind, entry.restarts, int(entry.for_s(now)), entry.status)
    if kind is TroubleKind.RETRYING:  # its output is that of an earlier run
        return Trouble(entry.tag, kind, entry.restarts, int(entry.for_s(now)), entry.error)
    last = entry.said[-1] if entry.said else ""
    if kind in (TroubleKind.FAILING, TroubleKind.UNHEALTHY):  # the run that goes on may be well
        last = entry.exit_said
    if kind is TroubleKind.UNREADY:
        last = entry.status or last
    text = ": ".join(filter(None, (told, DAEMONIZED if entry.daemonized else "", last)))
    return Trouble(entry.tag, kind, entry.restarts, int(entry.for_s(now)), text)


def _kind(entry: EntryReport, now: float) -> TroubleKind | None:
    if entry.state == ProcessState.FAILED:
        return TroubleKind.FAILED
    state = entry.state
    late_to_stop = state == ProcessState.STOPPING and entry.for_s(now) > LATE_TO_STOP_S
    if (entry.held or entry.restarting) and not late_to_stop:
        return TroubleKind.STOPPED
    if entry.mode is Mode.MONITOR and not entry.prevented and not late_to_stop:
        return TroubleKind.UNHEALTHY if entry.unhealthy else None
    if state == ProcessState.TIMED_OUT or (state == ProcessState.DONE and entry.timed_out):
        return TroubleKind.TIMED_OUT
    if entry.error and state not in (ProcessState.STOPPING, ProcessState.WAITING):
        return TroubleKind.RETRYING if entry.prevented else TroubleKind.UNABLE
    if state == ProcessState.DONE and entry.mode is not Mode.RESPAWN and entry.exit in NOT_FOUND:
        return TroubleKind.UNABLE
    if state == ProcessState.PAUSING:
        return TroubleKind.PAUSING
    return TroubleKind.LATE if late_to_stop else _kind_of_run(entry, now)


def _kind_of_run(entry: EntryReport, now: float) -> TroubleKind | None:
    """Return what is wrong with a run that goes on, or with those before it."""
    state, waited_for = entry.state, entry.mode in (Mode.WAIT, Mode.TEST)
    if entry.degraded and state == ProcessState.RUNNING:
        return TroubleKind.DEGRADED
    failing = max(entry.failures, entry.daemonized) >= FAILURES_MIN
    if failing and state == ProcessState.CLEARING:
        return TroubleKind.FAILING
    if failing and state == ProcessState.RUNNING:
        return TroubleKind.FAILING if entry.for_s(now) < STEADY_S else None
    if state == ProcessState.RUNNING and waited_for and entry.for_s(now) > LATE_S:
        return TroubleKind.LATE
    if state == ProcessState.RUNNING and not entry.ready and entry.for_s(now) > LATE_S:
        return TroubleKind.UNREADY
    return None


def _definition(entry: EntryReport) -> tuple[object, ...]:
    return entry.command, entry.mode, entry.attributes


def _outdated(
    found: Sequence[EntryReport], level: str, defined: Sequence[Entry], now: float
) -> Iterator[Trouble]:
    """Yield entries that differ from the cltab in force: only a tell changes that (C1.16)."""
    wanted = {entry.tag: entry for entry in defined if level_matches(entry.level, level)}
    moved = moved_across([entry.tag for entry in found], [*wanted.values()])
    for entry in found:
        there = wanted.pop(entry.tag, None)
        if there is None:
            text = f"cltab no longer has it at {level}"
        elif entry.command and _definition(entry) != there.definition:
            text = "cltab has a newer definition"
        elif entry.tag in moved:
            text = "cltab has it in another place"
        else:
            continue
        for_s = int(entry.for_s(now))
        yield Trouble(entry.tag, TroubleKind.OUTDATED, entry.restarts, for_s, text)
    for tag in wanted:
        yield Trouble(tag, TroubleKind.OUTDATED, 0, 0, "new in cltab, not started yet")


# --- in words ------------------------------------------------------------------------------


def trouble_text(trouble: Trouble) -> str:
    """Return in a clause what is wrong with an entry, with its last output."""
    tag, text = trouble.tag, trouble.text
    told = f": {text}" if text else ""
    again = f"{trouble.restarts} restart{'s' * (trouble.restarts != 1)}"
    match trouble.kind:
        case TroubleKind.RETRYING:
            return f"entry {tag} {text}" if text else f"entry {tag} could not be started"
        case TroubleKind.UNABLE if text.startswith("cannot execute"):
            return f"entry {tag} {text}"
        case TroubleKind.UNABLE:
            return f"entry {tag} did not find its program{told}"
        case TroubleKind.PAUSING:
            return f"entry {tag} respawns too rapidly and pauses, {again}{told}"
        case TroubleKind.FAILING:
            return f"entry {tag} keeps failing, {again}{told}"
        case TroubleKind.FAILED:
            return f"entry {tag} failed{told}"
        case TroubleKind.STOPPED:
            return f"entry {tag} {text or STOPPED}"
        case TroubleKind.UNHEALTHY:
            return f"monitor {tag} fails{told}"
        case TroubleKind.DEGRADED:
            return f"entry {tag} is degraded{told}"
        case TroubleKind.UNREADY:
            return f"entry {tag} is not ready after {trouble.for_s} s{told}"
        case TroubleKind.LATE:
            return f"entry {tag} has not ended for {trouble.for_s} s{told}"
    return f"entry {tag}{told}"


def troubles_text(found: Sequence[Trouble]) -> str:
    """Return what is wrong with some entries in one line."""
    text = [trouble_text(trouble) for trouble in found[:PER_GROUP_MAX]]
    if len(found) > PER_GROUP_MAX:
        text.append(f"and {len(found) - PER_GROUP_MAX} more entries")
    return "; ".join(text)
