"""The `clinit` command as the original's script was used: flags, replies, exit status (C4, C8)."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mosha import __version__
from mosha.cli.clinit import (
    _Given,
    _open_log,
    _print_groups,
    _request,
    _with_variables,
    clstat_of,
)
from mosha.core.tell import Tell
from mosha.errors import HostError
from tests.waiting import wait_until

COMMAND = [sys.executable, "-m", "mosha.cli.clinit"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(short_dir: Path) -> Run:
    """Run `clinit -c CLTAB -s SOCKET …` to its end."""

    def to_its_end(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, "-c", f"{short_dir}/cltab", "-s", f"{short_dir}/s", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    return to_its_end


@pytest.fixture
def daemon(short_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A `clinit -d` with a small cltab."""
    (short_dir / "cltab").write_text(
        "g:a:1:wait:true\ng:b:1:respawn:sleep 7701\nh:t:1:test:false\n"
        f"{socket.gethostname()}:n:3:wait:true\n"
    )
    with (short_dir / "log").open("wb") as log:
        command = [*COMMAND, "-d", "-c", f"{short_dir}/cltab", "-s", f"{short_dir}/s"]
        process = subprocess.Popen([*command, "--clstat", f"{short_dir}/clstat"], stderr=log)
    try:
        wait_until(lambda: b"clinit_started" in (short_dir / "log").read_bytes())
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        assert process.wait(20) == 0


