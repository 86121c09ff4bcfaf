from __future__ import annotations

import tomllib

from tests.portability.pythons import QUICK, ROOT, VERSIONS


def test_each_python_that_the_package_claims_to_run_on_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    prefix = "Programming Language :: Python :: 3."
    claimed = [each for each in project["classifiers"] if each.startswith(prefix)]
    assert [each.rpartition(" ")[2] for each in claimed] == list(VERSIONS)


def test_the_quick_part_is_there() -> None:
    assert all((ROOT / path).exists() for path in QUICK)
