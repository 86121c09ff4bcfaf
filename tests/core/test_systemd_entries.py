"""Entries of mode `systemd` in the machines: stopped by what runs them, in the reverse order."""

from __future__ import annotations

from mosha.core.agent_exits import UNUSABLE_HERE
from mosha.core.escalation import Limits
from mosha.core.supervision.failures import Severity
from mosha.core.supervision.group import Group
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    BecameReady,
    Exit,
    Exited,
    KillAsked,
    Scope,
    Signal,
    Spawned,
    Started,
    StopAsked,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.unit import Unit
from mosha.formats.cltab import parse_cltab
from tests.core.unit_world import World, entry, running, state_of

LIMITS = Limits()
UNIT = "g:a:1:systemd:web.service"
TABLE = b"g:db:1:systemd:db.service\ng:web:1:systemd:web.service\n"


def started(text: str = UNIT) -> Process:
    process, _ = advance(new_process(entry(text)), Started(1), 100.0, LIMITS)
    process, _ = advance(process, Spawned(1, 7), 100.0, LIMITS)
    return advance(process, BecameReady(1), 101.0, LIMITS)[0]


def test_a_unit_is_stopped_by_its_wrapper_and_killed_with_all_of_the_entry() -> None:
    process, effects = advance(started(), StopAsked(), 200.0, LIMITS)
    assert effects == (Signal(process.entry, 1, "TERM", Scope.LEADER),)
    process, effects = advance(process, KillAsked(), 210.0, LIMITS)
    assert effects[0] == Signal(process.entry, 1, "KILL", Scope.ENTRY)


def test_a_unit_that_outlives_its_wrapper_is_left_to_the_next_whose_turn_comes() -> None:
    process, effects = advance(started(), Exited(1, Exit(-9), elsewhere=True), 300.0, LIMITS)
    assert (process.state, process.lost, effects) == (ProcessState.WAITING, True, ())


def test_units_stop_one_after_the_other_and_nothing_is_left_to_prove_after_a_kill() -> None:
    entries = parse_cltab(TABLE, "cltab").entries_of("g")
    world = World(Unit(Group("g"), entries)).tell("1").ready("db").ready("web")
    assert state_of(world) == "1 DONE"
    world = world.tell("stop")
    found = world.unit.processes.values()
    assert [p.entry.tag for p in found if p.state is ProcessState.STOPPING] == ["web"]
    world = world.end("web").settle().end("db").settle()
    assert state_of(world) == "stop DONE"
    assert world.unit.traces == {}


def test_a_unit_that_is_refused_here_is_in_vain_on_this_node() -> None:
    entries = parse_cltab(TABLE, "cltab").entries_of("g")
    world = World(Unit(Group("g"), entries)).tell("1").end("db", UNUSABLE_HERE)
    assert (state_of(world), running(world)) == ("1 FAILED", [])
    assert world.unit.processes["db"].severity is Severity.HARD
