"""A minute of chaos on real processes, a new seed each time; `make chaos` does more."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import pytest

from tests.chaos.equip import Choices
from tests.chaos.run import run

SECONDS = 60.0


# Not beside the tutorials, whose machines would lose leases that the pages do not tell of.
@pytest.mark.xdist_group("tutorial")
@pytest.mark.timeout(300)
def test_a_minute_of_faults_leaves_no_overlap_no_orphan_and_no_lost_edit() -> None:
    seed = secrets.randbelow(1_000_000)
    told: list[str] = []
    choices = Choices(shared=False)
    outcome = run(seed, SECONDS, told.append, choices=choices, base=Path(tempfile.gettempdir()))
    story = "\n".join(told)
    assert not outcome.problems, (
        f"make chaos MINUTES={SECONDS / 60:g} SEED={seed}\n{outcome.problems}\n{story}"
    )
    if outcome.unjudged:
        pytest.skip(
            f"nothing unsafe; others keep the machine too busy for more: {outcome.unjudged}"
        )
    assert outcome.facts["overlaps"] == 0
    assert sum(outcome.exercised.values()) > 0
    if not outcome.world.equipment.fuse:
        pytest.skip(f"done, but without faults of file systems: {outcome.missing}")
