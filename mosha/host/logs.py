"""The log: structlog, one JSON line per event on stderr, or coloured lines for people.

The event names are an interface: `EVENTS` lists each with its meaning, the reference manual
prints that list, and a test compares the code with it. Only shells log; one line per transition
(`event node group from to cause`) and one per failed effect.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TextIO, cast

from mosha.host.journal import Journal
from mosha.host.log_printer import Printer
from mosha.host.log_stream import LogStream, of_stderr
from mosha.host.logfile import LogFile


@contextlib.contextmanager
def _not_importing(package: str) -> Iterator[None]:
    """Make imports of a package within fail, unless it has been imported already."""
    absent = package not in sys.modules
    if absent:
        sys.modules[package] = None  # type: ignore[assignment]  # as the language reference says
    try:
        yield
    finally:
        if absent:
            del sys.modules[package]


# structlog imports rich for coloured tracebacks if it is installed; that costs each daemon 60 ms
# at its start and 4 MB, for tracebacks that it does not print.
with _not_importing("rich"):
    import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

EVENTS: dict[str, str] = {
    # clinit
    "clinit_started": "clinit answers on its socket",
    "clinit_stopped": "clinit has ended all groups and leaves",
    "group_changed": "a group reached a level or state, and why; at debug also passing ones",
    "entry_started": "a process of an entry was started; of a monitor at debug",
    "entry_exited": "a process of an entry ended: status, how long it ran; of a monitor at debug",
    "entry_failed": "a command cannot be executed: the reason of the system",
    "entry_not_started": "the host could not start a process, and why; it is tried again soon",
    "entry_timed_out": "an entry took longer than its time limit and is being ended",
    "entry_hung": "the process that runs an agent, a unit or an address was stopped by a signal"
    " (SIGSTOP), and is killed",
    "entry_ready": "an entry is ready, and how long after its start: it counts as started",
    "entry_not_ready": "an entry was not ready within its limit and is being ended",
    "monitor_failed": "a monitor has failed several times in a row: a failure of its group",
    "monitor_recovered": "a monitor that had failed several times in a row has succeeded",
    "notification_refused": "a process that is not of the entry says something to its socket",
    "address_left": "an address of a group stays on this node after its stop: it is somebody"
    " else's, since it has no lifetime or a long one",
    "address_not_removed": "an address that a killed process has left could not be removed",
    "address_removed": "an address that a killed process has left was removed",
    "address_unnoted": "the next clinit would not know of an address: a file was not written",
    "entry_throttled": "an entry respawns too rapidly and pauses",
    "entry_signalled": "a process that is being stopped was sent a signal",
    "signal_failed": "processes could not be signalled, and why; they count as alive",
    "clinit_broken": "an unexpected exception: clinit ends, and its guard kills all groups",
    "fault_contained": "an unexpected exception that concerns one client or request only",
    "leftover_ended": "processes that a dead leader left behind were ended",
    "clinit_unreachable": "a running clinit has lost its socket: waiting until it has made another",
    "socket_restored": "a daemon's socket had been removed or replaced and was made again",
    "socket_lost": "a daemon's socket is gone and cannot be made again, and why",
    "state_restored": "the state directory of a daemon had been removed and was made again",
    "state_lost": "the state directory of a daemon is gone and cannot be made again, and why",
    "lock_passed_over": "a lock was held by a dead process in a call that does not come back",
    "terminal_closed": "the terminal a daemon was started on was closed: it ends in good order",
    "place_lost": "another clinit has this one's state directory, and this one is idle: it ends",
    "orphan_ended": "processes that an earlier clinit left behind were ended at the start",
    "agents_recovered": "agents that an earlier clinit did not see to stop are stopped first",
    "agents_forgotten": "which agents an earlier clinit has left cannot be read, and why",
    "stop_blocked": "a process that cannot be assigned to a group keeps a stop from completing",
    "guard_failed": "the second guard is gone; another one is started, every second if need be",
    "spawn_degraded": "the best way to start processes does not work here, and what that costs",
    "fork_server_failed": "clinit cannot start processes; it is tried again every second",
    "watchdog_armed": "the watchdog is armed: it resets the machine unless clinit feeds it",
    "watchdog_timeout_fixed": "the driver of the watchdog has a time-out that cannot be set",
    "watchdog_not_fed": "the watchdog is not fed, and why: the machine is reset after timeout_s",
    "watchdog_fed_again": "the watchdog is fed again before it has reset the machine",
    "watchdog_disarmed": "clinit ends with nothing left, and has disarmed the watchdog",
    "watchdog_left_armed": "clinit ends with something left: the watchdog resets the machine",
    "watchdog_failed": "the watchdog cannot be disarmed: it resets the machine after its time-out",
    "self_fence": "this node cannot end a group and fences itself now: how, and why",
    "self_fence_ended": "this node is still there after it fenced itself: what that came to",
    "lease_ended": "a deadline of a group passed, late_s seconds ago: the stop or kill begins",
    "output": "a line that a process of an entry wrote (fields tag, pid, stream, text)",
    "output_dropped": "lines were dropped: of a flooding process, or not accepted by the log",
    "cltab_missing": "clinit of a new node has no cltab yet, and runs nothing",
    "cltab_refused": "cltab has mistakes; the last good one stays in force",
    "cltab_loaded": "a new cltab is in force in clinit",
    "client_refused": "a client was refused: wrong user, malformed request or too slow",
    "cgroup_unavailable": "no cgroup can be made, and what that means (info for ordinary users)",
    # the node
    "monitor_started": "the first status is about to be published (fields inc, run, version)",
    "monitor_leaving": "an orderly stop of this node has begun",
    "monitor_handing_over": "this monitor ends (SIGUSR1) and leaves clinit and all groups running",
    "monitor_stranded": "asked to leave, but clinit is gone: its groups move as from a dead node",
    "monitor_stopped": "this node has left; its groups may be taken over at once",
    "settings_reloaded": "mosha.toml was read again; what changed and what needs a restart",
    "settings_refused": "mosha.toml has mistakes; the settings in force stay",
    "incarnation_raised": "others know a later incarnation of this node, or believe it dead",
    "timeout_kept": "the timeout of the earlier run is longer and counts until it has passed (T1)",
    "status_withheld": "nothing is published for T: a clinit of an earlier run may still run (N1)",
    "writes_lost": "something published is no longer remembered: what lost writes (V4b)",
    "silence_ended": "this node votes from now on (V5)",
    "clinit_starting": "no clinit answers; one is being started",
    "clinit_lost": "the connection to clinit broke; claims stay as they are",
    "clinit_failed": "clinit could not be started or reached",
    "clinit_hung": "clinit does not answer and is killed; its processes die with it",
    # the peers
    "peer_changed": "a peer became fresh, stale, left, fenced …",
    "members_changed": "nodes were discovered or have left the membership",
    "electorate_changed": "other nodes vote: discovered ones, or those up for T (adaptive quorum)",
    "outsiders_found": "nodes that are not in `nodes` publish on the same cluster file system",
    "quorum_changed": "this node sees a quorum, or no longer does",
    # the monitor's groups
    "claim_made": "this node claims a group (C2)",
    "claim_raised": "the votes were split; the claim is made again with a higher term",
    "claim_granted": "a majority supports the claim; how long the lease runs",
    "claim_withdrawn": "a claim that never ran anything was given up, and why (C6)",
    "claim_released": "nothing of the group is left here; others may take it (C7)",
    "lease_lost": "the lease ran out; clinit has begun to stop the group",
    "ghost_killed": "it runs elsewhere under a higher term: what runs here is killed at once (G1)",
    "vote_given": "this node votes for a claim (V2)",
    "vote_released": "this node's vote is free again, and why (V3)",
    "group_told": "clinit is told a level for a group, and which row asked for it",
    "group_adopted": "a group that was running already goes on under its claim",
    "group_banned": "a group failed here: this node is banned from it for a while",
    "group_exhausted": "a group is stopped for good: too many failures, or it can run nowhere",
    "group_preempted": "it stops here for one of a higher priority (field by) that has no room",
    "group_held": "its stop waits until the groups with `after=` it have stopped",
    "group_restarted": "its monitor fails: the group is restarted in place (fields reason, count)",
    "group_freed": "a group that was stopped for good may be started again",
    "move_began": "an operator moves the group: this node is banned from it until it has arrived",
    "move_ended": "the group has arrived where an operator moved it, or cannot run there",
    "ban_ended": "this node may take the group again",
    "tell_refused": "clinit refused a level",
    # the monitor's fencing
    "fence_ordered": "a node is being shot: it is stale, or asks for it (field reason)",
    "fence_ended": "a shot ended: receipt, no receipt or failed",
    "receipt_refuted": "a node that a receipt declared dead was heard: the receipt is void (R1)",
    "fence_test_failed": "a fencing method would not work for a node, and why (field peer)",
    "fence_test_passed": "a fencing method that had failed its test for a node passes it again",
    "shots_ended": "what the fencing methods of a killed monitor had left running was killed",
    "unfenced": "this node had itself let in to its storage again (`unfence`)",
    "unfence_failed": "the storage does not let this node in, and why; it claims nothing",
    "shot_outlived": "a node is heard although its device said that it is off (field peer)",
    "fence_asked": "an operator ordered a node to be shot",
    "fencing_held": "a node is not shot: heard by others, brake, asking, budget (field reason)",
    "pill_taken": "a node orders this one to end all its groups at once (F2)",
    "pill_withdrawn": "that order was over before all groups had ended; groups are taken again",
    "pill_killed": "a group is killed at once, by order of that node (field peer)",
    "pill_acknowledged": "nothing of any group is left: a new incarnation begins",
    "group_unended": "this node cannot end a group (F1), and whether it asks to be shot for it",
    "group_ended_after_all": "the group has ended, or an operator has cleaned up: no shot is asked",
    "fencing_disarmed": "no node is shot for a while: `mosha disarm`",
    "fencing_armed": "stale nodes are shot again",
    "fence_confirmed": "an operator confirmed that a node is dead",
    "status_failed": "the clstat of a clinit without a monitor could not be written",
    # what the monitor does with files
    "publish_failed": "this node cannot publish its status; once per reason",
    "publish_resumed": "this node publishes its status again",
    "namesake_found": "another node publishes under this node's number; nothing more is written",
    "watch_failed": "file system events are not available; polling instead",
    "watch_degraded": "watchfiles lacks the class that mosha uses; its public function is used",
    "watch_resumed": "events of the file system arrive again",
    "table_adopted": "a version of cltab or hactl is in force here (field origin: whose it is)",
    "table_emptied": "a table with content was replaced by an empty one",
    "table_refused": "a text of cltab or hactl is not in force, and why (field source: whose)",
    "order_given": "an operator ordered something here (fields verb, group, tag, to: the node)",
    "entry_order_refused": "clinit refused an order for an entry, or did not reply: the reason",
    "standby_changed": "this node runs nothing from now on, or takes groups again",
    "table_joined": "two concurrent edits were merged (field lost: groups where one edit is lost)",
    "table_join_failed": "two edits of one moment could not be joined: the later one holds, whole",
    "table_discarded": "an edit was older than what is in force, or superseded; where it is kept",
    "table_written": "the version in force was written into the directory of this node",
    "table_write_failed": "the version in force cannot be written into the directory of this node",
    "table_fetch_failed": "a newer version of a peer could not be read; once per version",
    "memory_failed": "the memory on the local disk could not be read or written",
}


class _IntoFile:
    """Writes each event to a file, as JSON; `alone` if nothing else is to get it."""

    def __init__(self, file: LogFile, *, alone: bool) -> None:
        self.file = file
        self._alone = alone
        self._render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        text = self._render(
            logger, name, structlog.processors.dict_tracebacks(logger, name, {**event})
        )
        self.file.write(str(text) + "\n")
        if self._alone:
            raise structlog.DropEvent
        return event


class _ForPeople:
    """Formats each event as `mosha logs` does."""

    def __init__(self, *, colours: bool, day: str) -> None:
        self._printer = Printer(colours=colours, day=day)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        fields = structlog.processors.dict_tracebacks(logger, name, {**event})
        return self._printer.told(b"", dict(fields)).removesuffix("\n")


class _IntoJournal:
    """Sends each event to journald; what that does not accept goes on to stderr."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._render = structlog.processors.JSONRenderer(ensure_ascii=False)

    def __call__(self, logger: WrappedLogger, name: str, event: EventDict) -> str:
        line = str(self._render(logger, name, event))
        if self._journal.send(line):
            raise structlog.DropEvent
        return line


