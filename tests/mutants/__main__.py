"""`python -m tests.mutants [WORD …]`: hunts the mutants of the shell; 1 if one survives.

With words only those are hunted whose place or purpose contains one of them.
"""

from __future__ import annotations

import argparse
import sys

from tests.mutants.hunt import hunt_all
from tests.mutants.shell import SHELL


def main() -> int:
    """Print what noticed each mutant."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("words", nargs="*", help="parts of a path or purpose (default: all)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default 2)")
    options = parser.parse_args()
    chosen = [
        mutant
        for mutant in SHELL
        if not options.words or any(w in f"{mutant.path} {mutant.why}" for w in options.words)
    ]
    survived = 0
    for mutant, told in hunt_all(chosen, options.jobs):
        survived += not told
        _say(f"{mutant.path:26} {mutant.why}\n    {told or 'SURVIVED ' + mutant.test}")
    _say(f"{len(chosen) - survived} of {len(chosen)} killed")
    return 1 if survived else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
