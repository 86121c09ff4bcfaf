"""Groups with a whole ladder: `on-failure=restart:3/10m,move:2/1h,stop`.

Drawn as in `failing`, for groups that `failing` lets move. What `mosha why` says of the next
failure is kept for the checker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from mosha.core.cluster.restarting import PAUSE_S
from mosha.core.explain.why import why
from mosha.core.ladder import Ladder
from mosha.core.status import GroupState
from mosha.core.supervision.group_report import GroupReport
from tests.sim.agenda import chance
from tests.sim.checks.ladders import Restarting
from tests.sim.world import GroupSpec, World

if TYPE_CHECKING:
    from tests.sim.monitor import Monitor

SHARE = 0.6
"""So many groups that move have more than the short form."""

# What is seen within this share of a heartbeat all nodes see before any of them acts on it.
PROMPT = 0.1


def with_ladders(world: World) -> World:
    """Return the world, in some cases with ladders."""
    rng = chance(world.seed, "ladders")
    specs = []
    for spec in world.groups:
        moves, stops = rng.choice((-1, 0, 1, 2)), rng.random() < 0.6
        # What is never ready, and stays, never arrives at its level.
        stops |= moves >= 0 and bool(spec.ready_s)
        if spec.move_after and rng.random() < SHARE:
            within_s = 2 * spec.move_within_s
            spec = replace(spec, moves=moves, moves_within_s=within_s, stops=stops)  # noqa: PLW2901 - another one of its kind
        specs.append(spec)
    return replace(world, groups=tuple(specs))


def ladder_of(spec: GroupSpec) -> Ladder | None:
    """Return what hactl says of the failures of a group at first."""
    if not spec.move_after:
        return None
    moves = None if spec.moves < 0 else spec.moves
    moves_within_s = spec.moves_within_s if spec.moves > 0 else 0.0
    return Ladder(spec.move_after - 1, spec.move_within_s, moves, moves_within_s, spec.stops)


def foresee(monitor: Monitor, report: GroupReport) -> None:
    """Let the checker hear what `why` says, if the report has one more failure."""
    node, group = monitor.node, report.group
    state, me = node.state, monitor.machine.id
    known = {(e.tag, at) for e in state.report(group).entries for at in e.failed_at}
    new = [at for e in report.entries for at in e.failed_at if (e.tag, at) not in known]
    if not new:
        return
    said = []
    if len(new) == 1 and state.record(group).claim is not None:
        reasons = why(state, group, monitor.now(), 0.0).reasons
        said = [it.said for it in reasons if it.rule == "failures" and it.said_by == me]
    foreseen = said[0] if said else ""
    monitor.cluster.ladders.foresees(me, group, foreseen, restarts=_restarts(monitor, report))


def _restarts(monitor: Monitor, report: GroupReport) -> Restarting:
    """Say whether a monitor that fails has the group restarted, unless another rung is reached."""
    ill = any(entry.unhealthy for entry in report.entries)
    home = report.state is GroupState.DONE
    if not ill or not home or report.level != monitor.node.state.wish_level(report.group):
        return Restarting.NO
    steady = monitor.now() >= report.since + PAUSE_S
    return Restarting.YES if steady else Restarting.COUNTED


def goes_where_it_is_named(world: World) -> bool:
    """Say whether a group that moves goes where `why` has named: all nodes see the same at once."""
    punctual = world.lag_s <= PROMPT * world.timing.heartbeat_s and not world.lag_tail
    return len(world.groups) == 1 and punctual and not world.reorder
