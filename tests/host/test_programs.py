"""What mosha starts imports nothing from the directory it is started in (FINDINGS 2, kind 2)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mosha.host.programs import PACKAGES, command_of

# The first is imported by nearly everything, the last two by mosha alone.
STRANGERS = ("json", "asyncio", "logging", "click", "structlog")
LIMIT_S = 60.0


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A directory whose modules have the names of others, and fail."""
    for name in STRANGERS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('the {name} of a stranger')\n")
    return tmp_path


def ended(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def test_the_modules_lie_in_wait(strange: Path) -> None:
    assert "stranger" in ended([sys.executable, "-m", "mosha.cli.main", "--help"], strange).stderr


@pytest.mark.parametrize("module", ["mosha.cli.main", "mosha.cli.clinit"])
def test_what_mosha_starts_imports_nothing_from_the_working_directory(
    strange: Path, module: str
) -> None:
    done = ended([*command_of(module), "--help"], strange)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage:")


def test_python_m_mosha_imports_nothing_from_the_working_directory(strange: Path) -> None:
    done = ended([sys.executable, "-m", "mosha", "--help"], strange)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_mosha_that_is_only_in_the_working_directory_finds_itself(tmp_path: Path) -> None:
    (tmp_path / "mosha").symlink_to(Path(PACKAGES) / "mosha")
    (tmp_path / "json.py").write_text("raise SystemExit('the json of a stranger')\n")
    others = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    isolated = ["env", f"PYTHONPATH={others}", sys.executable, "-S"]
    done = ended([*isolated, "-m", "mosha", "--help"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
