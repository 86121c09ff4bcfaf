"""The respawn loop by itself: what it tells of runs that were not, whatever keeps them from it."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from signal import Signals

import pytest
from msgspec.structs import replace

from mosha.clinit.entry import EntryLoop
from mosha.clinit.forker import Forker, LostError
from mosha.clinit.held_addresses import HeldAddresses
from mosha.clinit.process_tracker import EntryKey, Leftovers
from mosha.clinit.state_dir import StateDir
from mosha.clinit.time_slices import TimeSlices
from mosha.core.supervision.process_events import Exited, Scope, SpawnFailed, SpawnPrevented
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Entry, Mode
from mosha.formats.spawn import COPIED
from mosha.host.clock import boottime
from tests.clinit.test_forkserver import dismiss, program

# A server whose children get this error from each execve(2).
REFUSED = (
    "import ctypes, mosha.clinit.child_steps as steps; was = steps._FUNCTIONS['execve'];"
    " refuse = lambda *_: (ctypes.set_errno({number}), -1)[1];"
    " steps._FUNCTIONS['execve'] = (refuse, was[1])"
)


class Box:
    """The box of one entry, as a test says that it is."""

    def __init__(self) -> None:
        self.no_cgroups = ""
        self.empty = True
        self.fresh = False
        self.refusal: OSError | None = None
        self.sent: list[str] = []

    def slice_for(self, key: EntryKey) -> Path | None:
        raise AssertionError(key)

    def place(self, key: EntryKey) -> Path | None:
        assert key == KEY
        if self.refusal is not None:
            raise self.refusal
        return None

    def note(self, key: EntryKey, leader: int) -> None:
        assert (key, bool(leader)) == (KEY, True)

    def left_by(self, key: EntryKey, leader: int) -> Leftovers:
        assert (key, bool(leader)) == (KEY, True)
        return Leftovers(in_session=False, elsewhere=not self.empty)

    def is_of(self, key: EntryKey, pid: int) -> bool:
        assert key == KEY
        return pid == 0

    def signal(self, key: EntryKey, leader: int, scope: Scope, number: Signals) -> list[int]:
        assert key == KEY
        self.sent.append(f"{number.name} {scope.value} of {leader}")
        return []

    def is_empty(self, key: EntryKey, leader: int, scope: Scope) -> bool:
        assert (key, leader, scope) == (KEY, leader, scope)
        return self.empty

    def has_fresh_child(self) -> bool:
        return self.fresh

    def signal_group(self, group: str, number: Signals, spared: frozenset[str]) -> list[int]:
        raise AssertionError((group, number, spared))

    def is_group_empty(self, group: str, spared: frozenset[str]) -> bool:
        raise AssertionError((group, spared))

    def kill_group(self, group: str) -> None:
        raise AssertionError(group)

    def alive(self, group: str) -> int:
        raise AssertionError(group)

    def forget(self, group: str) -> None:
        self.sent.append(f"forget {group}")

    def close(self) -> None:
        raise AssertionError


KEY = EntryKey("g", "a")
Told = list[SpawnFailed | SpawnPrevented | Exited]
Made = Callable[..., EntryLoop]


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture
def told() -> list[EntryEvent]:
    """What the loop has told, in order."""
    return []


@pytest.fixture
async def make(
    box: Box, told: list[EntryEvent], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Made]:
    """Make the loop of `KEY`, whose fork server may be changed."""
    forkers: list[Forker] = []
    loops: list[EntryLoop] = []
    touched: list[str] = []
    state = StateDir(tmp_path / "state")

    def loop(change: str = "") -> EntryLoop:
        monkeypatch.setattr("mosha.clinit.forker.PROGRAM", program(change))
        forkers.append(Forker(dict(os.environ), "mark", None, first_way=COPIED))
        loops.append(
            EntryLoop(
                *(
                    KEY,
                    box,
                    state,
                    forkers[-1],
                    HeldAddresses(state.path, lambda: None),
                    TimeSlices(),
                ),
                *(told.append, touched.extend),
            )
        )
        return loops[-1]

    yield loop
    for each in loops:
        each.close()
    for forker in forkers:
        dismiss(forker)
    state.close()


def launch(run: int = 1, command: str = "true") -> Launch:
    return Launch(Entry(KEY.group, KEY.tag, "1", Mode.WAIT, command), run, "1", 0, "")


async def test_a_start_that_comes_after_kill_at_starts_nothing(
    make: Made, told: list[EntryEvent], tmp_path: Path
) -> None:
    loop = make()
    loop.order(replace(launch(command=f"touch {tmp_path / 'began'}"), kill_at=boottime()))
    await loop.run()
    (prevented,) = (event.event for event in told)
    assert isinstance(prevented, SpawnPrevented)
    assert "kill_at had passed before it was started" in prevented.reason
    assert not (tmp_path / "began").exists()


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        *((n, SpawnPrevented) for n in (errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE)),
        (errno.EACCES, SpawnFailed),
        (errno.E2BIG, SpawnFailed),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
@pytest.mark.parametrize("empty", [True, False], ids=["", "something is left"])
async def test_an_error_of_the_host_is_not_one_of_the_program(
    make: Made,
    told: list[EntryEvent],
    box: Box,
    number: int,
    kind: type[SpawnFailed | SpawnPrevented],
    *,
    empty: bool,
) -> None:
    loop = make(REFUSED.format(number=number))
    box.empty = empty
    loop.order(launch())
    await loop.run()
    event = told[0].event
    assert isinstance(event, kind)
    assert os.strerror(number) in event.reason
    assert (event.run, event.left) == (1, not empty)
    assert (len(told), loop.occupied, loop.running) == (1, False, False)


async def test_an_empty_command_fails_and_says_what_is_left(
    make: Made, told: list[EntryEvent], box: Box
) -> None:
    loop = make()
    box.empty = False
    loop.order(launch(command=" "))
    await loop.run()
    assert [event.event for event in told] == [
        SpawnFailed(1, "cannot execute: the command is empty", left=True)
    ]


async def test_an_order_that_has_not_begun_is_withdrawn_by_a_signal_for_its_run_alone(
    make: Made, told: list[EntryEvent], box: Box
) -> None:
    loop = make()
    loop.order(launch(run=2))
    assert loop.signal(1, Signals.SIGINT, Scope.ENTRY) == []
    assert (loop.occupied, told, box.sent) == (True, [], ["SIGINT entry of 0"])
    assert loop.signal(2, Signals.SIGINT, Scope.ENTRY) == []
    assert not loop.occupied
    (event,) = told
    assert isinstance(event.event, SpawnPrevented)
    assert event.event.run == 2


async def test_while_a_lost_process_may_be_a_newborn_nothing_is_called_empty(
    make: Made, told: list[EntryEvent], box: Box
) -> None:
    loop = make()
    box.refusal = LostError(errno.EIO, "the fork server is gone")
    loop.order(launch())
    await loop.run()
    (event,) = told
    assert isinstance(event.event, SpawnPrevented)
    assert event.event.lost
    assert box.sent == ["SIGKILL entry of 0"]
    assert loop.is_empty(Scope.ENTRY)
    box.fresh = True
    assert not loop.is_empty(Scope.ENTRY)
    box.refusal = None
    loop.order(launch(run=2))
    await loop.run()
    assert loop.is_empty(Scope.ENTRY)  # the newborn is of another entry: this one knows its own


async def test_the_box_of_a_group_that_somebody_removed_is_forgotten(make: Made, box: Box) -> None:
    loop = make()
    for number, forgotten in ((errno.ENOENT, 1), (errno.ENODEV, 2), (errno.ENOSPC, 2)):
        box.refusal = OSError(number, os.strerror(number))
        loop.order(launch())
        await loop.run()
        assert box.sent == ["forget g"] * forgotten
