"""mosha.toml: the settings of one node, and what follows from them.

The original's parameters keep their names and defaults (H1.2, H1.3). All mistakes of a file are
reported at once, with the key, the line if it can be found, the rule and a remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from mosha.core import watchdog as watchdogs
from mosha.core.cluster import timing as times
from mosha.core.self_fencing import OFF, STOP_FAILURES
from mosha.formats import log_limits
from mosha.formats import settings_rules as rules
from mosha.formats.fencing_methods import Fencing, read_fencing
from mosha.formats.key_tables import KeyTables
from mosha.formats.mistakes import Findings, Mistake, Mistakes, readable_lines
from mosha.formats.spawn import SPAWN_WAYS
from mosha.formats.toml_places import KeyPlaces
from mosha.formats.toml_text import parse_toml

# The standard TOML parser is quadratic in the length of a line of dotted keys: these bounds keep
# the worst file below a second.
SETTINGS_MAX_BYTES = 64 << 10
SETTINGS_LINE_MAX_BYTES = 8 << 10

SOCKET_PATH_MAX_BYTES = 107
"""The 108 bytes of a unix socket address, less the final zero."""

CLINIT_SOCKET = "clinit.s"
MONITOR_SOCKET = "mosha.s"


CAPACITY_MAX = 10**12
"""The sum of a million of the heaviest groups; any unit will do, as for `weight=` of hactl."""

MEMBER, WITNESS = "member", "witness"
"""The roles of a node: it may own groups, or it only votes."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings as written; None and empty strings are resolved by the properties.

    Times are in seconds, and safe together if they come from `parse_settings`.
    """

    mfsbase: str = "/mfs"
    hpcbase: str = "/proc/hpc"
    mynode: int | None = None
    varpath: str = "var/mosix-ha"
    timeout: float = times.TIMEOUT_DEFAULT_S
    mwhois: str = "mosctl whois"
    nodes: tuple[int, ...] = ()
    rundir: str = ""
    socket: str = ""
    heartbeat: float | None = None
    poll: float | None = None
    lease: float | None = None
    stop_budget: float | None = None
    ban: float = times.BAN_DEFAULT_S
    plan_limit: float | None = None
    start_grace: float = times.START_GRACE_DEFAULT_S
    quorum: Literal["majority", "adaptive"] | None = None
    role: Literal["member", "witness"] = "member"
    capacity: int | None = None
    watch: Literal["auto", "events", "poll"] = "auto"
    spawn: Literal["shared", "copied", "plain"] = "shared"
    watchdog: str = ""
    watchdog_timeout: int | None = None
    self_fence: str = OFF
    on_stop_failure: Literal["hold", "fence"] = "hold"
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    log_file: str = ""
    log_file_max_bytes: int = log_limits.LOG_FILE_MAX_BYTES_DEFAULT
    log_file_keep: int = log_limits.LOG_FILE_KEEP_DEFAULT
    fencing: Fencing = Fencing()

    @property
    def timing(self) -> times.Timing:
        """All times, resolved."""
        return times.derive(
            self.timeout,
            heartbeat_s=self.heartbeat,
            poll_s=self.poll,
            lease_s=self.lease,
            stop_budget_s=self.stop_budget,
            ban_s=self.ban,
            plan_limit_s=self.plan_limit,
            start_grace_s=self.start_grace,
        )

    @property
    def quorum_policy(self) -> Literal["majority", "adaptive"]:
        """The policy in force: a majority needs `nodes`, to know of what."""
        return self.quorum or ("majority" if self.nodes else "adaptive")

    @property
    def watchdog_s(self) -> int:
        """The longest time-out that the watchdog may have, in seconds; 0 if none fits."""
        return self.watchdog_timeout or watchdogs.longest_timeout_s(self.timing)

    @property
    def rundir_path(self) -> Path:
        """The directory of the sockets and of `state/`, local to the machine."""
        return Path(self.rundir or f"/{self.varpath}")

    @property
    def state_path(self) -> Path:
        """Where the incarnation, the electorate and the history of tables are remembered."""
        return self.rundir_path / "state"

    @property
    def socket_path(self) -> Path:
        """The socket of clinit."""
        return Path(self.socket) if self.socket else self.rundir_path / CLINIT_SOCKET

    @property
    def monitor_socket_path(self) -> Path:
        """The socket of the monitor."""
        return self.rundir_path / MONITOR_SOCKET

    @property
    def log_path(self) -> Path | None:
        """The file of the monitor's log, None if that goes to stderr."""
        return Path(self.log_file) if self.log_file else None

    def node_path(self, node: int) -> Path:
        """Return the directory in which a node publishes (H1.2)."""
        return Path(self.mfsbase) / str(node) / self.varpath


