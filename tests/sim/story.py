"""Golden scenarios: a world as text, and below a line of dashes the story that comes of it.

The story tells faults, transitions and effects, not the wording of logs. `python -m
tests.sim.story` checks all files of `tests/scenarios`, or prints the stories of those named;
`--rewrite` writes the stories anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from msgspec import Struct

from mosha.errors import UsageError
from mosha.formats.names import nearest
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


def named(name: str) -> Path:
    """Return the file of a scenario.

    Raises:
        UsageError: there is none of this name.
    """
    known = [path.stem for path in sorted(SCENARIOS.glob("*.txt"))]
    stem = name.removesuffix(".txt")
    if stem not in known:
        hint = f"{nearest(stem, known)}known: {', '.join(known)}"
        raise UsageError(f"there is no scenario {name!r} in tests/scenarios: {hint}")
    return SCENARIOS / f"{stem}.txt"


def read(path: Path) -> Scenario:
    """Read a scenario file.

    Raises:
        UsageError: it cannot be read; each line that is wrong is named.
    """
    head, ruler, story = path.read_text(encoding="utf-8").partition(RULER)
    if not ruler:
        raise UsageError(f"{path.name}: no line of four dashes (----) after the world")
    return Scenario(head, parse(head, path.name), story)


def rewrite_command(name: str) -> str:
    """Return the command that writes the story of a scenario anew."""
    return f"{command_of('tests.sim.story')} --rewrite {name}"


def command_of(module: str) -> str:
    """Return how a module is run with the interpreter that runs now."""
    python, here = Path(sys.executable), Path.cwd()
    return f"{python.relative_to(here) if python.is_relative_to(here) else python} -m {module}"


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
    if not scenario.story:
        return "it has no story yet"
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


def main(words: Sequence[str] | None = None) -> int:
    """Check all scenarios, or print those named; 1 if one has another story than is written."""
    parser = argparse.ArgumentParser(
        prog=command_of("tests.sim.story"), description=__doc__, allow_abbrev=False
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of tests/scenarios/NAME.txt")
    parser.add_argument("--rewrite", action="store_true", help="write the stories into the files")
    options = parser.parse_args(words)
    paths = [named(name) for name in options.names] or sorted(SCENARIOS.glob("*.txt"))
    scenarios = [(path, read(path)) for path in paths]  # all mistakes first: running takes longer
    different = 0
    for path, scenario in scenarios:
        story = tell(scenario.world)
        if options.names:
            sys.stdout.write(f"{scenario.head}{RULER}{story}")
        if story == scenario.story:
            continue
        different += 1
        if options.rewrite:
            path.write_text(scenario.head + RULER + story, encoding="utf-8")
            verdict = f"rewritten: {path.name}"
        else:
            verdict = f"different: {path.name}; rewrite with: {rewrite_command(path.stem)}"
        sys.stdout.write(f"{verdict}\n")
        sys.stdout.flush()
    return 1 if different and not options.rewrite else 0


def run() -> int:
    """Run the command line; 2 after a mistake in a file or an argument, which is printed."""
    try:
        return main()
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(run())
