from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from mosha.cli.check.commands import command_findings
from mosha.cli.check.files import Kind, kind_of
from mosha.cli.check.host import _directory, host_findings, own_node
from mosha.formats.cltab import parse_cltab
from mosha.formats.settings import settings_from
from mosha.host.mounts import file_system_at, read_mounts
from tests.cli.conftest import Home, Mosha
from tests.monitor.trouble import tmpfs

CLTAB = "web:webtest:test:test:true\nweb:webd:start:respawn:/bin/sh\ndb:dbd:start:respawn:sleep 9\n"


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
    assert "ok: times: a former owner has stopped everything after 54.02" in said.out
    assert " x  margin" not in said.out
    verbose = mosha("check", "-v").out
    assert re.search(r" 60 s  timeout: T: ", verbose)
    assert max(map(len, re.findall(r"^  .*", verbose, re.MULTILINE))) <= 80


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
        ("draft", b"web start # until monday", Kind.HACTL),
        ("draft", b"\xff\xfe", None),
        ("draft", b"", None),
        ("README.md", b"# mosha\n\nAn init for a whole cluster", None),
    ],
)
def test_the_kind_of_a_file_is_told_by_its_name_else_by_what_is_in_it(
    name: str, data: bytes, kind: Kind | None
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


# --- what fails in the worst moment (M4, M6) -------------------------------------------------


def test_a_broken_line_of_the_settings_does_not_hide_what_is_wrong_in_the_tables(
    mosha: Mosha, tables: Home
) -> None:
    tables.config.write_text(tables.config.read_text() + "log_level = debug\n")
    (tables.tables / "cltab").write_text("web:w:start:respwan:x\n")
    said = mosha("check")
    assert 'put it in quotes: log_level = "debug"' in said.out
    assert "did you mean 'respawn'?" in said.out
    assert "2 mistakes" in said.out


def _commands(mosha: Mosha, home: Home, *commands: str) -> tuple[int, str]:
    lines = (f"web:t{n}:start:respawn:{command}\n" for n, command in enumerate(commands))
    (home.tables / "cltab").write_text("".join(lines))
    said = mosha("check")
    return said.status, said.out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("sh -c 'echo", "the shell cannot read the command of t0"),
        ("if true; then echo", "the shell cannot read the command of t0"),
    ],
)
def test_a_command_that_the_shell_cannot_read_is_a_mistake(
    mosha: Mosha, tables: Home, command: str, told: str
) -> None:
    status, out = _commands(mosha, tables, command)
    assert told in out
    assert status == 1


def test_programs_that_could_not_run_here_are_told(mosha: Mosha, tables: Home) -> None:
    script = tables.base / "script"
    scripts = {
        "plain": "echo no first line\n",
        "crlf": "#!/bin/sh\r\nexit\r\n",
        "lost": "#!/no/such/interpreter\n",
        "env": "#!/usr/bin/env no-such-program-either\n",
    }
    for name, text in scripts.items():
        (tables.base / name).write_text(text)
        (tables.base / name).chmod(0o755)
    script.write_text("#!/bin/sh\n")
    base = tables.base
    (base / "split").write_text("#!/usr/bin/env -S sh -e\n")
    (base / "split").chmod(0o755)
    assert "could not run" not in _commands(mosha, tables, f"{base}/split")[1]
    status, out = _commands(
        mosha,
        tables,
        *("/no/such/program -x", "no-such-program", "exec /no/such/other; true", str(base)),
        *(f"{base}/{name}" for name in scripts),
        "A=1 B=2 no-such-server >&2",
    )
    for number, told in enumerate(
        [
            *("there is no /no/such/program", "no-such-program is not in PATH"),
            *("there is no /no/such/other", "is not a file", "it has no #! line"),
            *("carriage return", "asks for the interpreter /no/such/interpreter, which"),
            *("asks env for no-such-program-either", "no-such-server is not in PATH"),
        ]
    ):
        assert re.search(rf"cltab:{number + 1}: t{number} could not run .*{told}", out), told
    assert status == 0  # another node may have what this one has not
    assert "is not executable for uid" in _commands(mosha, tables, str(script))[1]


@pytest.mark.parametrize(
    "command", ["$PROGRAM -x", "test -e /x || exit 1", "command -v ls", "ls *.c"]
)
def test_nothing_is_said_of_programs_that_cannot_be_told(
    mosha: Mosha, tables: Home, command: str
) -> None:
    assert "could not run" not in _commands(mosha, tables, command)[1]


@pytest.mark.parametrize("command", ["./app.sh --port 80", "exec bin/app 2>&1", "A=1 ./app.sh"])
def test_a_program_with_a_relative_path_is_told(mosha: Mosha, tables: Home, command: str) -> None:
    status, out = _commands(mosha, tables, command)
    assert " of t0 is looked for where clinit was started; write its path from the root" in out
    assert status == 0