class _Writers(structlog.WriteLoggerFactory):
    """Makes loggers that write to `out`; `stream` is the same if it can lose lines."""

    def __init__(self, out: TextIO) -> None:
        super().__init__(file=out)
        self.stream = out if isinstance(out, LogStream) else None


def configure(
    *,
    people: bool,
    level: str = "info",
    stream: TextIO | None = None,
    file: LogFile | None = None,
    journal: Journal | None = None,
    fields: Mapping[str, object] | None = None,
    beside: bool = False,
) -> None:
    """Set up logging for this process: JSON lines, or lines for people.

    Args:
        people: lines as `mosha logs` prints them, coloured on a terminal, instead of JSON.
        level: debug, info, warning, error or critical; lines below it cost 0.1 µs.
        stream: where to write; stderr by default.
        file: gets the JSON lines; then only lines for people go to `stream`.
        journal: gets the JSON lines instead of `stream`, with the journal's fields.
        fields: added to every line of this process.
        beside: another process logs there already, and has printed the date for people.
    """
    out = stream or sys.stderr
    say_always(**(fields or {}))
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if file is not None:
        chain.append(_IntoFile(file, alone=not people))
    if people:
        plain_terminal = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        day = f"{datetime.now().astimezone():%Y-%m-%d}" if beside else ""
        chain.append(_ForPeople(colours=out.isatty() and not plain_terminal, day=day))
    else:
        chain.append(structlog.processors.dict_tracebacks)
        plain = structlog.processors.JSONRenderer(ensure_ascii=False)
        chain.append(plain if journal is None else _IntoJournal(journal))
    if people and isinstance(out, LogStream):
        out.lines.gap_line = _gap_for_people
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=_Writers(out),
        cache_logger_on_first_use=False,
    )


