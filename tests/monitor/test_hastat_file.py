"""The file hastat: rewritten after each change, whole, and not more often than anybody reads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from mosha.errors import HostError
from mosha.formats import hastat
from mosha.monitor.files.cluster_fs import Layout
from mosha.monitor.files.hastat_file import CHANGE_SHARE, EVERY_S, REWRITES_PER_TIMEOUT, HastatFile
from mosha.monitor.report import HostFacts, make
from tests.core.story import one_of_three
from tests.waiting import until

REWRITTEN_S = 0.5
GONE = "it is on another mount"


class Reporter:
    """Somebody with news, the number of which is in the report's warnings."""

    def __init__(self, base: Path) -> None:
        self.me = 1
        self.layout = Layout(base, "var")
        self.news = 0
        self.reports = 0
        self.making_s = 0.0
        self.troubles: list[str] = []
        self.elsewhere = False
        self._changed = asyncio.Event()
        self._node = one_of_three().nodes[1]

    def tell(self) -> None:
        self.news += 1
        self._changed.set()
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def open_directory(self) -> Iterator[int]:
        if self.elsewhere:
            raise HostError(GONE)
        fd = os.open(self.layout.directory(1), os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    def report(self) -> hastat.Report:
        self.reports += 1
        until_s = time.monotonic() + self.making_s
        while time.monotonic() < until_s:
            pass
        made = make(self._node, HostFacts(warnings=[f"news {self.news}"]), 1000.0)
        timing = msgspec.structs.replace(
            made.timing, heartbeat_s=0.1, timeout_s=REWRITES_PER_TIMEOUT * REWRITTEN_S
        )
        return msgspec.structs.replace(made, timing=timing)

    async def next_change(self, seen: int) -> None:
        while self.news == seen:
            await self._changed.wait()

    def trouble(self, what: str, text: str) -> None:
        assert what == "hastat"
        if text != (self.troubles[-1] if self.troubles else ""):
            self.troubles.append(text)

    def written(self) -> str:
        """The last problem in the file, which is the number of news."""
        path = self.layout.hastat(1)
        if not path.exists():
            return ""
        return hastat.parse_hastat(path.read_bytes()).problems[-1]


@pytest.fixture
async def reporter(tmp_path: Path) -> AsyncIterator[Reporter]:
    made = Reporter(tmp_path)
    made.layout.directory(1).mkdir(parents=True)
    task = asyncio.ensure_future(HastatFile(made, made.open_directory).run())
    yield made
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_the_file_is_there_from_the_start_and_follows_every_change(
    reporter: Reporter,
) -> None:
    await until(lambda: reporter.written() == "news 0")
    reporter.tell()
    await until(lambda: reporter.written() == "news 1")
    assert [path.name for path in reporter.layout.directory(1).iterdir()] == ["hastat"]


async def test_many_changes_make_few_writes(reporter: Reporter) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await until(lambda: reporter.written() == "news 0")
    while reporter.news < 100:
        reporter.tell()
        await asyncio.sleep(0)
    await until(lambda: reporter.written() == "news 100")
    assert reporter.reports <= 2 + (loop.time() - began) / EVERY_S


async def test_a_view_that_takes_long_to_make_is_made_less_often(reporter: Reporter) -> None:
    reporter.making_s = 0.04
    await until(lambda: reporter.written() == "news 0")
    loop = asyncio.get_running_loop()
    began, reports = loop.time(), reporter.reports
    while loop.time() < began + 1.0:
        reporter.tell()
        await asyncio.sleep(0)
    assert reporter.reports - reports <= 1 + 1.0 * CHANGE_SHARE / reporter.making_s
    await until(lambda: reporter.written() == f"news {reporter.news}")


async def test_without_a_change_it_is_rewritten_in_a_part_of_timeout_and_says_so(
    reporter: Reporter,
) -> None:
    await until(lambda: reporter.written() == "news 0")
    path = reporter.layout.hastat(1)
    first = hastat.parse_hastat(path.read_bytes())
    assert first.every_s == REWRITTEN_S
    await until(lambda: hastat.parse_hastat(path.read_bytes()).time != first.time)
    assert reporter.news == 0


async def test_a_file_that_cannot_be_written_is_told_until_it_can(reporter: Reporter) -> None:
    await until(lambda: reporter.written() == "news 0")
    reporter.layout.hastat(1).unlink()
    reporter.layout.directory(1).rmdir()
    reporter.tell()
    await until(lambda: reporter.troubles)
    path = reporter.layout.hastat(1)
    assert reporter.troubles[0] == f"cannot write {path}: No such file or directory"
    reporter.layout.directory(1).mkdir()
    reporter.tell()
    await until(lambda: reporter.written() == "news 2")
    await until(lambda: reporter.troubles[-1] == "")


async def test_below_a_mount_that_is_gone_nothing_is_written_and_the_publisher_says_why(
    reporter: Reporter,
) -> None:
    await until(lambda: reporter.written() == "news 0")
    reporter.elsewhere = True
    reports = reporter.reports
    reporter.tell()
    await until(lambda: reporter.reports > reports + 1)
    assert reporter.written() == "news 0"
    assert reporter.troubles in ([], [""])
    reporter.elsewhere = False
    reporter.tell()
    await until(lambda: reporter.written() == "news 2")
