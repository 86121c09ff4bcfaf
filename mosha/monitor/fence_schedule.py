"""When fencing is tested: from time to time, after a shot that failed, and when somebody asks.

One test at a time; a shot goes before: it ends the test that is running, for a device may have one
session only.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from mosha.core.cluster.peers import Standing
from mosha.errors import HostError, UsageError
from mosha.formats import hastat
from mosha.formats.fence_tests import FenceNode, FenceRecord, FenceTest
from mosha.formats.names import listed
from mosha.formats.settings import Settings
from mosha.host.abandonable import Abandonable
from mosha.host.clock import boottime
from mosha.monitor import fence_test
from mosha.monitor.fence_poison import NAME as POISON
from mosha.monitor.fence_records import FenceRecords, Key
from mosha.monitor.problems import OVERDUE_AFTER

if TYPE_CHECKING:
    from mosha.monitor.daemon import Monitor

QUIET_S = 60.0
"""Nodes start together, and devices are asked by all of them: not in the first minute."""

SPREAD_MAX_S = 600.0
"""Over this time the first tests of the nodes are spread."""

SPREAD_SHARE = 0.2
"""Later ones come up to this share of their interval sooner."""

BREAK_OFF_LIMIT_S = 3.0
"""A shot waits no longer for the end of a test: it is killed, and may hang in the kernel."""

AFTER_SHOT_S = 30.0


class ShotUnderWayError(HostError):
    """A shot is under way, or has ended the test."""


class FenceSchedule:
    """The tests of one monitor. It is the witness of which nodes are alive."""

    def __init__(self, monitor: Monitor) -> None:
        self.me = monitor.me
        self.began = boottime()
        self.records = FenceRecords(monitor.me, monitor.settings.state_path)
        self._monitor = monitor
        self._files = Abandonable("the programs and secrets of fencing")
        self._turn = asyncio.Lock()
        self._running = anyio.CancelScope()
        self._shots = 0
        self._settings_changed = asyncio.Event()
        # The last shot at these nodes has failed, and why: tested now, or when they are heard.
        self._failed: dict[int, str] = {}
        self._unheard: dict[int, str] = {}

    # --- what can be tested ------------------------------------------------------------

    def nodes(self, node: int = 0) -> list[FenceNode]:
        """Return the nodes that can be shot and how long their tests may take; or this one alone.

        Raises:
            UsageError: there is no such node.
        """
        methods = self._monitor.settings.fencing.methods
        if node and node not in self._known() and not any(node in m.targets for m in methods):
            known = listed([str(other) for other in sorted(self._known())])
            raise UsageError(f"there is no node {node}; the nodes are {known}")
        found = [node] if node else self._reached()
        # Until a node is heard again, or is stale.
        hearing_s = 2 * self._monitor.settings.timing.timeout_s
        limits = {it: fence_test.limit_s(it, methods, hearing_s) for it in self._reached()}
        # A test of another node may be running.
        wait_s = max(limits.values(), default=0.0)
        return [FenceNode(node=it, limit_s=wait_s + limits.get(it, 0.0)) for it in found]

    def _known(self) -> set[int]:
        view = self._monitor.node.state.view
        return {self.me, *view.members, *view.electorate.nodes}

    def _reached(self) -> list[int]:
        known, methods = self._known(), self._monitor.settings.fencing.methods
        targets = {node for method in methods for node in method.targets}
        everywhere = any(method.type != "agent" for method in methods)
        everywhere |= self._monitor.on_stomith is not None
        return sorted(targets | known if everywhere else targets)

    def _keys(self) -> list[Key]:
        """Return what is tested: each node with each method that could shoot it."""
        methods = self._monitor.settings.fencing.methods
        return [
            (node, number, method.name)
            for number, method in enumerate(methods, 1)
            for node in (sorted(method.targets) or self._reached())
            if method.type != "print"
        ]

    # --- one test ----------------------------------------------------------------------

    async def test(self, node: int) -> list[FenceTest]:
        """Test all methods for a node, when the tests before are done.

        Raises:
            ShotUnderWayError: this node is shooting, or began to while it tested.
        """
        monitor = self._monitor
        async with self._turn:
            if self._shots:
                raise ShotUnderWayError("a shot is under way: test when it has ended")
            tests = None
            with anyio.CancelScope() as self._running:
                tests = await fence_test.run_tests(
                    node,
                    monitor.settings.fencing.methods,
                    self,
                    self._files,
                    with_callable=monitor.on_stomith is not None,
                )
        if tests is None:
            raise ShotUnderWayError("a shot had to be fired, and ended the test: test again")
        if await self.records.add(tests):
            monitor.announce()
        return tests

    @contextlib.asynccontextmanager
    async def shooting(self) -> AsyncIterator[None]:
        """End the test that is running, and let none begin within."""
        self._shots += 1
        try:
            self._running.cancel()
            with anyio.move_on_after(BREAK_OFF_LIMIT_S):
                async with self._turn:
                    pass
            yield
        finally:
            self._shots -= 1

    # --- for the report ------------------------------------------------------------------

    def report(self) -> list[hastat.FencingReport]:
        """Return the last good test of each method for each node, and why a test failed."""
        methods = self._monitor.settings.fencing.methods
        known = {record.key: record for record in self.records}
        now = time.time()
        return [
            self._reported(key, known.get(key), now)
            for key in sorted(self._keys())
            if key in known or methods[key[1] - 1].can_be_tested
        ]

    def _reported(self, key: Key, record: FenceRecord | None, now: float) -> hastat.FencingReport:
        node, number, method = key
        good_at = record.good_at if record is not None else None
        age_s = None if good_at is None else max(0.0, now - good_at)
        # The wall clock may jump, at the start above all.
        not_good_s = min(boottime() - self.began, math.inf if age_s is None else age_s)
        return hastat.FencingReport(
            node=node,
            number=number,
            method=method,
            good_at=None if good_at is None else datetime.fromtimestamp(good_at, UTC).isoformat(),
            good_age_s=None if age_s is None else round(age_s, 3),
            failure=record.failure if record is not None else "",
            answered=record is None or record.answered,
            overdue=not_good_s > OVERDUE_AFTER * self.every_s,
        )

    # --- from time to time ---------------------------------------------------------------

    async def run(self) -> None:
        """Test all nodes every `fencing.test_every` seconds, until cancelled."""
        await self.records.load(self._keys())
        pause_s = first_pause_s(self.every_s, _chance())
        while True:
            with anyio.move_on_after(pause_s):
                await self._settings_changed.wait()
            if self._settings_changed.is_set():
                self._settings_changed.clear()
                self.records.prune(self._keys())
                pause_s = first_pause_s(self.every_s, _chance())
            else:
                await self._round()
                pause_s = next_pause_s(self.every_s, _chance())

    def settings_changed(self) -> None:
        """Test soon what is new in the settings, and forget what is gone."""
        self._settings_changed.set()

    @property
    def every_s(self) -> float:
        """How often tests are made by themselves, in seconds; infinity if they are not."""
        return every_s(self._monitor.settings)

    async def _round(self) -> None:
        self.records.prune(self._keys())
        for node in self._reached():
            while True:
                try:
                    await self.test(node)
                except ShotUnderWayError:
                    await anyio.sleep(AFTER_SHOT_S)
                else:
                    break

    # --- after a shot ----------------------------------------------------------------------

    def shot_ended(self, node: int, failure: str) -> None:
        """Note that a shot at a node has ended; `failure` is why it failed, "" if it did not."""
        self._unheard.pop(node, None)
        self._failed.pop(node, None)
        if failure and self._monitor.settings.fencing.test_every:
            self._failed[node] = failure

    def test_soon(self, node: int) -> None:
        """Have a node tested: what the last test said is no longer so."""
        self._failed.setdefault(node, "")
        self._monitor.announce()

    async def run_after_shots(self) -> None:
        """Test a node when a shot at it has failed, and again once it is heard, until cancelled.

        As long as it is not heard, a power supply that is off is no failure.
        """
        while True:
            while (node := self._due()) is None:
                await self._monitor.next_change(self._monitor.news)
            failure = self._failed.get(node) or self._unheard.get(node, "")
            is_heard = self.is_fresh(node)
            try:
                tests = await self.test(node)
            except ShotUnderWayError:
                continue
            self._failed.pop(node, None)
            self._unheard.pop(node, None)
            if not is_heard:
                self._unheard[node] = failure
            elif failure and all(test.outcome == "untested" for test in tests):
                await self._note_untested(tests, failure)

    def _due(self) -> int | None:
        heard = (node for node in self._unheard if self.is_fresh(node))
        return None if self._shots else next(iter((*self._failed, *heard)), None)

    async def _note_untested(self, tests: Sequence[FenceTest], failure: str) -> None:
        """Keep a failed shot in the place of a test that cannot be made, until somebody asks."""
        keys = self._keys()
        found = [test for test in tests if test.key in keys and test.method != POISON][:1]
        text = f"the shot failed: {failure}"
        if await self.records.add([replace(it, outcome="failed", text=text) for it in found]):
            self._monitor.announce()

    # --- who is alive ----------------------------------------------------------------------

    def is_fresh(self, node: int) -> bool:
        """Say whether a node is heard, or is this one."""
        return node == self.me or self._monitor.node.state.view.standing(node) is Standing.FRESH

    async def is_heard_again(self, node: int) -> bool:
        """Wait until a node is heard once more, or no longer fresh; return whether it is heard.

        By a status that was first read more than a heartbeat later: an earlier one may have been
        written before.
        """
        state = self._monitor.node.state
        since = boottime() + state.timing.heartbeat_s
        while self.is_fresh(node):
            if node == self.me or (state.view.peer(node).heard_at or 0.0) > since:
                return True
            await anyio.sleep(state.timing.heartbeat_s / 2)
        return False


def every_s(settings: Settings) -> float:
    """Return how often fencing is tested by itself, in seconds; infinity if it is not."""
    fencing = settings.fencing
    if not fencing.test_every or not any(method.can_be_tested for method in fencing.methods):
        return math.inf
    return fencing.test_every


def first_pause_s(every_s: float, chance: float) -> float:
    """Return how long to wait for the first tests, in seconds.

    `chance` in [0, 1) spreads those of the nodes.
    """
    if math.isinf(every_s):
        return every_s
    return min(every_s, QUIET_S) + min(every_s, SPREAD_MAX_S) * chance


def next_pause_s(every_s: float, chance: float) -> float:
    """Return how long to wait for the next tests, with the same `chance`."""
    return every_s if math.isinf(every_s) else every_s * (1 - SPREAD_SHARE * chance)


def _chance() -> float:
    return random.random()  # noqa: S311 - not a secret