_RULES: dict[str, rules.Rule] = {
    "mfsbase": rules.absolute_path,
    "hpcbase": rules.absolute_path,
    "mynode": rules.node,
    "varpath": rules.relative_path,
    "timeout": rules.seconds,
    "mwhois": rules.text,
    "stomith": rules.command,
    "nodes": rules.nodes,
    "rundir": rules.path_or_nothing,
    "socket": rules.path_or_nothing,
    "heartbeat": rules.seconds,
    "poll": rules.seconds,
    "lease": rules.seconds,
    "stop_budget": rules.seconds,
    "ban": rules.seconds,
    "plan_limit": rules.seconds,
    "start_grace": rules.seconds,
    "quorum": rules.one_of(rules.QUORUM_POLICIES),
    "role": rules.one_of((MEMBER, WITNESS)),
    "capacity": rules.whole_number(0, CAPACITY_MAX),
    "watch": rules.one_of(rules.WATCHES),
    "spawn": rules.one_of(SPAWN_WAYS),
    "watchdog": rules.path_or_nothing,
    "watchdog_timeout": rules.whole_number(
        watchdogs.WATCHDOG_TIMEOUT_MIN_S, watchdogs.WATCHDOG_TIMEOUT_MAX_S
    ),
    "self_fence": rules.self_fence,
    "on_stop_failure": rules.one_of(STOP_FAILURES),
    "log_level": rules.one_of(rules.LOG_LEVELS),
    "log_file": rules.path_or_nothing,
    "log_file_max_bytes": rules.whole_number(
        log_limits.LOG_FILE_MIN_BYTES, log_limits.LOG_FILE_MAX_BYTES
    ),
    "log_file_keep": rules.whole_number(1, log_limits.LOG_FILES_MAX),
    "fencing": rules.table,
}

# What a time is derived from or compared with: where to point if its key is not set.
_SOURCES = {
    "lease": ("stop_budget", "timeout"),
    "stop_budget": ("timeout",),
    "heartbeat": ("lease", "timeout"),
    "poll": ("heartbeat", "timeout"),
    "plan_limit": ("heartbeat", "timeout"),
}
# What else a rule compares a time with.
_MEASURED_AGAINST = {
    "heartbeat": ("lease", "stop_budget"),
}


# What the time-out of a watchdog follows from.
_WATCHDOG_TIMES = frozenset({"watchdog_timeout", "timeout", "lease", "stop_budget"})


class SettingsReading(NamedTuple):
    """The content of a mosha.toml, as far as it can be read.

    `settings` has the default for each key in `unknown`: its value or its line is wrong.
    `mistakes` are the first mistakes, `total` is how many there are.
    """

    settings: Settings
    unknown: frozenset[str]
    mistakes: tuple[Mistake, ...]
    total: int


def parse_settings(data: bytes, file: str) -> Settings:
    """Parse mosha.toml; `file` is its name in messages.

    Raises:
        Mistakes: with every mistake of the file.
    """
    reading = read_settings(data, file)
    if reading.total:
        raise Mistakes(reading.mistakes, reading.total)
    return reading.settings


