"""The first hour: a configuration that check finds good, and units that wait for one."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mosha.cli.commands import init, install_units
from mosha.cli.commands.install_units import start_units, unit_text
from mosha.errors import HostError, UsageError
from mosha.formats.settings import parse_settings
from tests.cli.conftest import Mosha

EXAMPLES = {"cltab", "hactl", "mfs@.service", "mosha.toml", "watch-network"}


def _init(mosha: Mosha, base: Path, *words: str) -> tuple[int, str, Path]:
    (base / "mfs").mkdir(exist_ok=True)
    config = base / "etc" / "mosha.toml"
    said = mosha.bare("init", "--config", str(config), "--mfsbase", str(base / "mfs"), *words)
    return said.status, said.out + said.err, config


def test_check_finds_nothing_wrong_with_what_init_wrote(mosha: Mosha, short_dir: Path) -> None:
    status, told, config = _init(mosha, short_dir, "--mynode", "2", "--nodes", "1,2,3")
    assert status == 0, told
    assert f"mosha check --config {config}" in told
    text = config.read_text()
    config.write_text(f'{text}rundir = "{short_dir}/run"\n')
    said = mosha.bare("check", "--config", str(config))
    assert "ok: this node: number 2, from mynode" in said.out
    assert "0 mistakes" in said.out
    assert said.status == 0


def test_the_examples_are_written_beside_the_settings(mosha: Mosha, short_dir: Path) -> None:
    _status, _told, config = _init(mosha, short_dir, "--mynode", "2")
    found = {path.name: path for path in (config.parent / "examples").iterdir()}
    assert set(found) == EXAMPLES
    assert stat.S_IMODE(found["watch-network"].stat().st_mode) == 0o755
    assert mosha.bare("check", str(found["cltab"]), str(found["hactl"])).status == 0


def test_nothing_that_is_there_is_replaced(mosha: Mosha, short_dir: Path) -> None:
    config = short_dir / "etc" / "mosha.toml"
    (config.parent / "examples").mkdir(parents=True)
    (config.parent / "examples" / "cltab").write_text("mine\n")
    assert _init(mosha, short_dir, "--mynode", "2")[0] == 0
    assert (config.parent / "examples" / "cltab").read_text() == "mine\n"
    config.write_text("mynode = 3\n")
    status, told, _config = _init(mosha, short_dir, "--mynode", "2")
    assert (status, config.read_text()) == (2, "mynode = 3\n")
    assert "exists already" in told


def test_two_nodes_of_one_machine_get_run_directories_of_their_own(
    mosha: Mosha, short_dir: Path
) -> None:
    status, told, config = _init(mosha, short_dir, "--mynode", "1")
    assert (status, "needs one of its own (--rundir)" in told) == (0, True)
    config.unlink()
    place = f"{short_dir}/run 1"
    status, told, config = _init(mosha, short_dir, "--mynode", "1", "--rundir", place)
    assert (status, "--rundir" in told) == (0, False)
    assert f"kept {config.parent}/examples/" in told
    assert parse_settings(config.read_bytes(), "").rundir == place


def test_a_rundir_of_other_settings_beside_is_noted(mosha: Mosha, short_dir: Path) -> None:
    _status, _told, config = _init(mosha, short_dir, "--mynode", "1", "--rundir", f"{short_dir}/r")
    first = config.rename(config.with_name("node1.toml"))
    (config.parent / "broken.toml").write_text("rundir = /x\n")
    words = ("--mynode", "2", "--rundir")
    _status, told, config = _init(mosha, short_dir, *words, f"{short_dir}/r2")
    assert "same rundir" not in told
    config.unlink()
    _status, told, _config = _init(mosha, short_dir, *words, f"{short_dir}/r")
    assert f"note: {first} has the same rundir" in told
    assert "broken.toml" not in told


def test_what_lies_beside_the_files_of_mosha_is_passed_over(mosha: Mosha, short_dir: Path) -> None:
    _status, _told, config = _init(mosha, short_dir, "--mynode", "2")
    files = sorted(map(str, (config.parent / "examples").iterdir()))
    said = mosha.bare("check", *files)
    assert said.status == 0, said.out
    assert "not a file of mosha but a script: skipped" in said.out
    assert "not a file of mosha but a unit of systemd: skipped" in said.out
    said = mosha.bare("check", *(file for file in files if file.endswith("watch-network")))
    assert (said.status, "none of these is a file of mosha" in said.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mynode", "4"], "--mynode 4 is not among --nodes"),
        (["--nodes", "1,x"], "'x' is not a node; nodes are numbers from 1 to 65535"),
        (["--nodes", "1,1"], "write each node once"),
        (["--mfsbase", "/no/such/place", "--mynode", "1"], "mount the cluster file system first"),
    ],
)
def test_what_would_be_wrong_is_not_written(
    mosha: Mosha, short_dir: Path, words: list[str], told: str
) -> None:
    status, said, config = _init(mosha, short_dir, *words)
    assert status == 2
    assert told in said
    assert not config.exists()


def test_a_host_without_a_number_in_its_name_needs_mynode(mosha: Mosha, short_dir: Path) -> None:
    digits = re.search("[0-9]+", os.uname().nodename)
    nodes = f"{int(digits[0]) % 60000 + 1}" if digits else "1"
    status, said, _config = _init(mosha, short_dir, "--nodes", nodes)
    assert status == 2
    assert "or give --mynode N" in said


def test_a_witness_has_its_role_and_needs_no_tables(mosha: Mosha, short_dir: Path) -> None:
    status, told, config = _init(mosha, short_dir, "--mynode", "3", "--witness")
    assert status == 0, told
    assert parse_settings(config.read_bytes(), "").role == "witness"
    assert "Copy their [fencing] too" in config.read_text()
    assert "cltab" not in told
    assert parse_settings(config.read_bytes().replace(b"role", b"# role"), "").role == "member"


def test_to_start_a_node_a_mosha_to_start_is_needed_before_anything_is_written(
    mosha: Mosha, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(short_dir))
    status, told, config = _init(mosha, short_dir, "--mynode", "3", "--start")
    assert status == 2
    assert f"there is no {short_dir}/bin/mosha to start" in told
    assert not config.exists()


@pytest.mark.parametrize(
    ("script", "asked", "told"),
    [
        ("exit 0", ["daemon-reload", "enable --now mosha.service"], ""),
        ("exit 3", ["daemon-reload"], "systemctl daemon-reload failed with status 3; see "),
        (None, [], "there is no systemctl here: start `mosha run` with "),
    ],
)
def test_the_units_are_started_with_systemctl(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str | None,
    asked: list[str],
    told: str,
) -> None:
    log = tmp_path / "asked"
    log.touch()
    if script is not None:
        path = tmp_path / "systemctl"
        path.write_text(f'#!/bin/sh\necho "$*" >> {log}\n{script}\n')
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostError, match=told) if told else contextlib.nullcontext():
        start_units()
    assert log.read_text().splitlines() == asked


def test_a_systemctl_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "gate")
    path = tmp_path / "systemctl"
    path.write_text(f"#!/bin/sh\nread -r _ < {tmp_path}/gate\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(install_units, "SYSTEMCTL_LIMIT_S", 0.2)
    with pytest.raises(HostError, match=r"daemon-reload took longer than 0\.2 s; see systemctl"):
        start_units()


def test_the_units_that_are_started_have_the_settings_that_were_written(
    mosha: Mosha, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(init, "write_units", lambda *given: started.append(given[2]))
    monkeypatch.setattr(init, "start_units", lambda: None)
    status, told, config = _init(mosha, short_dir, "--mynode", "2", "--start")
    assert (status, started) == (0, [config]), told
    assert "started: mosha status shows this node" in told


@pytest.mark.parametrize("name", ["a b", "a\tb", "a;b", "a$b"])
def test_a_path_that_a_unit_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="not for a unit"):
        unit_text("mosha.service", Path("/usr/bin/mosha"), Path(f"/srv/{name}.toml"))


def test_a_percent_sign_is_no_specifier_of_a_unit() -> None:
    text = unit_text("mosha.service", Path("/usr/bin/mosha"), Path("/srv/%h.toml"))
    assert "MOSHA_CONFIG=/srv/%%h.toml\n" in text


# --- units -------------------------------------------------------------------------------


def test_units_without_settings_say_what_is_missing(mosha: Mosha, tmp_path: Path) -> None:
    said = mosha.bare("install-units", "--root", str(tmp_path), "--prefix", "/usr")
    assert said.status == 0
    assert re.search(r"warning: there is no \S+\.toml: the units start nothing", said.err)
    assert "mosha init" in said.out


def test_settings_that_are_named_are_looked_for_where_they_are(
    mosha: Mosha, short_dir: Path, tmp_path: Path
) -> None:
    words = ["install-units", "--root", str(tmp_path), "--prefix", "/usr"]
    (short_dir / "m.toml").write_text("mynode = 1\n")
    said = mosha.bare(*words, "--config", str(short_dir / "m.toml"))
    assert (said.status, said.err) == (0, "")
    assert f"  mosha check --config {short_dir}/m.toml " in said.out
    said = mosha.bare(*words, "--config", str(short_dir / "nosuch.toml"))
    assert "warning: there is no " in said.err


@pytest.mark.parametrize("name", ["mosha.service", "mosha-clinit.service"])
def test_a_unit_is_not_started_again_for_ever_without_settings(name: str) -> None:
    text = unit_text(name, Path("/usr/bin/mosha"), Path("/srv/mosha.toml"))
    assert "AssertPathExists=/srv/mosha.toml\n" in text
    assert "Environment=MOSHA_CONFIG=/srv/mosha.toml\n" in text


@pytest.mark.parametrize(
    ("more", "units"),
    [
        ('role = "witness"', ["mosha.service"]),
        ('role = "witness"\nwatchdog = "/dev/watchdog"', ["mosha-clinit.service", "mosha.service"]),
        ('role = "member"', ["mosha-clinit.service", "mosha.service"]),
    ],
)
def test_a_witness_has_a_unit_for_its_monitor_alone(
    mosha: Mosha, tmp_path: Path, more: str, units: list[str]
) -> None:
    config = tmp_path / "m.toml"
    config.write_text(f"mynode = 3\n{more}\n")
    root = tmp_path / "root"
    words = ("--root", str(root), "--prefix", "/usr", "--config", str(config))
    said = mosha.bare("install-units", *words)
    assert (said.status, said.err) == (0, "")
    found = {path.name: path.read_text() for path in (root / "etc/systemd/system").iterdir()}
    assert sorted(found) == units
    text = found["mosha.service"]
    assert ("clinit" in said.out, "--no-clinit" in text, "Wants=mosha-clinit" in text) == (
        (len(units) == 2,) * 3
    )
    assert "Wants=network-online.target\n" in text.replace("mosha-clinit.service ", "")


def test_mosha_is_a_module_that_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mosha", "--version"], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("mosha ")
    assert done.returncode == 0
