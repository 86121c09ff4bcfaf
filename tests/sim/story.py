"""Golden scenarios: a world as text, and below a line of dashes the story that comes of it.

The story tells faults, transitions and effects, not the wording of logs. `python -m
tests.sim.story` checks all files of `tests/scenarios`, `--rewrite` writes the stories anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from msgspec import Struct

from tests.sim.cluster import Cluster
from tests.sim.truth import Violation
from tests.sim.world import World
from tests.sim.worldtext import parse

SCENARIOS = Path(__file__).parent.parent / "scenarios"
RULER = "----\n"


class Scenario(Struct, frozen=True):
    """One file: what is written above the ruler, the world it is, and the story below."""

    head: str
    world: World
    story: str


def read(path: Path) -> Scenario:
    """Read a scenario file."""
    head, ruler, story = path.read_text(encoding="utf-8").partition(RULER)
    if not ruler:
        raise ValueError(f"{path}: no line of dashes between the world and its story")
    return Scenario(head, parse(head), story)


def tell(world: World) -> str:
    """Run a world and return its story, a line each; a broken promise is its last line."""
    cluster = Cluster(world, telling=True)
    end = ""
    try:
        outcome = cluster.run()
        end = f"{outcome.settled_s:10.2f} after the last fault all is as wanted\n"
    except Violation as violation:
        end = f"BROKEN {violation}\n"
    return "".join(_lines(cluster)) + end


def judge(scenario: Scenario) -> str:
    """Run a scenario; say what is broken, or where its story is another one, "" if all is well."""
    told = tell(scenario.world)
    last = told.splitlines()[-1]
    if last.startswith("BROKEN"):
        return last.removeprefix("BROKEN ")
    pairs = zip_longest(told.splitlines(), scenario.story.splitlines(), fillvalue="")
    return next(
        (f"{now.strip()!r} instead of {was.strip()!r}" for now, was in pairs if now != was), ""
    )


def _lines(cluster: Cluster) -> Iterator[str]:
    last = ""
    for at, text in cluster.truth.story:
        if text != last:
            yield f"{at:10.2f} {text}\n"
        last = text


def main() -> int:
    """Check all scenarios; 1 if one has another story than is written."""
    rewrite = "--rewrite" in sys.argv[1:]
    different = []
    for path in sorted(SCENARIOS.glob("*.txt")):
        scenario = read(path)
        story = tell(scenario.world)
        if story == scenario.story:
            continue
        different.append(path.name)
        if rewrite:
            path.write_text(scenario.head + RULER + story, encoding="utf-8")
    verb = "rewritten" if rewrite else "different"
    sys.stdout.write("".join(f"{verb}: {name}\n" for name in different))
    return 1 if different and not rewrite else 0


if __name__ == "__main__":
    sys.exit(main())