def test_a_comment_behind_a_command_is_told_where_it_is_none(mosha: Mosha, tables: Home) -> None:
    _, out = _commands(mosha, tables, "echo one # two", "echo one; # two", "echo one#two")
    assert out.count("no comment may follow") == 1
    assert "t0 gets '#'" in out


def test_levels_that_are_typing_errors_are_told(mosha: Mosha, tables: Home) -> None:
    (tables.tables / "cltab").write_text(
        "web:a:tset:test:true\nweb:b:strat:wait:true\nweb:c:stopp:wait:true\nweb:d:start:wait:true\n"
        "web:e:drain:wait:true\nweb:f:start2:wait:true\ndb:g:plan,tests:wait:true\ndb:h:12:wait:true\n"
    )
    out = mosha("check").out
    assert re.findall(r"level (\w+) of \w is none .* mean '(\w+)'", out) == [
        *(("tset", "test"), ("strat", "start"), ("stopp", "stop"), ("tests", "test"))
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n\n"])
def test_a_table_that_stops_everything_is_told(mosha: Mosha, tables: Home, text: str) -> None:
    (tables.tables / "cltab").write_text(text)
    (tables.tables / "hactl").write_text(text)
    out = mosha("check").out
    assert "cltab: names no group: nothing runs" in out
    assert "hactl: names no group: every group is stopped" in out


@pytest.mark.parametrize(
    ("settings", "told", "status"),
    [
        ('stomith = "/no/such/power-off"', "mistake: fencing: method 1 could not run", 1),
        (
            '[[fencing.methods]]\ntype = "command"\ncommand = "/bin/true"\ntest = "/no/such/ask"',
            "mistake: fencing: the test of method 1 could not run on this machine: there is no",
            1,
        ),
        ("[fencing]\nrequired = true", "warning: fencing: required = true, and no method", 0),
        ('stomith = "/bin/true"', "ok: times", 0),
    ],
)
@pytest.mark.usefixtures("tables")
def test_fencing_that_could_not_shoot_is_told(
    mosha: Mosha, home: Home, settings: str, told: str, status: int
) -> None:
    home.config.write_text(f"{home.config.read_text()}{settings}\n")
    said = mosha("check")
    assert told in said.out
    assert said.status == status


def node_directory_told(directory: Path) -> str:
    """Return what is said of the directory of node 1 of three, with mfsbase in `directory`."""
    given = {
        "mfsbase": f"{directory}/mfs",
        "rundir": f"{directory.parent}/run",
        "mynode": 1,
        "nodes": [1, 2, 3],
    }
    findings = host_findings(settings_from(given, "test"), 1, "")
    (found,) = [it for it in findings if it.where == "node directory"]
    return found.text


def test_a_cluster_file_system_that_is_not_mounted_is_told(short_dir: Path) -> None:
    root = read_mounts().of("/").identity
    if file_system_at(short_dir).identity != root:
        pytest.skip("temporary files are on a mount of their own here")
    (short_dir / "a" / "mfs").mkdir(parents=True)
    assert "it is not mounted" in node_directory_told(short_dir / "a")
    (short_dir / "a" / "mfs" / "2").mkdir()
    assert "it is not mounted" not in node_directory_told(short_dir / "a")


@pytest.mark.root("mounts a file system")
def test_a_cluster_file_system_without_other_nodes_is_told_only_where_it_is_no_mount(
    short_dir: Path,
) -> None:
    with tmpfs(short_dir / "a" / "mfs"):
        assert "it is not mounted" not in node_directory_told(short_dir / "a")


@pytest.mark.usefixtures("tables")
def test_nothing_is_looked_for_in_a_directory_that_is_not_there(mosha: Mosha, home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("/mfs", "/gone"))
    said = mosha("check").out
    assert f"mistake: node directory: {home.base}/gone is not a directory" in said
    assert "/var/mosix-ha" not in said


def test_a_log_file_that_cannot_be_written_is_a_mistake(mosha: Mosha, tables: Home) -> None:
    (tables.base / "mosha.log").mkdir()
    text = f'{tables.config.read_text()}log_file = "{tables.base}/mosha.log"\n'
    tables.config.write_text(text)
    said = mosha("check")
    assert "mosha.log is not a file" in said.out
    assert said.status == 1
    (tables.base / "mosha.log").rmdir()
    (tables.base / "mosha-clinit.log").mkdir()
    said = mosha("check")
    assert f"mistake: log_file: {tables.base}/mosha-clinit.log is not a file" in said.out
    assert said.status == 1


def test_a_directory_that_may_not_be_written_is_a_mistake() -> None:
    found = _directory("rundir", Path("/proc/sys/kernel/run"), Path("/"))  # not even root may
    assert (found.level, found.text) == (
        "mistake",
        f"/proc/sys/kernel is not writable for uid {os.geteuid()}",
    )


@pytest.mark.usefixtures("tables")
def test_two_nodes_are_told_to_need_a_third(mosha: Mosha, home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("[1, 2, 3]", "[1, 2]"))
    assert "warning: nodes: two nodes: without the other one" in mosha("check").out


@pytest.mark.usefixtures("tables")
def test_an_even_number_of_nodes_is_told_what_it_costs(mosha: Mosha, home: Home) -> None:
    text = home.config.read_text().replace("[1, 2, 3]", "[1, 2]")
    method = '[[fencing.methods]]\ntype = "command"\ncommand = "/bin/true"\nlimit = 20\n'
    home.config.write_text(f"{text}{method}")
    said = mosha("check").out
    assert "two nodes: when one dies the other stops everything until its shot has" in said
    assert "tie_break is 15 s, and a shot may take 20 s: halves that lose each other may" in said
    home.config.write_text(f"{text}[fencing]\ntie_break = 20\n{method}")
    assert "tie_break" not in mosha("check").out
    for delays, expected in (
        ("{1 = 5, 2 = 5}", "warning: fencing: delays are the same for all nodes: every shot is"),
        ("{1 = 21}", "warning: fencing: delays spare node 1 for 21 s, longer than tie_break (20 s"),
        ("{9 = 5}", "mistake: fencing: delays has node 9, which is not in nodes; correct the num"),
        ("{1 = 5}", ""),
    ):
        home.config.write_text(f"{text}[fencing]\ntie_break = 20\ndelays = {delays}\n{method}")
        said = mosha("check").out
        assert expected in said
        assert ("delays" in said) == bool(expected)
    home.config.write_text(home.config.read_text().replace("[1, 2]", "[1, 2, 3]"))
    assert "two nodes" not in mosha("check").out
    home.config.write_text(home.config.read_text().replace("[1, 2, 3]", "[1, 2, 3, 4]"))
    assert "two nodes" not in mosha("check").out


def test_all_mistakes_are_counted_also_those_that_are_not_listed(
    mosha: Mosha, tables: Home
) -> None:
    lines = (f"web:w{number}:start:respwan:x\n" for number in range(60))
    (tables.tables / "cltab").write_text("".join(lines))
    said = mosha("check").out
    assert "  and 10 more\n" in said
    assert said.splitlines()[-1].startswith("60 mistakes, ")
    assert json.loads(mosha("check", "--json").out)["mistakes"] == 60


@pytest.mark.root("gives a file to another user")
def test_settings_of_a_stranger_are_warned_of(mosha: Mosha, tables: Home) -> None:
    os.chown(tables.config, 12345, -1)
    said = mosha("check")
    assert "mosha.toml: it belongs to uid 12345, which is neither root nor mosha's user" in said.out
    assert said.status == 0


def test_a_file_that_others_can_write_is_told(mosha: Mosha, tables: Home) -> None:
    for mode in (0o666, 0o664):
        tables.config.chmod(mode)
        told = f"mosha.toml: group or others can write it (mode {mode:04o})"
        assert told in mosha("check").out
    (tables.base / "cltab.new").write_text(CLTAB)
    (tables.base / "cltab.new").chmod(0o666)
    said = mosha("check", str(tables.base / "cltab.new"))
    assert "warning: " in said.out
    assert "can write it (mode 0666)" in said.out
    assert said.status == 0


def test_a_log_file_that_may_not_be_written_is_a_mistake(mosha: Mosha, tables: Home) -> None:
    path = "/proc/sys/kernel/ostype"  # not even root may
    tables.config.write_text(f'{tables.config.read_text()}log_file = "{path}"\n')
    said = mosha("check")
    assert f"mistake: log_file: {path} is not writable for uid {os.geteuid()}" in said.out


def test_a_group_with_a_new_name_is_told(mosha: Mosha, tables: Home) -> None:
    state = tables.rundir / "state"
    state.mkdir()
    (state / "cltab").write_text(CLTAB)
    new = tables.base / "cltab.new"
    new.write_text(CLTAB.replace("web:", "shop:"))
    out = mosha("check", str(new)).out
    assert out.count("takes over entries of web") == 1
    assert "`mosha set web stop` first" in out


def test_an_entry_that_goes_to_another_group_gives_none_a_new_name(
    mosha: Mosha, tables: Home
) -> None:
    state = tables.rundir / "state"
    state.mkdir()
    (state / "cltab").write_text("web:a:start:wait:true\nweb:b:start:wait:true\n")
    new = tables.base / "cltab.new"
    new.write_text("web:a:start:wait:true\nshop:b:start:wait:true\n")
    assert "takes over" not in mosha("check", str(new)).out


def test_a_file_that_is_no_table_is_wrong_usage(mosha: Mosha, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# mosha\n\nAn init for a whole cluster.\n")
    said = mosha.bare("check", str(tmp_path / "README.md"))
    assert said.status == 2
    assert "reads like none of mosha.toml, cltab, hactl" in said.err


def test_a_check_without_settings_says_that_there_are_none(mosha: Mosha) -> None:
    assert "none.toml: does not exist: the defaults apply" in mosha.bare("check").out


def test_one_mistake_does_not_hide_the_others_behind_it(mosha: Mosha, tmp_path: Path) -> None:
    cltab, hactl = tmp_path / "cltab.new", tmp_path / "hactl.new"
    cltab.write_text("web:a:start:respwan:true\ndb:b:start:respawn:systemctl start db\nmail:c:x\n")
    hactl.write_text("web start\nfoo start\ndb start preferr\nmail start\n")
    said = mosha.bare("check", str(cltab), str(hactl))
    assert said.status == 1
    assert "no such mode" in said.out or "unknown mode" in said.out
    assert f"{hactl}:2: cltab has no group 'foo'" in said.out
    assert "; add it to cltab, or take its line out of hactl" in said.out
    assert "hands its work to systemctl" in said.out
    assert "no group 'web'" not in said.out  # its line is there, and has a mistake
    assert "no group 'mail'" not in said.out


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("web:a:start:respawn:sleep 9 &", True),
        ("web:a:start:once:sleep 9 & ", True),
        ("web:a:start:respawn:true && sleep 9", False),
        ("web:a:start:respawn:sleep 8 & sleep 9", False),
        ("web:a:start:wait:sleep 9 &", False),
    ],
)
def test_a_command_that_goes_to_the_background_is_warned_of(
    mosha: Mosha, tmp_path: Path, line: str, *, warned: bool
) -> None:
    (tmp_path / "cltab").write_text(f"{line}\n")
    said = mosha.bare("check", str(tmp_path / "cltab"))
    assert ("& sends it to the background" in said.out) is warned
    assert said.status == 0