def said(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


@pytest.mark.usefixtures("daemon")
def test_the_replies_are_the_originals_and_so_is_where_they_go_c4_1(run: Run) -> None:
    assert said(run("g", "1")) == (0, "level transition started\n", "")
    assert said(run("x", "1")) == (1, "", "no such group: x\n")
    assert said(run()) == (0, "", "re-read\n")
    assert said(run("::ALL::", "::REREAD::")) == (0, "", "re-read\n")
    assert said(run(":::ALL:::", ":::REREAD:::")) == (0, "", "re-read\n")


@pytest.mark.usefixtures("daemon")
def test_a_level_alone_is_for_the_group_of_this_host_c4_15(run: Run, short_dir: Path) -> None:
    assert said(run("3")) == (0, "level transition started\n", "")
    line = f"Cluster::Init::Group {socket.gethostname()} 3 DONE\n"
    wait_until(lambda: (short_dir / "clstat").read_text() == line)


@pytest.mark.usefixtures("daemon")
def test_v_prints_the_groups_after_the_action_c4_16(run: Run, short_dir: Path) -> None:
    run("h", "1")
    run("g", "1")
    wait_until(lambda: (short_dir / "clstat").read_text().count("\n") == 2)
    wait_until(lambda: "g 1 DONE" in (short_dir / "clstat").read_text())
    lines = "g 1 DONE\nh 1 FAILED\n"
    assert said(run("-v")) == (0, lines, "re-read\n")
    assert said(run("-v", "nope", "1")) == (1, lines, "no such group: nope\n")


def test_v_prints_the_groups_at_a_shutdown_too_if_there_is_time_c4_16(
    run: Run, daemon: subprocess.Popen[bytes]
) -> None:
    run("g", "1")
    status, out, err = said(run("-v", "-k"))
    assert daemon.wait(20) == 0
    assert (status, err) == (0, "all groups halting\n")
    assert out == "" or out.startswith("g ")


@pytest.mark.parametrize(
    ("given", "socket", "managed", "path"),
    [
        (None, "/var/run/clinit/clinit.s", False, "/var/run/clinit/clstat"),
        (None, "/run/other.s", False, None),
        (None, "/var/run/clinit/clinit.s", True, None),
        ("/x/clstat", "/run/other.s", False, "/x/clstat"),
    ],
    ids=["as the original", "another socket", "under a monitor", "named"],
)
def test_a_daemon_writes_the_clstat_of_the_original_at_the_places_of_the_original(
    *, given: str | None, socket: str, managed: bool, path: str | None
) -> None:
    named = Path(given) if given else None
    wanted = Path(path) if path else None
    assert clstat_of(named, Path(socket), managed=managed) == wanted


def test_k_ends_the_daemon_c8_3(run: Run, daemon: subprocess.Popen[bytes], short_dir: Path) -> None:
    run("g", "1")
    assert said(run("-k")) == (0, "", "all groups halting\n")
    assert daemon.wait(10) == 0
    assert {path.name for path in short_dir.iterdir()} == {"cltab", "log", "s.state"}


@pytest.mark.usefixtures("daemon")
def test_a_duplicate_tag_is_told_with_its_place_c1_13(run: Run, short_dir: Path) -> None:
    with (short_dir / "cltab").open("a") as cltab:
        cltab.write("x:a:1:wait:true\n")
    done = run("g", "1")
    first, second = done.stderr.splitlines()
    assert (done.returncode, done.stdout, first) == (1, "", "entry has duplicate tag: a")
    assert second.startswith(f"{short_dir}/cltab:5:3: ")


def test_no_daemon_is_exit_status_3_c4_18(run: Run, short_dir: Path) -> None:
    status, out, err = said(run("g", "1"))
    assert (status, out) == (3, "")
    assert err.startswith(f"clinit: no daemon answers at {short_dir}/s: No such file")
    assert err.endswith("start one with `clinit -d`\n")


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--fly"], id="an unknown option"),
        pytest.param(["a", "b", "c"], id="too many words"),
        pytest.param(["-k", "g", "1"], id="shutdown and tell"),
        pytest.param(["-d", "g", "1"], id="daemon and tell"),
        pytest.param(["-s", "/" + "x" * 200, "g", "1"], id="a socket path that is too long"),
    ],
)
def test_wrong_usage_is_exit_status_2_and_no_traceback(run: Run, words: list[str]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_h_explains_everything(run: Run) -> None:
    done = run("-h")
    assert done.returncode == 0
    for word in ("-d", "-k", "-c", "-s", "-v", "-h", "--clstat", "--managed", "[[GROUP] LEVEL]"):
        assert word in done.stdout


def test_the_version_is_that_of_mosha(run: Run) -> None:
    assert run("--version").stdout == f"clinit {__version__}\n"  # in the form of mosha's


def test_variables_of_cltab_override_the_command_line_c1_6_c1_8_c1_10(short_dir: Path) -> None:
    cltab = short_dir / "cltab"
    variables = f":::socket:{short_dir}/v\n:::clstat:{short_dir}/c\n:::log:{short_dir}/l\n"
    cltab.write_text(f"{variables}g:a:1:wait:true\n")
    command = [*COMMAND, "-c", str(cltab), "-s", f"{short_dir}/s"]
    daemon = subprocess.Popen([*command, "-d"])
    try:
        log = short_dir / "l"
        wait_until(lambda: log.exists() and b"clinit_started" in log.read_bytes())
        cltab.write_text(f"{variables}g:a:1:wait:true\ng:wrong\n")
        # A client reads the variables only: a mistake elsewhere does not hide the socket.
        done = subprocess.run([*command, "g", "1"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "missing" in done.stderr
        cltab.write_text(f":::socket:{short_dir}/v\n:::clstat:{short_dir}/d\ng:a:1:wait:true\n")
        done = subprocess.run([*command, "g", "1"], capture_output=True, text=True, check=False)
        assert done.stdout == "level transition started\n"
        wait_until(lambda: b"g 1 DONE" in (short_dir / "c").read_bytes())
        assert not (short_dir / "d").exists()
    finally:
        daemon.terminate()
        assert daemon.wait(20) == 0


def test_a_second_daemon_says_so_in_one_line_c8_2(
    run: Run, daemon: subprocess.Popen[bytes], short_dir: Path
) -> None:
    status, _, err = said(run("-d"))
    assert status == 1
    assert err.splitlines() == [
        f"clinit: another daemon answers at {short_dir}/s; end it first, or choose another socket"
    ]
    assert daemon.poll() is None


def test_an_interrupt_ends_a_daemon_in_the_foreground_in_good_order_c8_8(
    run: Run, daemon: subprocess.Popen[bytes], short_dir: Path
) -> None:
    run("g", "1")
    os.kill(daemon.pid, signal.SIGINT)
    assert daemon.wait(10) == 0
    assert b"clinit_stopped" in (short_dir / "log").read_bytes()


def test_on_a_terminal_the_log_is_for_people(short_dir: Path) -> None:
    (short_dir / "cltab").write_text("")
    master, slave = os.openpty()
    command = [*COMMAND, "-d", "-c", f"{short_dir}/cltab", "-s", f"{short_dir}/s"]
    daemon = subprocess.Popen(command, stderr=slave)
    os.close(slave)
    try:
        text = b""
        while b"clinit started" not in text:
            text += os.read(master, 4096)
        assert b'{"' not in text
    finally:
        daemon.terminate()
        assert daemon.wait(20) == 0
        os.close(master)


@pytest.mark.parametrize("words", [[], ["--debug"]])
def test_states_that_only_pass_are_logged_with_debug_alone(
    short_dir: Path, words: list[str]
) -> None:
    (short_dir / "cltab").write_text("g:a:1:wait:true\n")
    places = ["-c", f"{short_dir}/cltab", "-s", f"{short_dir}/s"]
    log = short_dir / "log"
    with log.open("wb") as stderr:
        daemon = subprocess.Popen([*COMMAND, "-d", *places, *words], stderr=stderr)
    try:
        wait_until(lambda: b"clinit_started" in log.read_bytes())
        for level in ("1", "stop"):
            subprocess.run([*COMMAND, *places, "g", level], check=True, stdout=subprocess.DEVNULL)
            wait_until(lambda level=level: f'"{level} DONE"' in log.read_text())  # type: ignore[misc]
    finally:
        daemon.terminate()
        assert daemon.wait(20) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if "group_changed" in line]
    states = [line["to"].split()[1] for line in lines]
    assert {line["level"] for line in lines if line["to"].endswith("DONE")} == {"info"}
    if words:
        assert {"STARTING", "CHECKING", "STOPPING", "DUMPING"} <= set(states)
    else:
        assert set(states) == {"DONE"}


def test_a_mistyped_command_line_is_told_behind_the_name_of_the_program() -> None:
    command = [sys.executable, "-m", "mosha.cli.clinit"]
    done = subprocess.run([*command, "--nosuch"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("clinit: no such option")


@pytest.mark.parametrize("module", ["mosha.cli.clinit", "mosha.cli.main"])
def test_a_question_for_help_loads_neither_a_loop_nor_a_protocol(module: str) -> None:
    heavy = {"asyncio", "msgspec", "rich", "socket", "structlog", "anyio", "tomllib"}
    heavy |= {"difflib", "pathlib"}
    program = f"import sys, {module}; print(sorted({heavy!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


# --- its parts -------------------------------------------------------------------------------


def given(base: Path, *words: str, **more: object) -> _Given:
    """Return a command line with little in it."""
    plain: dict[str, Any] = dict.fromkeys(_Given._fields) | {
        "cltab": base / "cltab",
        "socket": base / "s",
        "words": words,
        "node": "",
        **dict.fromkeys(("daemon", "shutdown", "managed"), False),
    }
    return _Given(**(plain | more))


def test_a_variable_of_cltab_takes_no_clinit_away_from_its_monitor(tmp_path: Path) -> None:
    (tmp_path / "cltab").write_text(":::socket:/elsewhere\n")
    for managed, socket_path in ((False, Path("/elsewhere")), (True, tmp_path / "s")):
        assert _with_variables(given(tmp_path, managed=managed)).socket == socket_path


def test_the_node_of_the_command_line_is_that_of_the_commands(tmp_path: Path) -> None:
    assert _request(given(tmp_path, "g", "1", node="5")) == Tell("g", "1", node="5")
    assert _request(given(tmp_path, "1")) == Tell(os.uname().nodename, "1")


def test_nobody_else_may_read_what_services_print(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        os.close(_open_log(tmp_path / "log"))
    finally:
        os.umask(before)
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o640


def test_only_after_a_shutdown_a_daemon_may_be_gone(tmp_path: Path) -> None:
    _print_groups(tmp_path / "s", may_be_gone=True)
    with pytest.raises(HostError, match="no daemon answers"):
        _print_groups(tmp_path / "s", may_be_gone=False)


# With 5 none is left for an event loop; with more than is tried here they get on.
@pytest.mark.parametrize(
    ("name", "limit"),
    [*(("clinit", limit) for limit in range(5, 13)), *(("mosha", limit) for limit in range(5, 10))],
)
def test_a_daemon_that_lacks_descriptors_at_its_start_says_so_in_one_line(
    short_dir: Path, name: str, limit: int
) -> None:
    (short_dir / "cltab").write_text("g:t:start:respawn:sleep 1000\n")
    (short_dir / "hactl").write_text("g start\n")
    (short_dir / "mfs").mkdir()
    settings = f'mynode = 1\nnodes = [1]\nrundir = "{short_dir}/r"\nmfsbase = "{short_dir}/mfs"\n'
    (short_dir / "mosha.toml").write_text(settings)
    words = {
        "clinit": ["-d", "-c", f"{short_dir}/cltab", "-s", f"{short_dir}/s", "--cgroup", "none"],
        "mosha": ["run", "--config", f"{short_dir}/mosha.toml"],
    }[name]
    module = {"clinit": "mosha.cli.clinit", "mosha": "mosha.cli.main"}[name]
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert last.startswith(f"{name}: ")
    assert "Too many open files" in last
