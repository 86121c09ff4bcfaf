from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mosha.cli.check_files import Kind, kind_of
from mosha.cli.check_host import host_findings, own_node
from mosha.formats.settings import settings_from
from tests.cli.conftest import Home, Mosha

CLTAB = "web:webtest:test:test:true\nweb:webd:start:respawn:/bin/webd\ndb:dbd:start:respawn:dbd\n"


@pytest.fixture
def tables(home: Home) -> Home:
    """A node with both tables."""
    (home.tables / "cltab").write_text(CLTAB)
    (home.tables / "hactl").write_text("web start prefer=2\ndb stop\n")
    return home


@pytest.mark.usefixtures("tables")
def test_a_node_without_mistakes_is_ok_with_its_times(mosha: Mosha) -> None:
    said = mosha("check")
    assert said.status == 0
    assert said.out.count(": ok\n") == 3
    assert "0 mistakes, 0 warnings" in said.out
    assert re.search(r" 60 s  timeout: T: ", said.out)
    assert max(map(len, re.findall(r"^  .*", said.out, re.MULTILINE))) <= 80


def test_every_mistake_of_every_file_is_told_at_once(mosha: Mosha, tables: Home) -> None:
    tables.config.write_text(tables.config.read_text() + "timeot = 1\n")
    (tables.base / "cltab").write_text("web:w:start:respwan:x\nweb:w\n")
    (tables.base / "hactl").write_text("web\nweb start prefre=2\n")
    files = [str(tables.base / name) for name in ("mosha.toml", "cltab", "hactl")]
    said = mosha.bare("check", *files)
    assert said.status == 1
    assert "did you mean 'timeout'?" in said.out
    assert "did you mean 'respawn'?" in said.out
    assert f"{files[1]}:2:" in said.out
    assert "group without level" in said.out
    assert "did you mean 'prefer'?" in said.out
    assert "6 mistakes" in said.out


def test_times_that_are_not_safe_are_mistakes(mosha: Mosha, home: Home) -> None:
    home.config.write_text(home.config.read_text() + "lease = 50\n")
    said = mosha("check")
    assert said.status == 1
    assert "0.99 timeout" in said.out


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize(
    ("hactl", "told", "status"),
    [
        ("wbe start", "did you mean 'web'?", 1),
        ("web strat", "did you mean 'start'?", 0),
        ("web start prefer=7", "prefer= of web names 7", 0),
        ("web start only=1,9", "only= of web names 9", 0),
        ("gone stop", "0 warnings", 0),
        ("web start extra", "extra", 0),
    ],
)
def test_hactl_is_compared_with_cltab_and_with_nodes(
    mosha: Mosha, home: Home, hactl: str, told: str, status: int
) -> None:
    (home.tables / "hactl").write_text(hactl + "\n")
    said = mosha("check")
    assert told in said.out
    assert said.status == status


def test_the_kind_of_a_file_can_be_told_by_option(mosha: Mosha, tmp_path: Path) -> None:
    (tmp_path / "hactl").write_text("web:w:start:respawn:x\n")
    assert mosha.bare("check", str(tmp_path / "hactl")).status == 1
    assert mosha.bare("check", "--kind", "cltab", str(tmp_path / "hactl")).status == 0


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("cltab", b"", Kind.CLTAB),
        ("hactl.new", b"a:b:c:d:e", Kind.HACTL),
        ("x.toml", b"", Kind.SETTINGS),
        ("draft", b"# x\n\nweb:w:start:respawn:a = b\n", Kind.CLTAB),
        ("draft", b":::socket:/run/x", Kind.CLTAB),
        ("draft", b"timeout = 3", Kind.SETTINGS),
        ("draft", b"[fencing]", Kind.SETTINGS),
        ("draft", b"web start prefer=2", Kind.HACTL),
        ("draft", b"\xff\xfe", Kind.HACTL),
        ("draft", b"", Kind.HACTL),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_name_else_by_what_is_in_it(
    name: str, data: bytes, kind: Kind
) -> None:
    assert kind_of(name, data) is kind


def test_a_file_that_is_not_there_is_wrong_usage(mosha: Mosha, tmp_path: Path) -> None:
    said = mosha.bare("check", str(tmp_path / "gone"))
    assert said.status == 2
    assert "no such file" in said.err


def test_a_directory_instead_of_a_file_is_wrong_usage(mosha: Mosha, tmp_path: Path) -> None:
    assert mosha.bare("check", str(tmp_path)).status == 2


@pytest.mark.usefixtures("tables")
def test_all_of_it_can_be_had_as_json(mosha: Mosha, home: Home) -> None:
    (home.tables / "cltab").write_text("web:w:start:respwan:x\n")
    said = mosha("check", "--json")
    shown = json.loads(said.out)
    assert (said.status, shown["ok"], shown["mistakes"]) == (1, False, 1)
    (bad,) = [file for file in shown["files"] if not file["ok"]]
    assert bad["kind"] == "cltab"
    assert bad["mistakes"][0] | {"remedy": ""} == {
        "line": 1,
        "column": 13,
        "text": "respwan",
        "problem": "unknown mode",
        "remedy": "",
    }
    assert {time["name"] for time in shown["times"]} >= {"timeout", "lease", "margin"}
    assert all(
        set(finding) == {"level", "where", "text", "remedy"} for finding in shown["findings"]
    )


# --- the machine -----------------------------------------------------------------------


def test_nodes_are_recommended_where_they_are_missing(mosha: Mosha, home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("nodes = [1, 2, 3]\n", ""))
    said = mosha("check")
    assert "warning: nodes: not set" in said.out
    assert said.status == 0


def test_a_node_number_that_cannot_be_had_is_a_mistake(mosha: Mosha, home: Home) -> None:
    text = home.config.read_text().replace("mynode = 1\n", 'mwhois = "echo nobody"\n')
    home.config.write_text(text)
    said = mosha("check")
    assert said.status == 1
    assert "echo nobody" in said.out


def test_the_number_that_mwhois_tells_is_taken(home: Home) -> None:
    settings = settings_from({"mwhois": "echo this is node 7", "rundir": str(home.rundir)}, "test")
    assert own_node(settings) == (7, "")


def test_a_missing_mount_and_a_file_in_the_way_are_mistakes(home: Home) -> None:
    blocked = home.base / "file"
    blocked.touch()
    settings = settings_from(
        {
            "mfsbase": str(home.base / "gone"),
            "rundir": str(blocked / "run"),
            "mynode": 1,
            "log_file": str(blocked / "log" / "mosha.log"),
        },
        "test",
    )
    found = {f.where: f for f in host_findings(settings, 1, "") if f.level == "mistake"}
    assert set(found) == {"node directory", "rundir", "log_file"}


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_table_that_others_can_write_is_a_mistake(mosha: Mosha, tables: Home, mode: int) -> None:
    (tables.tables / "cltab").chmod(mode)
    said = mosha("check")
    assert "group or others can write it" in said.out
    assert said.status == 1


@pytest.mark.root("gives a file to another user")
def test_a_table_of_a_stranger_is_a_mistake(mosha: Mosha, tables: Home) -> None:
    os.chown(tables.tables / "cltab", 12345, -1)
    said = mosha("check")
    assert "belongs to uid 12345" in said.out
    assert said.status == 1


def test_nothing_is_changed_by_checking(mosha: Mosha, tables: Home) -> None:
    before = sorted(tables.base.rglob("*"))
    mosha("check")
    assert sorted(tables.base.rglob("*")) == before
