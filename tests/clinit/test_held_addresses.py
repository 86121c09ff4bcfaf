"""The addresses of groups as clinit notes them: for the next clinit, and until they are gone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio

from mosha.clinit.held_addresses import ADDRESSES, HeldAddresses
from mosha.clinit.process_tracker import EntryKey
from mosha.core.supervision.process_events import Exit
from mosha.core.supervision.unit import Launch
from tests.core.unit_world import entry

LIMIT_S = 30.0
KEY = EntryKey("g", "ip")


def launch(address: str = "192.0.2.80/24") -> Launch:
    return Launch(entry(f"g:ip:1:address:{address} dev lo"), run=1, level="1", term=1, node="1")


async def test_the_file_has_the_address_that_the_entry_has_now_until_its_holder_has_ended_well(
    tmp_path: Path,
) -> None:
    held, file = HeldAddresses(tmp_path, lambda: None), tmp_path / ADDRESSES
    await held.begin(launch())
    assert file.read_text() == "192.0.2.80/24 lo\n"
    held.ended(KEY, Exit(-9))
    await held.begin(launch("192.0.2.81/24"))
    assert file.read_text() == "192.0.2.81/24 lo\n"
    held.close()
    assert file.exists(), "what is left is for the next clinit"
    held.ended(KEY, Exit(0))
    held.close()
    assert not file.exists()


async def test_what_is_left_is_looked_for_each_time_and_its_group_is_told_when_it_is_gone(
    tmp_path: Path,
) -> None:
    gone = asyncio.Event()
    held = HeldAddresses(tmp_path, gone.set)
    async with asyncio.timeout(LIMIT_S), anyio.create_task_group() as tasks:
        held.start(tasks)
        for _ in range(2):
            await held.begin(launch())
            held.ended(KEY, Exit(1))
            assert not held.are_gone("g")
            assert not held.are_gone("g"), "as it is still looked for"
            assert held.are_gone("h")
            await gone.wait()
            gone.clear()
            assert held.are_gone("g")
    held.close()
