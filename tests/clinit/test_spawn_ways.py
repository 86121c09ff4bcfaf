"""Which way processes are started is found out, said, and can be chosen."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

import mosha
from mosha.cli.check.spawn import spawn_findings
from mosha.clinit import child_steps
from mosha.clinit.forker import Forker
from mosha.core.supervision.process_events import Exit
from mosha.formats.settings import Settings, settings_from
from mosha.formats.spawn import COPIED, PLAIN, SHARED
from mosha.monitor.clinit_place import ClinitPlace
from tests.clinit.conftest import Start
from tests.clinit.test_forkserver import dismiss, forked, program, status_of
from tests.waiting import until

NOBODY = 65534
BEST = SHARED if child_steps.has_native() else COPIED
REPOSITORY = Path(mosha.__file__).parents[1]


def refusing(error: int) -> str:
    """Return the program of a fork server to which clone3 is refused."""
    path = f"import sys; sys.path.append({str(REPOSITORY)!r})"
    return program(f"{path}; from tests import seccomp; seccomp.refuse(435, {error})")


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EPERM])
async def test_where_clone3_is_refused_children_are_made_without_it(
    error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mosha.clinit.forker.PROGRAM", refusing(error))
    with capture_logs() as logs:
        forker = Forker(dict(os.environ), "mark", None)
        try:
            assert await forked(forker, "echo", "x") == (0, Exit(0), "x\n")
            why = os.strerror(error)
            tried = [SHARED, COPIED] if BEST == SHARED else [COPIED]
            assert forker.way == PLAIN
            assert forker.refused == "; ".join(f"{way}: {why}" for way in tried)
            # The server that replaces it finds the same, which is not said again.
            first = forker.pid
            os.kill(first, signal.SIGKILL)
            await until(lambda: forker.pid != first)
            assert await forked(forker, "echo", "y") == (0, Exit(0), "y\n")
            assert status_of(first) == -signal.SIGKILL
        finally:
            dismiss(forker)
    (warning,) = [each for each in logs if each["event"] == "spawn_degraded"]
    assert warning["spawn"] == PLAIN
    assert warning["reason"] == forker.refused
    assert "8 to 16 ms more" in warning["lost"]


def limit_processes(forker: Forker, number: int) -> None:
    """Set the soft limit of a fork server that is nobody's, as nobody: that needs no capability."""
    words = ["prlimit", "--pid", str(forker.pid), f"--nproc={number}:"]
    subprocess.run(words, check=True, user=NOBODY)


@pytest.mark.root
@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit of util-linux")
async def test_a_host_short_of_processes_at_the_trial_costs_a_start_and_not_the_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limit = f"resource.RLIMIT_NPROC, (0, {hard})"
    short = f"import os, resource; resource.setrlimit({limit}); os.setuid({NOBODY})"
    monkeypatch.setattr("mosha.clinit.forker.PROGRAM", program(short))
    forker = Forker(dict(os.environ), "mark", None)
    try:
        await forker.ready.wait()
        assert forker.way == ""
        with pytest.raises(BlockingIOError):
            await forked(forker, "true")
        limit_processes(forker, hard)
        assert await forked(forker, "echo", "x") == (0, Exit(0), "x\n")
        assert (forker.way, forker.refused) == (BEST, "")
        # And so it is later: an error of that start, and the next one goes the same way.
        limit_processes(forker, 0)
        with pytest.raises(BlockingIOError):
            await forked(forker, "true")
        limit_processes(forker, hard)
        assert await forked(forker, "echo", "y") == (0, Exit(0), "y\n")
        assert (forker.way, forker.refused) == (BEST, "")
    finally:
        dismiss(forker)


def test_a_clinit_to_which_clone3_is_refused_says_so_once_and_works(start_in: Start) -> None:
    d = start_in("g:a:up:respawn:sleep 7671\ng:b:up:once:true\n", clone3_refused=errno.ENOSYS)
    assert d.tell("g", "up").ok
    d.wait_for("up DONE")
    assert d.tell("g", "stop").ok
    d.wait_for("stop DONE")
    (started,) = d.log("clinit_started")
    assert started["spawn"] == PLAIN
    assert len(d.log("spawn_degraded")) == 1
    update = next(d.news())
    assert (update.spawn, update.spawn_refused) == (PLAIN, d.log("spawn_degraded")[0]["reason"])


@pytest.mark.parametrize("way", [COPIED, PLAIN])
def test_a_clinit_starts_processes_in_the_way_that_it_was_given(start_in: Start, way: str) -> None:
    d = start_in("g:a:up:once:true\n", spawn=way)
    d.tell("g", "up")
    d.wait_for("up DONE")
    assert d.log("clinit_started")[0]["spawn"] == way
    assert d.log("spawn_degraded") == []


def test_check_says_how_the_clinit_of_this_node_starts_processes(start: Start) -> None:
    d = start("g:a:up:once:true\n", spawn=COPIED)
    (found,) = spawn_findings(settings_from({"socket": str(d.socket)}, "test"))
    assert (found.level, found.where) == ("ok", "spawn")
    assert found.text == f"clinit {d.pid} starts processes by clone3 (spawn = copied)"


def test_check_without_a_clinit_tries_it_out(short_dir: Path) -> None:
    settings = settings_from({"socket": str(short_dir / "s"), "spawn": COPIED}, "test")
    (found,) = spawn_findings(settings)
    assert (found.level, found.text) == (
        "ok",
        "processes are started here by clone3 (spawn = copied)",
    )
    asked = f"spawn_findings(settings_from({{'socket': {str(short_dir / 's')!r}}}, 'test'))"
    program = (
        "from msgspec.structs import astuple\nfrom mosha.cli.check.spawn import spawn_findings\n"
        "from mosha.formats.settings import settings_from\n"
        f"from tests import seccomp\nseccomp.refuse(seccomp.CLONE3, {errno.ENOSYS})\n"
        f"print(*astuple({asked}[0]), sep='|')"
    )
    words = [sys.executable, "-c", program]
    said = subprocess.run(words, check=True, stdout=subprocess.PIPE, cwd=REPOSITORY).stdout
    level, _, text, _ = said.decode().strip().split("|")
    assert level == "warning"
    assert "by clone (spawn = plain); " in text
    assert f"copied: {os.strerror(errno.ENOSYS)}" in text


def test_a_machine_on_which_no_process_can_be_started_has_a_mistake(short_dir: Path) -> None:
    settings = settings_from({"socket": str(short_dir / "s")}, "test")
    (found,) = spawn_findings(replace(settings, spawn="no-such-way"))
    assert (found.level, found.text.startswith("no process can be started: ")) == ("mistake", True)


def test_the_monitor_hands_the_setting_to_its_clinit() -> None:
    words = ClinitPlace.of(Settings(spawn="plain"), 1).command()
    assert words[words.index("--spawn") + 1] == "plain"
    assert "--spawn" not in ClinitPlace.of(Settings(), 1).command()


def test_each_function_of_the_c_library_is_called_with_its_types() -> None:
    package = Path(mosha.__file__).parent
    found = {path.name: path.read_text("utf-8") for path in package.rglob("*.py")}
    users = {name: text for name, text in found.items() if "CDLL(" in text}
    assert users.keys() == {"child_steps.py", "kin.py"}
    assert not [name for name, text in users.items() if re.search(r"libc\.\w+\(", text)]
