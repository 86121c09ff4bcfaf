"""Entries of mode `ocf` in the machines: who is signalled, in which order they stop, and the test
at level `stop` that says whether they have.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mosha.core.agent_exits import STOP_FAILED, UNUSABLE_ANYWHERE, UNUSABLE_HERE
from mosha.core.escalation import Limits
from mosha.core.status import EntryVerb
from mosha.core.supervision.agent_traces import unproven
from mosha.core.supervision.failures import Severity
from mosha.core.supervision.group import Group
from mosha.core.supervision.overdue import stuck_groups
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    AlarmRang,
    BecameReady,
    Emptied,
    Exit,
    Exited,
    Failing,
    KillAsked,
    Scope,
    Signal,
    Spawn,
    Spawned,
    Started,
    StopAsked,
    Watch,
)
from mosha.core.supervision.process_record import Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.unit import Unit
from mosha.core.tables import Cltab, Mode
from mosha.formats.cltab import parse_cltab
from tests.core.unit_world import World, entry, explore, killed_all, running, state_of

LIMITS = Limits()
AGENT = "g:a:1:ocf:Dummy"
TABLE = b"""\
g:disk:1:ocf:Filesystem device=/dev/x directory=/srv
g:ip:1:ocf:IPaddr2 ip=192.0.2.1
g:web:1:respawn:nginx
g:clean:stop:wait:true
"""


def cltab() -> Cltab:
    return parse_cltab(TABLE, "cltab")


def started(text: str = AGENT) -> Process:
    """Return an agent's entry whose first run is ready."""
    process, _ = advance(new_process(entry(text)), Started(1), 100.0, LIMITS)
    process, _ = advance(process, Spawned(1, 7), 100.0, LIMITS)
    return advance(process, BecameReady(1), 101.0, LIMITS)[0]


def test_an_agent_is_started_when_it_says_so_and_started_again_when_it_ends() -> None:
    process, _ = advance(new_process(entry(AGENT)), Started(1), 100.0, LIMITS)
    assert (process.awaited, process.due) == (True, None)
    process = started()
    assert not process.awaited
    process, _ = advance(process, Exited(1, Exit(1)), 200.0, LIMITS)
    assert (process.state, process.failed_at) == (ProcessState.WAITING, (200.0,))
    process, effects = advance(process, Started(2), 201.0, LIMITS)
    assert (process.state, effects) == (ProcessState.RUNNING, (Spawn(process.entry, 2),))


def test_a_stop_signals_the_leader_alone_and_leaves_the_rest_to_it() -> None:
    process, effects = advance(started(), StopAsked(), 200.0, LIMITS)
    assert effects == (Signal(process.entry, 1, "TERM", Scope.LEADER),)
    assert process.due == 3800.0
    limited = started("g:a:1:ocf(stop=TERM/2m):Dummy")
    assert advance(limited, StopAsked(), 200.0, LIMITS)[0].due == 320.0


def test_what_the_stop_of_an_agent_has_left_is_ended_at_once() -> None:
    process, _ = advance(started(), StopAsked(), 200.0, LIMITS)
    process, effects = advance(process, Exited(1, Exit(0), elsewhere=True), 210.0, LIMITS)
    entry = process.entry
    assert effects == (Signal(entry, 1, "TERM", Scope.ENTRY), Watch(entry, 1, Scope.ENTRY))
    assert process.due == 211.0
    process, effects = advance(process, AlarmRang(), 211.0, LIMITS)
    assert effects == (Signal(entry, 1, "KILL", Scope.ENTRY),)
    process, _ = advance(process, Emptied(1, Scope.ENTRY), 211.5, LIMITS)
    assert process.state is ProcessState.WAITING


def test_a_kill_is_for_all_of_it() -> None:
    process, effects = advance(started(), KillAsked(), 200.0, LIMITS)
    assert effects == (Signal(process.entry, 1, "KILL", Scope.ENTRY),)
    process, effects = advance(process, Exited(1, Exit(-9), elsewhere=True), 200.1, LIMITS)
    assert effects == (Watch(process.entry, 1, Scope.ENTRY),)


def test_each_agent_has_a_test_at_stop_the_last_one_first() -> None:
    table = cltab()
    assert len(table.entries) == 4
    *_, ip, disk = table.entries_of("g")
    assert [(each.tag, each.mode, each.level, each.stops) for each in (ip, disk)] == [
        ("ip.stop", Mode.TEST, "stop", "ip"),
        ("disk.stop", Mode.TEST, "stop", "disk"),
    ]
    assert disk.command == "Filesystem device=/dev/x directory=/srv"


