from __future__ import annotations

import errno
import importlib
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mosha.cli import config as config_module
from mosha.cli.exits import NoDaemonError, exit_status_of
from mosha.cli.main import COMMANDS, entry, module_of, root
from mosha.control.protocol import FailGroup
from mosha.errors import BugError, HostError, MoshaError, UsageError, used_up
from tests.cli.conftest import Home, Mosha
from tests.cli.fake_monitor import FakeMonitor
from tests.cli.reports import report


def loaded_by(*words: str) -> set[str]:
    """Return the modules that a command line imports."""
    code = (
        "import sys\nfrom mosha.cli.main import entry\n"
        f"entry({list(words)!r})\nprint(*sys.modules, sep=chr(10), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says_of_itself(name: str) -> None:
    command = importlib.import_module(module_of(name)).command
    assert command.name == name
    assert command.get_short_help_str(limit=100) == COMMANDS[name]
    assert command.help is not None
    assert command.help.startswith(COMMANDS[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example_in_80_columns(
    mosha: Mosha, name: str
) -> None:
    said = mosha.bare(name, "--help")
    assert said.status == 0
    assert "Examples:" in said.out
    assert f"    mosha {name}" in said.out
    assert "--config FILE" in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_help_lists_all_commands_and_the_exit_statuses(mosha: Mosha) -> None:
    said = mosha.bare("--help")
    assert said.status == 0
    assert all(f"  {name} " in said.out for name in COMMANDS)
    assert "2 wrong usage" in " ".join(said.out.split())


@pytest.mark.parametrize("name", ["set", "why"])
def test_help_says_the_same_whoever_asked_for_it_first(name: str) -> None:
    command = importlib.import_module(module_of(name)).command
    alone = CliRunner().invoke(command, ["--help"], prog_name=f"mosha {name}")
    below = [CliRunner().invoke(root, [name, "-h"], prog_name="mosha") for _ in range(2)]
    assert len({said.output for said in (alone, *below)}) == 1
    assert "-h, --help" in alone.output
    assert "\b" not in alone.output


def test_help_imports_nothing_that_prints_or_monitors() -> None:
    loaded = loaded_by("--help")
    heavy = {"rich", "asyncio", "structlog", "msgspec", "mosha.monitor", "mosha.core.tables"}
    assert not loaded & heavy


@pytest.mark.parametrize(
    "words",
    [
        ("set", "web", "start"),
        ("status", "--json"),
        ("status", "--format", "perl"),
        ("why", "web", "--json"),
        ("why-not", "web", "1", "--json"),
    ],
    ids=" ".join,
)
def test_a_command_that_asks_the_monitor_loads_neither_that_nor_a_page(
    home: Home, words: tuple[str, ...]
) -> None:
    loaded = loaded_by(*words, "--config", str(home.config))
    assert "mosha.control.calls" in loaded
    assert not loaded & {"rich", "asyncio", "mosha.monitor", "structlog"}


def test_what_is_imported_is_kept_from_the_collector_and_that_goes_on_afterwards() -> None:
    code = (
        "import gc\nfrom mosha.cli.main import entry\nbefore = gc.get_freeze_count()\n"
        "entry(['why', '--help'])\nprint('frozen', gc.get_freeze_count() - before, gc.isenabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    _, count, enabled = done.stdout.splitlines()[-1].split()
    assert int(count) > 0
    assert enabled == "True"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("wrong"), 2),
        (HostError("broken"), 1),
        (NoDaemonError("nobody"), 3),
    ],
)
def test_an_error_of_user_or_host_is_its_message_and_no_traceback(
    capsys: pytest.CaptureFixture[str], error: MoshaError, status: int
) -> None:
    def fail() -> None:
        raise error

    assert exit_status_of(fail) == status
    assert capsys.readouterr().err == f"mosha: {error}\n"


def test_several_errors_of_the_host_at_once_are_their_messages(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inner = ExceptionGroup("tasks", [HostError("no disk"), HostError("no thread")])

    def fail() -> None:
        raise ExceptionGroup("tasks", [inner, HostError("no disk")])

    assert exit_status_of(fail) == 1
    assert capsys.readouterr().err == "mosha: no disk\nmosha: no thread\n"

    def break_down() -> None:
        raise ExceptionGroup("tasks", [inner, BugError("impossible")])

    with pytest.raises(ExceptionGroup):
        exit_status_of(break_down)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM])