def configure_if_nobody_has() -> None:
    """Log to stderr in a program that has configured neither this nor structlog."""
    if not structlog.is_configured():
        stream = of_stderr()
        configure(people=stream.isatty(), stream=cast("TextIO", stream))


def _gap_for_people(lost: int, reason: str) -> bytes:
    """Return the line about lost ones, formatted for people."""
    event = {"timestamp": f"{datetime.now(UTC).replace(tzinfo=None).isoformat()}Z"}
    event |= {"level": "warning", "event": "output_dropped", "reason": reason}
    return Printer(colours=False).told(b"", {**event, "lines": lost}).encode()


def trouble() -> str:
    """Return where log lines are being lost now; "" if they are not."""
    file = file_in_force()
    factory = structlog.get_config()["logger_factory"]
    stream = factory.stream if isinstance(factory, _Writers) else None
    troubles = (file.trouble if file else "", stream.trouble if stream else "")
    return "; ".join(filter(None, troubles))


def say_always(**fields: object) -> None:
    """Add these fields to every line of this context: of this task, and those it starts."""
    structlog.contextvars.bind_contextvars(**fields)


def file_in_force() -> LogFile | None:
    """Return the current log file, if there is one."""
    processors = structlog.get_config()["processors"]
    return next((one.file for one in processors if isinstance(one, _IntoFile)), None)


def for_people() -> bool:
    """Say whether this process logs for people now."""
    last = structlog.get_config()["processors"][-1]
    return structlog.is_configured() and isinstance(last, _ForPeople)


def words(*, debug: bool) -> list[str]:
    """Return the options for clinit to log as this process does; `debug`: log everything."""
    least = structlog.get_config()["wrapper_class"]
    all_of_it = debug or least is structlog.make_filtering_bound_logger(logging.DEBUG)
    return [*(["--people"] if for_people() else []), *(["--debug"] if all_of_it else [])]


class _Bound:
    """The logger of the current configuration: making one costs as much as a line."""

    def __init__(self) -> None:
        self._logger: FilteringBoundLogger = structlog.get_logger()
        self._processors: list[Processor] = []

    def get(self) -> FilteringBoundLogger:
        """Return it; a configuration is identified by its list of processors."""
        processors = structlog.get_config()["processors"]
        if processors is not self._processors:
            self._logger = structlog.get_logger().bind()
            self._processors = processors
        return self._logger


_BOUND = _Bound()


def get() -> FilteringBoundLogger:
    """Return the logger; `bind` adds fields such as node and group.

    Call this each time; do not cache the result: it would keep an old configuration.
    """
    return _BOUND.get()
