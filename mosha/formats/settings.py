"""mosha.toml: the settings of one node, and what follows from them.

The original's parameters keep their names and defaults (H1.2, H1.3). All mistakes of a file are
reported at once, with the key, the line if it can be found, the rule and a remedy.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from mosha.core.cluster import timing as times
from mosha.formats import log_limits
from mosha.formats import settings_rules as rules
from mosha.formats.mistakes import Findings, Mistake, Mistakes, readable_lines
from mosha.formats.names import nearest
from mosha.formats.spawn import SPAWN_WAYS
from mosha.formats.toml_places import KeyPlaces
from mosha.formats.toml_places import Path as Key
from mosha.formats.toml_text import parse_toml

# The standard TOML parser is quadratic in the length of a line of dotted keys: these bounds keep
# the worst file below a second.
SETTINGS_MAX_BYTES = 64 << 10
SETTINGS_LINE_MAX_BYTES = 8 << 10

SOCKET_PATH_MAX_BYTES = 107
"""The 108 bytes of a unix socket address, less the final zero."""

CLINIT_SOCKET = "clinit.s"
MONITOR_SOCKET = "mosha.s"

FENCING_LIMIT_DEFAULT_S = 30.0
"""Power switches answer within seconds; a hung one must not delay the next method."""


class FencingMethod(msgspec.Struct, frozen=True, kw_only=True):
    """One way to shoot a node. `command` gets the node number as its last argument.

    It is a program and its arguments; a command line was split when the settings were read.
    `limit` is in seconds.
    """

    type: Literal["print", "command"] = "print"
    command: tuple[str, ...] = ()
    limit: float = FENCING_LIMIT_DEFAULT_S

    @property
    def gives_receipts(self) -> bool:
        """Whether its success proves that the node is dead."""
        return self.type != "print"


class Fencing(msgspec.Struct, frozen=True, kw_only=True):
    """The fencing methods in the order of trying; the default one only prints (H3.6)."""

    methods: tuple[FencingMethod, ...] = (FencingMethod(),)
    required: bool | None = None

    def is_required(self, *, with_callable: bool = False) -> bool:
        """Say whether a stale node's groups wait for a receipt (docs/reference/fencing.md).

        If nothing is set: as soon as some method gives receipts. `with_callable` says
        that the Python API adds one.
        """
        if self.required is not None:
            return self.required
        return with_callable or any(method.gives_receipts for method in self.methods)


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
    watch: Literal["auto", "events", "poll"] = "auto"
    spawn: Literal["shared", "copied", "plain"] = "shared"
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
    "watch": rules.one_of(rules.WATCHES),
    "spawn": rules.one_of(SPAWN_WAYS),
    "log_level": rules.one_of(rules.LOG_LEVELS),
    "log_file": rules.path_or_nothing,
    "log_file_max_bytes": rules.whole_number(
        log_limits.LOG_FILE_MIN_BYTES, log_limits.LOG_FILE_MAX_BYTES
    ),
    "log_file_keep": rules.whole_number(1, log_limits.LOG_FILES_MAX),
    "fencing": rules.table,
}
_FENCING_RULES: dict[str, rules.Rule] = {"methods": rules.tables, "required": rules.yes_or_no}
_METHOD_RULES: dict[str, rules.Rule] = {
    "type": rules.one_of(("print", "command")),
    "command": rules.command,
    "limit": rules.seconds,
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
    reader = _Reader(findings, places, broken)
    good = reader.table((), values, _RULES)
    unknown = broken | (values.keys() & _RULES.keys()) - good.keys()
    fencing = reader.fencing(values, good)
    settings = Settings(**good, fencing=fencing)
    reader.whole(settings, values, unknown)
    return settings, unknown


class _Reader:
    """Checks tables of values by their rules and collects mistakes."""

    def __init__(self, findings: Findings, places: KeyPlaces, broken: frozenset[str]) -> None:
        self._findings = findings
        self._places = places
        self._broken = broken

    def note(self, key: Key, shown: str, problem: str, remedy: str) -> None:
        line, column = self._places.of(key)
        self._findings.add(line, column, shown, problem, remedy)

    def table(
        self, at: Key, values: Mapping[str, object], known: Mapping[str, rules.Rule]
    ) -> dict[str, Any]:
        good: dict[str, Any] = {}
        for name, value in values.items():
            key = (*at, name)
            rule = known.get(name)
            if rule is None:
                remedy = nearest(name, known) or f"the keys here are {', '.join(known)}"
                self.note(key, name, "unknown key", remedy.strip())
                continue
            try:
                good[name] = rule(value)
            except rules.WrongValue as wrong:
                text = f"{_spelled(key)} {wrong.problem}"
                if isinstance(value, dict):
                    self.note(key, "", f"{text}, not a table", wrong.remedy)
                else:
                    self.note(key, rules.shown(value), text, wrong.remedy)
        return good

    def fencing(self, values: Mapping[str, object], good: dict[str, Any]) -> Fencing:
        """Parse [fencing] and the original's `stomith`, which is one command."""
        stomith = good.pop("stomith", None)
        rest = self.table(("fencing",), good.pop("fencing", {}), _FENCING_RULES)
        raw = rest.get("methods", [])
        methods = [self._method(("fencing", "methods", i), m) for i, m in enumerate(raw)]
        if stomith is not None:
            if raw:
                problem = "stomith and fencing.methods are both set"
                self.note(("stomith",), rules.shown(values["stomith"]), problem, "keep one of them")
            methods = [FencingMethod(type="command", command=stomith)]
        return Fencing(methods=tuple(methods) or (FencingMethod(),), required=rest.get("required"))

    def _method(self, at: Key, values: Mapping[str, object]) -> FencingMethod:
        good = self.table(at, values, _METHOD_RULES)
        # A missing key may be in a broken line.
        missing = {"type", "command"} - values.keys() - self._broken
        if "type" in missing:
            remedy = 'write type = "command" or type = "print"'
            self.note(at, "", "a fencing method has no type", remedy)
        if good.get("type") == "command" and "command" in missing:
            remedy = 'write command = "/path/of/program"'
            self.note(at, "", "a fencing method of type command has no command", remedy)
        if good.get("type") == "print" and "command" in values:
            key = (*at, "command")
            self.note(key, "", "type print takes no command", 'write type = "command"')
        limit = good.get("limit", FENCING_LIMIT_DEFAULT_S)
        if limit <= 0:
            key, text = (*at, "limit"), f"{limit:g}"
            self.note(key, text, "limit must be more than 0 seconds", "write limit = 30")
        return FencingMethod(**good)

    def whole(
        self, settings: Settings, values: Mapping[str, object], unknown: frozenset[str]
    ) -> None:
        """Check rules about several values, as far as those are known."""
        if settings.mynode and settings.nodes and settings.mynode not in settings.nodes:
            problem = f"mynode must be among nodes, {settings.mynode} is not"
            self.note(("mynode",), str(settings.mynode), problem, "add it to nodes")
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
            self.note((key,), shown, rule, remedy)
        if unknown & {"varpath", "rundir", "socket"}:
            return
        for path in (settings.socket_path, settings.monitor_socket_path):
            size = len(str(path).encode("utf-8", "surrogateescape"))
            if size > SOCKET_PATH_MAX_BYTES:
                own = "socket" if settings.socket and path == settings.socket_path else "rundir"
                key = own if own in values else "varpath"
                problem = f"the path of a socket has {size} bytes, at most {SOCKET_PATH_MAX_BYTES}"
                self.note((key,), str(path), problem, f"set {own} to a shorter path")


def _spelled(key: Key) -> str:
    names = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in key)
    return "".join(names).lstrip(".")
