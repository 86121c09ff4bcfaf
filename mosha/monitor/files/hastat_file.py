"""Keeps the file hastat current: the consolidated view, for people and scripts on any node.

It is rewritten after each change, and otherwise four times per `timeout`, so that a reader knows
from its `time` and `every_s` whether it is current. The bytes are made in the thread that writes
them: a view of many nodes and groups takes time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import anyio

from mosha.errors import HostError
from mosha.formats import hastat
from mosha.host.clock import boottime
from mosha.host.files import write_in
from mosha.host.workers import HungError, Worker, reason
from mosha.monitor.files.cluster_fs import HASTAT, Layout

# For people: no more often than they can read.
EVERY_S = 0.2
WRITE_LIMIT_S = 5.0
# Rewriting without changes takes at most this share of a processor: the views of a very big cluster
# are rewritten less often, and `every_s` says so.
REWRITE_SHARE = 0.002
REWRITES_PER_TIMEOUT = 4
# And during constant changes, this share: when a thousand groups start, each view takes as long as
# ten starts, and they all wait for it.
CHANGE_SHARE = 0.1


OpenDirectory = Callable[[], AbstractContextManager[int]]
"""Opens this node's directory to write into it; raises OSError, or HostError on another mount."""


class Reporter(Protocol):
    """Provides what to write, and reports when it has changed."""

    me: int
    layout: Layout
    news: int

    def report(self) -> hastat.Report:
        """Return the current view."""

    async def next_change(self, seen: int) -> None:
        """Wait until `news` differs from `seen`."""

    def trouble(self, what: str, text: str) -> None:
        """Record what is wrong with the host, "" if it is resolved."""


class HastatFile:
    """The file hastat of one node; written in its own thread, which may hang.

    `open_directory` is the publisher's: what lies below a mount that is gone is not written into.
    """

    def __init__(self, reporter: Reporter, open_directory: OpenDirectory) -> None:
        self._reporter = reporter
        self._open_directory = open_directory
        self._path: Path = reporter.layout.hastat(reporter.me)
        self._worker = Worker("hastat")
        self._cost_s = 0.0

    async def run(self) -> None:
        """Rewrite the file after each change and periodically, at most every `EVERY_S`."""
        while True:
            seen = self._reporter.news
            every_s = await self._write()
            pause_s = min(every_s, max(EVERY_S, self._cost_s / CHANGE_SHARE))
            await anyio.sleep(pause_s)
            with anyio.move_on_after(every_s - pause_s):
                await self._reporter.next_change(seen)

    async def _write(self) -> float:
        """Write the current view; return the time within which the next one is due."""
        began = boottime()
        report = self._reporter.report()
        making_s = boottime() - began
        timing = report.timing
        unchanged_s = max(timing.heartbeat_s, timing.timeout_s / REWRITES_PER_TIMEOUT, EVERY_S)
        every_s = max(unchanged_s, self._cost_s / REWRITE_SHARE)
        report = hastat.due_within(report, round(every_s, 3))
        try:
            rendering_s = await self._worker.call(
                _render_and_write, self._open_directory, report, limit_s=WRITE_LIMIT_S
            )
            self._cost_s = making_s + rendering_s
            self._reporter.trouble("hastat", "")
        except (OSError, HungError) as error:
            self._reporter.trouble("hastat", f"cannot write {self._path}: {reason(error)}")
        except HostError:  # the mount is gone: the publisher's problem says so, once is enough
            self._reporter.trouble("hastat", "")
        return every_s


def _render_and_write(open_directory: OpenDirectory, report: hastat.Report) -> float:
    """Write a report; return how long making its bytes took, in seconds."""
    began = boottime()
    data = hastat.render_hastat(report)
    rendered = boottime()
    with open_directory() as directory:
        write_in(directory, HASTAT, data)
    return rendered - began
