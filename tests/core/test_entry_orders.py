"""What operators order for one entry: ended and started by itself, under the lease of its group."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mosha.clinit.reports import group_report
from mosha.core.status import EntryVerb, GroupState, TroubleKind
from mosha.core.supervision import entries
from mosha.core.supervision.group import GroupTimePassed
from mosha.core.supervision.process import advance
from mosha.core.supervision.process_events import (
    Event,
    RestartOrdered,
    Scope,
    Signal,
    Spawned,
    SpawnFailed,
    SpawnPrevented,
    Started,
    StartOrdered,
    StopAsked,
    StopOrdered,
    Watch,
)
from mosha.core.supervision.process_record import ORDERS_REMEMBERED_MAX, Process, new_process
from mosha.core.supervision.process_table import ProcessState
from mosha.core.supervision.supervisor import HALTING_TEXT, Supervisor, TellReply, step
from mosha.core.supervision.unit import Launch
from mosha.core.tables import Cltab
from mosha.core.tell import EntryOrder, Tell
from tests.core.unit_world import LIMITS, World, entry, leased, running, state_of, world_of

START, STOP, RESTART = EntryVerb.START, EntryVerb.STOP, EntryVerb.RESTART
LINES = ("g:r:1:respawn:x", "g:q:1:respawn:y", "g:o:1:once:z")
TERM = 7


def home(*lines: str) -> World:
    """A group at level 1 under a lease, all its entries started."""
    return world_of(*(lines or LINES)).lease("1", TERM, 1000.0, 2000.0)


def of(world: World, tag: str) -> Process:
    return world.unit.processes[tag]


def stopped(world: World, tag: str = "r") -> World:
    """The world after an operator's stop of an entry, which ends at once."""
    world = world.order_entry(tag, STOP)
    return world.end(tag, -2) if world.of(tag).run else world.settle()


def signalled(world: World) -> list[tuple[str, str]]:
    return [(e.entry.tag, e.signal) for e in world.effects if isinstance(e, Signal)]


def launched(world: World) -> list[str]:
    return [effect.entry.tag for effect in world.effects if isinstance(effect, Launch)]


def hurried(world: World) -> World:
    """The world in which entry `r` respawns too rapidly and pauses."""
    for _ in range(7):
        world = world.end("r", 1)
    assert of(world, "r").state is ProcessState.PAUSING
    return world


# --- restart ---------------------------------------------------------------------------


def test_a_restart_ends_the_entry_as_its_level_would_and_starts_it_and_no_other() -> None:
    world = home().order_entry("r", RESTART)
    assert world.reply == (True, "")
    assert signalled(world) == [("r", "INT")]
    assert signalled(world.wait()) == [("r", "TERM")]
    assert signalled(world.wait().wait()) == [("r", "KILL")]
    world = world.end("r", -2, elsewhere=True)
    assert launched(world) == [], "something of it is alive"
    (watch,) = (effect for effect in world.effects if isinstance(effect, Watch))
    assert watch.scope is Scope.ENTRY
    world = world.vanish("r").settle()
    assert launched(world) == ["r"]
    assert running(world) == ["r", "q", "o"]
    assert state_of(world) == "1 DONE"


def test_a_restart_is_no_failure_and_not_the_work_of_the_throttle() -> None:
    world = home().end("r", 1).end("r", 1)
    assert of(world, "r").failures == 2
    assert of(world, "r").starts == 3
    for _ in range(10):
        world = world.order_entry("r", RESTART).end("r", 1)
        assert of(world, "r").state is ProcessState.RUNNING
    now = of(world, "r")
    assert (now.starts, now.failures, now.failed_at, now.rapid_restarts) == (1, 0, (), 0)


def test_an_order_is_obeyed_when_it_has_been_carried_out_and_not_before() -> None:
    world = home().order_entry("r", RESTART)
    assert (of(world, "r").ordered, of(world, "r").obeyed) == (("restart.0",), ())
    world = world.end("r", -2)
    assert (of(world, "r").ordered, of(world, "r").obeyed) == ((), ("restart.0",))
    world = world.order_entry("r", STOP)
    assert of(world, "r").obeyed == ("restart.0",)
    assert of(world.end("r", -2), "r").obeyed == ("restart.0", "stop.1")


