"""clinit as a whole: every order of tells, leases, new cltabs, shutdowns, deaths and answers.

The world plays operating system and clients, with two groups: what was started lives until it
dies, what was asked is answered when it is true, late or never.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import pytest
from msgspec import Struct
from msgspec.structs import replace

from mosha.core.status import GroupState
from mosha.core.supervision import process_events
from mosha.core.supervision import supervisor as sup
from mosha.core.supervision import unit as units
from mosha.core.supervision.group import Deadlines, GroupEmptied, GroupTimePassed
from mosha.core.supervision.process_events import Emptied, Exit, Exited, Spawned
from mosha.core.supervision.supervisor import (
    EntryEvent,
    Gone,
    Halted,
    Leased,
    Supervisor,
    TellReply,
    step,
)
from mosha.core.tables import Cltab
from mosha.core.tell import Tell
from tests.core.unit_world import entry

pytestmark = pytest.mark.xdist_group("supervisor")  # all orders are gone through once

WHOLE = ("g:a:1:respawn:x", "g:z:stop:wait:x", "h:b:1:once:x")
TABLES = {
    "whole": WHOLE,
    "without g": WHOLE[2:],
    "g changed": ("g:a:1:respawn:y", *WHOLE[1:]),
}
WORLDS_MAX = 4000

Tag = tuple[str, str]
Question = process_events.Watch | units.WatchLeft


class World(Struct, frozen=True):
    """A supervisor, whose leaders live (the number of their run), and what it asked."""

    supervisor: Supervisor
    alive: tuple[tuple[Tag, int], ...] = ()
    asked: tuple[Question, ...] = ()
    now: float = 100.0
    table: str = "whole"
    halted: bool = False

    def happens(self, event: sup.Event) -> World:
        """Let something happen, and carry out what is asked for."""
        supervisor, effects = step(self.supervisor, event, self.now)
        world = replace(self, supervisor=supervisor)
        for effect in effects:
            world = world._do(effect)
        return world

    def _do(self, effect: sup.Effect) -> World:
        match effect:
            case units.Launch(started, run):
                tag = (started.group, started.tag)
                assert tag not in dict(self.alive), f"{tag} runs twice"
                assert not self.halted, f"{tag} starts after the shutdown"
                there = replace(self, alive=(*self.alive, (tag, run)))
                return there.happens(EntryEvent(*tag, Spawned(run, run)))
            case process_events.Watch() | units.WatchLeft():
                return replace(self, asked=(*self.asked, effect))
            case Gone(group):
                assert not self.lives(group), f"{group} is forgotten and lives"
            case Halted():
                assert not self.alive, "halted, and something lives"
                return replace(self, halted=True)
            case TellReply(ok=True) if self.supervisor.halting:
                assert effect.text == sup.HALTING_TEXT
        return self

    def lives(self, group: str) -> bool:
        """Say whether any leader of a group lives."""
        return any(tag[0] == group for tag, _ in self.alive)

    def dies(self, tag: Tag, run: int) -> World:
        """End a leader."""
        left = tuple(item for item in self.alive if item[0] != tag)
        return replace(self, alive=left).happens(EntryEvent(*tag, Exited(run, Exit(0))))

    def answered(self, question: Question) -> World:
        """Answer a question with yes."""
        world = replace(self, asked=tuple(q for q in self.asked if q is not question))
        if isinstance(question, units.WatchLeft):
            return world.happens(GroupEmptied(question.group, question.visit))
        emptied = Emptied(question.run, question.scope)
        return world.happens(EntryEvent(question.entry.group, question.entry.tag, emptied))

    def true(self, question: Question) -> bool:
        """Say whether the answer is yes."""
        if isinstance(question, process_events.Watch):
            return (question.entry.group, question.entry.tag) not in dict(self.alive)
        own = (tag for (group, tag), _ in self.alive if group == question.group)
        return all(tag in question.spared for tag in own)


def cltab(name: str) -> sup.TableRead:
    lines = enumerate(TABLES[name], 1)
    return sup.TableRead(Cltab(tuple(entry(line, number) for number, line in lines)))


def moves(world: World) -> Iterator[tuple[str, World]]:
    """Yield everything that can happen next."""
    now = world.now
    for group, level in (("g", "1"), ("g", "stop"), ("h", "1"), ("h", "stop"), ("no", "1")):
        yield f"tell {group} {level}", world.happens(Tell(group, level))
    yield "lease g", world.happens(Tell("g", "1", 1, "", now + 30, now + 60))
    yield "renew g", world.happens(Leased({"g": (1, Deadlines(now + 90, now + 120))}))
    for name in TABLES:
        if name != world.table:
            yield name, replace(world, table=name).happens(cltab(name))
    yield "shutdown", world.happens(sup.ShutdownAsked())
    if (due := world.supervisor.due) is not None:
        yield "wait", replace(world, now=max(now, due)).happens(GroupTimePassed())
    for tag, run in world.alive:
        yield f"{tag} dies", world.dies(tag, run)
    for question in world.asked:
        if world.true(question):
            yield f"answer {question}", world.answered(question)


def key_of(world: World) -> object:
    """Return what two worlds have in common that go on in the same way."""
    supervisor = world.supervisor
    groups = tuple(
        (
            name,
            *(unit.group.level, unit.group.state, unit.group.wanted, unit.group.sweep),
            *(unit.removed, unit.again and unit.again.level),
            unit.group.deadlines and (unit.group.lapsed, unit.group.killed),
            tuple(
                (tag, p.state, min(p.escalation_step, 3), p.rapid_restarts > 0)
                for tag, p in unit.processes.items()
            ),
        )
        for name, unit in supervisor.units.items()
    )
    asked = tuple(sorted(str(type(question)) for question in world.asked))
    return groups, tuple(tag for tag, _ in world.alive), asked, world.table, supervisor.halting


@pytest.fixture(scope="module")
def reachable() -> list[World]:
    start = World(Supervisor()).happens(cltab("whole"))
    seen, found = {key_of(start)}, [start]
    queue: deque[tuple[World, tuple[str, ...]]] = deque([(start, ())])
    while queue and len(found) < WORLDS_MAX:
        world, path = queue.popleft()
        name = "?"
        try:
            for name, after in moves(world):
                if (key := key_of(after)) not in seen:
                    seen.add(key)
                    found.append(after)
                    queue.append((after, (*path, name)))
        except Exception as error:
            error.add_note(f"after {' / '.join(path)} and a move after {name}")
            raise
    return found


def test_no_order_of_events_is_a_bug_and_nothing_runs_twice(reachable: list[World]) -> None:
    assert len(reachable) > WORLDS_MAX // 2
    assert {world.table for world in reachable} == set(TABLES)
    assert any(world.halted for world in reachable)


def test_a_group_that_is_in_no_cltab_has_nothing_that_could_start(reachable: list[World]) -> None:
    for world in reachable:
        unit = world.supervisor.units.get("g")
        if world.table == "without g" and unit is not None:
            assert unit.removed
            assert unit.group.state in (GroupState.HALTING, GroupState.CONFIGURED)


def test_from_everywhere_a_shutdown_comes_to_its_end(reachable: list[World]) -> None:
    for start in reachable:
        world = start.happens(sup.ShutdownAsked())
        for _ in range(20):
            for tag, run in world.alive:
                world = world.dies(tag, run)
            for question in world.asked:
                if world.true(question):
                    world = world.answered(question)
        assert world.halted
        assert world.supervisor.halted
