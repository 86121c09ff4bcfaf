"""How processes of a clinit are started, or not: what the shell of the product reports of it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mosha.core.instance_names import single
from mosha.core.supervision import process_events
from mosha.core.supervision.supervisor import EntryEvent
from mosha.core.supervision.unit import Launch
from mosha.core.tables import TEST_LEVEL, Mode
from tests.sim import agents, readying
from tests.sim.children import Child

if TYPE_CHECKING:
    from tests.sim.clinit import Clinit

CRASH_S = 0.01
"""So long a service lives that fails again and again."""

# So many starts of a host that starts nothing fail, and so many of those that were lost happened.
FAILS, HAPPENED = 0.8, 0.5


def launch(clinit: Clinit, order: Launch) -> None:
    """Start a run, or report why it was not started."""
    fault = clinit.machine.weather.of("nostart", clinit.machine.id)
    if fault is not None and clinit.machine.rng.random() < FAILS:
        _fail(clinit, order, fault.word)
        return
    entry, machine = order.entry, clinit.machine
    child = _appear(clinit, order)
    _report(clinit, order, process_events.Spawned(order.run, 1))
    if entry.mode is Mode.OCF or entry.stops:
        agents.run(clinit, child, entry)
        return
    verb, _, seconds = entry.command.partition(" ")
    spec = clinit.specs[single(entry.group)]
    if entry.mode is Mode.RESPAWN:  # "serve", also where half of a table has cut that
        if entry.awaited:
            readying.becomes_ready(clinit, child)
        if machine.crashes(spec):
            machine.after(CRASH_S, partial(clinit.kill, child, 1))
    elif entry.options.timeout_s is not None and machine.hangs(spec):
        machine.cover("fault entry hangs")
    else:
        # Half of a table may be one, if its last line is cut within a command.
        machine.after(float(seconds or 0), partial(clinit.finish, child, verb))


def _appear(clinit: Clinit, order: Launch) -> Child:
    """Let there be a process, and the checkers know."""
    entry, machine = order.entry, clinit.machine
    left = clinit.children.setdefault(entry.group, [])
    beside = next((it.run for it in left if it.leader and it.tag == entry.tag), None)
    runs = machine.cluster.runs
    runs.launched(machine.id, entry.group, entry.tag, beside=beside)
    readying.launched(clinit, entry, order.level)
    test = entry.mode is Mode.TEST
    child = Child(entry.group, entry.tag, order.run, order.level, order.term, test=test)
    child.born, child.agent = machine.agenda.now, entry.mode is Mode.OCF
    left.append(child)
    if child.exclusive:
        if clinit.specs[single(entry.group)].test_s and _has_tests(clinit, entry.group):
            runs.needs_test(machine.id, entry.group, order.term, order.level)
        machine.truth.started(
            machine.id, entry.group, order.term, order.level, clinit=clinit.number
        )
    elif child.undoing and not agents.recovers(clinit, entry):
        machine.truth.undoes(machine.id, entry.group, order.term, clinit=clinit.number)
    return child


def _has_tests(clinit: Clinit, group: str) -> bool:
    entries = clinit.supervisor.cltab.entries_of(group)
    return any(entry.mode is Mode.TEST and entry.level == TEST_LEVEL for entry in entries)


def _fail(clinit: Clinit, order: Launch, how: str) -> None:
    """Report that the run was not started; one that was lost may run, until it gets its SIGKILL."""
    machine, entry = clinit.machine, order.entry
    machine.cover(f"fault start {how}")
    mine = [it for it in clinit.children.get(entry.group, ()) if it.tag == entry.tag]
    if how == "lost":
        if machine.rng.random() < HAPPENED:
            mine.append(_appear(clinit, order))
        for child in mine:
            clinit.send_kill(child)
    left = any(it.tag == entry.tag for it in clinit.children.get(entry.group, ()))
    if how == "missing":
        reason = "cannot execute: No such file or directory"
        _report(clinit, order, process_events.SpawnFailed(order.run, reason, left=left))
        return
    reason = "could not be started: Resource temporarily unavailable; it is tried again"
    prevented = process_events.SpawnPrevented(order.run, reason, lost=how == "lost", left=left)
    _report(clinit, order, prevented)


def _report(
    clinit: Clinit,
    order: Launch,
    event: process_events.Spawned | process_events.SpawnFailed | process_events.SpawnPrevented,
) -> None:
    entry = order.entry
    clinit.soon(partial(clinit.feed, EntryEvent(entry.group, entry.tag, event)))
