"""A group with its entries in a world where anything may happen at any time.

The world plays the part of the operating system: it has the processes that were started,
ends any of them at any moment, leaves some behind, and answers as a shell would. A move is a
name and a new world, so that `explore` can try every order of moves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct, field
from msgspec.structs import replace

from mosha.core.escalation import Limits
from mosha.core.status import EntryVerb, GroupState
from mosha.core.supervision import group as groups
from mosha.core.supervision import process_events
from mosha.core.supervision import unit as units
from mosha.core.supervision.entry_refusals import EntryReply
from mosha.core.supervision.group import Group, GroupEmptied, HaltAsked, Shown
from mosha.core.supervision.process_events import (
    BecameReady,
    Emptied,
    Exit,
    Exited,
    Failing,
    Scope,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
    Watch,
)
from mosha.core.supervision.unit import KillEverything, Launch, SignalLeft, Unit, WatchLeft
from mosha.core.tables import Entry, Mode
from mosha.core.tell import EntryOrder, Tell
from mosha.formats.entry_options import read_mode

LIMITS = Limits()


def entry(text: str, line: int = 0) -> Entry:
    """Return the entry of one line of cltab."""
    group, tag, level, how, command = text.split(":", 4)
    read = read_mode(how)
    assert isinstance(read, tuple), read
    mode, options = read
    return Entry(group, tag, level, mode, command, line, options)


class Alive(Struct, frozen=True):
    """What is alive of an entry: the leader of which run, and what is left over."""

    run: int = 0
    in_session: bool = False
    elsewhere: bool = False

    @property
    def anything(self) -> bool:
        return bool(self.run) or self.in_session or self.elsewhere


NOTHING = Alive()
Question = Watch | WatchLeft


class World(Struct, frozen=True):
    """The unit, what is alive, and which questions have not been answered."""

    unit: Unit
    alive: dict[str, Alive] = field(default_factory=dict)
    asked: tuple[Question, ...] = ()
    now: float = 100.0
    shown: tuple[str, ...] = ()
    effects: tuple[units.Effect, ...] = ()
    reply: EntryReply = EntryReply(True)

    def of(self, tag: str) -> Alive:
        return self.alive.get(tag, NOTHING)

    def tell(self, level: str, entries: tuple[Entry, ...] | None = None) -> World:
        return self.order(Tell(self.unit.group.name, level), entries)

    def lease(self, level: str, term: int, stop_at: float, kill_at: float) -> World:
        told = Tell(self.unit.group.name, level, term, "", stop_at, kill_at)
        return self.order(told)

    def order(self, told: Tell, entries: tuple[Entry, ...] | None = None) -> World:
        entries = self.unit.entries if entries is None else entries
        return self._after(units.tell(self.unit, told, entries, self.now, LIMITS))

    def order_entry(self, tag: str, verb: EntryVerb, term: int | None = None) -> World:
        """Order something of one entry, under the term of the group if none is named."""
        process = self.unit.processes.get(tag)
        number = len(process.ordered + process.obeyed) if process is not None else 0
        term = self.unit.group.term if term is None else term
        order = EntryOrder(self.unit.group.name, tag, verb, f"{verb}.{number}", term)
        unit, effects, reply = units.order_entry(self.unit, order, self.now, LIMITS)
        return replace(self._after((unit, effects)), reply=reply)

    def halt(self, cause: str = "shutdown") -> World:
        return self._after(units.feed_group(self.unit, HaltAsked(cause), self.now, LIMITS))

    def wait(self) -> World:
        """Let the time pass until something is due."""
        due = self.unit.due
        later = replace(self, now=self.now if due is None else max(self.now, due))
        return later._after(units.pass_time(later.unit, later.now, LIMITS))

    def later(self, seconds: float) -> World:
        later = replace(self, now=self.now + seconds)
        return later._after(units.pass_time(later.unit, later.now, LIMITS))

    def group(self, event: groups.Event) -> World:
        return self._after(units.feed_group(self.unit, event, self.now, LIMITS))

    def ready(self, tag: str) -> World:
        """Let the run of an entry be ready."""
        return self._feed(tag, BecameReady(self.of(tag).run))

    def failing(self, tag: str) -> World:
        """Let the run of an entry say that its service has failed, and wait for SIGTERM."""
        return self._feed(tag, Failing(self.of(tag).run))

    def end(
        self,
        tag: str,
        code: int = 0,
        *,
        in_session: bool = False,
        elsewhere: bool = False,
        said: str = "",
    ) -> World:
        """End the leader of an entry."""
        before = self.of(tag)
        assert before.run, f"{tag} has no leader"
        after = Alive(0, in_session, before.elsewhere or elsewhere)
        world = replace(self, alive={**self.alive, tag: after})
        event = Exited(before.run, Exit(code), in_session, after.elsewhere, said)
        return world._feed(tag, event)

    def fail(self, tag: str) -> World:
        """Find out that the command of an entry cannot be executed."""
        world = replace(self, alive={**self.alive, tag: replace(self.of(tag), run=0)})
        return world._feed(tag, SpawnFailed(self.of(tag).run, "cannot execute: x"))

    def prevent(self, tag: str, *, lost: bool = False) -> World:
        """Find out that the host cannot start an entry; a lost one may be there all the same."""
        run = self.of(tag).run
        after = replace(self.of(tag), run=0, elsewhere=self.of(tag).elsewhere or lost)
        world = replace(self, alive={**self.alive, tag: after})
        reason = "could not be started: the fork server is gone; it is tried again"
        return world._feed(tag, SpawnPrevented(run, reason, lost=lost, left=after.elsewhere))

    def vanish(self, tag: str) -> World:
        """End what an entry's leader left behind."""
        return replace(self, alive={**self.alive, tag: Alive(self.of(tag).run)})

    def answer(self, question: Question) -> World:
        left = tuple(q for q in self.asked if q is not question)
        world = replace(self, asked=left)
        if isinstance(question, WatchLeft):
            return world.group(GroupEmptied(question.group, question.visit))
        return world._feed(question.entry.tag, Emptied(question.run, question.scope))

    def is_true(self, question: Question) -> bool:
        if isinstance(question, WatchLeft):
            return not any(
                alive.anything for tag, alive in self.alive.items() if tag not in question.spared
            )
        alive = self.of(question.entry.tag)
        if question.scope is Scope.SESSION:
            return not alive.in_session and not alive.run
        return not alive.anything

    def settle(self) -> World:
        """Answer all questions whose answer is yes."""
        world = self
        while ready := [question for question in world.asked if world.is_true(question)]:
            world = world.answer(ready[0])
        return world

    def _feed(self, tag: str, event: process_events.Event) -> World:
        return self._after(units.feed_process(self.unit, tag, event, self.now, LIMITS))

    def _after(self, result: tuple[Unit, tuple[units.Effect, ...]]) -> World:
        unit, effects = result
        alive, asked, shown = dict(self.alive), self.asked, self.shown
        spawned: list[tuple[str, int]] = []
        for effect in effects:
            match effect:
                case Launch(started, run):
                    before = alive.get(started.tag, NOTHING)
                    assert not before.run, f"{started.tag} runs twice"
                    beside = before.in_session and started.mode is Mode.RESPAWN
                    assert not beside, f"{started.tag} starts beside its leftovers"
                    elsewhere = before.elsewhere or before.in_session
                    alive[started.tag] = Alive(run, elsewhere=elsewhere)
                    spawned.append((started.tag, run))
                case Watch() | WatchLeft():
                    asked = (*asked, effect)
                case Shown(_, after):
                    shown = (*shown, f"{after.level} {after.state}")
        world = replace(self, unit=unit, alive=alive, asked=asked, shown=shown, effects=effects)
        for tag, run in spawned:
            fed, _ = units.feed_process(world.unit, tag, Spawned(run, run), self.now, LIMITS)
            world = replace(world, unit=fed)
        return world