def test_restarts_that_are_ordered_while_one_is_under_way_are_one() -> None:
    world = home().order_entry("r", RESTART)
    due = of(world, "r").due
    world = world.later(3.0).order_entry("r", RESTART)
    assert signalled(world) == []
    assert of(world, "r").due == due, "the escalation goes on as it was"
    world = world.end("r", -2)
    assert launched(world) == ["r"]
    assert of(world, "r").obeyed == ("restart.0", "restart.1")


def test_a_start_is_obeyed_when_there_is_a_process_or_it_is_known_why_there_is_none() -> None:
    order = StartOrdered("1.100.1")
    started, _ = advance(new_process(entry("g:r:1:respawn:x")), Started(1), 0.0, LIMITS)
    started, _ = advance(started, order, 0.0, LIMITS)
    assert (started.ordered, started.obeyed) == (("1.100.1",), ())
    born, _ = advance(started, Spawned(1, 4711), 0.0, LIMITS)
    assert (born.ordered, born.obeyed, born.error) == ((), ("1.100.1",), "")
    for failed in (SpawnFailed(1, "cannot execute: x"), SpawnPrevented(1, "no process")):
        unborn, _ = advance(started, failed, 0.0, LIMITS)
        assert (unborn.ordered, unborn.obeyed, unborn.error) == ((), ("1.100.1",), failed.reason)


@pytest.mark.parametrize("verb", [START, RESTART])
def test_an_entry_with_ready_has_started_when_it_is_ready(verb: EntryVerb) -> None:
    world = home("g:r:1:respawn(ready=notify):x", "g:q:1:respawn:y").ready("r")
    if verb is START:
        world = world.order_entry("r", STOP).end("r", -2)
    world = world.order_entry("r", verb)
    if verb is RESTART:
        world = world.end("r", -2)  # of the run before
    assert of(world, "r").state is ProcessState.RUNNING
    (order,) = of(world, "r").ordered
    assert order.startswith(verb)
    assert of(world.ready("r"), "r").obeyed[-1] == order


def test_a_run_that_ends_before_it_is_ready_answers_an_order() -> None:
    world = home("g:r:1:respawn(ready=notify,start=30s):x").ready("r")
    world = world.order_entry("r", RESTART).end("r", -2)
    assert of(world, "r").obeyed == ()
    ended = world.end("r", 1)
    assert (of(ended, "r").obeyed, of(ended, "r").exit) == (
        ("restart.0",),
        "exit 1 before it was ready",
    )
    late = world.wait()
    assert (of(late, "r").obeyed, of(late, "r").exit) == (
        ("restart.0",),
        "not ready within 30 s",
    )


def test_an_order_that_comes_twice_is_obeyed_once() -> None:
    world = home()
    order = EntryOrder("g", "r", RESTART, "1.100.1", TERM)
    assert of(stepped(stepped(world, order), order), "r").ordered == ("1.100.1",)
    unit = stepped(world, order).end("r", -2)
    again = stepped(unit, order)
    assert of(again, "r") == of(unit, "r")


def stepped(world: World, order: EntryOrder) -> World:
    supervisor = Supervisor(units={"g": world.unit})
    after, effects = step(supervisor, order, world.now)
    assert [effect for effect in effects if isinstance(effect, TellReply)] == [
        TellReply(ok=True, text="")
    ]
    alive = world.alive
    return replace(world, unit=after.units["g"], alive=alive)


@pytest.mark.parametrize("mode", ["once", "wait"])
def test_what_has_ended_by_itself_runs_once_more_without_what_it_left(mode: str) -> None:
    world = home(f"g:o:1:{mode}:x", "g:r:1:respawn:x").end("o", 0, elsewhere=True)
    assert state_of(world) == "1 DONE"
    world = world.order_entry("o", RESTART)
    assert signalled(world) == [("o", "INT")]
    assert launched(world) == []
    world = world.vanish("o").settle()
    assert launched(world) == ["o"]
    assert state_of(world) == "1 DONE", "the group does not wait for it"
    assert of(world.end("o", 0), "o").state is ProcessState.DONE


def test_a_wait_entry_that_is_restarted_while_its_group_starts_is_still_waited_for() -> None:
    world = home("g:w:1:wait:x", "g:r:1:respawn:x").order_entry("w", RESTART).end("w", -2)
    assert (launched(world), running(world)) == (["w"], ["w"])
    assert state_of(world) == "1 STARTING"
    assert running(world.end("w", 0)) == ["r"]


def test_an_entry_that_has_not_had_its_turn_is_started_in_its_turn() -> None:
    world = home("g:w:1:wait:x", "g:r:1:respawn:x").order_entry("r", RESTART)
    assert launched(world) == []
    assert of(world, "r").obeyed == ()
    assert of(world.end("w", 0), "r").obeyed == ("restart.0",)