def at_level_1() -> World:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1")
    assert running(world) == ["disk"]
    world = world.ready("disk")
    assert running(world) == ["disk", "ip"], "the next one waits until it is ready"
    world = world.ready("ip")
    assert state_of(world) == "1 DONE"
    return world


def stopping(world: World) -> list[str]:
    found = world.unit.processes.values()
    return [p.entry.tag for p in found if p.state is ProcessState.STOPPING]


def test_agents_stop_in_reverse_order_after_what_was_started_after_them() -> None:
    world = at_level_1().tell("stop")
    for tag in ("web", "ip", "disk"):
        assert stopping(world) == [tag]
        world = world.end(tag).settle()
    assert list(world.unit.processes) == ["clean", "ip.stop", "disk.stop"]


def test_an_agent_that_an_operator_stops_too_is_waited_for_no_longer_than_it_takes() -> None:
    world = at_level_1().order_entry("web", EntryVerb.STOP).end("web").settle()
    world = world.order_entry("ip", EntryVerb.STOP).tell("stop")
    assert stopping(world) == ["ip"]
    world = world.end("ip").settle()
    assert stopping(world) == ["disk"]


def test_an_agent_that_is_not_seen_to_stop_fails_the_stop() -> None:
    world = at_level_1().tell("stop")
    for tag in ("web", "ip", "disk", "clean", "ip.stop"):
        world = world.end(tag).settle()
    assert running(world) == ["disk.stop"]
    world = world.end("disk.stop", 3).settle()
    assert state_of(world) == "stop FAILED"
    assert world.unit.group.cause == "test entry disk.stop: exit 3"


def test_a_halt_stops_agents_in_the_same_order() -> None:
    world = at_level_1().halt()
    for tag in ("web", "ip", "disk"):
        assert stopping(world) == [tag]
        world = world.end(tag).settle()
    assert state_of(world) == "1 CONFIGURED"


def test_a_kill_spares_none_and_waits_for_no_turn() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).lease("1", 7, 130.0, 160.0)
    world = world.ready("disk").ready("ip").later(65.0)
    assert killed_all(world)
    assert sorted(stopping(world)) == ["disk", "ip", "web"]


# --- what is in vain here, or anywhere ---------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "severity"), [(UNUSABLE_HERE, Severity.HARD), (UNUSABLE_ANYWHERE, Severity.FATAL)]
)
def test_an_agent_that_is_in_vain_fails_the_level_at_once_and_is_not_started_again(
    code: int, severity: Severity
) -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1").ready("disk")
    world = world.end("ip", code)
    assert state_of(world) == "1 FAILED"
    cause = f"entry ip: exit {code} before it was ready"
    assert (running(world), world.unit.group.cause) == (["disk"], cause)
    process = world.unit.processes["ip"]
    assert (process.severity, process.in_vain, process.starts) == (severity, True, 1)
    assert world.unit.processes["web"].starts == 0, "what comes next needs it"
    assert running(world.later(1000.0)) == ["disk"]


def test_a_soft_failure_is_tried_again() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1")
    for code in (1, 3, 7, -9):
        world = world.end("disk", code)
        assert (state_of(world), running(world)) == ("1 STARTING", ["disk"])


def test_a_group_at_its_level_fails_when_an_agent_can_run_its_service_no_longer() -> None:
    world = at_level_1().end("ip", UNUSABLE_HERE)
    assert state_of(world) == "1 FAILED"
    assert running(world) == ["disk", "web"], "the rest is stopped with the group"


def test_what_it_has_left_is_ended_before_it_has_failed() -> None:
    world = at_level_1().end("ip", UNUSABLE_HERE, in_session=True)
    assert (state_of(world), world.unit.processes["ip"].state) == ("1 DONE", ProcessState.CLEARING)
    world = world.vanish("ip").settle()
    assert (state_of(world), world.unit.processes["ip"].state) == ("1 FAILED", ProcessState.FAILED)


