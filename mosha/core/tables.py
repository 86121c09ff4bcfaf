"""The content of `cltab` and `hactl`, as data.

Catalogue C1 to C3 (entries, levels, modes) and H4.3 (wishes). `mosha.formats` reads and writes
the text; the meaning of a level field is defined here, since all parts need it.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from mosha.core.escalation import EscalationStep, Schedule
from mosha.core.instance_names import INSTANCE_MARK, single
from mosha.core.ladder import Ladder
from mosha.core.lasting import lasting_effect
from mosha.core.status import Grade

STOP_LEVEL = "stop"
PLAN_LEVEL = "plan"
TEST_LEVEL = "test"
BUILT_IN_LEVELS = (STOP_LEVEL, PLAN_LEVEL, TEST_LEVEL)


class Table(Protocol):
    """The parsed content of a table. Values of the same text are equal."""

    def names(self) -> frozenset[str]:
        """Return its names: with none, everything in it is stopped."""


class Mode(enum.StrEnum):
    """How an entry is run (catalogue C3)."""

    WAIT = "wait"
    ONCE = "once"
    RESPAWN = "respawn"
    TEST = "test"
    OCF = "ocf"
    SYSTEMD = "systemd"
    ADDRESS = "address"
    MONITOR = "monitor"
    OFF = "off"


def level_matches(level_field: str, level: str) -> bool:
    """Say whether an entry whose level field is `level_field` belongs to `level`.

    The whole field; or one of its comma parts (blanks around them do not count); or,
    for a field of digits only, one of its digits. A word is never split into letters
    and nothing is a pattern (C2.1 to C2.7; the originals' letters and patterns are NO).
    """
    if level_field == level:
        return True
    if "," in level_field:
        return level in (part.strip() for part in level_field.split(",")) and level != ""
    return level_field.isdecimal() and len(level) == 1 and level in level_field


class ReadyKind(enum.StrEnum):
    """By what a run is known to be ready."""

    NOTIFY = "notify"  # it says so, sd_notify(3)
    PORT = "port"  # something listens on a TCP port
    PIDFILE = "pidfile"  # a file has the pid of one of its processes


class Readiness(Struct, frozen=True):
    """By what a run of an entry is known to be ready: of a `port`, or of the file at a `path`."""

    kind: ReadyKind
    port: int = 0
    path: str = ""


class ResourceLimit(Struct, frozen=True):
    """A limit of getrlimit(2), soft and hard; None is no limit."""

    soft: int | None
    hard: int | None


class ProcessAttributes(Struct, frozen=True, omit_defaults=True):
    """What a process has from its start, beside its command; None for what is not given.

    `user` and `group` are names or numbers, `directory` is its working directory and `envfile` a
    file with variables. `oom` is its oom_score_adj of proc(5). Limits of sizes are in bytes.
    """

    user: str | None = None
    group: str | None = None
    directory: str | None = None
    envfile: str | None = None
    umask: int | None = None
    nice: int | None = None
    oom: int | None = None
    nofile: ResourceLimit | None = None
    nproc: ResourceLimit | None = None
    core: ResourceLimit | None = None
    memlock: ResourceLimit | None = None
    stack: ResourceLimit | None = None


class Options(Struct, frozen=True):
    """The options in the parentheses after a mode; None for those not given.

    `timeout_s`: how long a run may take. `stop`: the signals of a stop and the waits after them.
    `ready`: by what a run is known to be ready. `start_s`: how long it may take until then.
    `interval_s`: from one monitor to the next. `depths`: deeper monitors of an agent, and their
    intervals. `failures`: how many monitors in a row have to fail. `lasts`: whether what an agent
    makes outlives all processes; None: as far as that is known (`core.lasting`). These are about
    the supervision of a process: a change restarts nothing that is ready. `process` is what the
    process itself has; it is None if it is as clinit starts every other.
    """

    timeout_s: float | None = None
    stop: Schedule | None = None
    ready: Readiness | None = None
    start_s: float | None = None
    interval_s: float | None = None
    depths: tuple[tuple[int, float], ...] | None = None
    failures: int | None = None
    lasts: bool | None = None
    process: ProcessAttributes | None = None


NO_OPTIONS = Options()


class Entry(Struct, frozen=True):
    """One line of cltab: a command of a group, at the levels of its level field.

    `stops` is the tag of the `ocf` entry whose agent this one stops at level `stop` (`agent_stop`).
    """

    group: str
    tag: str
    level: str
    mode: Mode
    command: str
    line: int = 0
    options: Options = NO_OPTIONS
    stops: str = ""

    @property
    def respawns(self) -> bool:
        """Whether it is started again whenever it ends."""
        return self.mode in RESPAWNING

    @property
    def wrapped(self) -> bool:
        """Whether its process stops what it is about: an agent's service, a unit, an address.

        It is told so by a signal, and nothing else of the entry gets one before SIGKILL. It is
        stopped when all that was started after it is gone.
        """
        return self.mode in WRAPPED

    @property
    def lasts(self) -> bool:
        """Whether what it has done may outlive all processes of its group."""
        if self.mode is not Mode.OCF:
            return False
        if self.options.lasts is not None:
            return self.options.lasts
        agent = self.command.split(maxsplit=1)[0].strip("'\"")
        return lasting_effect(agent.rpartition(":")[2]) != ""

    @property
    def readiness(self) -> Readiness | None:
        """By what a run of it is known to be ready; None: it counts as started at once."""
        if self.wrapped:
            return Readiness(ReadyKind.NOTIFY)
        return self.options.ready if self.mode is Mode.RESPAWN else None

    @property
    def definition(self) -> tuple[str, Mode, ProcessAttributes | None]:
        """What a process is started by: with another one it is another process."""
        return self.command, self.mode, self.options.process

    @property
    def awaited(self) -> bool:
        """Whether a run of it counts as started only once it is ready."""
        return self.readiness is not None

    @property
    def limit_s(self) -> float | None:
        """How long a run may take, or take to be ready; None: for ever.

        What runs an agent has its own limits, and keeps to them.
        """
        if self.mode is Mode.OCF or self.stops:
            return None
        usual = MONITOR_LIMIT_S if self.mode is Mode.MONITOR else None
        limit_s = self.options.start_s if self.awaited else self.options.timeout_s
        return usual if limit_s is None else limit_s

    @property
    def interval_s(self) -> float:
        """How long it takes from one start of a monitor to the next."""
        interval_s = self.options.interval_s
        wanted_s = MONITOR_INTERVAL_S if interval_s is None else interval_s
        return max(MONITOR_INTERVAL_MIN_S, wanted_s)

    @property
    def failures_max(self) -> int:
        """How many runs of a monitor have to fail in a row; 0 for other entries."""
        if self.mode is not Mode.MONITOR:
            return 0
        return self.options.failures or MONITOR_FAILURES

    @property
    def stop_schedule(self) -> Schedule | None:
        """The signals of its stop, None for the usual ones."""
        slow = self.mode in (Mode.OCF, Mode.SYSTEMD)
        usual = WRAPPER_STOP if slow else None
        return self.options.stop if self.options.stop is not None else usual

    def runs_at(self, level: str) -> bool:
        """Say whether the entry is to run at `level`; an `off` entry never is (C3.12)."""
        return self.mode is not Mode.OFF and level_matches(self.level, level)


WRAPPED = frozenset({Mode.OCF, Mode.SYSTEMD, Mode.ADDRESS})
RESPAWNING = WRAPPED | {Mode.RESPAWN, Mode.MONITOR}

MONITOR_INTERVAL_S, MONITOR_LIMIT_S, MONITOR_FAILURES = 10.0, 10.0, 3
"""What a monitor has unless its options say otherwise: a check costs little, and one that fails or
hangs once proves little."""

MONITOR_INTERVAL_MIN_S = 1.0
"""A monitor is not run more often: it costs as much as a start."""

WRAPPER_STOP: Schedule = (EscalationStep("TERM", 3600.0),)
"""The stop of what runs an agent or a unit. It ends by itself when the limit of that has passed,
which is shorter: no agent of resource-agents asks for more than half an hour."""

AGENT_STOP_TAG = ".stop"
"""What the tag of an agent's entry ends with at level `stop`."""


def agent_stop(entry: Entry) -> Entry:
    """Return the entry that stops the agent of an `ocf` entry at level `stop`.

    It is a test: the group has stopped only if each agent was seen to stop what it had started. A
    mount, an address or a volume does not end with the processes of the group.
    """
    return replace(
        entry, tag=entry.tag + AGENT_STOP_TAG, level=STOP_LEVEL, mode=Mode.TEST, stops=entry.tag
    )


def entries_under(group: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return entries of a group as those of one of its instances."""
    return tuple(replace(entry, group=group) for entry in entries)


class Cltab(Struct, frozen=True, dict=True):
    """All entries of a cltab in file order, which is start order (C1.18)."""

    entries: tuple[Entry, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """Return the tags, which are unique in a file."""
        return frozenset(entry.tag for entry in self.entries)

    def groups(self) -> tuple[str, ...]:
        """Return the groups in the order of their first entries."""
        return tuple(self._by_group)

    def entries_of(self, group: str) -> tuple[Entry, ...]:
        """Return the entries of one group in file order; then the stops of agents, last first.

        Those of an instance are the entries of its group.
        """
        entries = self._by_group.get(single(group), ())
        return entries if INSTANCE_MARK not in group else entries_under(group, entries)

    @functools.cached_property
    def _by_group(self) -> Mapping[str, tuple[Entry, ...]]:
        """The entries by group; cached, because a thousand groups may be told one by one."""
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.group, []).append(entry)
        for entries in found.values():
            agents = [entry for entry in entries if entry.mode is Mode.OCF]
            entries.extend(map(agent_stop, reversed(agents)))
        return {group: tuple(entries) for group, entries in found.items()}

    def has_level(self, group: str, level: str) -> bool:
        """Say whether a group has a level: an entry is for it, or it is built in.

        `stop`, `plan` and `test` are valid without entries, and an entry that is `off` counts.
        """
        if level in BUILT_IN_LEVELS:
            return True
        return any(level_matches(entry.level, level) for entry in self.entries_of(group))


STAY = "stay"
"""The value in hactl for a group that stays on its node, however often its entries fail."""


class Wish(Struct, frozen=True):
    """One line of hactl: the wanted level of a group, and where.

    `on_failure` None: it stays. `fence` is the evidence on which a node counts as dead, None: as
    `fencing.required` says. `after`, `with_` and `apart` name other groups. `weight` has the unit
    of a node's capacity. `on_all`: it has an instance on each node.
    """

    group: str
    level: str
    prefer: tuple[int, ...] = ()
    only: tuple[int, ...] = ()
    failback: bool = False
    line: int = 0
    on_failure: Ladder | None = None
    fence: Grade | None = None
    after: tuple[str, ...] = ()
    with_: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    priority: int = 0
    weight: int = 1
    on_all: bool = False

    def allows(self, node: int) -> bool:
        """Say whether the wish lets the group run on `node` (`only=`)."""
        return not self.only or node in self.only


class WishEdit(Struct, frozen=True):
    """An edit of one wish: its level, and the fields that are `named`; others stay as they are."""

    wish: Wish
    named: frozenset[str]

    def applied(self, before: Wish | None) -> Wish:
        """Return the wish after the edit."""
        kept = before or Wish(self.wish.group, STOP_LEVEL)
        named = {name: getattr(self.wish, name) for name in self.named}
        return replace(kept, level=self.wish.level, line=0, **named)


class Hactl(Struct, frozen=True):
    """All wishes of a hactl; a group that is missing is to be stopped."""

    wishes: Mapping[str, Wish] = field(default_factory=dict)

    def names(self) -> frozenset[str]:
        """Return the groups."""
        return frozenset(self.wishes)

    def level_of(self, group: str) -> str:
        """Return the level wanted for `group`, `stop` if it is not listed."""
        wish = self.wishes.get(group)
        return wish.level if wish else STOP_LEVEL
