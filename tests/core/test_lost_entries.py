"""What comes after an agent, a unit or an address that fails: stopped, and started after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mosha.core.agent_exits import STOP_FAILED, UNUSABLE_HERE
from mosha.core.status import EntryVerb, GroupState
from mosha.core.supervision.process_events import Scope, Signal
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.unit import Launch
from tests.core.unit_world import LIMITS, World, entry, explore, running, state_of, world_of

TABLE = (
    "g:before:1:respawn:x",
    "g:disk:1:ocf:Filesystem",
    "g:db:1:respawn:x",
    "g:init:1:wait:x",
    "g:ip:1:address:192.0.2.1/24 dev eth0",
    "g:web:1:respawn:x",
    "g:check:1:monitor:x",
)


def at_level_1() -> World:
    world = world_of(*TABLE).tell("1").ready("disk").end("init").ready("ip")
    assert state_of(world) == "1 DONE"
    return world


def signals(world: World) -> list[tuple[str, str]]:
    found = (effect for effect in world.effects if isinstance(effect, Signal))
    return [(effect.entry.tag, effect.signal) for effect in found]


def launched(world: World) -> list[str]:
    return [effect.entry.tag for effect in world.effects if isinstance(effect, Launch)]


def test_an_agent_that_fails_is_told_to_stop_when_all_that_comes_after_it_is_gone() -> None:
    world = at_level_1().failing("disk")
    assert (state_of(world), world.unit.group.cause) == ("1 STOPPING", "entry disk failed")
    assert signals(world) == [("db", "INT"), ("web", "INT"), ("check", "INT")]
    world = world.end("check").end("db").settle()
    assert signals(world) == []
    world = world.end("web").settle()
    assert signals(world) == [("ip", "INT")]
    world = world.end("ip").settle()
    process = world.unit.processes["disk"]
    told = Signal(process.entry, process.run, "TERM", Scope.LEADER)
    assert [effect for effect in world.effects if isinstance(effect, Signal)] == [told]
    assert (state_of(world), running(world)) == ("1 STARTING", ["before", "disk"])


def test_what_comes_after_it_is_started_in_order_when_it_is_ready_again() -> None:
    world = at_level_1().failing("disk").end("check").end("db").end("web").end("ip").settle()
    world = world.end("disk", 1).settle()
    disk = world.unit.processes["disk"]
    assert (launched(world), disk.run > 2, len(disk.failed_at)) == (["disk"], True, 1)
    assert disk.exit == "exit 1"
    world = world.ready("disk")
    assert launched(world) == ["db", "init"]
    world = world.end("init")
    assert launched(world) == ["ip"]
    world = world.ready("ip")
    assert launched(world) == ["web", "check"]
    assert (state_of(world), world.unit.processes["before"].starts) == ("1 DONE", 1)


def test_one_that_just_ends_is_started_again_when_what_needs_it_is_gone() -> None:
    world = at_level_1().end("ip", 1)
    assert (launched(world), signals(world)) == ([], [("web", "INT"), ("check", "INT")])
    world = world.end("check").settle()
    assert (launched(world), state_of(world)) == ([], "1 STOPPING")
    world = world.end("web").settle()
    assert (launched(world), state_of(world)) == (["ip"], "1 STARTING")
    world = world.ready("ip")
    assert state_of(world) == "1 DONE"
    assert running(world) == ["before", "disk", "db", "ip", "web", "check"]
    assert world.unit.processes["db"].starts == 1


def test_the_next_run_of_one_that_has_ended_is_not_told_to_stop_when_what_needs_it_is_gone() -> (
    None
):
    world = at_level_1().end("ip", 1).end("web").end("check").settle()
    assert (signals(world), "ip" in running(world)) == ([], True)
    assert state_of(world.ready("ip").settle()) == "1 DONE"


def test_an_entry_that_is_off_needs_nothing_and_is_not_waited_for() -> None:
    off = (*TABLE[:2], "g:db:1:off:x")
    world = world_of(*off).tell("1").ready("disk").failing("disk")
    assert state_of(world) == "1 DONE"
    assert signals(world) == [("disk", "TERM")]


def test_one_that_fails_while_what_needs_another_stops_has_what_is_between_stopped_too() -> None:
    world = at_level_1().end("ip", -9)
    world = world.end("disk", -9)
    assert (launched(world), signals(world)) == ([], [("db", "INT")])
    world = world.end("web").end("check").settle()
    assert (launched(world), state_of(world)) == ([], "1 STOPPING")
    world = world.end("db").settle()
    assert (launched(world), state_of(world)) == (["disk"], "1 STARTING")
    assert launched(world.ready("disk")) == ["db", "init"]
    world = world.ready("disk").end("init").ready("ip")
    assert (state_of(world), world.unit.processes["db"].starts) == ("1 DONE", 1)


def test_one_that_is_killed_while_it_waits_to_be_told_is_started_when_its_turn_comes() -> None:
    world = at_level_1().failing("disk").end("disk", -9).settle()
    assert (launched(world), state_of(world)) == ([], "1 STOPPING")
    world = world.end("check").end("db").end("web").end("ip").settle()
    assert (launched(world), state_of(world)) == (["disk"], "1 STARTING")


def test_one_that_keeps_failing_pauses_although_it_waits_for_its_turn_each_time() -> None:
    world = world_of("g:ip:1:address:192.0.2.1/24 dev eth0", "g:web:1:respawn:x").tell("1")
    for _ in range(LIMITS.haste_max + 2):
        assert launched(world) == ["ip"]
        world = world.ready("ip").end("ip", 1).end("web").settle()
    assert (launched(world), state_of(world)) == ([], "1 STARTING")
    assert world.unit.processes["ip"].state is ProcessState.PAUSING
    world = world.later(LIMITS.pause_s)
    assert (launched(world), state_of(world)) == (["ip"], "1 STARTING")


def test_none_is_started_while_its_group_goes_to_another_level() -> None:
    world = at_level_1().tell("stop").end("ip", -9).settle()
    assert (launched(world), state_of(world)) == ([], "1 STOPPING")
    for tag in ("check", "db", "web", "before", "disk"):
        world = world.end(tag).settle()
    assert (launched(world), state_of(world)) == (["disk.stop"], "stop STARTING")


def test_nothing_changes_for_others_if_nothing_comes_after_it() -> None:
    world = world_of("g:db:1:respawn:x", "g:ip:1:address:192.0.2.1/24 dev eth0").tell("1")
    world = world.ready("ip").failing("ip")
    assert (signals(world), state_of(world)) == ([("ip", "TERM")], "1 DONE")
    world = world.end("ip", 1)
    assert (launched(world), state_of(world)) == (["ip"], "1 DONE")


def test_what_an_operator_has_stopped_stays_stopped() -> None:
    world = at_level_1().order_entry("web", EntryVerb.STOP).end("web").settle()
    world = world.failing("disk").end("check").end("db").settle().end("ip").settle()
    world = world.end("disk", 1).ready("disk").end("init").ready("ip")
    assert state_of(world) == "1 DONE"
    assert world.unit.processes["web"].state is ProcessState.STOPPED


def test_one_that_an_operator_restarts_is_told_to_stop_when_what_comes_after_it_is_gone() -> None:
    world = at_level_1().order_entry("disk", EntryVerb.RESTART)
    assert (world.reply.ok, state_of(world)) == (True, "1 STOPPING")
    assert world.unit.group.cause == "entry disk is restarted"
    assert signals(world) == [("db", "INT"), ("web", "INT"), ("check", "INT")]
    world = world.end("check").end("db").end("web").end("ip").settle()
    assert signals(world) == [("disk", "TERM")]
    world = world.end("disk", 0).settle()
    assert (launched(world), world.unit.processes["disk"].obeyed) == (["disk"], ())
    world = world.ready("disk")
    assert launched(world) == ["db", "init"]
    assert world.unit.processes["disk"].obeyed == ("restart.0",)
    world = world.end("init").ready("ip")
    assert (state_of(world), world.unit.processes["db"].starts) == ("1 DONE", 1)


def test_one_that_nothing_uses_is_restarted_at_once_by_an_operator() -> None:
    world = world_of("g:db:1:respawn:x", "g:ip:1:address:192.0.2.1/24 dev eth0").tell("1")
    world = world.ready("ip").order_entry("ip", EntryVerb.RESTART)
    assert (world.reply.ok, state_of(world), signals(world)) == (True, "1 DONE", [("ip", "INT")])


def test_one_that_is_used_is_not_stopped_by_an_operator() -> None:
    world = at_level_1().order_entry("disk", EntryVerb.STOP)
    assert world.reply.text == (
        "db, ip, web, check may use disk, being after it: stop that first, or the whole group:"
        " mosha stop g"
    )
    assert (state_of(world), signals(world)) == ("1 DONE", [])


def test_what_comes_after_one_that_is_stopped_is_not_started_by_an_operator() -> None:
    world = at_level_1()
    for tag in ("check", "web", "ip", "db", "disk"):
        world = world.order_entry(tag, EntryVerb.STOP)
        assert world.reply.ok, world.reply
        world = world.end(tag).settle()
    for verb in (EntryVerb.START, EntryVerb.RESTART):
        world = world.order_entry("web", verb)
        assert world.reply.text == (
            "web may use disk, which comes before it and is not ready: mosha start g disk"
        )
    world = world.order_entry("disk", EntryVerb.START).ready("disk")
    world = world.order_entry("db", EntryVerb.START)
    assert (world.reply.ok, running(world)) == (True, ["before", "disk", "db"])


def until_done(world: World) -> tuple[World, list[str]]:
    """Let each entry be ready, or end, as it is started; return what was started, in order."""
    started = launched(world)
    while awaited := [
        process
        for process in world.unit.processes.values()
        if process.state is ProcessState.RUNNING
        and (process.awaited or process.entry.tag == "init")
    ]:
        tag = awaited[0].entry.tag
        world = world.end(tag) if tag == "init" else world.ready(tag)
        started += launched(world)
    assert state_of(world) == "1 DONE"
    return world, started


CHANGED = "g:disk:1:ocf:Filesystem device=/dev/sdb1"


@pytest.mark.parametrize(
    ("lines", "again"),
    [
        ((TABLE[0], CHANGED, *TABLE[2:]), ["disk", "db", "init", "ip", "web", "check"]),
        ((TABLE[0], "g:new:1:ocf:Dummy", *TABLE[1:]), ["new", "disk", "db", "init", "ip"]),
        ((TABLE[0], *TABLE[2:]), ["db", "init", "ip", "web", "check"]),
    ],
    ids=["changed", "new", "removed"],
)
def test_what_comes_after_one_whose_line_changes_is_stopped_before_and_started_after(
    lines: tuple[str, ...], again: list[str]
) -> None:
    entries = tuple(entry(line, number) for number, line in enumerate(lines, 1))
    world = at_level_1().tell("1", entries)
    assert signals(world) == [("db", "INT"), ("web", "INT"), ("check", "INT")]
    world = world.end("check").end("db").end("web").settle()
    assert signals(world) == [("ip", "INT")]
    world = world.end("ip").settle()
    assert (signals(world), launched(world)) == ([("disk", "TERM")], [])
    world, started = until_done(world.end("disk").settle())
    assert started[: len(again)] == again
    assert started[-2:] == ["web", "check"]
    assert "before" not in started


def test_what_is_moved_behind_one_is_started_anew_after_it() -> None:
    entries = tuple(map(entry, (TABLE[1], TABLE[0], *TABLE[2:])))
    world = at_level_1().tell("1", entries)
    assert signals(world) == [("before", "INT")]
    world = world.end("before").settle()
    assert (launched(world), state_of(world)) == (["before"], "1 DONE")
    assert list(world.unit.processes)[:2] == ["disk", "before"]
    assert state_of(world.tell("1", entries)) == "1 DONE"


def test_a_stop_that_is_told_meanwhile_stops_all_in_the_usual_order() -> None:
    world = at_level_1().failing("disk").tell("stop")
    for tag in ("check", "db", "web", "before", "ip", "disk", "disk.stop"):
        world = world.end(tag).settle()
    assert state_of(world) == "stop PASSED"


def test_an_agent_that_cannot_run_here_any_more_fails_the_group() -> None:
    world = at_level_1().failing("disk").end("check").end("db").end("web").end("ip").settle()
    world = world.end("disk", UNUSABLE_HERE).settle()
    assert (state_of(world), running(world)) == ("1 FAILED", ["before"])


NEEDED = ("g:a:1:ocf:Dummy", "g:r:1:respawn:x", "g:n:1:respawn(ready=notify):x")


def fates(world: World) -> Iterator[tuple[str, World]]:
    """Yield what may happen next to a group that is not told to leave its level."""
    yield "told again", world.tell("1")
    yield "wait", world.wait()
    for tag in running(world):
        yield f"{tag} is ready", world.ready(tag)
        yield f"{tag} fails", world.failing(tag)
        yield f"{tag} ends", world.end(tag, 1)
        yield f"{tag} leaves something", world.end(tag, 0, in_session=True)
        yield f"{tag} cannot be started", world.prevent(tag)
    for tag, alive in world.alive.items():
        if alive.anything and not alive.run:
            yield f"{tag} vanishes", world.vanish(tag)
    yield "answers", world.settle()


def test_in_no_order_of_events_is_anything_started_that_needs_what_is_lost() -> None:
    seen = explore(world_of(*NEEDED).tell("1"), fates, 3000)
    lost = [world for world in seen if world.unit.processes["a"].lost]
    assert len(lost) > 100
    for world in lost:
        assert not {"r", "n"} & set(launched(world)), world
        needed = any(world.of(tag).run for tag in ("r", "n"))
        assert not ("a" in launched(world) and needed), world
        assert world.unit.group.state is not GroupState.DONE, world
        if world.unit.group.state is GroupState.STARTING:
            assert not {"r", "n"} & set(running(world)), world


# --- agents whose process was killed -------------------------------------------------------------

TWO = ("g:disk:1:ocf:Filesystem", "g:db:1:respawn:x", "g:ag:1:ocf:Dummy", "g:web:1:respawn:x")


def with_two() -> World:
    world = world_of(*TWO).tell("1").ready("disk").ready("ag")
    assert state_of(world) == "1 DONE"
    return world


def undone(world: World) -> list[str]:
    """Return the agents that the last step has had stopped by a run that does nothing else."""
    found = (effect for effect in world.effects if isinstance(effect, Launch))
    return [effect.entry.stops for effect in found if effect.entry.stops]


def test_an_agent_whose_process_was_killed_is_stopped_before_what_comes_before_it_is_touched() -> (
    None
):
    world = with_two().end("ag", -9).failing("disk")
    assert (launched(world), signals(world)) == ([], [("db", "INT")])
    world = world.end("web").settle()
    assert (undone(world), launched(world), signals(world)) == (["ag"], ["ag"], [])
    world = world.end("db").settle()
    assert (undone(world), signals(world)) == ([], [])
    world = world.end("ag", 0).settle()
    assert signals(world) == [("disk", "TERM")]
    world = world.end("disk", 1).settle()
    assert (launched(world), undone(world)) == (["disk"], [])


def test_it_is_stopped_before_what_comes_before_it_also_when_its_group_stops() -> None:
    world = with_two().end("ag", -9).tell("stop").end("db").end("web").settle()
    assert (undone(world), signals(world)) == (["ag"], [])
    world = world.end("ag", 0).settle()
    assert (undone(world), signals(world)) == ([], [("disk", "TERM")])
    world = world.end("disk", 0).settle()
    assert state_of(world) == "stop STARTING"


def test_what_fails_to_stop_then_is_not_stopped_again_and_again() -> None:
    world = with_two().end("ag", -9).tell("stop").end("db").end("web").settle()
    world = world.end("ag", STOP_FAILED).settle()
    assert (undone(world), signals(world)) == ([], [("disk", "TERM")])


def test_one_that_pauses_is_stopped_by_its_agent_when_an_operator_stops_it() -> None:
    world = world_of("g:ag:1:ocf:Dummy").tell("1")
    while world.unit.processes["ag"].state is not ProcessState.PAUSING:
        world = world.ready("ag").end("ag", -9).settle()
    world = world.order_entry("ag", EntryVerb.STOP)
    assert (world.reply.ok, undone(world)) == (True, ["ag"])
    assert world.unit.processes["ag"].obeyed == ()
    world = world.end("ag", 0).settle()
    assert world.unit.processes["ag"].state is ProcessState.STOPPED
    assert world.unit.processes["ag"].obeyed == ("stop.0",)


def test_a_unit_whose_process_was_killed_is_ended_by_signals_before_what_comes_before_it() -> None:
    lines = (TWO[0], "g:ag:1:systemd:x.service", TWO[3])
    world = world_of(*lines).tell("1").ready("disk").ready("ag")
    world = world.end("ag", -9, elsewhere=True).failing("disk").end("web").settle()
    assert signals(world) == [("ag", "TERM")]
    assert signals(world.wait()) == [("ag", "KILL")]
    assert signals(world.vanish("ag").settle()) == [("disk", "TERM")]


@pytest.mark.parametrize("verb", [EntryVerb.START, EntryVerb.RESTART])
def test_nothing_is_started_by_an_operator_before_what_it_may_use_is_ready(verb: EntryVerb) -> None:
    world = with_two()
    for tag in ("web", "ag", "db"):
        world = world.order_entry(tag, EntryVerb.STOP).end(tag).settle()
    world = world.order_entry("disk", EntryVerb.RESTART)
    for _ in ("it stops", "it starts"):
        world = world.order_entry("db", verb)
        assert world.reply.text == (
            "db may use disk, which comes before it and is not ready: wait until it is"
        )
        world = world.end("disk").settle() if world.unit.processes["disk"].leader else world
    world = world.ready("disk").order_entry("db", verb)
    assert (world.reply.ok, "db" in running(world)) == (True, True)


def test_one_that_could_not_be_stopped_for_an_operator_is_not_taken_for_stopped() -> None:
    world = with_two()
    for tag in ("web", "ag"):
        world = world.order_entry(tag, EntryVerb.STOP)
        world = world.end(tag, STOP_FAILED if tag == "ag" else 0).settle()
    process = world.unit.processes["ag"]
    assert (process.state, process.unattended) == (ProcessState.STOPPED, True)
    world = world.order_entry("db", EntryVerb.STOP).end("db").settle()
    assert "ag may use disk" in world.order_entry("disk", EntryVerb.STOP).reply.text
    world = world.order_entry("ag", EntryVerb.STOP)
    assert (world.reply.ok, world.reply.text, undone(world)) == (True, "", ["ag"])
    world = world.end("ag", -9).settle().order_entry("ag", EntryVerb.STOP)
    assert undone(world) == ["ag"]
    world = world.end("ag", 0).settle()
    assert not world.unit.processes["ag"].unattended
    assert world.order_entry("disk", EntryVerb.STOP).reply.ok


def test_one_that_could_not_be_stopped_for_an_operator_is_stopped_first_with_its_group() -> None:
    world = with_two().order_entry("web", EntryVerb.STOP).end("web").settle()
    world = world.order_entry("ag", EntryVerb.STOP).end("ag", STOP_FAILED).settle()
    world = world.tell("stop")
    assert (undone(world), signals(world)) == (["ag"], [("db", "INT")])
