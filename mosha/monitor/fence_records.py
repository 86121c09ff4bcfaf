"""What the last tests of fencing came to: kept on the local disk, for people to see.

`STATE/fencing.json` is written after each test that changes it. If it is lost, only the ages of
tests are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mosha.formats.fence_tests import (
    FenceRecord,
    FenceTest,
    parse_records,
    render_records,
)
from mosha.host import logs
from mosha.monitor.state_file import StateFile

RECORDS_FILE = "fencing.json"
MAX_BYTES = 16 << 20
"""Twenty methods for a thousand nodes, with long reasons, take less."""

Key = tuple[int, int, str]
"""A node, and a method by its number and name."""


class FenceRecords:
    """The records of one node, by node and method."""

    def __init__(self, me: int, state_dir: Path) -> None:
        self._log = logs.get().bind(node=me)
        path = state_dir / RECORDS_FILE
        name = "the fencing tests of this node"
        self._file = StateFile(path, name, parse_records, max_bytes=MAX_BYTES)
        self._known: dict[Key, FenceRecord] = {}

    def __iter__(self) -> Iterator[FenceRecord]:
        """Return an iterator over all records, sorted by node and method."""
        return iter([self._known[key] for key in sorted(self._known)])

    async def load(self, keys: Iterable[Key]) -> None:
        """Read what an earlier monitor has kept of these methods."""
        wanted = set(keys)
        kept = (await self._file.load() or []) if wanted else []
        self._known = {it.key: it for it in kept if it.key in wanted} | self._known

    def prune(self, keys: Iterable[Key]) -> None:
        """Forget the records of all other methods."""
        wanted = set(keys)
        self._known = {key: it for key, it in self._known.items() if key in wanted}

    async def add(self, tests: Sequence[FenceTest]) -> bool:
        """Remember tests and keep them; log those that fail now, and those that no longer do.

        Return whether a test failed that did not before, or the other way round.
        """
        changed = [self._add(test) for test in tests]
        await self._file.keep(render_records(list(self)))
        return any(changed)

    def _add(self, test: FenceTest) -> bool:
        before = self._known.get(test.key)
        if test.outcome == "untested":
            self._known.pop(test.key, None)
            return before is not None and bool(before.failure)
        node, number, method = test.key
        good_at = before.good_at if before is not None else None
        failure = test.text
        if test.outcome == "good":
            good_at, failure = time.time(), ""
        self._known[test.key] = FenceRecord(
            node=node,
            number=number,
            method=method,
            good_at=good_at,
            failure=failure,
            answered=test.answered,
        )
        failed_before = before is not None and bool(before.failure)
        if failure and not failed_before:
            self._log.warning("fence_test_failed", peer=node, method=method, reason=failure)
        elif failed_before and not failure:
            self._log.info("fence_test_passed", peer=node, method=method)
        return bool(failure) != failed_before or before is None
