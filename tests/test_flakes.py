"""A run of what failed before lists what passes now, and does not bear many of these."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flakes import AGAIN, FLAKES_MAX

ROOT = Path(__file__).parents[1]


def ran(directory: Path, *, again: bool) -> tuple[int, str]:
    words = ("-p", "tests.flakes", "-p", "no:randomly", "-p", "no:cacheprovider", "-n", "1")
    environment = {name: value for name, value in os.environ.items() if name != AGAIN}
    environment["PYTHONPATH"] = str(ROOT)
    if again:
        environment[AGAIN] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-c", os.devnull, "."],
        cwd=directory,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(("passing", "status"), [(FLAKES_MAX, 0), (FLAKES_MAX + 1, 1)])
def test_what_passes_alone_is_listed_and_more_than_three_fail_the_run(
    tmp_path: Path, passing: int, status: int
) -> None:
    tests = "".join(f"def test_{n}():\n    pass\n" for n in range(passing))
    (tmp_path / "test_x.py").write_text(tests, encoding="ascii")
    code, said = ran(tmp_path, again=True)
    assert code == status, said
    assert "failed, and passed alone" in said
    assert said.count("test_x.py::test_") == passing
    assert ("the run has failed" in said) == bool(status)


def test_a_first_run_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x():\n    pass\n", encoding="ascii")
    code, said = ran(tmp_path, again=False)
    assert code == 0
    assert "passed alone" not in said
