"""The benchmarks' own machinery: aims, the JSON object, the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.figures import Aim, Figure, percentile

ROOT = Path(__file__).parents[2]


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("aim", "value", "floor", "met"),
    [
        (Aim(at_most=5), 5.0, None, True),
        (Aim(at_most=5), 5.1, None, False),
        (Aim(ratio=1.5), 3.0, 2.0, True),
        (Aim(ratio=1.5), 3.1, 2.0, False),
        (Aim(at_most=2, ratio=1.5), 3.0, 2.0, False),
        (Aim(at_most=5, ratio=1.5), 4.0, 2.0, False),
    ],
)
def test_an_aim_is_met_within_its_bounds_only(
    aim: Aim, value: float, floor: float | None, *, met: bool
) -> None:
    assert Figure("b", "w", "ms", value, floor=floor, aim=aim).met is met


def test_a_figure_without_an_aim_is_neither_met_nor_missed() -> None:
    assert Figure("b", "w", "ms", 1.0).as_json()["met"] is None


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([3.0, 1.0, 2.0], 90) == 3.0
    assert percentile([float(n) for n in range(100)], 50) == 50.0


def test_with_json_to_stdout_nothing_else_is_there() -> None:
    done = bench("brain", "--quick", "--json", "-")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["failed"] == []
    assert {figure["bench"] for figure in result["figures"]} == {"brain"}
    assert "brain:" in done.stderr


def test_what_relations_cost_is_a_ratio_to_the_same_cluster_without_them() -> None:
    done = bench("related", "--quick", "--json", "-")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["figures"]
    assert len(figures) == 6
    assert all(figure["ratio"] > 0 and figure["floor_is"] for figure in figures)


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    done = bench("respwan")
    assert done.returncode == 2
    assert "respawn" in done.stderr