# --- stop and start --------------------------------------------------------------------


@pytest.mark.parametrize("verb", [START, RESTART])
def test_an_entry_that_was_stopped_before_its_turn_waits_for_it_again(verb: EntryVerb) -> None:
    world = home("g:w:1:wait:mount", "g:r:1:respawn:x")
    world = world.order_entry("r", STOP).order_entry("r", verb)
    assert launched(world) == []
    assert of(world, "r").state is ProcessState.WAITING
    world = world.end("w", 0)
    assert launched(world) == ["r"]


def test_a_stopped_entry_stays_so_until_it_is_started() -> None:
    world = stopped(home())
    assert of(world, "r").state is ProcessState.STOPPED
    assert world.unit.due == 1000.0, "nothing but the lease moves it"
    assert running(world) == ["q", "o"]
    world = world.order_entry("r", STOP)
    assert world.reply == (True, "entry r of g was stopped already")
    world = world.order_entry("r", START)
    assert (world.reply, launched(world)) == ((True, ""), ["r"])
    assert of(world, "r").obeyed == ("stop.0", "stop.1", "start.2")


def test_a_start_of_what_is_not_stopped_says_so_and_does_nothing() -> None:
    world = home()
    before, world = of(world, "r"), world.order_entry("r", START)
    assert world.reply == (True, "entry r of g was not stopped, it is running: nothing to be done")
    assert launched(world) == []
    assert of(world, "r").run == before.run
    assert of(world, "r").obeyed == ("start.0",)


def test_a_start_that_comes_while_it_is_being_stopped_starts_it_when_it_has_ended() -> None:
    world = home().order_entry("r", STOP).order_entry("r", START)
    assert world.reply == (True, "")
    assert launched(world) == []
    world = world.end("r", -2)
    assert launched(world) == ["r"]
    assert of(world, "r").obeyed == ("stop.0", "start.1")


@pytest.mark.parametrize("verb", [START, RESTART])
def test_an_entry_that_pauses_is_started_at_once(verb: EntryVerb) -> None:
    world = hurried(home()).order_entry("r", verb)
    assert world.reply == (True, "")
    world = world.settle()
    assert "r" in running(world)
    now = of(world, "r")
    assert (now.rapid_restarts, now.failures, now.failed_at) == (0, 0, ())
    assert of(world.end("r", 1), "r").state is ProcessState.RUNNING


def test_a_start_of_what_runs_ends_the_haste_of_its_throttle() -> None:
    world = home().end("r", 1).end("r", 1)
    assert of(world, "r").rapid_restarts == 2
    assert of(world.order_entry("r", START), "r").rapid_restarts == 0


def test_a_start_of_what_is_being_cleared_is_obeyed_when_it_runs() -> None:
    world = home().end("r", 1, in_session=True).order_entry("r", START)
    assert of(world, "r").state is ProcessState.CLEARING
    assert of(world, "r").obeyed == ()
    assert of(world.vanish("r").settle(), "r").obeyed == ("start.0",)


def test_the_last_orders_are_remembered_and_not_without_bound() -> None:
    process = of(home(), "r")
    for number in range(2 * ORDERS_REMEMBERED_MAX):
        process, _ = advance(process, StartOrdered(f"1.1.{number}"), 100.0, LIMITS)
    kept = range(ORDERS_REMEMBERED_MAX, 2 * ORDERS_REMEMBERED_MAX)
    assert process.obeyed == tuple(f"1.1.{number}" for number in kept)
    process, _ = advance(process, RestartOrdered("2.1.0"), 100.0, LIMITS)
    for number in range(2 * ORDERS_REMEMBERED_MAX):
        process, _ = advance(process, RestartOrdered(f"1.2.{number}"), 100.0, LIMITS)
    assert process.ordered == tuple(f"1.2.{number}" for number in kept)


@pytest.mark.parametrize("verb", [START, RESTART])
def test_an_entry_that_the_host_could_not_start_is_tried_at_once(verb: EntryVerb) -> None:
    world = home().prevent("r")
    assert of(world, "r").state is ProcessState.RETRYING
    world = world.order_entry("r", verb)
    assert world.reply == (True, "")
    world = world.settle()
    assert "r" in running(world)
    assert (of(world, "r").error, of(world, "r").prevented) == ("", False)


