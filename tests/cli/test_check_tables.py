"""`mosha check` and this node's tables: it refuses what the monitor refuses, and hides nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mosha.core.replication.judging import version_of
from mosha.core.replication.table_texts import Text
from mosha.monitor.tables.store import TableStore
from tests.cli.conftest import Home, Mosha

CLTAB = "web:webd:start:respawn:/bin/sh\n"
HACTL = "web start\n"


@pytest.fixture
def tables(home: Home) -> Home:
    """A node with both tables."""
    (home.tables / "cltab").write_text(CLTAB)
    (home.tables / "hactl").write_text(HACTL)
    return home


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def of_the_future(path: Path) -> None:
    ahead_s = time.time() + 3600
    os.utime(path, (ahead_s, ahead_s))


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def too_big(path: Path) -> None:
    path.write_bytes(b"#" * (1 << 21))


def for_all_to_write(path: Path) -> None:
    path.chmod(0o666)


REFUSED: dict[str, Callable[[Path], None]] = {
    "it is a symbolic link, which leads other nodes": linked,
    "s in the future; touch it": of_the_future,
    "it is not a regular file; put a file there": a_directory,
    "it is too big": too_big,
    "group or others can write it (mode 0666); chmod go-w it": for_all_to_write,
}


@pytest.mark.parametrize("name", ["cltab", "hactl"])
@pytest.mark.parametrize("told", REFUSED)
def test_a_table_that_the_monitor_refuses_is_a_mistake_and_the_rest_is_told_too(
    mosha: Mosha, tables: Home, name: str, told: str
) -> None:
    path = tables.tables / name
    REFUSED[told](path)
    said = mosha("check")
    assert f"{path} ({name}): 1 mistake\n  {path}: " in said.out
    assert told in said.out
    assert said.out.count(": ok\n") == 2  # the settings and the other table
    assert "1 mistake, " in said.out.splitlines()[-1]
    assert said.status == 1
    found = json.loads(mosha("check", "--json").out)
    (bad,) = [file for file in found["files"] if not file["ok"]]
    assert (bad["file"], bad["total"], bad["mistakes"][0]["line"]) == (str(path), 1, 0)


def test_what_is_in_force_has_no_mistake_whatever_its_time(mosha: Mosha, tables: Home) -> None:
    path = tables.tables / "hactl"
    of_the_future(path)
    data = path.read_bytes()
    version = version_of(data, time.time_ns())
    TableStore(tables.rundir / "state").adopt("hactl", Text(version, data), time.time_ns())
    assert mosha("check").status == 0


def test_what_is_in_force_and_not_trusted_any_more_is_a_mistake(mosha: Mosha, tables: Home) -> None:
    path = tables.tables / "hactl"
    version = version_of(path.read_bytes(), path.stat().st_mtime_ns)
    text = Text(version, path.read_bytes())
    TableStore(tables.rundir / "state").adopt("hactl", text, time.time_ns())
    for_all_to_write(path)
    said = mosha("check")
    assert f"  {path}: group or others can write it (mode 0666); chmod go-w it" in said.out
    assert said.status == 1


def test_a_missing_table_is_a_warning(mosha: Mosha, tables: Home) -> None:
    (tables.tables / "hactl").unlink()
    said = mosha("check")
    assert f"warning: {tables.tables / 'hactl'}: is not there yet" in said.out
    assert said.status == 0


def test_a_mistake_in_a_table_hides_none_of_its_warnings(mosha: Mosha, tables: Home) -> None:
    path = tables.tables / "hactl"
    lines = ["web start prefer=2 3", "web start", "db start", "db start x"]
    (tables.tables / "cltab").write_text(CLTAB + "db:d:start:respawn:/bin/sh\n")
    path.write_text("\n".join(lines) + "\n")
    assert "0 mistakes, 4 warnings" in mosha("check").out
    path.write_text("\n".join([*lines, "web strat only=x"]) + "\n")
    assert "1 mistake, 4 warnings" in mosha("check").out


@pytest.mark.parametrize(
    "mistake", ["web start perfer=2", "web start only=1 with=b\nb start only=2"]
)
def test_a_group_whose_line_has_a_mistake_is_not_taken_for_missing(
    mosha: Mosha, tmp_path: Path, mistake: str
) -> None:
    path = tmp_path / "hactl"
    path.write_text(f"{mistake}\napp start after=web\n")
    said = mosha("check", "--kind", "hactl", str(path))
    assert "1 mistake, 0 warnings" in said.out
    path.write_text(f"{mistake}\napp start after=wbe\n")
    assert (
        "hactl does not name the group, and app never starts: 'wbe'"
        in mosha("check", "--kind", "hactl", str(path)).out
    )
