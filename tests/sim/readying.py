"""Services that count as started only when they are ready (`ready=`, `start=`).

A run takes its time to be ready. While a fault keeps it from that it is not, and one with a limit
is ended then and started again. What comes after it, and the group, wait. Drawn as in `failing`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mosha.core.instance_names import single
from mosha.core.status import GroupState
from mosha.core.supervision.group import Group
from mosha.core.supervision.process_events import BecameReady, NotReady, Ready
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.tables import Entry, Options, Readiness, ReadyKind
from tests.sim.agenda import chance
from tests.sim.children import Child
from tests.sim.fate import a_fault
from tests.sim.world import READYING, GroupSpec, World

if TYPE_CHECKING:
    from tests.sim.clinit import Clinit

SHARE = 0.25
"""So many worlds have them."""

# More than the signals of a stop take, and the two runs that may follow each other.
LADDER_S = 20.0
LEVEL = "start"
RULES = {NotReady: "rule service not ready in time", Ready: "rule service ready"}


def with_awaited_services(world: World) -> World:
    """Return the world, in some cases with services that take their time to be ready."""
    rng = chance(world.seed, "readying")
    # An edit takes `on-failure=` away: then what is never ready stays where it is for ever.
    stays = bool(world.unfit) and any(fault.kind == "edit" for fault in world.faults)
    if rng.random() > SHARE or stays:
        return world
    timing = world.timing
    specs = []
    for spec in world.groups:
        ready_s = round(rng.choice((0.0, 0.02, timing.heartbeat_s, timing.timeout_s * 0.3)), 4)
        limit_s = rng.choice((0.0, 2 * ready_s, 3 * ready_s))
        specs.append(replace(spec, ready_s=ready_s, ready_limit_s=round(limit_s, 4)))
    faults = [
        a_fault(rng, world, rng.uniform(0.0, world.chaos_s), rng.choice([*READYING]), [*world.ids])
        for _ in range(rng.randint(1, 3))
    ]
    longest_s = max(spec.ready_s + spec.ready_limit_s for spec in specs)
    return replace(
        world,
        groups=tuple(specs),
        faults=tuple(sorted((*world.faults, *faults), key=lambda fault: fault.at)),
        calm_s=world.calm_s + (2 * longest_s + LADDER_S) * (1 + len(world.unfit)),
    )


def options_of(spec: GroupSpec) -> Options:
    """Return the options of the service of a group."""
    if not spec.ready_s:
        return Options()
    return Options(ready=Readiness(ReadyKind.NOTIFY), start_s=spec.ready_limit_s or None)


def becomes_ready(clinit: Clinit, child: Child) -> None:
    """Let a run of a service be ready after its time, if nothing keeps it from that."""
    clinit.machine.after(
        clinit.specs[single(child.group)].ready_s, partial(_is_ready, clinit, child)
    )


def _is_ready(clinit: Clinit, child: Child) -> None:
    machine = clinit.machine
    if not clinit.alive or child.dying or child not in clinit.children.get(child.group, ()):
        return
    fault = machine.weather.of("unready", machine.id)
    if fault is not None and fault.word == single(child.group):
        machine.cover("fault service not ready")
        machine.after(machine.cluster.world.timing.heartbeat_s, partial(_is_ready, clinit, child))
        return
    clinit.been_ready.add(child.group)
    clinit.feed(EntryEvent(child.group, child.tag, BecameReady(child.run)))


def launched(clinit: Clinit, entry: Entry, level: str) -> None:
    """Judge a start: what comes after a service waits until that has been ready."""
    if level != LEVEL:
        clinit.been_ready.discard(entry.group)
    elif entry.tag == f"{single(entry.group)}n":
        _needs_ready(clinit, entry.group, f"starts {entry.tag}")


def shown(clinit: Clinit, group: Group) -> None:
    """Judge what is shown: a group has not arrived before its service has been ready."""
    if (group.level, group.state) == (LEVEL, GroupState.DONE):
        _needs_ready(clinit, group.name, "is shown as started")


def _needs_ready(clinit: Clinit, group: str, what: str) -> None:
    process = clinit.supervisor.units[group].processes.get(f"{single(group)}s")
    if process is not None and process.entry.awaited:
        runs, ready = clinit.machine.cluster.runs, group in clinit.been_ready
        runs.needs_ready(clinit.machine.id, group, what, ready=ready)
