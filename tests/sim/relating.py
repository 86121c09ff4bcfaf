"""Groups that relate to each other: `after=`, `with=`, `apart=` of hactl.

Each group relates to one that comes before it in the world, so that nothing goes round in circles.
Some edits take the relation away, others bring it back. Drawn as in `failing`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from msgspec.structs import replace

from mosha.core.tables import Wish
from tests.sim.agenda import chance
from tests.sim.fate import a_fault
from tests.sim.world import Fault, GroupSpec, World

SHARE = 0.35
"""So many worlds have them."""

KINDS = ("after", "after", "with", "with after", "apart", "")

# More than the signals of a stop take, for each group that waits for another one.
LADDER_S = 20.0
UNRELATING = 0.4
"""So many of the edits that a world has anyway take relations away."""

UNRELATED = "after=none with=none apart=none"


def with_relations(world: World) -> World:
    """Return the world, in some cases with groups that relate, and edits of that."""
    rng = chance(world.seed, "relations")
    if rng.random() > SHARE:
        return world
    specs = list(world.groups)
    if len(specs) == 1:  # a storm: something has to relate to its group
        specs.append(replace(specs[0], name="g2", prefer=(), stop_test=False))
    for k in range(1, len(specs)):
        specs[k] = _related(rng, specs[k], rng.choice(specs[:k]))
    world = replace(world, groups=tuple(specs))
    faults = [*_edits(rng, world), *(_edited(rng, fault) for fault in world.faults)]
    more_s = sum(spec.stop_s + spec.start_s + spec.test_s + LADDER_S for spec in specs)
    return replace(
        world,
        faults=tuple(sorted(faults, key=lambda fault: fault.at)),
        calm_s=2 * world.calm_s + more_s,
    )


def _related(rng: random.Random, spec: GroupSpec, other: GroupSpec) -> GroupSpec:
    kind = rng.choice(KINDS)
    after = (other.name,) if "after" in kind else ()
    with_ = (other.name,) if "with" in kind else ()
    apart = (other.name,) if kind == "apart" else ()
    only = () if with_ else spec.only
    return replace(spec, after=after, with_=with_, apart=apart, only=only)


def _edited(rng: random.Random, fault: Fault) -> Fault:
    """Return a fault; an edit takes the relations of its group away, in some cases."""
    if fault.kind != "edit" or rng.random() > UNRELATING:
        return fault
    return replace(fault, word=f"{fault.word} {UNRELATED}")


def _edits(rng: random.Random, world: World) -> Iterator[Fault]:
    """Draw edits of groups that others relate to: stopped, and started again.

    An edit takes `on-failure=` away: where services fail for ever, there are none.
    """
    for _ in range(0 if world.unfit else rng.randint(0, 3)):
        at = rng.uniform(0.0, world.chaos_s)
        fault = a_fault(rng, world, at, "edit", [*world.ids])
        group, level = rng.choice(world.groups).name, rng.choice(("stop", "other", "start"))
        yield replace(fault, word=f"{group} {level}", amount=0.0)
        later = at + world.timing.timeout_s * rng.uniform(0.1, 2.0)
        if later < world.chaos_s:
            yield replace(fault, at=later, word=f"{group} start", amount=0.0)


def words_of(spec: GroupSpec) -> list[str]:
    """Return what the first hactl says of the relations of a group."""
    found = {"after": spec.after, "with": spec.with_, "apart": spec.apart}
    return [f"{name}={','.join(others)}" for name, others in found.items() if others]


def kept(wish: Wish, spec: GroupSpec, word: str) -> Wish:
    """Return an edited wish with the relations of its group, unless the edit names them."""
    if "after=" in word:
        return wish
    return replace(wish, after=spec.after, with_=spec.with_, apart=spec.apart)
