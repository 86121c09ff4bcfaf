"""A clinit starts, respawns, stops and kills, on whatever machine this is; needs root and cgroups.

It needs nothing but what mosha itself needs.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from mosha.control.calls import call
from mosha.control.protocol import Ask, Update
from mosha.core.supervision.group_report import GroupReport
from mosha.core.tell import Tell
from mosha.errors import HostError
from mosha.formats.spawn import SPAWN_WAYS
from mosha.host import proc
from tests.waiting import wait_until

PASSED = "smoke: all passed"
LIMIT_S = 60.0  # an emulated processor is slow
CALL_LIMIT_S = 30.0
CLTAB = "g:a:up:respawn:sleep 7690\ng:b:up:wait:true\n"


def main() -> None:
    """Try all ways of starting processes, with cgroups and without."""
    _say(f"{platform.machine()}, Linux {platform.release()}, Python {platform.python_version()}")
    for way in SPAWN_WAYS:
        for words in ((), ("--cgroup", "none")):
            _try(way, words)
    _say(PASSED.removeprefix("smoke: "))


def _try(way: str, words: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "cltab").write_text(CLTAB, encoding="ascii")
        path = directory / "s"
        clinit = subprocess.Popen(
            [
                *(sys.executable, "-m", "mosha.cli.clinit", "-d", "-s", str(path)),
                *("-c", str(directory / "cltab"), "--spawn", way, *words),
            ],
            stderr=(directory / "log").open("wb"),
        )
        try:
            _try_daemon(clinit, path, f"--spawn {' '.join((way, *words))}")
        except BaseException:
            sys.stdout.write((directory / "log").read_text(encoding="utf-8"))
            raise
        finally:
            clinit.kill()
            clinit.wait()


def _try_daemon(clinit: subprocess.Popen[bytes], path: Path, what: str) -> None:
    spawn = wait_until(lambda: (update := _ask(path)) and update.spawn, LIMIT_S)
    call(path, Tell("g", "up"), CALL_LIMIT_S)
    first = wait_until(lambda: _state(path) == "up DONE" and _pid(path), LIMIT_S)
    os.kill(first, signal.SIGKILL)
    second = wait_until(lambda: (pid := _pid(path)) != first and pid, LIMIT_S)
    call(path, Tell("g", "stop"), CALL_LIMIT_S)
    wait_until(lambda: _state(path) == "stop DONE", LIMIT_S)
    assert proc.see(second) is None, f"{second} has outlived its stop"
    call(path, Tell("g", "up"), CALL_LIMIT_S)
    last = wait_until(lambda: _state(path) == "up DONE" and _pid(path), LIMIT_S)
    clinit.kill()
    wait_until(lambda: proc.see(last) is None, LIMIT_S)
    _say(f"{what}: processes are started in the way {spawn}; start, respawn, stop, kill: ok")


def _ask(path: Path) -> Update | None:
    try:
        return call(path, Ask(), CALL_LIMIT_S).update
    except HostError:
        return None


def _group(path: Path) -> GroupReport | None:
    update = _ask(path)
    return next((group for group in update.groups if group.group == "g"), None) if update else None


def _state(path: Path) -> str:
    group = _group(path)
    return f"{group.level} {group.state}" if group else ""


def _pid(path: Path) -> int:
    group = _group(path)
    return max((entry.pid for entry in group.entries), default=0) if group else 0


def _say(text: str) -> None:
    sys.stdout.write(f"smoke: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
