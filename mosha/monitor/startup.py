"""What happens before a monitor's first status: directories, lock, earlier run, state.

The order is the original's (H6.1), with the checks that it lacked. Nothing is published here.
"""

from __future__ import annotations

from pathlib import Path

from mosha.core.cluster.fencing import FencingRules
from mosha.core.cluster.memory import Memory
from mosha.core.cluster.node import Node
from mosha.core.cluster.quorum import Electorate, Policy
from mosha.core.cluster.recovery import Startup
from mosha.core.self_fencing import FENCE
from mosha.core.status import Status
from mosha.errors import HostError
from mosha.formats.settings import WITNESS, Settings
from mosha.host import clock
from mosha.host.lock_file import LockFile
from mosha.host.watchdog_device import why_no_watchdog
from mosha.host.workers import Worker
from mosha.monitor import identity
from mosha.monitor.clinit_place import living_clinit
from mosha.monitor.files.cluster_fs import Layout


def prepare_directories(settings: Settings) -> LockFile:
    """Make the local directories of this node and take its lock.

    Raises:
        HostError: a directory cannot be made or written.
        UsageError: another monitor of this machine uses the same `rundir`.
    """
    identity.prepare(settings.rundir_path, "the run directory (rundir)")
    identity.prepare(settings.state_path, "the state directory")
    return identity.lock(settings.state_path)


def check_watchdog(settings: Settings) -> None:
    """Check that the watchdog that is set may be one; clinit, which arms it, finds out the rest.

    Raises:
        HostError: it does not exist, or is no character device.
    """
    problem = why_no_watchdog(Path(settings.watchdog)) if settings.watchdog else ""
    if problem:
        raise HostError(f"watchdog: {problem}; correct watchdog in mosha.toml, or remove it")


async def check_place(layout: Layout, me: int, limit_s: float) -> None:
    """Check that this node can write in its directory on the cluster file system.

    Raises:
        HostError: it cannot be made or written, or does not answer within `limit_s`.
    """
    worker = Worker(f"the directory of node {me}")
    what = f"the directory of node {me} (mfsbase, varpath)"
    try:
        await worker.call(identity.prepare, layout.directory(me), what, limit_s=limit_s)
    finally:
        worker.close()


def electorate(settings: Settings, memory: Memory, found: frozenset[int]) -> Electorate:
    """Return the voters: the configured nodes, else those remembered and those found."""
    policy = Policy(settings.quorum_policy)
    if settings.nodes:
        return Electorate(policy, frozenset(settings.nodes), memory.remembered)
    remembered = frozenset(memory.electorate)
    if policy is Policy.ADAPTIVE:
        return Electorate(policy, remembered or found, memory.remembered)
    return Electorate(policy, remembered | found)


def fencing_rules(settings: Settings, *, with_callable: bool) -> FencingRules:
    """Return the fencing rules from the settings and the Python API."""
    fencing = settings.fencing
    return FencingRules(
        required=fencing.is_required(with_callable=with_callable),
        tie_break_s=fencing.tie_break,
        delays=fencing.delays,
        probation=fencing.probation,
        unfences=any(method.unfence for method in fencing.methods),
        ask_for_shots=settings.on_stop_failure == FENCE,
        switches=with_callable or any(method.type != "print" for method in fencing.methods),
    )


def _clinit_lives(settings: Settings) -> bool:
    """Say whether the clinit of an earlier run is there; what is not known counts as no."""
    try:
        return bool(living_clinit(settings.state_path))
    except HostError:
        return False


def make_node(
    settings: Settings,
    me: int,
    *,
    run: str,
    former: Status | None,
    memory: Memory,
    members: frozenset[int],
    rules: FencingRules,
) -> Node:
    """Make the state of this node from its settings and its earlier run."""
    startup = Startup(
        me=me,
        inc=identity.next_inc(memory, former),
        run=run,
        boot=clock.boot_id(),
        now=clock.boottime(),
        machine=identity.machine(),
        former=former,
        memory=memory,
        clinit_lives=_clinit_lives(settings),
    )
    node = Node(
        startup,
        settings.timing,
        rules=rules,
        electorate=electorate(settings, memory, members | {me}),
        members=members,
    )
    node.state.witness = settings.role == WITNESS
    node.state.capacity = settings.capacity
    return node
