"""Groups with an agent (mode `ocf`), of which something outlives all processes.

An agent makes something, such as a mount: it is there from the middle of a start until a stop that
succeeds, or until its machine loses power, whatever becomes of processes. What a probe finds there
is stopped first. An agent that fails when it is ready waits for its turn to stop: nothing that
comes after it runs while its stop does. Faults let agents fail, in each way that their exit
statuses tell apart, and let monitors lie. Drawn as in `failing`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from msgspec.structs import replace

from mosha.core.agent_exits import (
    FAILED,
    STOP_FAILED,
    STOPPED_WELL,
    UNUSABLE_ANYWHERE,
    UNUSABLE_HERE,
)
from mosha.core.instance_names import single
from mosha.core.status import GroupState
from mosha.core.supervision.process_events import BecameReady, Failing
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.tables import STOP_LEVEL, Entry, Mode
from mosha.core.tell import Tell
from tests.sim.agenda import chance
from tests.sim.children import Child
from tests.sim.fate import a_fault
from tests.sim.world import AGENTS, GroupSpec, World

if TYPE_CHECKING:
    from tests.sim.clinit import Clinit
    from tests.sim.machine import Machine

Act: TypeAlias = "Callable[[Clinit, Child], None]"

SHARE = 0.25
"""So many worlds have them."""

COMMAND = "Filesystem device=/dev/x directory=/srv"
"""An agent that is known to make what a kill does not undo."""

# More than the signals of a stop take; and a ban, and the stops that an operator repeats.
LADDER_S = 20.0
REPAIR_TIMEOUTS = 3
STALLED = 20
"""So many times as long as usual takes a start that hangs, until its own limit ends it."""


def with_agents(world: World) -> World:
    """Return the world, in some cases with agents."""
    rng = chance(world.seed, "agents")
    if rng.random() > SHARE:
        return world
    timing = world.timing
    takes = (0.0, timing.heartbeat_s * 0.1, timing.heartbeat_s, timing.stop_budget_s * 0.6)
    specs = tuple(replace(spec, agent_s=round(rng.choice(takes), 4)) for spec in world.groups)
    faults = [
        a_fault(rng, world, rng.uniform(0.0, world.chaos_s), rng.choice([*AGENTS]), [*world.ids])
        for _ in range(rng.randint(1, 4))
    ]
    longest_s = max(spec.agent_s for spec in specs)
    more_s = LADDER_S + REPAIR_TIMEOUTS * timing.timeout_s + 2 * STALLED * longest_s
    return replace(
        world,
        groups=specs,
        faults=tuple(sorted((*world.faults, *faults), key=lambda fault: fault.at)),
        calm_s=world.calm_s + more_s,
    )


def agent_of(spec: GroupSpec) -> Entry:
    """Return the entry of a group that has an agent."""
    return Entry(spec.name, f"{spec.name}a", "start", Mode.OCF, COMMAND)


# --- what it does ------------------------------------------------------------------------------


def run(clinit: Clinit, child: Child, entry: Entry) -> None:
    """Let the process of an agent do its work: probe and start, or stop."""
    takes_s = clinit.specs[single(child.group)].agent_s
    if entry.stops:
        _begin_to_stop(clinit, child, _stop)
    elif (refusal := _refusal(clinit, child.group)) is not None:
        _later(clinit, child, takes_s, lambda clinit, child: clinit.kill(child, refusal))
    elif child.group in clinit.machine.made:
        clinit.machine.cover("rule agent stopped what its probe found")
        _begin_to_stop(clinit, child, _stop_first)
    else:
        _start(clinit, child)


def told_to_stop(clinit: Clinit, child: Child) -> None:
    """Let the process of an agent stop its service, and end; or what has failed, in its turn."""
    turn, child.turn = child.turn, None
    if turn is not None:
        clinit.machine.cover("rule agent stopped in its turn")
        turn()
    elif not child.dying:
        child.dying = True
        _begin_to_stop(clinit, child, _stop)


def _ask(clinit: Clinit, child: Child) -> None:
    """Let the process of an agent say that its service has failed, and wait for its turn."""
    child.turn = partial(_begin_to_stop, clinit, child, _stop_failed)
    clinit.feed(EntryEvent(child.group, child.tag, Failing(child.run)))


def _begin_to_stop(clinit: Clinit, child: Child, then: Act) -> None:
    _judge(clinit, child)
    _later(clinit, child, clinit.specs[single(child.group)].agent_s, then)


def _judge(clinit: Clinit, child: Child) -> None:
    """Judge that an agent's stop begins, or is over: nothing that needs the service runs."""
    unit = clinit.supervisor.units.get(child.group)
    if unit is None or child.tag not in unit.processes:
        return
    tags = [*unit.processes]
    after = tags[tags.index(child.tag) + 1 :]
    users = [it.tag for it in clinit.children[child.group] if it.leader and it.tag in after]
    clinit.machine.cluster.runs.stops(clinit.machine.id, child.group, child.tag, users)