def test_what_an_agent_could_not_stop_is_ended_before_it_is_started_again() -> None:
    process, effects = advance(
        started(), Exited(1, Exit(STOP_FAILED), elsewhere=True), 200.0, LIMITS
    )
    assert process.state is ProcessState.CLEARING
    ended, watched = effects
    assert ended == Signal(process.entry, 1, "TERM", Scope.ENTRY)
    assert watched == Watch(process.entry, 1, Scope.ENTRY)
    late_s = 200.0 + LIMITS.clear_to_kill_s
    process, effects = advance(process, AlarmRang(), late_s, LIMITS)
    assert effects == (Signal(process.entry, 1, "KILL", Scope.ENTRY),)
    process, _ = advance(process, Emptied(1, Scope.ENTRY), late_s + 0.1, LIMITS)
    assert (process.state, process.lost) == (ProcessState.WAITING, True)
    process, _ = advance(process, Started(2), late_s + 0.2, LIMITS)
    assert not process.unstopped


def test_what_may_run_of_a_start_whose_wrapper_was_killed_is_ended_before_the_next_one() -> None:
    process, _ = advance(new_process(entry(AGENT)), Started(1), 100.0, LIMITS)
    process, _ = advance(process, Spawned(1, 7), 100.0, LIMITS)
    process, effects = advance(process, Exited(1, Exit(-9), elsewhere=True), 200.0, LIMITS)
    assert process.state is ProcessState.CLEARING
    assert effects[0] == Signal(process.entry, 1, "TERM", Scope.ENTRY)


def test_what_a_failed_agent_has_left_is_not_ended_with_a_wrapper_that_waits_to_stop_it() -> None:
    process, _ = advance(started(), Failing(1), 150.0, LIMITS)
    process, effects = advance(process, Exited(1, Exit(-9), elsewhere=True), 200.0, LIMITS)
    assert (process.state, effects) == (ProcessState.WAITING, ())


@pytest.mark.parametrize("code", [1, -9])
def test_what_is_left_otherwise_is_stopped_by_its_agent_in_the_next_run(code: int) -> None:
    process, effects = advance(started(), Exited(1, Exit(code), elsewhere=True), 200.0, LIMITS)
    assert (process.state, process.lost, effects) == (ProcessState.WAITING, True, ())


def test_other_entries_have_no_exit_status_that_means_more() -> None:
    world = World(Unit(Group("g"), (entry("g:a:1:respawn:x"),))).tell("1")
    world = world.end("a", UNUSABLE_ANYWHERE)
    assert (state_of(world), running(world)) == ("1 DONE", ["a"])


def test_it_is_tried_again_when_the_group_is_told_its_level_again() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1").end("disk", UNUSABLE_HERE)
    world = world.tell("1")
    assert (state_of(world), running(world)) == ("1 STARTING", ["disk"])
    assert state_of(world.ready("disk").ready("ip")) == "1 DONE"


def test_an_order_for_an_agent_that_is_in_vain_is_refused_with_its_reason() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1").end("disk", UNUSABLE_HERE)
    for verb in EntryVerb:
        reply = world.order_entry("disk", verb).reply
        assert (reply.ok, reply.text[:40]) == (False, "entry disk cannot run here, and its grou")


def test_an_agent_that_refused_to_start_is_not_asked_to_stop() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1").ready("disk")
    world = world.end("ip", UNUSABLE_HERE).tell("stop").end("disk").settle()
    assert list(world.unit.processes) == ["clean", "disk.stop"]
    world = world.end("clean").end("disk.stop").settle()
    assert state_of(world) == "stop DONE"


def test_an_agent_that_refused_and_then_could_not_be_executed_has_made_nothing() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1")
    world = world.end("disk", UNUSABLE_HERE).tell("1")
    assert [each.tag for each in unproven(world.unit.traces)] == ["disk"], "its start is under way"
    assert unproven(world.prevent("disk").unit.traces) == ()


def test_an_agent_that_has_run_is_asked_to_stop_although_it_is_in_vain_now() -> None:
    world = at_level_1().end("ip", UNUSABLE_HERE).tell("stop")
    for tag in ("web", "disk"):
        world = world.end(tag).settle()
    assert list(world.unit.processes) == ["clean", "ip.stop", "disk.stop"]


def test_an_agent_that_runs_for_all_that_is_known_is_asked_to_stop_too() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1").ready("disk")
    world = world.end("ip", -9).end("ip", UNUSABLE_HERE).tell("stop").end("disk").settle()
    assert list(world.unit.processes) == ["clean", "ip.stop", "disk.stop"]


