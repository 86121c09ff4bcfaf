"""One-line breaks of the rules, and how many seeds it takes until a checker notices.

`python -m tests.sim.mutants` prints the table. Each mutant runs in a process of its own, whose
build of the core has one place changed (`mutant`).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import multiprocessing
import sys
import traceback
from pathlib import Path

import pytest  # noqa: F401 - for those who are forked

from mosha.errors import UsageError
from tests.sim.__main__ import main as simulate
from tests.sim.mutant import Mutant
from tests.sim.mutants_agent import AGENT
from tests.sim.mutants_cluster import CLUSTER
from tests.sim.mutants_entries import ENTRIES
from tests.sim.mutants_instances import INSTANCES
from tests.sim.mutants_ladder import LADDER
from tests.sim.mutants_operations import OPERATIONS
from tests.sim.mutants_protocol import PROTOCOL
from tests.sim.mutants_relations import RELATIONS
from tests.sim.mutants_room import ROOM
from tests.sim.mutants_tables import TABLES

MUTANTS = (
    *(*PROTOCOL, *AGENT, *CLUSTER, *TABLES, *OPERATIONS, *ENTRIES),
    *(*LADDER, *ROOM, *RELATIONS, *INSTANCES),
)
# What the last whole hunt said, for the manual: `make mutants ARGS=--rewrite`.
KILLED = Path(__file__).parent / "mutants-killed.txt"
NOTICED = ("seed ", "scenario ", "test ", "explored: ")


def find(name: str) -> Mutant:
    """Return a mutant by its name.

    Raises:
        UsageError: there is none of this name.
    """
    known = {mutant.name: mutant for mutant in MUTANTS}
    if name not in known:
        from mosha.formats.names import nearest  # noqa: PLC0415 - it imports the core

        hint = nearest(name, known) or "tests/sim/mutants-killed.txt lists them"
        raise UsageError(f"there is no mutant {name!r}: {hint}".rstrip())
    return known[name]


def hunt(mutant: Mutant) -> str:
    """Run seeds here, in the mutant's own process; return what the first checker to notice said."""
    words = ["--mutant", mutant.name, "--first", "0", "--seeds", str(mutant.seeds_max), "--brief"]
    words += ["--storm", mutant.storm] if mutant.storm else []
    words += ["--scenario", mutant.scenario] if mutant.scenario else []
    words += ["--test", f"tests/core/{mutant.test}"] if mutant.test else []
    words += ["--explore", mutant.explore] if mutant.explore else []
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            status = simulate(words)
    except (Exception, SystemExit):  # noqa: BLE001 - a mutant may break anything
        return f"error: {traceback.format_exc()[-500:]}"
    lines = printed.getvalue().strip().splitlines()
    if status == 1 and lines:
        # What an invariant of the product raises has lines of its own after the first one.
        return next((line for line in reversed(lines) if line.startswith(NOTICED)), lines[-1])
    return "" if status == 0 else f"error: {lines}"


def _brief(told: str) -> str:
    """Shorten what noticed a mutant: how many seeds and which checker, or which story."""
    what, _, rest = told.partition(": ")
    match what.split():
        case ["seed", count]:
            checker = f"checker {rest.split(':')[0].split()[-1]}"
            by = checker if rest[:1].isdigit() else "an invariant of the product"
            return f"{by} within {count} {'seed' if count == '1' else 'seeds'}"
        case ["scenario", name]:
            words = rest.split()
            broken = len(words) > 1 and words[1].endswith(":") and words[0][0].isdigit()
            return f"scenario {name}" + (f", checker {words[1][:-1]}" if broken else "")
        case ["test", name]:
            return f"test {name}"
    return "exploration of 2 nodes" if what == "explored" else told


def say(line: str) -> None:
    """Write a line to stdout at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Hunt all mutants, or those named; print the table; 0 if all are killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="mutants to hunt (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    parser.add_argument("--rewrite", action="store_true", help="keep the table for the manual")
    options = parser.parse_args()
    try:
        chosen = [find(name) for name in options.names] or list(MUTANTS)
    except UsageError as error:
        parser.error(str(error))
    width = max(len(mutant.name) for mutant in chosen)
    survived, noticed = 0, []
    # Forked from here, each has at once what all need, and no core yet: that is its own.
    context = multiprocessing.get_context("fork")
    with context.Pool(options.jobs, maxtasksperchild=1) as pool:
        for mutant, told in zip(chosen, pool.imap(hunt, chosen, chunksize=1), strict=True):
            killed = told.startswith(NOTICED)
            noticed.append(f"{mutant.name}: {_brief(told)}\n")
            survived += not killed
            verdict = told if killed else told or f"SURVIVED {mutant.seeds_max} seeds"
            say(f"{mutant.rule:5} {mutant.name:{width}}  {verdict}")
    say(f"{len(chosen) - survived} of {len(chosen)} killed")
    if options.rewrite and not survived and chosen == list(MUTANTS):
        KILLED.write_text("".join(noticed), encoding="utf-8")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
