"""What a monitor does about an effect of its agent, where that fails."""

from __future__ import annotations

from pathlib import Path

from tests.monitor.house import at_home
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