def test_what_could_not_be_executed_has_made_nothing() -> None:
    world = World(Unit(Group("g"), cltab().entries_of("g"))).tell("1")
    assert [each.tag for each in unproven(world.unit.traces)] == ["disk"]
    for tag, after in (("disk", world.fail("disk")), ("disk", world.prevent("disk"))):
        known = {each.tag for each in unproven(after.unit.traces)}
        launched = after.unit.processes[tag].state is ProcessState.RUNNING
        assert known == ({tag} if launched else set())
    lost = world.prevent("disk", lost=True)
    assert [each.tag for each in unproven(lost.unit.traces)] == ["disk"]


# --- what a kill does not undo ---------------------------------------------------------------

LATE = "killed before its agents had stopped: disk, ip"


def leased() -> World:
    """Return the group at level 1 under a lease of term 7: until 130, killed at 160."""
    world = World(Unit(Group("g"), cltab().entries_of("g"))).lease("1", 7, 130.0, 160.0)
    return world.ready("disk").ready("ip")


def killed(world: World) -> World:
    """Let the lease and its stop budget end, and all processes with them."""
    world = world.later(35.0).later(30.0)
    assert killed_all(world)
    for tag in running(world):
        world = world.end(tag, -9)
    return world.settle()


def test_a_group_whose_agents_were_killed_before_their_stop_has_not_stopped() -> None:
    world = killed(leased())
    assert (state_of(world), world.unit.group.cause) == ("stop FAILED", LATE)
    (stuck,) = stuck_groups({"g": world.unit}, after_s=1.0, with_failed_stops=True)
    assert (stuck.name, stuck.outlives) == ("g", False), "on_stop_failure applies"


def test_an_agent_that_has_stopped_in_time_needs_no_proof_after_the_kill() -> None:
    world = leased().later(35.0)
    for tag in ("web", "ip"):
        world = world.end(tag).settle()
    world = world.end("disk", 3).settle()
    assert running(world) == ["clean"]
    world = world.later(30.0).end("clean", -9).settle()
    assert state_of(world) == "stop FAILED"
    assert world.unit.group.cause == "killed before its agents had stopped: disk"


def test_what_was_proven_before_the_kill_is_stopped() -> None:
    world = leased().later(35.0)
    for tag in ("web", "ip", "disk"):
        world = world.end(tag).settle()
    world = world.later(30.0).end("clean", -9).settle()
    assert state_of(world) == "stop DONE"


def test_an_agent_of_processes_alone_ends_with_them() -> None:
    world = World(Unit(Group("g"), (entry("g:a:1:ocf:nginx"),))).lease("1", 7, 130.0, 160.0)
    assert state_of(killed(world.ready("a"))) == "stop DONE"


def test_an_administrator_says_of_an_agent_whether_it_lasts() -> None:
    for text, state in (
        ("g:a:1:ocf(lasts=yes):nginx", "stop FAILED"),
        ("g:a:1:ocf(lasts=no):Filesystem", "stop DONE"),
    ):
        world = World(Unit(Group("g"), (entry(text),))).lease("1", 7, 130.0, 160.0)
        assert state_of(killed(world.ready("a"))) == state


def test_a_stop_under_a_new_lease_proves_it() -> None:
    world = killed(leased()).lease("plan", 8, 330.0, 360.0)
    world = world.lease("stop", 8, 330.0, 360.0)
    for tag in ("clean", "ip.stop", "disk.stop"):
        assert running(world) == [tag]
        world = world.end(tag).settle()
    assert state_of(world) == "stop DONE"
    assert not unproven(world.unit.traces)


def test_what_is_mended_and_overtaken_is_forgotten() -> None:
    world = killed(leased())
    world = world.lease("stop", 7, 1.0, 1.0).settle()
    assert state_of(world) == "stop DONE"
    assert running(world) == []


def test_no_order_of_events_loses_sight_of_an_agent() -> None:
    start = World(Unit(Group("g"), cltab().entries_of("g")))

    def moves(world: World) -> Iterator[tuple[str, World]]:
        yield "lease", world.lease("1", 7, 130.0, 160.0)
        yield "stop", world.tell("stop")
        yield "wait", world.wait()
        for tag in running(world):
            yield f"end {tag}", world.end(tag).settle()
            yield f"fail {tag}", world.end(tag, 1).settle()
            yield f"ready {tag}", world.ready(tag)

    for world in explore(start, moves, 3000):
        unit = world.unit
        alive = {tag for tag in running(world) if tag in ("disk", "ip")}
        traced = {each.tag for each in unproven(unit.traces)}
        assert alive <= traced
        if state_of(world) == "stop DONE" and not unit.barren:
            assert not traced
