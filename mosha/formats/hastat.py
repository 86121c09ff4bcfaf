"""hastat: the consolidated view of the cluster from one node, in JSON.

The monitor writes it to the file `hastat` at every change, and `mosha status --json` prints it.
Every fact has the node that reported it (`node`, `said_by`) and its age (`age_s`, seconds at
`time`). `None` is "not known" or "does not apply"; lists are sorted by the writer, keys here: equal
reports are equal bytes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from mosha.core.status import GroupState

FORMAT = 1

REPORT_MAX_BYTES = 64 << 20
"""A report of a thousand nodes and a thousand groups takes some megabytes."""

Standing = Literal["self", "fresh", "stale", "left", "leaving", "never", "fenced"]
"""How the reporting node sees a node."""

HEARD: frozenset[Standing] = frozenset({"self", "fresh", "leaving"})
"""The standings of nodes that are heard: the last reports of others may be outdated."""


class UnreadableReport(ValueError):  # noqa: N818 - as UnreadableStatus: it describes the file
    """The bytes are not a report of this format; `str` says where and why."""


class TableSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The version of cltab or hactl that a node has in force."""

    mtime_ns: int
    digest: str


class NodeReport(msgspec.Struct, frozen=True, kw_only=True):
    """One node. `error` is why it could not be read last time, empty if it could.

    `late`: it is still fresh, but this many of its heartbeats were missed; 0 if it is on time.
    `standby`: it runs nothing until `mosha unstandby`. `witness`: it never runs anything.
    `cut_off`: its storage does not let it in, and it claims nothing. `probation_s`: found dead too
    often, it owns no group for so many seconds more; 0 if it is not on probation.
    `load` is how many groups it holds, `weight` what they take of its `capacity` (None: no limit).
    Not `confirmed`: its status was there when this monitor started, and may be old.
    """

    node: int
    state: Standing
    age_s: float | None = None
    inc: int = 0
    seq: int = 0
    boot: str = ""
    run: str = ""
    version: int = 0
    roundtrip_s: float | None = None
    silent: bool = False
    error: str = ""
    refused: dict[str, str] = {}
    tables: dict[str, TableSeen] = {}
    load: int = 0
    weight: int = 0
    capacity: int | None = None
    late: int = 0
    standby: bool = False
    witness: bool = False
    cut_off: bool = False
    probation_s: int = 0
    confirmed: bool = True


