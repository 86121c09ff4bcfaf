"""Keeps the state directory of a running clinit in place."""

from __future__ import annotations

import asyncio

from mosha.clinit.engine import Engine
from mosha.clinit.state_dir import StateDir
from mosha.control.listener import LOOK_S
from mosha.errors import HostError
from mosha.host import logs


async def keep_state(state_dir: StateDir, engine: Engine) -> None:
    """Check periodically that the state directory still exists, and make it again if not.

    From it the next clinit learns that this one runs, and what this one left behind.
    """
    trouble = ""
    while True:
        await asyncio.sleep(LOOK_S)
        state_dir.agents.write_soon()
        try:
            if await state_dir.restore():
                logs.get().warning("state_restored", path=str(state_dir.path))
                for leader in engine.leaders:
                    state_dir.note_session(leader)
        except (HostError, OSError) as error:
            if trouble != str(error):
                logs.get().error("state_lost", path=str(state_dir.path), reason=str(error))
            trouble = str(error)
        else:
            trouble = ""
