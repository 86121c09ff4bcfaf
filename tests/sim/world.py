"""A cluster and everything that will happen to it, as a value.

`draw` makes worlds from seeds, `shrink` smaller ones, `worldtext` writes and reads them.
"""

from __future__ import annotations

from msgspec import Struct

from mosha.core.cluster.fencing import PROBATION_DEFAULT
from mosha.core.cluster.timing import Timing
from mosha.core.status import GRADES, Grade


class Fault(Struct, frozen=True):
    """Something that happens at `at` (true seconds) and, if it lasts, ends `lasts` later.

    `nodes` and `others` are whom it concerns (a cut: `nodes` do not see what `others` write),
    `word` and `amount` what a kind needs besides. `faults` lists the kinds.
    """

    at: float
    kind: str
    lasts: float = 0.0
    nodes: tuple[int, ...] = ()
    others: tuple[int, ...] = ()
    word: str = ""
    amount: float = 0.0


class GroupSpec(Struct, frozen=True):
    """One resource group: its wish and how long its entries take, in seconds."""

    name: str
    prefer: tuple[int, ...] = ()
    only: tuple[int, ...] = ()
    failback: bool = False
    level: str = "start"
    test_s: float = 0.0
    start_s: float = 0.0
    stop_s: float = 0.0
    daemon: bool = False
    limit_s: float = 0.0  # the time limit of all entries that end by themselves; 0: none
    move_after: int = 0  # `on-failure=move:N/TIME`; 0: it stays
    move_within_s: float = 600.0
    moves: int = -1  # at most so many moves; -1: without a limit
    moves_within_s: float = 1200.0
    stops: bool = False  # then it is stopped for good
    stop_test: bool = False  # level `stop` has a test, which can fail
    fence: str = ""  # `fence=` of hactl
    on_all: bool = False  # an instance on each node
    ready_s: float = 0.0  # how long a run of its service takes to be ready; 0: it is not awaited
    agent_s: float = 0.0  # how long a start and a stop of its agent take; 0: it has none
    ready_limit_s: float = 0.0  # `start=` of it; 0: none
    monitor_s: float = 0.0  # the interval of its monitor; 0: it has none
    monitor_failures: int = 1  # so many runs of it have to fail in a row
    after: tuple[str, ...] = ()
    with_: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    weight: int = 1
    priority: int = 0


class FenceSpec(Struct, frozen=True):
    """What shots come to: weights of the outcomes; and how long they take.

    works, weak (it works, and proves less), fails, hangs, lies, print, poison (F2). `ask`: a node
    that cannot end a group asks to be shot.
    """

    required: bool = False
    outcomes: tuple[str, ...] = ("print",)
    takes_s: float = 0.1
    probation: int = PROBATION_DEFAULT
    ask: bool = False


def asked_grade(spec: FenceSpec, group: GroupSpec) -> Grade:
    """Return what evidence of a death a group asks for."""
    if group.fence:
        return GRADES[group.fence]
    return Grade.OPERATOR_SAID_SO if spec.required else Grade.LEASE_ELAPSED


class World(Struct, frozen=True):
    """One cluster and its fate. Times are true seconds."""

    seed: int
    nodes: int
    groups: tuple[GroupSpec, ...]
    timing: Timing
    rates: tuple[float, ...]
    shared: bool = False
    lag_s: float = 0.002
    lag_tail: float = 0.0
    reorder: bool = False
    late_writes: bool = False  # what a killed monitor was writing may still land
    editor_s: float = 0.0  # an editor writes half of a table, and the rest so much later
    ipc_s: float = 0.001
    fence: FenceSpec = FenceSpec()
    adaptive: bool = False
    capacities: tuple[int, ...] = ()  # of each node, 0: it has none; empty: no node has one
    faults: tuple[Fault, ...] = ()
    chaos_s: float = 100.0
    calm_s: float = 100.0
    dead: tuple[int, ...] = ()
    unfit: tuple[int, ...] = ()  # there the services of groups with `move_after` fail, to the end
    resting: tuple[int, ...] = ()  # on standby from the end of the faults on
    told_of: tuple[int, ...] = ()  # whose story is told; everybody's if empty
    every_state: bool = False  # each state of a group is told, not only where it comes to rest

    @property
    def ids(self) -> tuple[int, ...]:
        """The nodes, numbered from 1."""
        return tuple(range(1, self.nodes + 1))

    @property
    def end_s(self) -> float:
        """When the run is over."""
        return self.chaos_s + self.calm_s


