"""A run of what failed before lists what passes now, and does not bear many of these."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flakes import AGAIN, FAILED, FLAKES_MAX

ROOT = Path(__file__).parents[1]


def ran(
    directory: Path, what: str = ".", *, again: bool, failed: Path | None = None
) -> tuple[int, str]:
    plugins = ("-p", "tests.flakes", "-p", "no:randomly", "-p", "no:cacheprovider")
    words = (*plugins, "-n", "1", "--dist", "loadgroup", "--basetemp", str(directory / "tmp"))
    environment = {n: value for n, value in os.environ.items() if n not in {AGAIN, FAILED}}
    if failed is not None:
        environment[FAILED] = str(failed)
    environment["PYTHONPATH"] = str(ROOT)
    if again:
        environment[AGAIN] = "1"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words, "-c", os.devnull, what],
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


BROKEN = """
import os
import pytest

def test_alone():
    assert "MOSHA_FAILED_BEFORE" in os.environ

@pytest.mark.xdist_group("all")
@pytest.mark.parametrize("word", ["a@b", "c d"])
def test_of_a_group(word):
    assert False

def test_sound():
    pass
"""


def test_what_failed_runs_again_whether_it_is_of_a_group_or_not(tmp_path: Path) -> None:
    """A test that fails, and is left out of the second run, would make that one green."""
    (tmp_path / "test_x.py").write_text(BROKEN, encoding="ascii")
    failed = tmp_path / "failed"
    code, _ = ran(tmp_path, again=False, failed=failed)
    assert code == 1
    names = failed.read_text(encoding="utf-8").splitlines()
    of_group = [f"test_x.py::test_of_a_group[{word}]" for word in ("a@b", "c d")]
    assert names == ["test_x.py::test_alone", *of_group]
    code, said = ran(tmp_path, f"@{failed}", again=True)
    assert code == 1
    assert "2 failed, 1 passed" in said


def test_a_first_run_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("def test_x():\n    pass\n", encoding="ascii")
    code, said = ran(tmp_path, again=False)
    assert code == 0
    assert "passed alone" not in said
