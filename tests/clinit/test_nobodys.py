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

from mosha.clinit.boxes import Key
from mosha.clinit.session_boxes import SessionBoxes, _Count
from tests.clinit.test_session_boxes import Few
from tests.waiting import until

G, H = Key("g", "a"), Key("h", "b")
ALL: frozenset[str] = frozenset()
MARK = "mark of the nobodys"

Sleeper = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
async def boxes() -> AsyncIterator[SessionBoxes]:
    """The boxes of a clinit that has only the children that a test makes."""
    family = Few()
    yield SessionBoxes(MARK, family)
    family.close()


@pytest.fixture
def sleeper(boxes: SessionBoxes) -> Iterator[Sleeper]:
    """Make a child that the boxes see, in a session of its own and with few variables."""
    made: list[subprocess.Popen[bytes]] = []

    def make(environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["/bin/sleep", "7741"], env=dict(environment or {}), start_new_session=True
        )
        made.append(process)
        assert isinstance(boxes._family, Few)
        boxes._family.mine.add(process.pid)
        boxes._look = None
        return process

    yield make
    for process in made:
        process.kill()
        process.wait()


async def test_it_is_not_ended_with_one_group_while_another_that_it_may_be_of_runs_again(
    boxes: SessionBoxes, sleeper: Sleeper
) -> None:
    boxes.place(G)
    boxes.place(H)
    sleeper()
    assert boxes.signal_group("g", Signals.SIGTERM, ALL) == []
    boxes.place(G)  # started again
    assert boxes.signal_group("h", Signals.SIGTERM, ALL) == []
    assert not boxes.is_group_empty("h", ALL)


async def test_it_is_blamed_once_for_each_group(boxes: SessionBoxes, sleeper: Sleeper) -> None:
    boxes.place(G)
    boxes.place(H)
    pid = sleeper().pid
    with capture_logs() as log:
        for _ in range(3):
            boxes.signal_group("g", Signals.SIGTERM, ALL)
    assert [(line["event"], line["pid"], line["or_of"]) for line in log] == [
        ("stop_blocked", pid, ["h"])
    ]


async def test_it_is_of_no_group_in_which_nothing_was_alive_when_it_came(
    boxes: SessionBoxes, sleeper: Sleeper
) -> None:
    boxes.place(G)
    boxes.place(H)
    assert boxes.is_group_empty("g", ALL)
    process = sleeper()
    assert boxes.signal_group("h", Signals.SIGTERM, ALL) == [process.pid]
    assert process.wait() == -signal.SIGTERM


async def test_a_newborn_is_not_killed_with_a_group_that_it_may_not_be_of(
    boxes: SessionBoxes, sleeper: Sleeper
) -> None:
    boxes.place(G)
    boxes.place(H)
    process = sleeper({"MOSHA_RUN": MARK})
    await until(lambda: boxes._looked().nobodys[0].newborn)  # has executed, so it can be read
    boxes.kill_group("g")
    await asyncio.sleep(0)
    assert not boxes.is_group_empty("g", ALL)
    process.terminate()
    assert process.wait() == -signal.SIGTERM  # the first signal that it got


async def test_what_comes_to_a_group_while_it_is_killed_is_killed_too(
    boxes: SessionBoxes, sleeper: Sleeper
) -> None:
    boxes.place(G)
    first = sleeper()
    boxes.note(G, first.pid)
    boxes.kill_group("g")
    second = sleeper()  # as forked by the first one, a moment before its death
    boxes.note(G, second.pid)
    await until(lambda: second.poll() is not None)
    assert (first.wait(), second.wait()) == (-signal.SIGKILL, -signal.SIGKILL)


async def test_a_group_has_somebody_alive_whatever_the_last_count_was(
    boxes: SessionBoxes, sleeper: Sleeper
) -> None:
    boxes.place(G)
    boxes._counts["g"] = _Count(math.inf, 0)
    assert boxes.alive("g") == 0
    process = sleeper()
    boxes.note(G, process.pid)
    assert boxes.alive("g") == 1