# kind -> how often it is chosen when its world has it
KINDS: dict[str, float] = {
    "cut": 6,  # `nodes` see nothing new of `others`; word: eio, stale or hang
    "lag": 2,  # visibility takes `amount` seconds longer
    "stale": 3,  # reads of `nodes` may give older versions
    "torn": 2,  # reads of `nodes` may be cut short or hold zeros
    "readerror": 2,  # word: EIO, ESTALE, ENOENT
    "hangread": 3,  # reads of `nodes` begun now end when the fault does
    "full": 2,  # writes of `nodes` fail; word ENOSPC, or EIO: it may have landed all the same
    "hangwrite": 3,
    "vanish": 2,  # the directory of `nodes` is away for a while
    "killmonitor": 5,
    "pausemonitor": 5,
    "slow": 2,  # the loop of `nodes` takes up to `amount` seconds for each step
    "killclinit": 2,
    "pauseclinit": 2,  # with a watchdog that resets the machine at a missed kill_at
    "crash": 4,  # the machine; comes back after `lasts`
    "wipe": 3,  # the machine, and its directory is lost
    "losedir": 2,  # the directory is lost, the processes live on
    "leave": 2,  # clean leave, back after `lasts`
    "wallclock": 1,  # the wall clock jumps by `amount` seconds
    "die": 2,  # a process of a group dies
    "hangstop": 3,  # processes on `nodes` ignore all but SIGKILL
    "failtest": 2,  # tests of the group `word` fail on `nodes`
    "edit": 3,  # hactl: group and wish in `word`; the file says that it is `amount` s old
    "badedit": 1,  # an edit that is no hactl
    "cltab": 3,  # cltab: group and what becomes of it in `word`; `amount` as above
    "badcltab": 1,  # an edit that is no cltab
    "slowlook": 2,  # a look of clinit at cltab takes `amount` seconds
    "losewrites": 2,  # power is lost, and the last `amount` versions of the own clstat with it
    "oldclstat": 2,  # the monitor is restarted with its clstat of `amount` versions before
    "retime": 3,  # the monitor is restarted with `amount` times the timeout; back again later
    "losestate": 2,  # the monitor is restarted without what it keeps on its local disk
    "newrundir": 2,  # the same, with another place for it: a second clinit beside the first
    "standstill": 2,  # the machine stands still, and so does its clock: a paused virtual machine
    "renode": 1,  # all nodes are restarted one after the other without `others`; back again later
    "errconfirm": 2,  # an operator at `nodes` vouches for `others`, whoever they are
    "confirm": 1,  # an operator at `nodes` vouches for `others`: honest, says so of dead ones only
}

# Kinds that `failing` draws.
FAILING: dict[str, float] = {
    "crashloop": 2,  # services of the group `word` end soon after each start on `nodes`
    "hangentry": 2,  # on `nodes`, entries of the group `word` that have a time limit never end
}

# Kinds that `ordering` draws: orders that operators or watchers give at `nodes`.
ORDERS: dict[str, float] = {
    "restart": 3,  # of the group `word`
    "move": 3,  # of the group `word`, to `others` or anywhere
    "cleanup": 2,  # of the group `word`, on `others` or everywhere
    "fail": 2,  # a watcher says that the group `word` failed, where it runs
    "standby": 2,  # of `others`; unstandby when it ends
    "failstop": 3,  # tests of the group `word` at `stop` fail on `nodes`: there cleanup helps
}

# Kinds that `dying` draws: processes that SIGKILL does not end at once.
DYING: dict[str, float] = {
    "slowkill": 3,  # on `nodes` a process takes up to `amount` seconds to be gone
    "nosignal": 1,  # on `nodes`, signals to the service of the group `word` fail
}

# Kinds that `starting` draws: hosts on which nothing can be started.
STARTING: dict[str, float] = {
    "nostart": 1,  # on `nodes`; word: prevented (EAGAIN), lost (perhaps it did start), missing
}

# Kinds that `fencing_orders` draws: what operators at `nodes` order about shots.
FENCING_ORDERS: dict[str, float] = {
    "shoot": 3,  # `others`, whoever they are, if that is not refused
    "disarm": 2,  # all nodes, for `amount` seconds
    "arm": 1,  # all nodes
}

# Kinds that `readying` draws: services that are not ready.
READYING: dict[str, float] = {
    "unready": 1,  # on `nodes`, runs of the service of the group `word` are not ready
}

# Kinds that `monitoring` draws: services of the group `word` that hang, monitors of it that lie.
MONITORING: dict[str, float] = {
    "hang": 2,  # on `nodes`, what runs of the service now hangs until it is started again
    "accuse": 2,  # on `nodes`, its monitor fails, whatever the service does
    "excuse": 1,  # on `nodes`, its monitor succeeds, whatever the service does
}

# Kinds that `agents` draws: what the agent of the group `word` does on `nodes`.
AGENTS: dict[str, float] = {
    "refuse": 2,  # it says that it cannot run here
    "nowhere": 1,  # it says that it can run nowhere
    "stumble": 2,  # its starts fail after they have made something
    "stall": 1,  # its starts hang
    "stuck": 3,  # its stops fail, and leave what was made
    "slander": 1,  # its monitors say that what is well is not
    "praise": 1,  # what it has made is lost, and its monitors say that all is well
}

# Kinds that `changing` draws: what administrators do to a cluster that runs.
CHANGING: dict[str, float] = {
    "stopclinit": 2,  # clinit ends in an orderly way, as at an upgrade, and is started again
    "join": 1,  # `others`, of which nobody knew, is added to the list of all nodes, then boots
}

# Kinds that are nothing but weather: readers and writers ask for them.
# Those that change nothing that others see.
HARMLESS = frozenset(
    {
        "hangstop",
        "failtest",
        "failstop",
        "slowlook",
        *FAILING,
        *DYING,
        *STARTING,
        *READYING,
        *MONITORING,
        *AGENTS,
    }
)
WEATHER = HARMLESS | frozenset(
    {"cut", "lag", "stale", "torn", "readerror", "hangread", "full", "hangwrite", "slow"}
)
# Kinds that operators do on purpose: no node is hidden from another, none forgets anything.
ON_PURPOSE = frozenset({"edit", "cltab", "restart", "move", "cleanup", "fail", "standby", "die"})
# Kinds that may keep what a node that lives writes from another, for as long as they last.
HIDING = WEATHER - HARMLESS | {
    "vanish",
    "standstill",
}