def test_descriptors_processes_and_memory_can_be_used_up(code: int) -> None:
    shortage = used_up(OSError(code, "none left"))
    assert str(shortage) == "the host has used up what is needed: none left"


def test_what_the_host_has_used_up_is_one_line_wherever_it_is_missed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    missing = OSError(errno.EMFILE, "Too many open files", "/proc/1/stat")
    text = "mosha: the host has used up what is needed: Too many open files (/proc/1/stat)\n"

    def fail() -> None:
        raise missing

    def fail_in_a_task() -> None:
        raise ExceptionGroup("tasks", [missing])

    for failure in (fail, fail_in_a_task):
        assert exit_status_of(failure) == 1
        assert capsys.readouterr().err == text

    def break_down() -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        exit_status_of(break_down)


def test_an_error_of_ours_keeps_its_traceback() -> None:
    def fail() -> None:
        raise BugError("impossible")

    with pytest.raises(BugError, match="impossible"):
        exit_status_of(fail)


def test_an_interrupt_is_not_as_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert exit_status_of(interrupt) == 1
    assert capsys.readouterr().err == "mosha: aborted\n"


@pytest.mark.parametrize("words", [["stauts"], ["status", "--wrong"], ["set", "web"], ["--wrong"]])
def test_wrong_usage_is_exit_status_2(mosha: Mosha, words: list[str]) -> None:
    said = mosha.bare(*words)
    assert said.status == 2
    assert said.err
    assert not said.out


def test_no_argument_and_no_option_of_any_command_may_be_empty(mosha: Mosha, home: Home) -> None:
    """As in `mosha stop web "$tag"`: it must not stop all of web."""
    found = 0
    with FakeMonitor(home.rundir, report()) as monitor:
        for name in COMMANDS:
            command = root.get_command(click.Context(root), name)
            assert command is not None
            arguments = [p for p in command.params if isinstance(p, click.Argument)]
            words = [arg.name or "" for arg in arguments]
            for at in range(len(arguments)):
                given = ["2" if word == "node" else word for word in words[:at]]
                said = mosha(name, *given, "")
                assert said.status == 2, (name, at)
                found += 1
            for param in command.params:
                if isinstance(param, click.Option) and not (param.is_flag or param.count):
                    said = mosha.bare(name, *given_to(command), param.opts[-1], "")
                    assert said.status == 2 or param.name == "reason", (name, param.opts)
                    found += 1
        assert not monitor.asked or all(isinstance(each, FailGroup) for each in monitor.asked)
    assert found > 40
    for blank in ("", " \t"):
        said = mosha("stop", "web", blank)
        assert said.err.splitlines()[-1] == "mosha: empty TAG: is a variable not set?"
    assert mosha.bare("--config", "", "status").status == 2


def given_to(command: click.Command) -> list[str]:
    """Return what a command needs before its options."""
    needed = [p for p in command.params if isinstance(p, click.Argument) and p.required]
    return ["2" if arg.name == "node" else "start" for arg in needed]


def test_a_watcher_without_words_still_reports_a_failure(mosha: Mosha, home: Home) -> None:
    with FakeMonitor(home.rundir, report()) as monitor:
        assert mosha("fail", "web", "--reason", "").status == 0
    assert monitor.asked == [FailGroup(group="web", reason="reported by a watcher")]


def test_a_mistyped_command_gets_a_proposal(mosha: Mosha) -> None:
    assert "status" in mosha.bare("stauts").err


def test_mosha_alone_is_mosha_run(
    mosha: Mosha, monkeypatch: pytest.MonkeyPatch, home: Home
) -> None:
    run = importlib.import_module("mosha.cli.commands.run")
    seen: list[str | None] = []

    @click.command()
    @config_module.config_option
    def instead(config: str | None) -> int:
        seen.append(config)
        return 1

    monkeypatch.setattr(run, "command", instead)
    assert mosha.bare("--config", str(home.config)).status == 1
    assert seen == [str(home.config)]


def test_the_version_is_told(mosha: Mosha) -> None:
    assert mosha.bare("--version").out == "mosha 1.0.0\n"


