"""`python -m tests.chaos --minutes N --seed S`: faults against real processes, then a verdict."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from types import FrameType

from mosha.errors import HostError
from tests.chaos.equip import Choices
from tests.chaos.run import Outcome, run

LONG_MINUTES = 8.0
"""A run this long that left a kind of fault out has missed its aim."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="how long faults go on")
    parser.add_argument("--seed", type=int, default=None, help="of a run to be repeated")
    parser.add_argument(
        "--no-cgroups", action="store_true", help="nodes in which no cgroup v2 is mounted"
    )
    parser.add_argument(
        "--sshfs", action="store_true", help="nodes in network namespaces, sshfs between them"
    )
    given = parser.parse_args()
    choices = Choices(cgroups=not given.no_cgroups, sshfs=given.sshfs)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        outcome = run(seed, given.minutes * 60, _say, choices=choices)
    except HostError as error:
        _say(str(error))
        return 2
    if given.minutes >= LONG_MINUTES:
        outcome.problems += [f"a long run without {kind}" for kind in outcome.never]
    _tell(outcome, given.minutes)
    return 1 if outcome.problems else 0


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _tell(outcome: Outcome, minutes: float) -> None:
    _say("exercised: " + ", ".join(f"{k} {n}" for k, n in sorted(outcome.exercised.items())))
    if outcome.never:
        _say("never: " + ", ".join(outcome.never))
    _say("loud events: " + ", ".join(f"{k} {n}" for k, n in sorted(outcome.loud.items())))
    _say(", ".join(f"{name} {value}" for name, value in outcome.facts.items()))
    for late in outcome.unjudged:
        _say(f"not judged on a machine as busy as this: {late}")
    for problem in outcome.problems:
        _say(f"WRONG: {problem}")
    if outcome.problems:
        if outcome.kept:
            _say(f"files are kept in {outcome.kept}")
        has = outcome.world.equipment
        words = ["--no-cgroups"] * (not has.cgroups) + ["--sshfs"] * has.sshfs
        options = f" ARGS='{' '.join(words)}'" if words else ""
        _say(f"again: make chaos MINUTES={minutes:g} SEED={outcome.world.seed}{options}")
    else:
        _say(f"seed {outcome.world.seed}: nothing wrong")


if __name__ == "__main__":
    sys.exit(main())
