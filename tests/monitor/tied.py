"""Links to clinit that run in a test, and the place where that clinit lives."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from mosha.core.cluster.events import ClinitLost, GroupsReported
from mosha.monitor.clinit_link import ClinitLink
from mosha.monitor.clinit_place import ClinitPlace
from tests.waiting import until

ROOT = Path(__file__).parents[2]
LIMIT_S = 3.0
SHORT_S = 0.2
STEP_S = 30.0
CLTAB = "g:t:start:respawn:sleep 1000\n"


class Tied:
    """A link that runs, and what it told: everything, changes, losses."""

    def __init__(self, place: ClinitPlace, limit_s: float) -> None:
        self.full: list[GroupsReported] = []
        self.pids: list[int] = []  # of the clinit that reported them
        self.changes: list[GroupsReported] = []
        self.lost = 0
        self.link = ClinitLink(
            place,
            limit_s=limit_s,
            report=self._reported,
        )
        self.task = asyncio.ensure_future(self.link.run())

    def _reported(self, event: GroupsReported | ClinitLost) -> None:
        if isinstance(event, ClinitLost):
            self.lost += 1
        elif event.full:
            self.full.append(event)
            self.pids.append(self.link.pid)
        else:
            self.changes.append(event)

    @property
    def pid(self) -> int:
        return self.pids[-1] if self.pids else 0

    async def connected(self, times: int = 1) -> None:
        """Wait until everything was told so many times."""
        await until(lambda: len(self.full) >= times and self.link.connected)


@dataclass
class Place:
    """A directory for one clinit, and all links and clinits that a test makes there."""

    directory: Path
    tied: list[Tied] = field(default_factory=list)

    @property
    def clinit(self) -> ClinitPlace:
        return ClinitPlace(
            self.directory / "clinit.s", self.directory / "cltab", self.directory / "state", 1
        )

    def tie(self, limit_s: float = LIMIT_S) -> Tied:
        """Make a link and let it run."""
        tied = Tied(self.clinit, limit_s)
        self.tied.append(tied)
        return tied

    async def untie(self, tied: Tied) -> None:
        """End a link as the end of its monitor does; clinit is not asked."""
        tied.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await tied.task


@contextlib.asynccontextmanager
async def place_in(directory: Path) -> AsyncIterator[Place]:
    """A place whose links and clinits end with the test."""
    (directory / "cltab").write_text(CLTAB)
    (directory / "state").mkdir()
    made = Place(directory)
    try:
        yield made
    finally:
        for tied in made.tied:
            await made.untie(tied)
        for process in (child for tied in made.tied for child in tied.link._processes):
            process.kill()
            process.wait()
