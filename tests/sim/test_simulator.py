"""The simulator in the suite: scenarios, worlds as text, and that its checks can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_machines import noticed_by
from tests.sim import shrink, story, worldtext
from tests.sim.draw import draw
from tests.sim.mutants import KILLED, MUTANTS
from tests.sim.world import World

ROOT = Path(__file__).parents[2]
PARTS = 12
"""Each takes some 20 s on a quiet machine, of the 110 s that it may."""


@pytest.mark.parametrize("path", sorted(story.SCENARIOS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_scenario_ends_well_and_its_story_is_the_one_that_is_written(path: Path) -> None:
    scenario = story.read(path)
    told = story.tell(scenario.world)
    assert "BROKEN" not in told
    assert told == scenario.story, f"rewrite with: {story.rewrite_command(path.stem)}"


@pytest.mark.parametrize("seed", range(20))
def test_a_world_survives_being_written_and_read(seed: int) -> None:
    world = draw(seed)
    assert worldtext.parse(worldtext.render(world)) == world


def test_the_same_seed_has_the_same_story() -> None:
    assert story.tell(draw(7)) == story.tell(draw(7))


@pytest.mark.parametrize("part", range(PARTS))
def test_the_checkers_notice_each_rule_that_is_broken_in_a_directed_scenario_or_test(
    part: int,
) -> None:
    names = [m.name for m in MUTANTS if m.scenario or m.test or m.explore][part::PARTS]
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim.mutants", "--jobs", "1", *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_mutant_finds_its_place_exactly_once() -> None:
    for mutant in MUTANTS:
        for module, sound, _ in ((mutant.module, mutant.sound, mutant.broken), *mutant.more):
            source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
            assert source.count(sound) == 1, f"{mutant.name}: {sound!r}"


def test_the_manual_has_the_mutants_of_now_and_all_were_killed() -> None:
    noticed = noticed_by(KILLED)
    assert list(noticed) == [mutant.name for mutant in MUTANTS], "make mutants ARGS=--rewrite"
    assert all(noticed.values())


def test_shrinking_keeps_the_promise_that_is_broken_and_makes_the_world_smaller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(world: World) -> str:
        return "1.0 exclusion: two" if any(f.kind == "cut" for f in world.faults) else ""

    monkeypatch.setattr(shrink, "_fails", fails)
    world = next(w for w in map(draw, range(100)) if fails(w) and len(w.faults) > 3)
    small, told = shrink.shrink(world, "7.0 exclusion: one")
    assert told == "1.0 exclusion: two"
    assert [fault.kind for fault in small.faults] == ["cut"]
    assert (small.nodes, len(small.groups)) <= (world.nodes, len(world.groups))
