"""The table [fencing] of mosha.toml: the methods, their levels, and what each needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

import msgspec

from mosha.core.cluster.fencing import PROBATION_DEFAULT, TIE_BREAK_DEFAULT_S
from mosha.formats import settings_rules as rules
from mosha.formats.fence_options import same_option
from mosha.formats.fence_outlets import OutletMap, outlets_of
from mosha.formats.fence_targets import FenceTarget, nodes_in, read_options, read_targets
from mosha.formats.key_tables import KeyTables
from mosha.formats.names import listed
from mosha.formats.toml_places import Path as Key

FENCING_LIMIT_DEFAULT_S = 30.0
"""Power switches answer within seconds; a hung one must not delay the next method."""

AGENT_LIMIT_DEFAULT_S = 60.0
"""An agent waits 5 s for a login, 3 s for a reply and 20 s for the power, and is asked twice."""

RETRIES_DEFAULT = 1
"""Management cards refuse a session now and then."""

RETRIES_MAX = 10

TEST_EVERY_DEFAULT_S = 3600.0
"""A wrong password or a broken card is known within the hour, and no device minds so few tests."""

TEST_EVERY_MIN_S = 1.0


class FencingMethod(msgspec.Struct, frozen=True, kw_only=True):
    """One way to shoot a node. `command` gets the node number as its last argument.

    It is a program and its arguments; a command line was split when the settings were read. `test`
    is another one, which finds out whether `command` would work, without a shot.
    `agent` is a program of the package fence-agents, by its name or its path; its `options` are
    those of every node, `secrets` is the path of a file with more of them. `limit` is in seconds,
    for an agent for each of its 1 + `retries` attempts. `level` as in `Level`; 0: it is alone.
    `unfence`: a node has the agent let it in to the storage again, by the action `on`.
    """

    type: Literal["print", "command", "agent", "poison"] = "print"
    command: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    limit: float = FENCING_LIMIT_DEFAULT_S
    agent: str = ""
    options: dict[str, str] = {}
    targets: dict[int, FenceTarget] = {}
    secrets: str = ""
    retries: int = RETRIES_DEFAULT
    level: int = 0
    unfence: bool = False

    @property
    def name(self) -> str:
        """Its name as shots have it: that of its agent or command."""
        if self.type == "agent":
            return PurePath(self.agent).name
        return self.command[0] if self.command else self.type

    @property
    def gives_receipts(self) -> bool:
        """Whether it can prove that a node which is not heard is dead."""
        return self.type not in ("print", "poison")

    @property
    def can_be_tested(self) -> bool:
        """Whether it is known without a shot if it would work."""
        return self.type == "agent" or bool(self.test)

    @property
    def attempts(self) -> int:
        """How often it is tried at most."""
        return 1 + self.retries if self.type == "agent" else 1

    def reaches(self, node: int) -> bool:
        """Say whether it is meant for this node."""
        return self.type != "agent" or node in self.targets


class Level(msgspec.Struct, frozen=True):
    """Methods that must all succeed: the devices of one node that only together switch it off.

    Such as two power supplies. Each has its number, the place in mosha.toml, from 1.
    """

    methods: tuple[tuple[int, FencingMethod], ...]

    @property
    def name(self) -> str:
        """The names of its methods."""
        return "+".join(method.name for _, method in self.methods)

    @property
    def attempts(self) -> int:
        """How often it is tried at most, all of its devices each time."""
        return max(method.attempts for _, method in self.methods)

    @property
    def shot_limit_s(self) -> float:
        """How long it takes at most, with all attempts."""
        limits = (method.limit for _, method in self.methods if method.type != "print")
        return self.attempts * sum(limits)


def levels_of(methods: Sequence[FencingMethod]) -> tuple[Level, ...]:
    """Return the levels in the order of trying: by number; without one each method is a level."""
    found: dict[int, list[tuple[int, FencingMethod]]] = {}
    for number, method in enumerate(methods, 1):
        found.setdefault(method.level or number, []).append((number, method))
    return tuple(Level(tuple(found[level])) for level in sorted(found))


PROBATION_MAX = 100
LEVEL_MAX = rules.TABLES_MAX

DELAY_MAX_S = 600.0
"""Groups wait for the shot; a kernel dump of a large machine takes minutes."""


class Fencing(msgspec.Struct, frozen=True, kw_only=True):
    """The fencing methods in the order of trying; the default one only prints (H3.6).

    They are tested every `test_every` seconds, those that can be; 0 is never. `tie_break` and the
    `delays` of nodes are in seconds; `probation`: after so many deaths within an hour a node owns
    nothing, 0: never.
    """

    methods: tuple[FencingMethod, ...] = (FencingMethod(),)
    required: bool | None = None
    test_every: float = TEST_EVERY_DEFAULT_S
    tie_break: float = TIE_BREAK_DEFAULT_S
    delays: dict[int, float] = {}
    probation: int = PROBATION_DEFAULT

    @property
    def shot_limit_s(self) -> float:
        """How long a shot takes at most, with all levels and attempts."""
        return sum(level.shot_limit_s for level in levels_of(self.methods))

    def is_required(self, *, with_callable: bool = False) -> bool:
        """Say whether a stale node's groups wait for a receipt (docs/reference/fencing.md).

        If nothing is set: as soon as some method gives receipts. `with_callable` says
        that the Python API adds one.
        """
        if self.required is not None:
            return self.required
        return with_callable or any(method.gives_receipts for method in self.methods)


def _agent(value: object) -> str:
    """The name of a program, or its path."""
    name = rules.text(value)
    if "/" in name and not name.startswith("/"):
        raise rules.WrongValue("must be a name or an absolute path", 'write "fence_ipmilan"')
    return name


def _delay(value: object) -> float:
    """A number of seconds, not so long that nobody would be shot."""
    delay_s = rules.seconds(value)
    if not 0 <= delay_s <= DELAY_MAX_S:
        raise rules.WrongValue(f"must be 0 to {DELAY_MAX_S:g} seconds", "write 20")
    return delay_s


def _test_every(value: object) -> float:
    """A number of seconds; 0 is never."""
    every_s = rules.seconds(value)
    if every_s != 0 and every_s < TEST_EVERY_MIN_S:
        problem = f"must be 0 or at least {TEST_EVERY_MIN_S:g} seconds"
        raise rules.WrongValue(problem, "write 3600, or 0 for no tests")
    return every_s


FENCING_RULES: dict[str, rules.Rule] = {
    "methods": rules.tables,
    "required": rules.yes_or_no,
    "test_every": _test_every,
    "tie_break": rules.seconds,
    "delays": rules.table,
    "probation": rules.whole_number(0, PROBATION_MAX),
}
METHOD_RULES: dict[str, rules.Rule] = {
    "type": rules.one_of(("print", "command", "agent", "poison")),
    "command": rules.command,
    "test": rules.command,
    "limit": rules.seconds,
    "agent": _agent,
    "options": rules.table,
    "targets": rules.table,
    "secrets": rules.absolute_path,
    "retries": rules.whole_number(0, RETRIES_MAX),
    "level": rules.whole_number(1, LEVEL_MAX),
    "unfence": rules.yes_or_no,
}
# A print with a limit is odd, but was never refused.
_KEYS_OF: Mapping[str, frozenset[str]] = {
    "print": frozenset({"type", "limit", "level"}),
    "poison": frozenset({"type", "limit", "level"}),
    "command": frozenset({"type", "limit", "level", "command", "test"}),
    "agent": frozenset(METHOD_RULES) - {"command", "test"},
}
_NEEDED: Mapping[str, Mapping[str, str]] = {
    "print": {},
    "poison": {},
    "command": {"command": 'write command = "/path/of/program"'},
    "agent": {
        "agent": 'write agent = "fence_ipmilan", or another of the package fence-agents',
        "targets": 'write targets = {1 = "the plug of node 1", 2 = {ip = "the address for 2"}}',
    },
}
SHARED_REMEDY = "write what is different: the plug, the address or the key"

_ALONE: Mapping[str, str] = {
    "print": "a method of type print proves nothing, so its level never succeeds",
    "poison": "a method of type poison is no device, so it cannot be in a level with others",
}
"""The types that have a level of their own, and why."""

# Without a key it takes one from corosync, which is not there.
_NEEDS_KEY = "fence_scsi"


def read_fencing(tables: KeyTables, values: Mapping[str, object], good: dict[str, Any]) -> Fencing:
    """Parse [fencing] and the original's `stomith`, which is one command."""
    stomith = good.pop("stomith", None)
    rest = tables.table(("fencing",), good.pop("fencing", {}), FENCING_RULES)
    raw = rest.get("methods", [])
    methods = [_method(tables, ("fencing", "methods", i), m) for i, m in enumerate(raw)]
    _note_shared(tables, methods)
    _note_levels(tables, methods)
    if stomith is not None:
        if raw:
            problem = "stomith and fencing.methods are both set"
            tables.note(("stomith",), rules.shown(values["stomith"]), problem, "keep one of them")
        methods = [FencingMethod(type="command", command=stomith)]
    rest["delays"] = _delays(tables, rest.get("delays", {}))
    chosen = {name: rest[name] for name in FENCING_RULES if name in rest and name != "methods"}
    return Fencing(methods=tuple(methods) or (FencingMethod(),), **chosen)


