"""The command line of the simulator: `python -m tests.sim --help`."""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Sequence

from mosha.errors import UsageError


def main(words: Sequence[str] | None = None) -> int:
    """Break the core first if a mutant is asked for, then run; `words`: else those of argv."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds (default 100)")
    parser.add_argument("--first", type=int, default=None, help="the first seed (default: fresh)")
    parser.add_argument("--seed", type=int, help="run this one and tell its story")
    parser.add_argument("--shrink", action="store_true", help="make a failing world small")
    parser.add_argument("--write-scenario", metavar="FILE", help="write a failing world as text")
    parser.add_argument("--mutant", help="break a rule of the core first (tests.sim.mutants)")
    parser.add_argument("--storm", metavar="KINDS", help="storms of these faults: cut,wipe,crash")
    parser.add_argument("--scenario", metavar="NAME", help="run tests/scenarios/NAME.txt")
    parser.add_argument("--test", metavar="ID", help="run a test; for --mutant")
    parser.add_argument("--explore", metavar="ARGS", help="explore a small scope; for --mutant")
    parser.add_argument("--brief", action="store_true", help="stop at the first failure")
    options = parser.parse_args(words)
    if options.seed is None and (options.shrink or options.write_scenario):
        parser.error("--shrink and --write-scenario need --seed")
    if options.mutant:
        from tests.sim import mutant, mutants  # noqa: PLC0415 - the core may not be imported yet

        mutant.install(mutants.find(options.mutant))
    if options.test:
        return _run_test(options.test)
    if options.explore:
        from tests.sim import explore  # noqa: PLC0415 - same

        return explore.main(options.explore.split())
    from tests.sim import campaign  # noqa: PLC0415 - same

    return campaign.run(options)


def _run_test(test: str) -> int:
    """Run one test of the suite on the core as it is in this process; 1 if it fails."""
    import pytest  # noqa: PLC0415 - it is needed for this alone

    told = io.StringIO()
    words = "-q -x --tb=no --assert=plain --noconftest -p no:randomly -p no:xdist"
    with contextlib.redirect_stdout(told):
        failed = pytest.main([*words.split(), test])
    sys.stdout.write(f"test {test.rpartition('::')[2]}: {'fails' if failed else 'passed'}\n")
    return 1 if failed == pytest.ExitCode.TESTS_FAILED else int(failed) * 2


def run(words: Sequence[str] | None = None) -> int:
    """Run the command line; 2 after a mistake in an argument or a scenario, which is printed."""
    try:
        return main(words)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(run())
