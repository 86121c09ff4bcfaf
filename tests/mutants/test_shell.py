"""The table of the shell's mutants is one of now; `make mutants` hunts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.hunt import ROOT, noticed_by, trees
from tests.mutants.mutant import ShellMutant
from tests.mutants.shell import SHELL

NAMES = [f"{mutant.path}: {mutant.why}" for mutant in SHELL]


@pytest.mark.parametrize("mutant", SHELL, ids=NAMES)
def test_a_mutant_finds_its_place_once_and_its_test_is_there(mutant: ShellMutant) -> None:
    source = (ROOT / "mosha" / mutant.path).read_text(encoding="utf-8")
    assert source.count(mutant.sound) == 1
    compile(source.replace(mutant.sound, mutant.broken), mutant.path, "exec")
    file, _, name = mutant.test.partition("::")
    tests = (ROOT / "tests" / file).read_text(encoding="utf-8")
    assert f"def {name.partition('[')[0]}(" in tests


def test_no_two_mutants_are_the_same() -> None:
    assert len({(mutant.path, mutant.sound, mutant.broken) for mutant in SHELL}) == len(SHELL)
    assert len(SHELL) >= 25


@pytest.mark.timeout(300)
def test_a_broken_copy_is_what_the_tests_run_and_the_package_itself_stays_whole() -> None:
    tests = ["clinit/test_pieces.py::test_the_default_heartbeat_is_30_seconds_c7_6"]
    path = Path("mosha/clinit/options.py")
    before = (ROOT / path).read_bytes()
    with trees(1) as free:
        tree = free.get()
        assert noticed_by(tree, tests, 120.0) == ""
        (tree / path).write_bytes(before.replace(b"= 30.0", b"= 31.0"))
        assert noticed_by(tree, tests, 120.0) == f"FAILED tests/{tests[0]}"
    assert (ROOT / path).read_bytes() == before