def _method(tables: KeyTables, at: Key, values: Mapping[str, object]) -> FencingMethod:
    good = tables.table(at, values, METHOD_RULES)
    # A missing key may be in a broken line.
    missing = METHOD_RULES.keys() - values.keys() - tables.broken
    if "type" in missing:
        remedy = 'write type = "agent", "command", "poison" or "print"'
        tables.note(at, "", "a fencing method has no type", remedy)
    kind = good.get("type", "")
    for key, remedy in _NEEDED.get(kind, {}).items():
        if key in missing:
            problem = f"a fencing method of type {kind} has no {key}"
            tables.note(at, "", problem, remedy)
    for key in good.keys() - _KEYS_OF.get(kind, good.keys()):
        other = next(name for name, keys in _KEYS_OF.items() if key in keys)
        remedy = f'write type = "{other}"'
        tables.note((*at, key), "", f"type {kind} takes no {key}", remedy)
    limit = good.get("limit", FENCING_LIMIT_DEFAULT_S)
    if limit <= 0:
        tables.note(
            (*at, "limit"), f"{limit:g}", "limit must be more than 0 seconds", "write limit = 30"
        )
    if kind == "agent":
        good.setdefault("limit", AGENT_LIMIT_DEFAULT_S)
    good["options"] = read_options(tables, (*at, "options"), good.get("options", {}))
    good["targets"] = read_targets(tables, (*at, "targets"), good.get("targets", {}))
    method = FencingMethod(**good)
    _note_missing_keys(tables, at, method)
    return method


