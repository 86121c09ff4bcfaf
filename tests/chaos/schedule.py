"""What a run is made of: a world and a list of faults, all of it drawn from one seed.

Nothing here looks at a clock or at the cluster, so the same seed and length give the same
list, which is printed before anything happens. Times are in seconds from the beginning.

Two things are kept out because the promise does not cover them: clinit without the CPU when
it has to kill (a short pause stays below what the timing leaves, a long one happens when
nothing else does, and a machine that stood still for long is reset, as by a watchdog), and
a file system that does not show a node its own last write.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

CLINIT_PAUSE_PER_TIMEOUT = 0.06
"""Less than the hundredth part of the time-out that lease and stop budget leave, and poll."""

LONE = frozenset({"stop_clinit_long"})
CALM_TIMEOUTS = 2.5
FILE_ERRORS = (errno.EIO, errno.ESTALE, errno.ENOENT, errno.ENOSPC)


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the machine has for a run; `disks` are loop devices, `pids` is a pids controller.

    `sshfs` stands for a network of the nodes in place of the file system that lies (`fuse`).
    """

    fuse: bool = False
    sshfs: bool = False
    cgroups: bool = True
    disks: bool = False
    pids: bool = False
    root: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """How the cluster of a run is made."""

    seed: int
    nodes: int
    groups: tuple[str, ...]
    timeout_s: float
    fences: bool
    gap_s: float
    logs: tuple[str, ...]
    equipment: Equipment
    weak: bool

    def __str__(self) -> str:
        fence = "a fence that kills" if self.fences else "no fence"
        view = "one FUSE mount a node" if self.equipment.fuse else "one plain directory"
        view = "sshfs between namespaces" if self.equipment.sshfs else view
        return (
            f"seed {self.seed}: {self.nodes} nodes, groups {' '.join(self.groups)},"
            f" timeout {self.timeout_s:g} s, {fence}, {view}, a fault each {self.gap_s:g} s"
            f", logs {' '.join(self.logs)}"
            + ("" if self.equipment.cgroups else ", without cgroups")
            + (", without CAP_KILL" if self.weak else "")
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `peers` are those whose directories node sees wrongly; `salt` decides details."""

    at: float
    kind: str
    node: int = 0
    peers: tuple[int, ...] = ()
    lasts: float = 0.0
    what: str = ""
    amount: float = 0.0
    salt: int = 0

    @property
    def until(self) -> float:
        return self.at + self.lasts

    def __str__(self) -> str:
        words = [f"{self.at:7.2f}", self.kind]
        if self.node:
            words.append(f"node={self.node}")
        if self.peers:
            words.append(f"peers={','.join(map(str, self.peers))}")
        if self.what:
            words.append(self.what)
        if self.amount:
            words.append(f"amount={self.amount:g}")
        if self.lasts:
            words.append(f"for {self.lasts:.2f} s")
        return " ".join(words)


WEIGHTS: dict[str, int] = {
    "kill_monitor": 3,
    "stop_monitor_short": 2,
    "stop_monitor_long": 3,
    "kill_clinit": 3,
    "stop_clinit_short": 2,
    "stop_clinit_long": 1,
    "kill_forkserver": 1,
    "kill_child": 4,
    "stop_child": 2,
    "kill_node": 3,
    "stop_node_short": 1,
    "stop_node_long": 2,
    "kill_all": 1,
    "leave": 3,
    "edit_cltab": 3,
    "edit_hactl": 3,
    "bad_cltab": 1,
    "bad_hactl": 1,
    "edit_both": 2,
    "set_wish": 3,
}
FUSE_WEIGHTS: dict[str, int] = {
    "delay": 3,
    "freeze": 3,
    "fail": 4,
    "stale": 3,
    "old": 3,
    "torn": 3,
    "partition": 3,
    "one_way": 3,
}
DIRECTORY_FAULTS = frozenset({"delay", "freeze", "fail", "stale", "old", "torn"})


HOST_WEIGHTS: dict[str, int] = {
    "no_descriptors": 3,
    "log_stopped": 2,
    "log_gone": 2,
    "old_clstat": 2,
    "old_clstat_dead": 2,
    "lose_state": 1,
    "lose_rundir": 1,
    "lose_sockets": 2,
    "other_timeout": 1,
    "other_rundir": 1,
    "kill_daemons": 2,
    "drop_group": 2,
    "half_edit": 2,
    "verb": 5,
}
NET_WEIGHTS = {"cut_cable": 8, "kill_sshfs": 5, "kill_sshd": 3}
DISK_WEIGHTS = {"log_full": 2, "log_frozen": 3}
PIDS_WEIGHTS = {"no_threads": 2}
VERBS = ("restart", "restart_entry", "move", "standby", "fail", "cleanup", "start", "stop")
TURNS = 3
LOGS = ("pipe", "disk", "disk-setting", "file", "pipe")
"""Where the log of a node goes: stderr into a pipe, onto a disk of its own or into a plain file, or
the setting `log_file` onto such a disk."""


def kinds(world: World) -> dict[str, int]:
    """Return every kind of fault that a world has, with its weight."""
    has = world.equipment
    return (
        WEIGHTS
        | HOST_WEIGHTS
        | (FUSE_WEIGHTS if has.fuse else {})
        | (NET_WEIGHTS if has.sshfs else {})
        | (DISK_WEIGHTS if has.disks else {})
        | (PIDS_WEIGHTS if has.pids else {})
    )


def make_world(seed: int, has: Equipment) -> World:
    chance = random.Random(f"world {seed}")  # noqa: S311 - faults, not secrets
    plain = [f"g{number}" for number in range(1, chance.randint(4, 6))]
    nodes = chance.choice((3, 3, 4, 5))
    logs = LOGS if has.disks else ("pipe", "file", "pipe", "file", "file")
    return World(
        seed=seed,
        nodes=nodes,
        groups=(*plain, "stubborn", "forks", *(["foreign"] if has.root else [])),
        timeout_s=chance.choice((3.0, 3.5, 4.0)),
        fences=has.cgroups and (has.fuse or has.sshfs) and chance.random() < 0.4,
        gap_s=chance.choice((1.5, 2.0, 3.0)),
        logs=tuple(sorted(logs[:nodes], key=lambda _log: chance.random())),
        # Without cgroups nobody can end a process that may not be signalled.
        weak=has.root and has.cgroups and chance.random() < 0.3,
        equipment=has,
    )


def make_faults(world: World, seconds: float) -> list[Fault]:
    """Return the faults of a run in the order they begin; all are over after `seconds`."""
    chance = random.Random(f"faults {world.seed}")  # noqa: S311 - faults, not secrets
    weights = kinds(world)
    names, shares = list(weights), list(weights.values())
    # Every kind has its turns in a long run, however the dice fall: one may find nothing to do.
    rounds = (sorted(names, key=lambda _name: chance.random()) for _ in range(TURNS))
    turns = [name for names_once in rounds for name in names_once]
    faults: list[Fault] = []
    paused = dict.fromkeys(range(1, world.nodes + 1), -100.0)
    at = 0.0
    while True:
        at += chance.expovariate(1.0 / world.gap_s)
        kind = turns.pop() if turns and chance.random() < 0.5 else chance.choices(names, shares)[0]
        if kind in LONE:
            at = max([at, *(fault.until for fault in faults)]) + CALM_TIMEOUTS * world.timeout_s
        fault = _MAKERS.get(kind, _plain)(world, chance, kind, at)
        if kind in {"stop_clinit_short", "stop_node_short"}:
            if at - paused[fault.node] < 2 * world.timeout_s:
                continue
            paused[fault.node] = at
        if fault.until > seconds:
            if fault.at > seconds - 2 * world.timeout_s:
                return faults
            continue
        faults.append(fault)
        if kind in LONE:
            at = fault.until + world.timeout_s


# --- the kinds ---------------------------------------------------------------------

_Maker = Callable[[World, random.Random, str, float], Fault]


def _node(world: World, chance: random.Random) -> int:
    return chance.randint(1, world.nodes)


def _plain(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """What happens in a moment, to one node."""
    return Fault(at, kind, _node(world, chance), salt=chance.getrandbits(32))


def _lasting(low: float, high: float) -> _Maker:
    """What lasts between so many time-outs."""

    def make(world: World, chance: random.Random, kind: str, at: float) -> Fault:
        lasts = chance.uniform(low, high) * world.timeout_s
        return Fault(at, kind, _node(world, chance), lasts=lasts, salt=chance.getrandbits(32))

    return make


def _everybody(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    return Fault(at, kind, lasts=chance.uniform(0.1, 1.5) * world.timeout_s)


def _edit(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    what = chance.choice(("renamed", "truncated"))
    nodes = tuple(chance.sample(range(1, world.nodes + 1), 2)) if kind == "edit_both" else ()
    return Fault(at, kind, _node(world, chance), nodes, what=what, salt=chance.getrandbits(32))


def _directory(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """One node's view of some directories, the own one among them where that may be."""
    node = _node(world, chance)
    others = [peer for peer in range(1, world.nodes + 1) if peer != node]
    own = kind not in {"stale", "old"} and chance.random() < 0.4
    peers = [node] if own else chance.sample(others, chance.randint(1, len(others)))
    amount = {
        "delay": chance.uniform(0.02, 0.6),
        "fail": float(chance.choice(FILE_ERRORS)),
    }.get(kind, 0.0)
    if kind == "fail" and amount == errno.ENOSPC:
        peers = [node]  # others do not write there
    lasts = chance.uniform(0.2, 2.0) * world.timeout_s
    return Fault(at, kind, node, tuple(sorted(peers)), lasts, amount=round(amount, 3))


def _cut(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """Some nodes and the rest do not see each other; one way: some do not see the rest."""
    size = chance.randint(1, max(1, world.nodes // 2))
    side = tuple(sorted(chance.sample(range(1, world.nodes + 1), size)))
    what = chance.choice(("freeze", "stale"))
    return Fault(at, kind, 0, side, chance.uniform(0.5, 2.5) * world.timeout_s, what=what)


def _logging(kind_of_log: str, low: float, high: float) -> _Maker:
    """What happens to the log of a node whose log goes there."""

    def make(world: World, chance: random.Random, kind: str, at: float) -> Fault:
        fits = [n for n, log in enumerate(world.logs, 1) if log.startswith(kind_of_log)]
        lasts = chance.uniform(low, high) * world.timeout_s
        return Fault(at, kind, chance.choice(fits), lasts=lasts)

    return make


def _mount(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """The mount of one peer on one node."""
    fault = _lasting(0.0, 2.0)(world, chance, kind, at)
    others = [node for node in range(1, world.nodes + 1) if node != fault.node]
    return replace(fault, peers=(chance.choice(others),))


def _descriptors(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """One daemon may have no more descriptors than it has, and a few."""
    fault = _lasting(0.2, 1.5)(world, chance, kind, at)
    what = chance.choice(("monitor", "clinit", "clinit", "forkserver"))
    return replace(fault, what=what, amount=float(chance.randint(0, 4)))


def _threads(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    return replace(_lasting(0.2, 1.5)(world, chance, kind, at), amount=float(chance.randint(0, 3)))


def _timeout(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """All nodes get another time-out, one after the other, never below the first one."""
    lasts = world.nodes * chance.uniform(0.2, 0.8) * world.timeout_s
    factor = chance.choice((1.0, 1.5, 2.0))
    return Fault(at, kind, lasts=lasts, amount=factor * world.timeout_s)


AFTERWARDS = {
    "lose_state": ("", "kill_monitor", "kill_node"),
    "lose_rundir": ("", "kill_monitor", "kill_node"),
    "lose_sockets": ("", "kill_monitor", "kill_node"),
    "other_rundir": ("", "kill_node"),
}
"""What else may happen to a node when it has lost its memory, or what leads to it."""


def _memory(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    """Something of RUNDIR goes, and perhaps more of the node with it."""
    what = chance.choice(AFTERWARDS[kind])
    lasts = chance.uniform(0.2, 1.0) * world.timeout_s
    salt = chance.getrandbits(32)
    return Fault(at, kind, _node(world, chance), lasts=lasts, what=what, salt=salt)


def _verb(world: World, chance: random.Random, kind: str, at: float) -> Fault:
    fault = _lasting(0.3, 2.0)(world, chance, kind, at)
    return replace(fault, what=chance.choice(VERBS))


_MAKERS: dict[str, _Maker] = {
    "stop_monitor_short": _lasting(0.05, 0.6),
    "stop_monitor_long": _lasting(1.2, 2.5),
    "stop_clinit_short": _lasting(0.01, CLINIT_PAUSE_PER_TIMEOUT),
    "stop_clinit_long": _lasting(1.3, 2.0),
    "stop_child": _lasting(0.05, 1.5),
    "kill_node": _lasting(0.2, 2.5),
    "stop_node_short": _lasting(0.01, CLINIT_PAUSE_PER_TIMEOUT),
    "stop_node_long": _lasting(1.2, 2.5),
    "kill_all": _everybody,
    "leave": _lasting(0.5, 3.0),
    **dict.fromkeys(("edit_cltab", "edit_hactl", "bad_cltab", "bad_hactl", "edit_both"), _edit),
    **dict.fromkeys(DIRECTORY_FAULTS, _directory),
    "partition": _cut,
    "one_way": _cut,
    "cut_cable": _lasting(0.3, 3.0),
    "kill_sshfs": _mount,
    "kill_sshd": _lasting(0.2, 3.0),
    "no_descriptors": _descriptors,
    "no_threads": _threads,
    "log_stopped": _logging("pipe", 0.3, 2.5),
    "log_gone": _logging("pipe", 0.3, 2.5),
    "log_full": _logging("disk", 0.3, 2.5),
    "log_frozen": _logging("disk", 0.3, 3.5),
    "old_clstat_dead": _lasting(0.1, 0.5),
    "other_timeout": _timeout,
    "half_edit": _lasting(0.1, 1.0),
    "verb": _verb,
    **dict.fromkeys(AFTERWARDS, _memory),
}