def world_of(*lines: str) -> World:
    """Return the world of a group `g` that has never been told anything."""
    entries = tuple(entry(line, number) for number, line in enumerate(lines, 1))
    return World(Unit(Group("g"), entries))


def key_of(world: World) -> object:
    """Return what two worlds have in common that go on in the same way."""
    group = world.unit.group
    processes = tuple(
        (
            *(tag, p.state, p.then, p.leader, p.ready, p.lost, p.asks, min(p.escalation_step, 3)),
            *(p.unattended, p.rapid_restarts, p.due is None),
        )
        for tag, p in world.unit.processes.items()
    )
    alive = tuple(
        sorted((t, bool(a.run), a.in_session, a.elsewhere) for t, a in world.alive.items())
    )
    asked = tuple(
        (q.visit == group.visit, q.spared)
        if isinstance(q, WatchLeft)
        else (q.entry.tag, q.scope, q.run == world.of(q.entry.tag).run)
        for q in world.asked
    )
    deadlines = group.deadlines and (group.lapsed, group.killed)
    shown = (group.level, group.state, group.wanted, group.sweep, min(group.escalation_step, 3))
    traces = tuple((tag, it.trace) for tag, it in world.unit.traces.items())
    return processes, alive, asked, deadlines, shown, traces


Moves = Callable[[World], Iterator[tuple[str, World]]]


def explore(start: World, moves: Moves, worlds_max: int) -> list[World]:
    """Return all worlds that can be reached, at most so many, breadth first.

    An error tells the moves that led to it.
    """
    seen = {key_of(start)}
    found = [start]
    queue: deque[tuple[World, tuple[str, ...]]] = deque([(start, ())])
    while queue and len(found) < worlds_max:
        world, path = queue.popleft()
        name = "?"
        try:
            for name, after in moves(world):
                key = key_of(after)
                if key not in seen:
                    seen.add(key)
                    found.append(after)
                    queue.append((after, (*path, name)))
        except Exception as error:
            error.add_note(f"after {' / '.join(path)} and a move after {name}")
            raise
    return found


def killed_all(world: World) -> bool:
    """Say whether the last step ordered SIGKILL for everything."""
    return any(isinstance(effect, KillEverything) for effect in world.effects)


def swept(world: World) -> list[str]:
    """Return the signals that the last step sent to what is left over."""
    return [effect.signal for effect in world.effects if isinstance(effect, SignalLeft)]


def state_of(world: World) -> str:
    """Return `level STATE`."""
    return f"{world.unit.group.level} {world.unit.group.state}".strip()


def settled(world: World) -> bool:
    """Say whether the group is in a state that lasts."""
    return world.unit.group.state in (GroupState.DONE, GroupState.PASSED, GroupState.FAILED)


def running(world: World) -> list[str]:
    """Return the tags whose leader is alive."""
    return [tag for tag, alive in world.alive.items() if alive.run]


def leased() -> World:
    return world_of("g:r:start:respawn:x", "g:s:stop:wait:x").lease("start", 7, 130.0, 160.0)


def owned(world: World, level: str, term: int) -> World:
    """Tell as a monitor does: with a term; `plan` and `stop` have no deadlines."""
    return world.order(Tell("g", level, term))