# --- which settings ------------------------------------------------------------------


def bad(path: Path) -> str:
    """Write settings whose mistake tells which file was read."""
    path.write_text("timeout = 'x'\n")
    return str(path)


def test_config_before_or_after_the_command_names_the_settings(
    mosha: Mosha, tmp_path: Path
) -> None:
    file = bad(tmp_path / "a.toml")
    assert file in mosha.bare("status", "--config", file).err
    assert file in mosha.bare("--config", file, "status").err


def test_the_variable_is_used_where_no_option_is_given(
    mosha: Mosha, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOSHA_CONFIG", bad(tmp_path / "variable.toml"))
    assert "variable.toml" in mosha.bare("status").err
    assert "option.toml" in mosha.bare("status", "--config", bad(tmp_path / "option.toml")).err


def test_the_usual_place_is_used_where_nothing_is_named(
    mosha: Mosha, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config_module, "CONFIG_FILE", bad(tmp_path / "usual.toml"))
    assert "usual.toml" in mosha.bare("status").err


def test_settings_that_are_named_and_missing_are_wrong_usage(mosha: Mosha, tmp_path: Path) -> None:
    said = mosha.bare("status", "--config", str(tmp_path / "gone.toml"))
    assert (said.status, said.err) == (2, f"mosha: {tmp_path}/gone.toml: no such file\n")


def test_a_missing_file_that_the_variable_names_says_where_its_name_comes_from(
    mosha: Mosha, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOSHA_CONFIG", "no-such.toml")
    said = mosha.bare("status")
    told = "mosha: no-such.toml: no such file here; $MOSHA_CONFIG names it\n"
    assert (said.status, said.err) == (2, told)


def test_an_option_of_a_group_that_is_typed_with_dashes_is_explained(mosha: Mosha) -> None:
    said = mosha("set", "web", "start", "--only", "3")
    assert said.status == 2
    assert "--only is an option of the group: write only=1,2,3, without dashes" in said.err
    assert "no such option '--onyl'" in mosha("set", "web", "start", "--onyl", "3").err


def test_every_mistake_of_the_settings_is_told(mosha: Mosha, home: Home) -> None:
    home.config.write_text("timeot = 1\nnodes = 'x'\nlease = 'y'\n")
    said = mosha("status")
    assert said.status == 2
    assert said.err.count("mosha.toml:") == 3
    assert "did you mean 'timeout'?" in said.err


@pytest.mark.parametrize(
    "words",
    [
        ["staus"],
        ["status", "--nosuch"],
        ["move", "web", "x"],
        ["move"],
        ["set", "web", "start", "--limit", "x"],
        ["set", "we b", "start"],
        ["start", "web", "prefer=2"],
        ["logs", "/no/such/file"],
        ["confirm", "3"],
        ["check", "/no/such/file"],
    ],
)
def test_what_is_wrong_is_said_behind_the_name_of_the_program(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry(words) == 2
    err = capsys.readouterr().err
    *lines, last = err.splitlines()
    before = [line for line in lines if not line.startswith("mosha: command line:")]
    assert last.startswith("mosha: ")
    assert "Error:" not in err
    assert not before or before[0].startswith("Usage: ")


def test_every_line_of_a_message_begins_with_the_name_of_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert entry(["set", "web", "start", "prefer=x", "2"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.startswith("mosha: command line:1:") for line in lines] == [True, True]


def test_an_option_of_hactl_where_a_tag_belongs_is_wrong_usage_that_says_where_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verb in ("start", "stop", "restart"):
        assert entry([verb, "shop", "prefer=2"]) == 2
        assert "not a tag; write mosha set shop start prefer=2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "limit_s"), [("0", 0.0), ("90", 90.0), ("5m", 300.0), ("1.5s", 1.5), ("1h", 3600.0)]
)
def test_a_limit_is_written_as_all_times_are(text: str, limit_s: float) -> None:
    context = importlib.import_module(module_of("start")).command.make_context(
        "start", ["web", "--limit", text]
    )
    assert context.params["limit_s"] == limit_s


def test_a_limit_that_is_no_time_says_how_times_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert entry(["start", "web", "--limit", "5x"]) == 2
    assert "'5x': a time is written 30s, 2m or 1h" in capsys.readouterr().err