def test_an_entry_that_is_off_is_not_looked_after() -> None:
    cltab = parse_cltab(b"g:a:start:off:/no/such/program 'open\ng:b:start:wait:/no/such\n", "t")
    assert [finding.where for finding in command_findings(cltab, "t")] == ["t:2"]


@pytest.mark.root("mounts a file system")
def test_a_directory_on_a_full_file_system_is_a_mistake(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "full") as point:
        assert _directory("rundir", point, Path("/")).level == "ok"
        with pytest.raises(OSError, match="No space left"):
            (point / "file").write_bytes(b"x" * (1 << 20))
        found = _directory("rundir", point / "run", Path("/"))
    assert (found.level, "is full" in found.text) == ("mistake", True)


def test_a_run_directory_on_the_cluster_file_system_is_warned_of(mosha: Mosha, home: Home) -> None:
    (home.base / "link").symlink_to(home.base / "mfs")
    rundir = home.base / "link" / "run"
    home.config.write_text(home.config.read_text().replace(str(home.rundir), str(rundir)))
    said = mosha("check")
    assert said.status == 0
    told = (
        f"warning: rundir: {rundir} is below mfsbase ({home.base}/mfs), on the cluster file system:"
        " it must be local, and survive a reboot; put it on a local disk"
    )
    assert told in said.out


def test_a_run_directory_in_memory_is_warned_of(mosha: Mosha, home: Home) -> None:
    with tmpfs(home.base / "memory") as point:
        rundir = point / "node1"
        home.config.write_text(home.config.read_text().replace(str(home.rundir), str(rundir)))
        said = mosha("check")
    assert said.status == 0
    assert f"warning: rundir: {rundir} is on a tmpfs, which a reboot empties" in said.out


def test_a_missing_directory_of_the_log_is_a_mistake(mosha: Mosha, home: Home) -> None:
    settings = home.config.read_text()
    for directory, missing in ((home.base / "logs", True), (home.rundir, False)):
        home.config.write_text(f'log_file = "{directory}/mosha.log"\n{settings}')
        said = mosha("check")
        told = f"mistake: log_file: {directory} does not exist: there would be no log; mkdir -p "
        assert (said.status == 1, told in said.out) == (missing, missing)
    home.rundir.rmdir()
    assert mosha("check").status == 0  # `mosha run` makes it
