"""Children of which nobody knows whose they are: what they hold up, and what ends them."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from signal import Signals

import pytest
from structlog.testing import capture_logs

from mosha.clinit.process_tracker import EntryKey
from mosha.clinit.session_tracker import SessionTracker, _Count
from tests.clinit.test_session_tracker import Few
from tests.waiting import until

G, H = EntryKey("g", "a"), EntryKey("h", "b")
ALL: frozenset[str] = frozenset()
MARK = "mark of the nobodys"

Sleeper = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
async def tracker() -> AsyncIterator[SessionTracker]:
    """The boxes of a clinit that has only the children that a test makes."""
    family = Few()
    yield SessionTracker(MARK, family)
    family.close()


@pytest.fixture
def sleeper(tracker: SessionTracker) -> Iterator[Sleeper]:
    """Make a child that the boxes see, in a session of its own and with few variables."""
    made: list[subprocess.Popen[bytes]] = []

    def make(environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sleep", "7741"], env=dict(environment or {}), start_new_session=True
        )
        made.append(process)
        assert isinstance(tracker._family, Few)
        tracker._family.mine.add(process.pid)
        tracker._look = None
        return process

    yield make
    for process in made:
        process.kill()
        process.wait()


async def test_it_is_not_ended_with_one_group_while_another_that_it_may_be_of_runs_again(
    tracker: SessionTracker, sleeper: Sleeper
) -> None:
    tracker.place(G)
    tracker.place(H)
    sleeper()
    assert tracker.signal_group("g", Signals.SIGTERM, ALL) == []
    tracker.place(G)  # started again
    assert tracker.signal_group("h", Signals.SIGTERM, ALL) == []
    assert not tracker.is_group_empty("h", ALL)


async def test_it_is_blamed_once_for_each_group(tracker: SessionTracker, sleeper: Sleeper) -> None:
    tracker.place(G)
    tracker.place(H)
    pid = sleeper().pid
    with capture_logs() as log:
        for _ in range(3):
            tracker.signal_group("g", Signals.SIGTERM, ALL)
    assert [(line["event"], line["pid"], line["or_of"]) for line in log] == [
        ("stop_blocked", pid, ["h"])
    ]


async def test_it_is_of_no_group_in_which_nothing_was_alive_when_it_came(
    tracker: SessionTracker, sleeper: Sleeper
) -> None:
    tracker.place(G)
    tracker.place(H)
    assert tracker.is_group_empty("g", ALL)
    process = sleeper()
    assert tracker.signal_group("h", Signals.SIGTERM, ALL) == [process.pid]
    assert process.wait() == -signal.SIGTERM


async def test_a_newborn_is_not_killed_with_a_group_that_it_may_not_be_of(
    tracker: SessionTracker, sleeper: Sleeper
) -> None:
    tracker.place(G)
    tracker.place(H)
    process = sleeper({"MOSHA_RUN": MARK})
    await until(lambda: tracker._looked().nobodys[0].fresh)  # has executed, so it can be read
    tracker.kill_group("g")
    await asyncio.sleep(0)
    assert not tracker.is_group_empty("g", ALL)
    process.terminate()
    assert process.wait() == -signal.SIGTERM  # the first signal that it got


async def test_what_comes_to_a_group_while_it_is_killed_is_killed_too(
    tracker: SessionTracker, sleeper: Sleeper
) -> None:
    tracker.place(G)
    first = sleeper()
    tracker.note(G, first.pid)
    tracker.kill_group("g")
    second = sleeper()  # as forked by the first one, a moment before its death
    tracker.note(G, second.pid)
    await until(lambda: second.poll() is not None)
    assert (first.wait(), second.wait()) == (-signal.SIGKILL, -signal.SIGKILL)


async def test_a_group_has_somebody_alive_whatever_the_last_count_was(
    tracker: SessionTracker, sleeper: Sleeper
) -> None:
    tracker.place(G)
    tracker._counts["g"] = _Count(math.inf, 0)
    assert tracker.alive("g") == 0
    process = sleeper()
    tracker.note(G, process.pid)
    assert tracker.alive("g") == 1
