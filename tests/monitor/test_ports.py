"""What a monitor does about an effect of its agent, where that fails or takes its time."""

from __future__ import annotations

from pathlib import Path

import anyio

from mosha.core.cluster.effects import EndClinit
from mosha.core.cluster.events import ClinitEnded, Event
from tests.monitor.house import at_home, prepared
from tests.waiting import until


async def test_a_status_that_could_not_be_written_is_followed_by_the_next(tmp_path: Path) -> None:
    async with at_home(tmp_path) as house:
        monitor = house.monitor
        directory = monitor.layout.directory(1)
        away = directory.rename(directory.with_name("away"))
        directory.write_text("in the way")
        await until(lambda: any("cannot publish" in text for text in monitor.troubles))
        directory.unlink()
        away.rename(directory)
        published = monitor.node.state.published
        await until(lambda: not monitor.troubles and monitor.node.state.published != published)


async def test_clinit_has_ended_when_it_is_gone_and_not_when_it_was_asked_to(
    short_dir: Path,
) -> None:
    """The others take the groups of a node that has left at once."""
    told: list[Event] = []
    async with prepared(short_dir) as monitor, anyio.create_task_group() as tasks:
        ports = monitor._ports
        ports._report = told.append
        ports.open(tasks)
        ports.table()[EndClinit](EndClinit())
        await until(lambda: monitor.clinit._ending)
        await anyio.wait_all_tasks_blocked()
        assert told == []
        monitor.clinit._over.set()
        await until(lambda: told)
        assert told == [ClinitEnded()]
