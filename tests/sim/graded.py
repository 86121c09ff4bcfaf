"""Draws on what evidence of a death each group may move, and shots that prove less than asked."""

from __future__ import annotations

import random

from msgspec.structs import replace

from mosha.core.status import Grade
from tests.sim.agenda import chance
from tests.sim.world import GroupSpec, World

GRADED = 0.5
WEAK = 0.5


def with_grades(world: World) -> World:
    """Return the world with groups that ask for receipts of their own grades.

    A better one than an operator gives is asked for only where shots can give it, and where no node
    stays dead: one that nobody has heard since is not shot.
    """
    rng = chance(world.seed, "grades")
    if rng.random() >= GRADED:
        return world
    shoots = "works" in world.fence.outcomes
    better = [Grade.COMMAND_SAID_SO, Grade.OFF_CONFIRMED] if shoots and not world.dead else []
    grades = [Grade.LEASE_ELAPSED, Grade.OPERATOR_SAID_SO, *better, *better]
    groups = tuple(_graded(rng, group, grades) for group in world.groups)
    fence = world.fence
    if shoots and rng.random() < WEAK:
        fence = replace(fence, outcomes=(*fence.outcomes, "weak", "weak"))
    return replace(world, groups=groups, fence=fence)


def _graded(rng: random.Random, group: GroupSpec, grades: list[Grade]) -> GroupSpec:
    return replace(group, fence=rng.choice(grades).text) if rng.random() < GRADED else group