def read_settings(data: bytes, file: str) -> SettingsReading:
    """Parse mosha.toml as far as possible; never raises for its content."""
    findings = Findings(file)
    lines = [
        (number, text.removesuffix("\r"))
        for number, text in readable_lines(
            data, findings, SETTINGS_MAX_BYTES, SETTINGS_LINE_MAX_BYTES
        )
    ]
    if findings.total:  # lines are missing: they may have set other keys
        return SettingsReading(Settings(), frozenset(_RULES), findings.mistakes, findings.total)
    parsed = parse_toml(lines, findings)
    if parsed.values is None:
        return SettingsReading(Settings(), frozenset(_RULES), findings.mistakes, findings.total)
    settings, unknown = _settings(parsed.values, findings, KeyPlaces(lines), parsed.broken)
    return SettingsReading(settings, unknown, findings.mistakes, findings.total)


def settings_from(values: Mapping[str, object], source: str) -> Settings:
    """Make settings from Python values, with the keys and rules of mosha.toml.

    `source` replaces the file name in messages.

    Raises:
        Mistakes: with every mistake, without lines.
    """
    findings = Findings(source)
    settings, _unknown = _settings(values, findings, KeyPlaces(), frozenset())
    findings.raise_if_any()
    return settings


def _settings(
    values: Mapping[str, object], findings: Findings, places: KeyPlaces, broken: frozenset[str]
) -> tuple[Settings, frozenset[str]]:
    """Return the settings, and the keys whose values are not known, `broken` among them."""
    tables = KeyTables(findings, places, broken)
    good = tables.table((), values, _RULES)
    unknown = broken | (values.keys() & _RULES.keys()) - good.keys()
    fencing = read_fencing(tables, values, good)
    settings = Settings(**good, fencing=fencing)
    _check_whole(tables, settings, values, unknown)
    return settings, unknown


def _check_whole(
    tables: KeyTables, settings: Settings, values: Mapping[str, object], unknown: frozenset[str]
) -> None:
    """Check rules about several values, as far as those are known."""
    if settings.mynode and settings.nodes and settings.mynode not in settings.nodes:
        problem = f"mynode must be among nodes, {settings.mynode} is not"
        tables.note(("mynode",), str(settings.mynode), problem, "add it to nodes")
    broken = dict(times.unsafe(settings.timing))
    for name, rule in broken.items():
        sources = _SOURCES.get(name, ())
        if unknown & {name, *sources, *_MEASURED_AGAINST.get(name, ())}:
            continue
        if name not in values and any(source in broken for source in sources):
            continue  # it only follows from a mistake that is reported anyway
        key = next((key for key in (name, *sources) if key in values), name)
        shown = rules.shown(values[key]) if key in values else ""
        remedy = f"change {' or '.join((name, *sources))}, or leave the defaults"
        tables.note((key,), shown, rule, remedy)
    if not broken and not unknown & {"watchdog", *_WATCHDOG_TIMES}:
        _check_watchdog(tables, settings)
    if unknown & {"varpath", "rundir", "socket"}:
        return
    for path in (settings.socket_path, settings.monitor_socket_path):
        size = len(str(path).encode("utf-8", "surrogateescape"))
        if size > SOCKET_PATH_MAX_BYTES:
            own = "socket" if settings.socket and path == settings.socket_path else "rundir"
            key = own if own in values else "varpath"
            problem = f"the path of a socket has {size} bytes, at most {SOCKET_PATH_MAX_BYTES}"
            tables.note((key,), str(path), problem, f"set {own} to a shorter path")


def _check_watchdog(tables: KeyTables, settings: Settings) -> None:
    """Check that the watchdog has a time-out; one that is set may be too long for the promise."""
    if settings.watchdog and not settings.watchdog_s:
        problem = (
            "no watchdog fits: lease + stop_budget + the kill leave less than a second before"
            " 0.99 timeout, in which it could reset a machine whose clinit hangs"
        )
        remedy = watchdogs.remedy(settings.timing)
        tables.note(("watchdog",), settings.watchdog, problem, remedy)
    if settings.watchdog_timeout is not None and not settings.watchdog:
        shown = str(settings.watchdog_timeout)
        problem = "watchdog_timeout is set, and there is no watchdog"
        tables.note(("watchdog_timeout",), shown, problem, 'write watchdog = "/dev/watchdog"')