def test_an_entry_that_pauses_or_waits_for_its_turn_can_be_stopped() -> None:
    assert of(stopped(hurried(home())), "r").state is ProcessState.STOPPED
    world = home("g:w:1:wait:x", "g:r:1:respawn:x").order_entry("r", STOP).end("w", 0)
    assert (state_of(world), running(world)) == ("1 DONE", [])
    assert of(world, "r").state is ProcessState.STOPPED


def test_what_is_not_born_yet_is_stopped_when_that_is_known() -> None:
    world = home().order_entry("r", STOP)
    assert of(world.prevent("r"), "r").state is ProcessState.STOPPED
    lost = world.prevent("r", lost=True)
    assert of(lost, "r").state is ProcessState.STOPPING, "there may be a process"
    assert of(lost.vanish("r").settle(), "r").state is ProcessState.STOPPED


# --- the group comes first -------------------------------------------------------------


@pytest.mark.parametrize("again", ["1", "2"])
def test_a_stop_of_an_entry_ends_with_the_next_tell_to_its_group(again: str) -> None:
    lines = ("g:r:1,2:respawn:x", "g:q:1,2:respawn:y")
    world = stopped(home(*lines)).lease(again, TERM, 1000.0, 2000.0)
    assert launched(world) == ["r"]
    assert running(world) == ["r", "q"]


@pytest.mark.parametrize("verb", [RESTART, STOP])
def test_what_its_group_ends_is_not_started_by_an_operators_order(verb: EntryVerb) -> None:
    world = home().order_entry("r", verb)
    if verb is STOP:
        world = world.order_entry("r", START)
    world = world.order(Tell("g", "stop", TERM)).end("r", -2).end("q", -2).end("o", -2).settle()
    assert running(world) == []
    assert world.alive["r"].run == 0
    assert state_of(world) in {"stop DONE", "stop CHECKING"}


def test_an_order_is_not_obeyed_by_what_its_group_does_with_the_entry() -> None:
    world = home("g:r:1:respawn:x").order_entry("r", RESTART)
    told = Tell("g", "1", TERM, "", 1000.0, 2000.0)
    world = world.order(told, (entry("g:r:1:respawn:changed", 1),)).end("r", -2).settle()
    assert "r" in running(world)
    assert of(world, "r").entry.command == "changed"
    assert (of(world, "r").ordered, of(world, "r").obeyed) == ((), ())


@pytest.mark.parametrize("order", [RestartOrdered("1"), StartOrdered("1"), StopOrdered("1")])
def test_an_entry_that_its_group_ends_takes_no_order(order: Event) -> None:
    started, _ = advance(new_process(entry("g:r:1:respawn:x")), Started(1), 100.0, LIMITS)
    ending, _ = advance(started, StopAsked(), 100.0, LIMITS)
    assert advance(ending, order, 101.0, LIMITS) == (ending, ())


def test_nothing_is_started_when_the_lease_has_ended_meanwhile() -> None:
    world = home().order_entry("r", RESTART)
    world = replace(world, now=1500.0).group(GroupTimePassed())
    assert running(world.end("r", -2)) == ["q", "o"], "they are still ending"
    assert launched(world.end("r", -2)) == []
    killed = replace(world, now=2000.0).group(GroupTimePassed())
    assert launched(killed.end("r", -9)) == []


def test_an_order_after_a_deadline_that_nobody_has_noticed_yet_is_refused() -> None:
    world = replace(home(), now=1000.0).order_entry("r", RESTART)
    assert world.reply == (False, "g is stopping or has stopped")
    assert world.unit.group.lapsed


def test_an_order_under_another_term_is_refused() -> None:
    for term in (TERM - 1, TERM + 1, 0):
        world = home().order_entry("r", STOP, term)
        assert world.reply == (False, f"g is under term {TERM}, and the order for term {term}")
        assert of(world, "r").state is ProcessState.RUNNING


def test_a_group_that_is_not_at_its_level_takes_no_order() -> None:
    under_way = leased().order(Tell("g", "2", TERM))
    assert under_way.unit.group.state is GroupState.STOPPING
    assert "on its way to 2" in under_way.order_entry("r", RESTART).reply.text
    assert "is stopping" in leased().halt().order_entry("r", RESTART).reply.text
    planned = world_of("g:r:plan:respawn:x").order(Tell("g", "plan", TERM))
    assert "has not started yet" in planned.order_entry("r", STOP).reply.text
    ended = leased().order(Tell("g", "stop", TERM))
    assert "is stopping" in ended.order_entry("r", START).reply.text


