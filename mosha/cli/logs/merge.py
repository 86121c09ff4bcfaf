"""Merges the lines of several sources by time.

A line is passed on when every other source has reached its time, or, while sources are
followed, when it has waited `HOLD_S` for silent ones. A single source keeps its order.
"""

from __future__ import annotations

import math
import select
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, Protocol

from mosha.cli.logs.journal import is_entry, journal_line
from mosha.cli.logs.lines import Filter, time_key
from mosha.host.log_printer import fields_of

HOLD_S = 0.3
"""What nodes and files normally differ by; people do not notice it."""

LOOK_S = 0.1
"""How often followed files are read: people do not notice it, and it costs next to nothing."""

SORT_LINES = 8192
"""How many lines are collected before they are sorted, unless there are no more."""

Record = tuple[str, bytes, dict[str, Any] | None]
"""Key of its time, line, fields (None: not a JSON object)."""

_key = itemgetter(0)
_LAST = "~"  # greater than any time


class LineSource(Protocol):
    """Where lines come from. `at_end`: nothing more for now; `ended`: nothing more ever."""

    ended: bool
    at_end: bool

    def fileno(self) -> int | None:
        """Return a descriptor that becomes readable with new lines, if there is one."""

    def read(self) -> list[bytes]:
        """Return the next lines."""

    def close(self) -> None:
        """Release its resources."""


class _Stream:
    """One source, with the time that it has reached."""

    def __init__(self, source: LineSource, sieve: Filter, since: str) -> None:
        self.source = source
        self.reached = ""
        self._sieve = sieve
        self._since = since

    def records(self) -> list[Record]:
        """Read on; return the selected lines. A line without a time has that of the line before."""
        sieve, since, asks = self._sieve, self._since, self._sieve.asks
        found: list[Record] = []
        lines = [journal_line(raw) if is_entry(raw) else raw for raw in self.source.read()]
        for raw in lines:
            if asks and not sieve.may_take(raw):
                continue
            fields = fields_of(raw)
            if fields is not None:
                self.reached = time_key(fields.get("timestamp")) or self.reached
                if asks and not sieve.takes(fields):
                    continue
            elif asks:
                continue
            if self.reached >= since:
                found.append((self.reached, raw, fields))
        if asks and lines:  # its position counts, even if nothing is selected
            last = fields_of(lines[-1])
            self.reached = (last and time_key(last.get("timestamp"))) or self.reached
        return found


def blocks(
    sources: Sequence[LineSource], sieve: Filter, *, since: str = "", follow: bool = False
) -> Iterator[list[Record]]:
    """Yield the selected records in blocks; an empty block when there is nothing to do.

    Args:
        sources: what to read.
        sieve: which lines are selected.
        since: the key of the earliest time.
        follow: wait for more at the end of all sources.
    """
    streams = [_Stream(source, sieve, since) for source in sources]
    merger = _Merger(streams) if len(streams) > 1 else None
    while True:
        found: list[Record] = []
        for stream in _to_read(streams):
            records = stream.records()
            if merger:
                merger.add(records)
            else:
                found += records
        if merger:
            found = merger.ready()
        if found:
            yield found
        if all(stream.source.ended for stream in streams):
            return
        if all(stream.source.at_end for stream in streams):
            yield []
            _wait(streams, follow=follow)


def _to_read(streams: Sequence[_Stream]) -> list[_Stream]:
    """Return what to read now: all that may have new lines, or the one that holds up the others."""
    open_ones = [stream for stream in streams if not stream.source.ended]
    busy = [stream for stream in open_ones if not stream.source.at_end]
    waiting = [stream for stream in open_ones if stream.source.at_end]
    if busy:
        # The source that is behind is read first: files may be far apart in time.
        busy = [min(busy, key=lambda stream: stream.reached)]
    return busy + waiting


class _Merger:
    """Holds lines until they can be passed on in order."""

    def __init__(self, streams: Sequence[_Stream]) -> None:
        self._streams = streams
        self._sorted: list[Record] = []
        self._arrived: list[tuple[float, int]] = []  # when, and how many had arrived by then
        self._new: list[Record] = []
        self._handed = 0

    def add(self, records: list[Record]) -> None:
        """Add records."""
        if records:
            self._new += records
            here = self._handed + len(self._sorted) + len(self._new)
            self._arrived.append((time.monotonic(), here))

    def ready(self) -> list[Record]:
        """Return the lines that can be passed on, in order."""
        idle = all(s.source.at_end or s.source.ended for s in self._streams)
        if len(self._new) < SORT_LINES and not idle:
            return []
        self._sorted += self._new
        self._new = []
        self._sorted.sort(key=_key)  # stable, and quick with what is already in order
        count = self._reached(at_end_too=True)
        # A silent source holds up the others for a while only; one that is behind does so always.
        count = max(count, min(self._reached(at_end_too=False), self._waited_long()))
        found, self._sorted = self._sorted[:count], self._sorted[count:]
        self._handed += count
        return found

    def _reached(self, *, at_end_too: bool) -> int:
        """Return how many lines are no later than the time that every source has reached."""
        counted = (
            stream.reached
            for stream in self._streams
            if not stream.source.ended and (at_end_too or not stream.source.at_end)
        )
        return bisect_right(self._sorted, min(counted, default=_LAST), key=_key)

    def _waited_long(self) -> int:
        """Return how many lines have waited long enough for silent sources.

        Counted, not looked up line by line: almost always those that wait longest come first
        in the order; the few others follow with the next block.
        """
        limit = time.monotonic() - HOLD_S
        old = 0
        for at, here in self._arrived:
            if at > limit:
                break
            old = here
        self._arrived = [item for item in self._arrived if item[0] > limit]
        return max(0, min(old - self._handed, len(self._sorted)))


def _wait(streams: Sequence[_Stream], *, follow: bool) -> None:
    """Wait until a descriptor is readable, or until it is time to read the files again."""
    poll = select.poll()
    files = False
    for stream in streams:
        if stream.source.ended:
            continue
        fd = stream.source.fileno()
        if fd is None:
            files = True
        else:
            poll.register(fd, select.POLLIN)
    look_s = LOOK_S if files or len(streams) > 1 or follow else math.inf
    poll.poll(None if look_s == math.inf else int(look_s * 1000))