def _later(clinit: Clinit, child: Child, seconds: float, act: Act) -> None:
    def then() -> None:
        if clinit.alive and not child.killed and child in clinit.children.get(child.group, ()):
            act(clinit, child)

    clinit.machine.after(seconds, then)


def _stop(clinit: Clinit, child: Child) -> None:
    clinit.kill(child, STOPPED_WELL if _undo(clinit, child) else STOP_FAILED)


def _stop_first(clinit: Clinit, child: Child) -> None:
    if child.dying:
        return
    if _undo(clinit, child):
        _start(clinit, child)
    else:
        clinit.kill(child, STOP_FAILED)


def _start(clinit: Clinit, child: Child) -> None:
    takes_s = clinit.specs[single(child.group)].agent_s
    if _has(clinit.machine, "stall", child.group):
        _later(clinit, child, STALLED * takes_s, _fail)
    else:
        _later(clinit, child, takes_s, _is_started)
    _later(clinit, child, takes_s / 2, _make)


def _make(clinit: Clinit, child: Child) -> None:
    if not child.dying:
        clinit.machine.make(child.group)


def _is_started(clinit: Clinit, child: Child) -> None:
    if child.dying:
        return
    if _has(clinit.machine, "stumble", child.group):
        _fail(clinit, child)
        return
    clinit.feed(EntryEvent(child.group, child.tag, BecameReady(child.run)))
    _watch(clinit, child)


def _watch(clinit: Clinit, child: Child) -> None:
    """Let monitors run: one that lies ends a service that is well, another sees none end."""
    if child.dying:
        return
    machine, group = clinit.machine, child.group
    if _has(machine, "praise", group):
        machine.unmake(group)  # it is lost, and nobody sees that before the fault is over
    elif group not in machine.made or _has(machine, "slander", group):
        _ask(clinit, child)
        return
    _later(clinit, child, machine.timing.heartbeat_s, _watch)


def _fail(clinit: Clinit, child: Child) -> None:
    """Let the start of an agent fail: nothing needs the service yet, which is stopped."""
    if not child.dying:
        _begin_to_stop(clinit, child, _stop_failed)


def _stop_failed(clinit: Clinit, child: Child) -> None:
    if not child.dying:
        clinit.kill(child, FAILED if _undo(clinit, child) else STOP_FAILED)


def _undo(clinit: Clinit, child: Child) -> bool:
    """Stop the service; say whether that succeeds."""
    _judge(clinit, child)
    if _has(clinit.machine, "stuck", child.group):
        return False
    clinit.machine.unmake(child.group)
    return True


def _refusal(clinit: Clinit, group: str) -> int | None:
    """Return the exit status of an agent that cannot run its service here and now, if so."""
    if _has(clinit.machine, "nowhere", group):
        return UNUSABLE_ANYWHERE
    return UNUSABLE_HERE if _has(clinit.machine, "refuse", group) else None


def _has(machine: Machine, kind: str, group: str) -> bool:
    fault = machine.weather.of(kind, machine.id)
    if fault is None or fault.word != single(group):
        return False
    machine.cover(f"fault agent {kind}")
    return True


# --- what is forgotten -------------------------------------------------------------------------


def forgives(clinit: Clinit, told: Tell) -> bool:
    """Say whether a tell says to forget that a stop has failed: an operator vouches for it."""
    unit = clinit.supervisor.units.get(told.group)
    over = told.kill_at is not None and told.kill_at <= clinit.machine.now
    if unit is None or told.level != STOP_LEVEL or not over:
        return False
    return (unit.group.level, unit.group.state) == (STOP_LEVEL, GroupState.FAILED)


def recover(clinit: Clinit, recovered: Callable[[str, tuple[Entry, ...]], None]) -> None:
    """Let a clinit stop what an earlier one has left."""
    for group, agents in sorted(clinit.machine.agents_left.items()):
        if agents:
            clinit.machine.cover("rule agent left to the next clinit")
            recovered(group, agents)


def recovers(clinit: Clinit, entry: Entry) -> bool:
    """Say whether an entry stops what an earlier clinit has left: that may be done at any time.

    It undoes nothing but what is on its own node (`checks/leftovers.py` judges that).
    """
    unit = clinit.supervisor.units.get(entry.group)
    return entry.stops != "" and (unit is None or unit.recovers)