def test_a_group_that_ends_what_cltab_has_no_more_takes_no_order_though_its_level_stays() -> None:
    world = home()
    told = Tell("g", "1", TERM, "", 1000.0, 2000.0)
    world = world.order(told, tuple(e for e in world.unit.entries if e.tag != "q"))
    assert (world.unit.group.level, world.unit.group.wanted) == ("1", "1")
    refused = world.order_entry("r", RESTART).reply
    assert refused == (False, "g is on its way to 1: wait until it is there")


@pytest.mark.parametrize(
    ("tag", "verb", "words"),
    [
        ("t", RESTART, "entry t is a test, which runs before g starts: mosha restart g"),
        ("f", START, "entry f is off in cltab: change its mode there, then: mosha restart g"),
        ("w", STOP, "entry w is a wait entry, which ends by itself: mosha stop g"),
        ("s", STOP, "entry s is for level stop, and g is at 1"),
        ("x", STOP, "g has no entry 'x'; its entries are t, f, w, r, s"),
    ],
)
def test_what_cannot_be_ordered_of_an_entry_is_refused_in_words(
    tag: str, verb: EntryVerb, words: str
) -> None:
    lines = ("g:t:1:test:x", "g:f:1:off:x", "g:w:1:wait:x", "g:r:1:respawn:x", "g:s:stop:once:x")
    world = home(*lines).end("t", 0).end("w", 0).order_entry(tag, verb)
    assert world.reply == (False, words)


@pytest.mark.parametrize(
    ("managed", "known", "words"),
    [(True, True, "g has no lease"), (False, False, "g does not run here")],
)
def test_a_supervisor_refuses_what_has_no_lease_and_what_it_does_not_have(
    *, managed: bool, known: bool, words: str
) -> None:
    cltab = Cltab(tuple(entry(line) for line in LINES))
    unit = world_of(*LINES).tell("1").unit
    supervisor = Supervisor(cltab, {"g": unit} if known else {}, managed=managed)
    after, effects = step(supervisor, EntryOrder("g", "r", START, "1.1.1"), 100.0)
    assert effects == (TellReply(ok=False, text=words),)
    assert after.units == supervisor.units


def test_a_supervisor_that_halts_says_so() -> None:
    halting = Supervisor(units={"g": home().unit}, halting=True)
    _, effects = step(halting, EntryOrder("g", "r", START, "1.1.1", TERM), 100.0)
    assert TellReply(ok=False, text=HALTING_TEXT) in effects


# --- what is shown ---------------------------------------------------------------------


def test_an_entry_that_was_stopped_is_no_failure_and_not_as_wanted() -> None:
    for world, words in (
        (home().order_entry("r", STOP), "is being stopped by an operator"),
        (stopped(home()), "is stopped by an operator"),
    ):
        shown = group_report(world.unit, world.unit.group, 1, lambda _tag, _lines: ())
        (found,) = entries.troubles(shown.entries, "1", GroupState.DONE, None, world.now)
        assert (found.tag, found.kind) == ("r", TroubleKind.STOPPED)
        assert entries.trouble_text(found) == f"entry r {words}"


def test_a_stop_that_does_not_end_is_shown_as_such() -> None:
    world = home().order_entry("r", STOP)
    shown = group_report(world.unit, world.unit.group, 1, lambda _tag, _lines: ())
    late = world.now + entries.LATE_TO_STOP_S + 1.0
    (found,) = entries.troubles(shown.entries, "1", GroupState.DONE, None, late)
    assert found.kind is TroubleKind.LATE


@pytest.mark.parametrize("verbs", [(RESTART,), (STOP, START)])
def test_an_entry_that_is_ended_to_be_started_again_is_not_as_wanted_until_it_is(
    verbs: tuple[EntryVerb, ...],
) -> None:
    world = home()
    for verb in verbs:
        world = world.order_entry("r", verb)
    shown = group_report(world.unit, world.unit.group, 1, lambda _tag, _lines: ())
    (found,) = entries.troubles(shown.entries, "1", GroupState.DONE, None, world.now)
    assert (found.tag, found.kind) == ("r", TroubleKind.STOPPED)
    assert entries.trouble_text(found) == "entry r is being restarted by an operator"
    world = world.end("r", -2)
    shown = group_report(world.unit, world.unit.group, 1, lambda _tag, _lines: ())
    assert entries.troubles(shown.entries, "1", GroupState.DONE, None, world.now) == ()
