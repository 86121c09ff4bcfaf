"""Programs that may hang, and what is left of them when who started them was killed."""

from __future__ import annotations

import contextvars
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosha.host import killable, proc
from mosha.host.killable import inherit
from tests.waiting import wait_until

STARTER = """
import asyncio, sys
from pathlib import Path
from mosha.host import killable
killable.inherit(Path(sys.argv[1]))
asyncio.run(killable.run(["/bin/sh", "-c", sys.argv[2]], limit_s=600))
"""
LEAVES_ONE_THAT_CUT_ALL_TIES = """
until grep -q 'Max file locks *[0-9]' /proc/$$/limits; do :; done
env -i setsid sleep 600 & echo $! > {path}
exec sleep 600
"""


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[int]:
    """A process of a program whose starter was killed."""
    path = tmp_path / "pid"
    script = LEAVES_ONE_THAT_CUT_ALL_TIES.format(path=path)
    words = [sys.executable, "-c", STARTER, str(tmp_path), script]
    try:
        with subprocess.Popen(words) as starter:
            try:
                pid = int(wait_until(lambda: path.read_text().strip() if path.exists() else ""))
                wait_until(lambda: _is_marked(pid, tmp_path))
            finally:
                starter.kill()
        yield pid
    finally:
        _inherited(tmp_path)


def _inherited(directory: Path) -> int:
    """Do so in a context of its own: the mark must not stay with the other tests."""
    return contextvars.copy_context().run(inherit, directory)


def _is_marked(pid: int, directory: Path) -> bool:
    return killable.is_kin(pid, killable.kin_of_directory(directory))


def _runs(pid: int) -> bool:
    one = proc.see_all().get(pid)
    return one is not None and not proc.is_dying(pid)


def test_what_a_killed_process_had_started_is_killed_by_its_successor(
    orphan: int, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    assert _inherited(other) == 0
    assert _runs(orphan)
    assert _inherited(tmp_path) == 2
    wait_until(lambda: not Path(f"/proc/{orphan}").exists() or not _runs(orphan))
    assert _inherited(tmp_path) == 0
