"""Keeps the file hastat current: the consolidated view, for people and scripts on any node."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import anyio

from mosha.formats import hastat
from mosha.monitor.mfs import Layout, write_atomically
from mosha.monitor.workers import HungError, Worker

# It is for people: no more often than they can read.
EVERY_S = 0.2
WRITE_LIMIT_S = 5.0


class Reporter(Protocol):
    """Who knows what to write, and when it has changed."""

    me: int
    layout: Layout
    news: int

    def report(self) -> hastat.Report:
        """Return the view of this moment."""

    async def next_change(self, seen: int) -> None:
        """Wait until `news` is another than `seen`."""

    def trouble(self, what: str, text: str) -> None:
        """Take in what is wrong with the host, "" if it is mended."""


class HastatFile:
    """The file hastat of one node; written in a thread of its own, which may hang."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._path: Path = reporter.layout.hastat(reporter.me)
        self._worker = Worker("hastat")

    async def run(self) -> None:
        """Rewrite the file after each change, not more often than `EVERY_S`."""
        while True:
            seen = self._reporter.news
            data = hastat.render_hastat(self._reporter.report())
            try:
                await self._worker.call(write_atomically, self._path, data, limit_s=WRITE_LIMIT_S)
                self._reporter.trouble("hastat", "")
            except (OSError, HungError) as error:
                self._reporter.trouble("hastat", f"cannot write {self._path}: {error}")
            await anyio.sleep(EVERY_S)
            await self._reporter.next_change(seen)
