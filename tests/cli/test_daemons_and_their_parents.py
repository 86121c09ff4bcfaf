"""Daemons hear their signals and find their modules, whatever started them, and wherever."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from mosha.host.lock_file import holder_of
from mosha.monitor.identity import LOCK_FILE
from tests.cli.conftest import Home
from tests.cli.daemons import LIMIT_S, Started
from tests.replacing import remove_tree
from tests.waiting import wait_until

Start = Callable[..., Started]

# Bash and dash cannot block a signal, and dash cannot let go of one that is ignored.
IN_PYTHON = (
    'exec python3 -c "import os, signal, sys; {}; os.execvp(sys.argv[1], sys.argv[1:])" "$@"'
)
BLOCKED = IN_PYTHON.format("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))")
IGNORED = IN_PYTHON.format(
    "[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 3, 10, 15, signal.SIGCHLD)]"
)


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(**how: Any) -> Started:
            made = Started(home, **how)
            stack.callback(made.end)
            return made

        yield begin


def test_a_monitor_starts_clinit_in_a_directory_of_other_modules(
    start: Start, tmp_path: Path
) -> None:
    for name in ("json", "asyncio", "click", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a stranger')\n")
    daemon = start()
    daemon.monitor(directory=tmp_path)
    assert daemon.end() == 0
    assert not daemon.said("stranger")


@pytest.mark.parametrize("by", [BLOCKED, IGNORED], ids=["blocked", "ignored"])
def test_a_monitor_hears_signals_that_its_parent_has_blocked_or_ignored(
    start: Start, by: str
) -> None:
    daemon = start(by=by)
    daemon.monitor()
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.said("settings_reloaded"), LIMIT_S)
    assert daemon.end() == 0
    assert daemon.said("monitor_stopped")


def test_a_monitor_whose_terminal_is_closed_leaves_in_good_order(start: Start) -> None:
    daemon = start(terminal=True)
    daemon.monitor()
    daemon.close_terminal()
    assert daemon.process.wait(LIMIT_S) == 0
    assert daemon.said("terminal_closed")
    assert daemon.said("monitor_stopped")
    assert not daemon.answers()


def test_a_monitor_in_the_background_of_a_shell_that_goes_leaves_in_good_order(
    start: Start, home: Home
) -> None:
    daemon = start(terminal=True, by='"$@" & wait')
    daemon.monitor()
    lock = home.rundir / "state" / LOCK_FILE
    assert holder_of(lock)
    daemon.close_terminal()
    wait_until(lambda: not holder_of(lock), LIMIT_S)
    assert daemon.said("monitor_stopped")
    assert not daemon.answers()


def test_sighup_on_a_terminal_that_stays_reads_the_settings_again(start: Start) -> None:
    daemon = start(terminal=True)
    daemon.monitor()
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.said("settings_reloaded"), LIMIT_S)
    assert daemon.end() == 0
    assert not daemon.said("terminal_closed")


def test_nohup_keeps_a_monitor_alive_and_sighup_reads_the_settings(start: Start) -> None:
    daemon = start(terminal=True, by='exec nohup "$@"')
    daemon.monitor()
    daemon.close_terminal()
    wait_until(lambda: daemon.said("settings_reloaded"), LIMIT_S)
    assert daemon.end() == 0
    assert not daemon.said("terminal_closed")


def test_a_run_directory_that_is_removed_under_living_daemons_is_made_again(
    start: Start, home: Home
) -> None:
    daemon = start()
    daemon.monitor()
    state = home.rundir / "state"
    before = set(home.rundir.rglob("*"))
    clinit = (state / "children.json").read_bytes()
    remove_tree(home.rundir)
    kept = ("mosha.s", "clinit.s", "state/node.json", "state/cltab", "state/mount.json")
    locks = ("state/monitor.lock", "state/lock")
    wait_until(lambda: all((home.rundir / name).exists() for name in (*kept, *locks)), LIMIT_S)
    wait_until((state / "children.json").exists, LIMIT_S)
    assert (state / "children.json").read_bytes() == clinit
    assert daemon.answers()
    assert {path for path in before if "history" not in path.parts} <= set(home.rundir.rglob("*"))
    assert daemon.end() == 0
    assert not daemon.said("clinit_lost")


def test_a_clinit_alone_whose_terminal_is_closed_halts_its_groups(start: Start) -> None:
    daemon = start(terminal=True)
    daemon.alone()
    daemon.close_terminal()
    assert daemon.process.wait(LIMIT_S) == 0
    assert daemon.said("clinit_stopped")
    assert not daemon.clinit.exists()


def test_a_clinit_alone_on_a_terminal_that_stays_reads_its_table_at_sighup(
    start: Start, home: Home
) -> None:
    daemon = start(terminal=True)
    daemon.alone()
    (home.tables / "cltab").write_text("nonsense\n")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: daemon.said("cltab_refused"), LIMIT_S)
    assert daemon.end() == 0
