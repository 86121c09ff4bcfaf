"""Groups with a monitor (`monitor` of cltab): services that hang, and monitors that lie.

A service hangs on a node if it ran there when the fault began: one that is started later is well.
The monitor fails while it hangs; while a fault has it lie it fails all the same, or succeeds. What
hangs ends by SIGKILL only. Drawn as in `failing`.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mosha.core.cluster.restarting import PAUSE_S
from mosha.core.instance_names import single
from mosha.core.tables import Entry, Mode, Options
from tests.sim.agenda import chance
from tests.sim.children import Child, refuses
from tests.sim.failing import MEMORY
from tests.sim.fate import a_fault
from tests.sim.world import MONITORING, GroupSpec, World

if TYPE_CHECKING:
    from tests.sim.clinit import Clinit
    from tests.sim.machine import Machine

SHARE = 0.25
"""So many worlds have them."""

# More than the signals of a stop take.
LADDER_S = 20.0
LOOK = "look"
"""The command of a monitor; it takes no time worth mentioning."""


def with_monitors(world: World) -> World:
    """Return the world, in some cases with monitors."""
    rng = chance(world.seed, "monitoring")
    if rng.random() > SHARE:
        return world
    specs = tuple(_spec(rng, world, spec) for spec in world.groups)
    faults = [
        a_fault(
            rng, world, rng.uniform(0.0, world.chaos_s), rng.choice([*MONITORING]), [*world.ids]
        )
        for _ in range(rng.randint(1, 4))
    ]
    return replace(
        world,
        groups=specs,
        faults=tuple(sorted((*world.faults, *faults), key=lambda fault: fault.at)),
        calm_s=world.calm_s + PAUSE_S + LADDER_S,
    )


def _spec(rng: random.Random, world: World, spec: GroupSpec) -> GroupSpec:
    """Draw a monitor, and what follows its failures where `failing` has drawn nothing."""
    move_after = spec.move_after or rng.choice((0, 2, 4))
    return replace(
        spec,
        monitor_s=round(rng.choice((0.0, 1.0, world.timing.heartbeat_s)), 4),
        monitor_failures=rng.choice((1, 1, 2, 3)),
        move_after=move_after,
        move_within_s=MEMORY * world.timing.timeout_s,
        failback=spec.failback and not (world.unfit and move_after),
    )


def monitor_of(spec: GroupSpec) -> Entry:
    """Return the monitor of a group that has one."""
    options = Options(
        interval_s=spec.monitor_s, failures=spec.monitor_failures, timeout_s=spec.limit_s or None
    )
    return Entry(spec.name, f"{spec.name}m", "start", Mode.MONITOR, LOOK, options=options)


def hangs(machine: Machine, child: Child) -> bool:
    """Say whether a process is the service of a group that hangs here and now."""
    fault = machine.weather.of("hang", machine.id)
    if fault is None or child.tag != f"{fault.word}s" or child.born >= fault.at:
        return False
    machine.cover("fault service hangs")
    return True


def ignores(machine: Machine, child: Child) -> bool:
    """Say whether signals but SIGKILL do nothing to a process here and now."""
    return refuses(machine, child) or hangs(machine, child)


def finds_it_well(clinit: Clinit, group: str) -> bool:
    """Say whether the monitor of a group succeeds now."""
    machine = clinit.machine
    for kind, answer in (("accuse", False), ("excuse", True)):
        fault = machine.weather.of(kind, machine.id)
        if fault is not None and fault.word == single(group):
            return answer
    return not any(hangs(machine, child) for child in clinit.children.get(group, ()))