def _delays(tables: KeyTables, values: Mapping[str, object]) -> dict[int, float]:
    """Return how much longer a node is spared, in seconds."""
    at = ("fencing", "delays")
    found: dict[int, float] = {}
    for node, name, value in nodes_in(tables, at, values):
        good = tables.table(at, {name: value}, {name: _delay})
        found |= {node: good[name]} if good else {}
    return found


def _note_missing_keys(tables: KeyTables, at: Key, method: FencingMethod) -> None:
    if PurePath(method.agent).name != _NEEDS_KEY:
        return
    for node, target in method.targets.items():
        names = {same_option(name) for name in (*method.options, *target.options)}
        if "key" not in names:
            problem = f"{_NEEDS_KEY} needs the key of node {node}: without, it asks corosync"
            remedy = f'write targets = {{{node} = {{key = "…", devices = "…"}}}}'
            tables.note((*at, "targets", str(node)), "", problem, remedy)


def _note_levels(tables: KeyTables, methods: Sequence[FencingMethod]) -> None:
    """Note levels that could never succeed, or would take half of a power supply for all of it."""
    some = any(method.level for method in methods)
    for index, method in enumerate(methods):
        if some and not method.level and "level" not in tables.broken:
            problem = "a fencing method has no level, and others have one"
            tables.note(("fencing", "methods", index), "", problem, "write level = …")
    for level in levels_of(methods) if some else ():
        reached = {node for _, method in level.methods for node in method.targets}
        for number, method in level.methods if len(level.methods) > 1 else ():
            at = ("fencing", "methods", number - 1)
            if alone := _ALONE.get(method.type):
                tables.note((*at, "level"), "", alone, "give it a level of its own")
            missed = sorted(node for node in reached if not method.reaches(node))
            if missed:
                nodes = listed([f"node {node}" for node in missed])
                problem = f"targets lacks {nodes}, which another method of level {method.level} has"
                remedy = "the methods of a level must have the same nodes: all their devices"
                tables.note((*at, "targets"), "", problem, remedy)


def _note_shared(tables: KeyTables, methods: Sequence[FencingMethod]) -> None:
    """Note nodes that have the same device and plug: a shot at one would hit the other too.

    The files of secrets are not read here: with other secrets it may be another device.
    """
    known = OutletMap()
    for index, method in enumerate(methods):
        for node, target in method.targets.items():
            outlets = outlets_of(method.agent, {**method.options, **target.options}, target.plug)
            secrets = (method.secrets, target.secrets)
            other = known.other(node, outlets, secrets)
            if other is not None:
                where = f"plug {target.plug}" if target.plug else "device"
                problem = f"nodes {other} and {node} are at the same {where}"
                at = ("fencing", "methods", index, "targets", str(node))
                tables.note(at, "", problem, SHARED_REMEDY)
            known.add(node, outlets, secrets)
