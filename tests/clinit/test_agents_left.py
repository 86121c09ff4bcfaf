"""What clinit remembers of agents for the next one: on disk when it says so, and for root alone."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from mosha.clinit.agents_left import AGENTS, AgentsLeft
from tests.core.unit_world import entry

DISK, DB = entry("g:disk:1:ocf:Filesystem device=/dev/x"), entry("h:db:1:ocf:Filesystem device=/y")


async def test_the_next_clinit_reads_what_was_noted_and_that_it_was_taken_back(
    tmp_path: Path,
) -> None:
    left = AgentsLeft(tmp_path)
    left.note("g", (DISK,))
    left.note("h", (DB,))
    await left.written()
    assert AgentsLeft(tmp_path).read() == {"g": (DISK,), "h": (DB,)}
    left.note("h", ())
    await left.written()
    assert AgentsLeft(tmp_path).read() == {"g": (DISK,)}
    left.note("g", ())
    await left.written()
    assert not (tmp_path / AGENTS).exists()


async def test_nobody_else_may_read_the_parameters_of_agents(tmp_path: Path) -> None:
    """There may be passwords among them."""
    left = AgentsLeft(tmp_path)
    left.note("g", (DISK,))
    await left.written()
    assert stat.S_IMODE((tmp_path / AGENTS).stat().st_mode) == 0o600


async def test_what_is_noted_while_a_thread_writes_is_written_too(tmp_path: Path) -> None:
    left = AgentsLeft(tmp_path)
    left.note("g", (DISK,))
    await asyncio.sleep(0)  # the thread has begun
    left.note("h", (DB,))
    await left.written()
    assert left.idle
    assert AgentsLeft(tmp_path).read() == {"g": (DISK,), "h": (DB,)}


async def test_a_failure_is_told_until_it_is_written(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    left = AgentsLeft(directory)
    left.note("g", (DISK,))
    for _ in range(2):
        with pytest.raises(OSError, match=r"cannot write .*/agents\.json: No such file"):
            await left.written()
    directory.mkdir()
    await left.written()
    assert AgentsLeft(directory).read() == {"g": (DISK,)}
