"""`mosha check` where a Python package that entries need cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def checked(directory: Path, line: str, *, without: str = "") -> list[str]:
    """Return the warnings about two such entries from a Python that finds a broken package first.

    Of pyroute2 mosha looks for the modules by its directory, and does not execute the package.
    """
    table = directory / "cltab"
    first, last = line.format(1), line.format(2)
    table.write_text(f"g:a:start:{first}\ng:plain:start:respawn:sleep 9\ng:b:start:{last}\n")
    if without:
        (directory / without).mkdir()
        (directory / without / "__init__.py").write_text("raise ImportError('it is broken')\n")
    command = [sys.executable, "-m", "mosha.cli.main", "check", "--kind", "cltab", str(table)]
    environment = os.environ | {"PYTHONPATH": str(directory), "COLUMNS": "400"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env=environment
    )
    assert done.stderr == ""
    return [it for it in done.stdout.splitlines() if it.startswith("warning: ")]


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("pyroute2", "address:192.0.2.{}/24 dev lo"),
        ("jeepney", "systemd:nginx{}.service"),
    ],
)
def test_a_package_that_cannot_be_imported_is_told_for_each_line(
    tmp_path: Path, package: str, line: str
) -> None:
    found = checked(tmp_path, line, without=package)
    told = [it for it in found if f"the Python package {package} cannot be imported: " in it]
    assert [it.split(": ")[1] for it in told] == [f"{tmp_path}/cltab:{n}" for n in (1, 3)]
    for it in told:
        assert "could not run on this machine" in it
        assert it.endswith(
            f"install it on each node of the group: {sys.executable} -m pip install {package}"
        )


@pytest.mark.parametrize("line", ["address:192.0.2.{}/24 dev lo", "systemd:nginx{}.service"])
def test_a_package_that_is_there_is_not_told_of(tmp_path: Path, line: str) -> None:
    assert not any("Python package" in it for it in checked(tmp_path, line))
