"""What every test of the command line has: a node with settings, and nothing of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mosha.cli import config
from mosha.cli.main import entry


@dataclass(frozen=True, slots=True)
class Home:
    """A node's settings and directories in a short path."""

    base: Path

    @property
    def config(self) -> Path:
        return self.base / "mosha.toml"

    @property
    def rundir(self) -> Path:
        return self.base / "run"

    @property
    def tables(self) -> Path:
        return self.base / "mfs" / "1" / "var/mosix-ha"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MOSHA_CONFIG", raising=False)
    monkeypatch.setattr(config, "CONFIG_FILE", str(tmp_path / "none.toml"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")


@pytest.fixture
def home(short_dir: Path) -> Home:
    made = Home(short_dir)
    made.tables.mkdir(parents=True)
    made.rundir.mkdir()
    made.config.write_text(
        f'mfsbase = "{short_dir}/mfs"\nrundir = "{made.rundir}"\nmynode = 1\nnodes = [1, 2, 3]\n'
    )
    return made


@dataclass(frozen=True, slots=True)
class Said:
    """What a command line came to."""

    status: int
    out: str
    err: str


class Mosha:
    """Runs command lines in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str], home: Home) -> None:
        self._capsys = capsys
        self._config = str(home.config)

    def __call__(self, *words: str) -> Said:
        """Run one with the settings of `home`."""
        return self.bare(*words, "--config", self._config)

    def bare(self, *words: str) -> Said:
        """Run one as it is."""
        status = entry(words)
        told = self._capsys.readouterr()
        return Said(status, told.out, told.err)


@pytest.fixture
def mosha(capsys: pytest.CaptureFixture[str], home: Home) -> Mosha:
    return Mosha(capsys, home)
