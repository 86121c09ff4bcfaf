"""The tables of clinit's machines: every row is taken by what a real shell can send."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from mosha.core.agent_exits import UNUSABLE_HERE
from mosha.core.escalation import Limits
from mosha.core.status import EntryVerb, GroupState
from mosha.core.supervision import group as groups
from mosha.core.supervision import group_table, process_table
from mosha.core.supervision import process as processes
from mosha.core.supervision.group import Deadlines, GroupEmptied, Renewed
from mosha.core.supervision.process_table import LIVE, ProcessState
from mosha.core.tables import STOP_LEVEL
from tests.core.unit_world import World, entry, explore, world_of

pytestmark = pytest.mark.xdist_group("rows")  # all orders are gone through once

# Entries of all modes, at levels of their own and at shared ones, and what becomes of them.
LINES = (
    "g:t:1:test:x",
    "g:w:1:wait:x",
    "g:r:1,2:respawn:x",
    "g:s:stop:once:x",
)
EDITED = (
    "g:t:1:test:x",
    "g:w:1:off:x",
    "g:r:2:respawn:y",
    "g:s:stop:once:y",
)
HASTY = ("g:r:1:respawn:x", "g:o:1:off:x")
LIMITED = ("g:t:1:test(timeout=20s):x", "g:w:1:wait(timeout=20s,stop=TERM/30s):x")
ORDERED = ("g:w:1:wait:x", "g:r:1:respawn:x", "g:o:1:once(timeout=20s):x", "g:s:stop:once:x")
AWAITED = (
    "g:w:1:respawn(ready=notify,start=20s):x",
    "g:r:1:respawn(ready=notify,start=0.5s,stop=KILL):x",
)
MONITORED = ("g:w:1:monitor(failures=2):x", "g:r:1:respawn:x", "g:s:stop:once:x")
AGENTS = ("g:a:1:ocf:Dummy", "g:r:1:respawn:x")
LATE = ("g:a:1:address(start=20s):192.0.2.1/24 dev eth0",)
UNATTENDED = ("g:a:1:ocf:Dummy", "g:n:1:respawn:x", "g:b:1:ocf:Dummy")
HASTY_AGENT = ("g:r:1:ocf:Dummy",)
NEEDED = (*AGENTS, "g:n:1:respawn(ready=notify):x")
TESTS = ("g:p:1:test:x", "g:q:1:test:x")
WORLDS_MAX = 6000

# Rows that no shell can take today, and why they are there all the same.
SPARE_GROUP = {
    # CHECKING lasts at `stop` only, where a lease lapses in silence; a killer asks no questions.
    (GroupState.CHECKING, group_table.GroupTrigger.LAPSE),
}
SPARE_PROCESS = {
    # What does not run is not stopped: `unit` asks those that live. C6.4 says it here too.
    (state, trigger)
    for state in set(ProcessState) - LIVE
    for trigger in (process_table.EntryTrigger.STOP, process_table.EntryTrigger.KILL)
} | {
    # `entry_refusals` refuses these orders: a test says whether the group may run here.
    (state, trigger)
    for state in (ProcessState.PASSED, ProcessState.FAILED, ProcessState.OFF)
    for trigger in (
        process_table.EntryTrigger.STOP_ORDERED,
        process_table.EntryTrigger.START_ORDERED,
        process_table.EntryTrigger.RESTART_ORDERED,
    )
}


class Taken(dict[object, object]):
    """A table that remembers which of its rows were asked for."""

    def __init__(self, table: object) -> None:
        super().__init__(table)  # type: ignore[call-overload]
        self.rows: set[object] = set()

    def get(self, key: object, default: object = None) -> object:
        self.rows.add(key)
        return super().get(key, default)


def edits(world: World) -> Iterator[tuple[str, World]]:
    """Yield tells, leases and halts, by clients that know nothing of each other."""
    if world.unit.group.state is not GroupState.HALTING:
        for level in ("1", "2", STOP_LEVEL):
            yield f"tell {level}", world.tell(level)
        lines = enumerate(EDITED, 1)
        edited = tuple(entry(line, number) for number, line in lines)
        yield "tell 2 of another cltab", world.tell("2", edited)
        yield "lease", world.lease("1", 1, world.now + 30, world.now + 60)
    yield "renew", world.group(Renewed(1, Deadlines(world.now + 90, world.now + 120)))
    yield "halt", world.halt()


def fates(world: World) -> Iterator[tuple[str, World]]:
    """Yield what processes and time can do, answers that come late included."""
    if world.unit.due is not None:
        yield "wait", world.wait()
        yield "wait long", world.later(200)
    yield "a late answer", world.group(GroupEmptied("g", world.unit.group.visit - 1))
    for tag, alive in world.alive.items():
        if alive.run:
            yield f"{tag} ends", world.end(tag, 0)
            yield f"{tag} fails", world.end(tag, 1, in_session=True)
            yield f"{tag} leaves something", world.end(tag, 0, elsewhere=True)
            yield f"{tag} cannot be executed", world.fail(tag)
            yield f"{tag} cannot be started", world.prevent(tag)
            yield f"{tag} is lost", world.prevent(tag, lost=True)
        elif alive.anything:
            yield f"{tag} vanishes", world.vanish(tag)
    for question in world.asked:
        if world.is_true(question):
            yield f"answer {question}", world.answer(question)


def moves(world: World) -> Iterator[tuple[str, World]]:
    """Yield everything that can happen next."""
    yield from edits(world)
    yield from fates(world)


def ordered(world: World) -> Iterator[tuple[str, World]]:
    """Yield what can happen, and what operators order for single entries."""
    yield from hasty(world)
    for tag in world.unit.processes:
        for verb in EntryVerb:
            yield f"{verb} {tag}", world.order_entry(tag, verb)


def awaited(world: World) -> Iterator[tuple[str, World]]:
    """Yield what can happen, in time or too late, to entries that have to become ready."""
    yield from hasty(world)
    for tag, alive in world.alive.items():
        if alive.run:
            yield f"{tag} is ready", world.ready(tag)


def refused(world: World) -> Iterator[tuple[str, World]]:
    """Yield what can happen to agents, which may be in vain here, or become so."""
    yield from awaited(world)
    for tag, alive in world.alive.items():
        if alive.run:
            yield f"{tag} is in vain", world.end(tag, UNUSABLE_HERE)
            yield f"{tag} is killed", world.end(tag, -9)
            yield (
                f"{tag} is in vain, and leaves something",
                world.end(tag, UNUSABLE_HERE, in_session=True),
            )


def unattended(world: World) -> Iterator[tuple[str, World]]:
    """Yield what happens to agents whose processes are killed, and what operators do then."""
    yield "tell 1", world.tell("1")
    for name, after in fates(world):
        if name == "wait" or "answer" in name or "cannot be started" in name:
            yield name, after
    for tag, alive in world.alive.items():
        if alive.run:
            yield f"{tag} is ready", world.ready(tag)
            yield f"{tag} is killed", world.end(tag, -9)
            yield f"{tag} is in vain", world.end(tag, UNUSABLE_HERE)
    for tag in world.unit.processes:
        yield f"stop {tag}", world.order_entry(tag, EntryVerb.STOP)


def hasty(world: World) -> Iterator[tuple[str, World]]:
    """Yield what can happen to an entry that has come back too often already."""
    hurried = {
        tag: replace(p, rapid_restarts=Limits().haste_max + 1)
        for tag, p in world.unit.processes.items()
        if tag == "r"
    }
    there = {**world.unit.processes, **hurried}
    yield from moves(replace(world, unit=replace(world.unit, processes=there)))


def hasty_unattended(world: World) -> Iterator[tuple[str, World]]:
    """Yield that of an agent that has come back too often already."""
    known = world.unit.processes
    hurried = {tag: replace(p, rapid_restarts=Limits().haste_max + 1) for tag, p in known.items()}
    there = replace(world, unit=replace(world.unit, processes=hurried))
    yield "tell 2", there.tell("2")
    yield from unattended(there)


@pytest.fixture(scope="module")
def taken() -> Iterator[tuple[Taken, Taken]]:
    with pytest.MonkeyPatch.context() as patch:
        of_groups, of_processes = Taken(group_table.TABLE), Taken(process_table.TABLE)
        patch.setattr(groups, "TABLE", of_groups)
        patch.setattr(processes, "TABLE", of_processes)
        assert len(explore(world_of(*LINES), moves, WORLDS_MAX)) > 1000
        explore(world_of(*HASTY), hasty, WORLDS_MAX // 6)
        explore(world_of(*LIMITED), moves, WORLDS_MAX // 6)
        explore(world_of(*TESTS), moves, WORLDS_MAX // 6)
        explore(world_of(*MONITORED), ordered, WORLDS_MAX // 6)
        explore(world_of(*AWAITED), awaited, WORLDS_MAX // 6)
        explore(world_of(*AGENTS), refused, WORLDS_MAX // 6)
        explore(world_of(*LATE), awaited, WORLDS_MAX // 6)
        explore(world_of(*HASTY_AGENT), awaited, WORLDS_MAX // 6)
        explore(world_of(*UNATTENDED[:1]), unattended, WORLDS_MAX // 6)
        explore(world_of(*UNATTENDED), unattended, WORLDS_MAX // 3)
        explore(world_of(*HASTY_AGENT), hasty_unattended, WORLDS_MAX // 6)
        explore(world_of(*NEEDED), awaited, WORLDS_MAX // 6)
        explore(world_of(*ORDERED), ordered, WORLDS_MAX // 3)
        yield of_groups, of_processes


def test_every_row_of_the_group_table_is_taken(taken: tuple[Taken, Taken]) -> None:
    assert set(group_table.TABLE) - taken[0].rows == SPARE_GROUP


def test_every_row_of_the_process_table_is_taken(taken: tuple[Taken, Taken]) -> None:
    assert set(process_table.TABLE) - taken[1].rows == SPARE_PROCESS


def test_every_pair_that_is_asked_for_has_a_row(taken: tuple[Taken, Taken]) -> None:
    assert taken[0].rows <= set(group_table.TABLE)
    assert taken[1].rows <= set(process_table.TABLE)