class Quorum(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the reporting node sees a quorum, and by what count."""

    has: bool
    policy: str
    seen: int
    electorate: list[int]
    needed: int
    reason: str = ""


class EntryTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in trouble, as its node reports it.

    `kind` is one of unable (its program could not be executed), retrying (its host could not start
    it, and tries again), pausing (it respawned too rapidly), failing (it keeps failing), late (it
    does not end, and delays the level or the stop), unready (it runs and is not ready),
    unhealthy (a monitor has failed several times in a row), degraded (its agent says that it works,
    and that something is wrong with it), timed-out (it exceeded its time limit), outdated (it runs
    with an older definition than cltab's), stopped (by an operator), other.
    `text` is its last exit or error and the last line that it printed, of what is failing or
    unhealthy the last line of the run that failed; `for_s` is how long it has been in its state.
    """

    tag: str
    kind: str
    restarts: int = 0
    for_s: float = 0.0
    text: str = ""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A group on one node, as `said_by` reports it; `claim_term` is the term of its claim there."""

    node: int
    level: str
    state: GroupState
    age_s: float | None = None
    claim_term: int | None = None
    said_by: int
    troubles: list[EntryTrouble] = []


class BanReport(msgspec.Struct, frozen=True, kw_only=True):
    """A node that will not take the group for `left_s` more seconds."""

    node: int
    left_s: float
    reason: str


class Throttle(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the reporting node that respawned too rapidly and pauses (C3.11)."""

    tag: str
    left_s: float


class EntryState(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a group on the reporting node.

    `state` is starting for a run that is not ready (`ready=`); `status` is what it says of itself
    (sd_notify). `for_s` is how long it has been in its state; `exit` is its last exit, `error` why
    it could not be executed last; `failures` counts the consecutive runs that failed soon after
    their start; `command` is the one that it was started with. `said` are the last lines it
    printed, oldest first: of those that failed, and in `mosha status GROUP` of all.
    """

    tag: str
    mode: str
    state: str
    pid: int = 0
    starts: int = 0
    exit: str = ""
    for_s: float | None = None
    restarts: int = 0
    failures: int = 0
    error: str = ""
    command: str = ""
    said: list[str] = []
    status: str = ""


class GroupView(msgspec.Struct, frozen=True, kw_only=True):
    """One group on all nodes. `why` is one line on why it is not as wanted, `problem` the kind.

    Without a line in hactl (`in_hactl`) a group is to be stopped. `where` it runs is what nodes
    report that are heard; nodes of `may_run` are not heard (or were not confirmed yet), and may run
    it. `next_failure` is what the next failure does, on the node that counts; `restarted` how often
    it was restarted in place because a monitor failed, and why last; `gave_way` to which group of a
    higher priority it gave way last, where and when; all as `mosha why` says it.
    `tags` are its entries in cltab, in a report about this group alone. `votes` is left out of
    a group that is as wanted where nodes times groups are more than 20 000.
    """

    group: str
    wanted: str
    in_hactl: bool = True
    where: list[int] = []
    may_run: list[int] = []
    ok: bool
    why: str = ""
    next: str = ""
    problem: str = ""
    instances: list[Instance] = []
    term: int = 0
    lease_s: float | None = None
    votes: dict[int, int] = {}
    bans: list[BanReport] = []
    not_here: dict[int, str] = {}
    throttled: list[Throttle] = []
    entries: list[EntryState] = []
    prefer: list[int] = []
    only: list[int] = []
    failback: bool = False
    on_failure: str = "stay"
    next_failure: str = ""
    after: list[str] = []
    with_: list[str] = msgspec.field(default_factory=list, name="with")
    apart: list[str] = []
    priority: int = 0
    weight: int = 1
    on_all: bool = False
    restarted: str = ""
    gave_way: str = ""
    tags: list[str] = []


class ShotReport(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a fencing method against a node; `grade` is that of its receipt, "" without."""

    node: int
    inc: int
    method: str
    outcome: str
    grade: str = ""
    detail: str = ""
    age_s: float


class FencingReport(msgspec.Struct, frozen=True, kw_only=True):
    """The tests of one fencing method for one node, by the reporting node.

    `number` is the place of the method in mosha.toml. `good_at` is when a test was last good (UTC,
    ISO 8601); `failure` is why the last one failed, empty if it was good, not `answered`: since the
    device did not answer; `overdue`: none was good for three times `fencing.test_every`.
    """

    node: int
    number: int
    method: str
    good_at: str | None = None
    good_age_s: float | None = None
    failure: str = ""
    answered: bool = True
    overdue: bool = False


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a node refuses, and its mistakes."""

    file: str
    node: int
    text: str


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """The margin of the leases; `lease_margin` is a lease divided by the time of its renewal."""

    lease_margin: float | None = None
    roundtrip_s: float | None = None
    warning: str = ""


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The times of the reporting node."""

    timeout_s: float
    heartbeat_s: float
    lease_s: float
    stop_budget_s: float


class WatchdogReport(msgspec.Struct, frozen=True, kw_only=True):
    """The watchdog that clinit of the reporting node has armed; `fed`: it will not reset that."""

    device: str
    timeout_s: float
    fed: bool


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem. `subjects` are all groups or nodes that it is about.

    `kind` is one of those in docs/how-to/recover.md; `text` is one line, `next` is what to do.
    """

    kind: str
    subjects: list[str] = []
    text: str
    next: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that node `node` knows at `time` (UTC, ISO 8601).

    In the file, the next one is written within `every_s` seconds, changed or not: if one is several
    times as old, its monitor is dead, hangs or cannot write.

    `problem_list` is `problems` as data, in the same order.
    """

    format: int = FORMAT
    node: int
    time: str
    every_s: float | None = None
    quorum: Quorum
    nodes: list[NodeReport] = []
    groups: list[GroupView] = []
    shots: list[ShotReport] = []
    fencing: list[FencingReport] = []
    refused: list[Refusal] = []
    margin: Margin = Margin()
    timing: Times
    watchdog: WatchdogReport | None = None
    problems: list[str] = []
    problem_list: list[Problem] = []

    @property
    def as_wanted(self) -> bool:
        """Whether nothing is wrong: all groups where they should be, no problems."""
        return all(group.ok for group in self.groups) and not self.problems


_DECODER = msgspec.json.Decoder(Report)


def due_within(report: Report, every_s: float) -> Report:
    """Return the report for the file, with the time until the next one."""
    return msgspec.structs.replace(report, every_s=every_s)


def render_hastat(report: Report) -> bytes:
    """Return a report as indented JSON with a line end; fields in the order declared here."""
    # The encoder cannot sort a mapping whose keys are node numbers.
    plain = msgspec.to_builtins(report, str_keys=True, order="deterministic")
    try:
        text = msgspec.json.encode(plain)
    except UnicodeEncodeError:
        text = msgspec.json.encode(_encodable(plain))
    return msgspec.json.format(text, indent=2) + b"\n"


def parse_hastat(data: bytes) -> Report:
    """Parse a report; unknown fields are skipped.

    Raises:
        UnreadableReport: torn, too big, not JSON, a wrong type, or another format.
    """
    if len(data) > REPORT_MAX_BYTES:
        raise UnreadableReport(f"too big: {len(data)} bytes, at most {REPORT_MAX_BYTES}")
    try:
        report = _DECODER.decode(data)
    # A recursion error comes from arrays nested thousands deep in a field that is skipped.
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableReport(str(error)) from error
    if report.format != FORMAT:
        raise UnreadableReport(f"format {report.format}, this mosha reads format {FORMAT}")
    return report


def hastat_schema() -> dict[str, Any]:
    """Return the JSON schema of a report."""
    return msgspec.json.schema(Report)


def _encodable(plain: Any) -> Any:
    """Return plain data with surrogates (of odd file names) escaped."""
    if isinstance(plain, str):
        return plain.encode("utf-8", "backslashreplace").decode()
    if isinstance(plain, dict):
        return {_encodable(key): _encodable(value) for key, value in plain.items()}
    return [_encodable(value) for value in plain] if isinstance(plain, list) else plain
