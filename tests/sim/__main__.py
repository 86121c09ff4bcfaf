"""The command line of the simulator: `python -m tests.sim --help`."""

from __future__ import annotations

import argparse
import sys


def main() -> int:
    """Break the core first if a mutant is asked for, then run."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds (default 100)")
    parser.add_argument("--first", type=int, default=None, help="the first seed (default: fresh)")
    parser.add_argument("--seed", type=int, help="run this one and tell its story")
    parser.add_argument("--shrink", action="store_true", help="make a failing world small")
    parser.add_argument("--write-scenario", metavar="FILE", help="write a failing world as text")
    parser.add_argument("--mutant", help="break a rule of the core first (tests.sim.mutants)")
    parser.add_argument("--storm", metavar="KINDS", help="storms of these faults: cut,wipe,crash")
    parser.add_argument("--scenario", metavar="NAME", help="run tests/scenarios/NAME.txt")
    parser.add_argument("--brief", action="store_true", help="stop at the first failure")
    options = parser.parse_args()
    if options.mutant:
        from tests.sim import mutants  # noqa: PLC0415 - the core may not be imported before

        mutants.install(mutants.find(options.mutant))
    from tests.sim import campaign  # noqa: PLC0415 - same

    return campaign.run(options)


if __name__ == "__main__":
    sys.exit(main())
