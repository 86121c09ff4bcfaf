"""The daemon: its start, its signals, and its orderly end."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from mosha.clinit import cgroups
from mosha.clinit.cgroup_tracker import CgroupTracker
from mosha.clinit.child_steps import function
from mosha.clinit.clstat import ClstatFile
from mosha.clinit.descriptors import raise_limit
from mosha.clinit.engine import Engine
from mosha.clinit.faults import Faults
from mosha.clinit.forker import Forker
from mosha.clinit.held_addresses import remove_left
from mosha.clinit.options import ClinitOptions
from mosha.clinit.reaper import Reaper
from mosha.clinit.requests import Requests
from mosha.clinit.reset_note import ResetNote, reset_note_of
from mosha.clinit.self_fence import self_fence_of
from mosha.clinit.session_tracker import SessionTracker
from mosha.clinit.state_dir import StateDir
from mosha.clinit.state_keeper import keep_state
from mosha.clinit.systemd import service_notifier
from mosha.clinit.table import TableFile
from mosha.clinit.unit_tracker import UnitTracker, own_slice
from mosha.clinit.watchdog import arm
from mosha.control.address import refuse_taken
from mosha.control.listener import Listener
from mosha.control.protocol import ClinitRequest
from mosha.control.server import Server
from mosha.core.supervision.supervisor import Recovered, Supervisor
from mosha.errors import HostError
from mosha.host import logs, marks, notify, signals
from mosha.host.abandonable import Abandonable
from mosha.host.terminal import Terminal
from mosha.host.watchdog_device import OpenWatchdog, WatchdogDevice

NO_CGROUP = "none"
NO_CGROUPS = "what cuts all ties to its group may be overlooked when that is stopped"
SERVER_LIMIT_S = 60.0
NOT_KNOWN = "not known yet"  # the host was short of a resource when it was tried
_PR_SET_CHILD_SUBREAPER = 36


async def run_clinit(options: ClinitOptions, open_watchdog: OpenWatchdog = WatchdogDevice) -> int:
    """Run clinit until it is shut down; return the exit status.

    If anything else ends it, its children end with it, and a watchdog stays armed.

    Raises:
        UsageError: a path cannot be used.
        HostError: another clinit runs there, or the machine lacks what is needed.
    """
    refuse_taken(options.socket)
    notifier = notify.take()
    terminal = Terminal()
    signals.reset()
    state_dir = StateDir(options.state_dir)
    units = own_slice(state_dir.place)
    for pid, command in state_dir.end_orphans(options.orphan_limit_s, units):
        logs.get().warning("orphan_ended", pid=pid, command=command)
    await remove_left(options.state_dir)
    listener = Listener(options.socket)
    mark = marks.draw()
    _adopt_orphans()
    tracker = _make_tracker(options.cgroup, mark, state_dir.place)
    tree = tracker.tree if isinstance(tracker, CgroupTracker) else None
    state_dir.write(mark, tree)
    with_units = UnitTracker(tracker, state_dir.place, units)
    environment = {**os.environ, "MOSHA_NODE": options.node, "MOSHA_RUN": mark}
    forker = Forker(environment, mark, tree, raise_limit(), options.spawn, units)
    if isinstance(tracker, SessionTracker):
        tracker.forker = forker
    faults = Faults(forker.give_up)
    watchdog = None
    try:
        if options.watchdog is not None:
            watchdog = await arm(options.watchdog, options.watchdog_timeout_s, open_watchdog)
        await _begin_to_serve(forker)
        supervisor = Supervisor(limits=options.limits, managed=options.managed)
        engine = Engine(with_units, state_dir, supervisor, forker, faults)
        note = reset_note_of(options)
        if watchdog is not None:
            watchdog.watch(engine, note)
        await _live(
            *(options, listener, forker, engine, state_dir),
            note=note,
            notifier=notifier,
            terminal=terminal,
        )
    except BaseException as error:
        forker.give_up()
        if watchdog is not None:
            watchdog.give_up()
        raise _sole(error) from error
    notifier.stopping("all groups have halted")
    if watchdog is not None:
        watchdog.end(engine.left())
    engine.close()
    forker.dismiss()
    tracker.close()
    state_dir.close()
    logs.get().info("clinit_stopped", pid=os.getpid())
    return 0


async def _begin_to_serve(forker: Forker) -> None:
    """Wait until processes can be started, so that no client has to wait for that."""
    with anyio.move_on_after(SERVER_LIMIT_S) as late:
        await forker.ready.wait()
    if late.cancelled_caught:
        raise HostError(f"the fork server did not start within {SERVER_LIMIT_S:g} s")
    if forker.refused and not forker.way:
        raise HostError(f"no process can be started on this host: {forker.refused}")


async def _live(
    options: ClinitOptions,
    listener: Listener,
    forker: Forker,
    engine: Engine,
    state_dir: StateDir,
    *,
    note: ResetNote | None,
    notifier: notify.Notifier,
    terminal: Terminal,
) -> None:
    """Answer clients, obey signals and supervise children until all groups have halted."""
    table = TableFile(options.cltab, options.file_limit_s)
    requests = Requests(engine, table, managed=options.managed)
    server: Server[ClinitRequest] = Server(listener, ClinitRequest, requests.answer)
    clstat = None
    async with anyio.create_task_group() as tasks:
        engine.start(tasks)
        tasks.start_soon(engine.faults.raise_first)
        if (self_fence := self_fence_of(options, engine, forker.leaders, note)) is not None:
            tasks.start_soon(self_fence.run)
        gc.freeze()  # imported modules are never garbage: do not scan them again
        reaper = Reaper(engine, forker)
        await requests.reread()
        for group, agents in tuple(state_dir.agents.read().items()):
            logs.get().warning(
                "agents_recovered", group=group, tags=[entry.tag for entry in agents]
            )
            engine.happen(Recovered(group, agents))
        if options.clstat is not None:
            clstat = ClstatFile(
                options.clstat, engine.lines, options.heartbeat_s, options.file_limit_s
            )
            engine.on_change = clstat.changed
            tasks.start_soon(clstat.run)
        await tasks.start(partial(_obey_signals, requests, terminal, managed=options.managed))
        tasks.start_soon(server.run)
        tasks.start_soon(keep_state, state_dir, engine)
        tasks.start_soon(service_notifier, engine, notifier)
        if options.managed:
            tasks.start_soon(_leave_a_lost_place, options, state_dir, engine, requests)
        way = forker.way or NOT_KNOWN
        logs.get().info("clinit_started", pid=os.getpid(), socket=str(options.socket), spawn=way)
        await engine.halted.wait()
        await server.flush()
        reaper.close()
        tasks.cancel_scope.cancel()
    if clstat is not None:
        await clstat.remove()


async def _leave_a_lost_place(
    options: ClinitOptions, state_dir: StateDir, engine: Engine, requests: Requests
) -> None:
    """End when idle and another clinit has taken the place: its RUNDIR was replaced.

    Files that were only removed are made again (`state_keeper.py`).
    """
    looking = Abandonable("the state directory")
    while True:
        await anyio.sleep(options.place_look_s)
        if not engine.at_rest:
            continue
        try:
            other = await looking.run(state_dir.other_holder, options.file_limit_s)
        except OSError:  # a directory that cannot be read may still exist
            continue
        if other and engine.at_rest:
            logs.get().warning("place_lost", path=str(state_dir.path), pid=other)
            requests.shut_down()
            return


def _sole(error: BaseException) -> BaseException:
    """Unwrap the error if a task group has wrapped a single one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


async def _obey_signals(
    requests: Requests,
    terminal: Terminal,
    *,
    managed: bool,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Obey signals: TERM, INT and QUIT halt all groups, HUP reads cltab; if managed, none does.

    A HUP because the terminal was closed halts all groups as well.

    With handlers, not SIG_IGN, which every child would inherit (C6.9, H6.3).
    """
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
    with anyio.open_signal_receiver(*numbers) as received:
        task_status.started()
        async for number in received:
            if managed:
                continue
            if number is signal.SIGHUP and not await terminal.was_closed():
                await requests.reread()
            else:
                if number is signal.SIGHUP:
                    logs.get().warning("terminal_closed")
                requests.shut_down()


def _adopt_orphans() -> None:
    """Become the parent of descendants that lose theirs (prctl(2))."""
    prctl = function("prctl", ctypes.c_int, ctypes.c_int, *[ctypes.c_ulong] * 4)
    if prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise HostError(f"cannot adopt orphans: {os.strerror(ctypes.get_errno())}")


def _make_tracker(setting: str | None, mark: str, place: str) -> CgroupTracker | SessionTracker:
    if setting == NO_CGROUP:
        return SessionTracker(mark)
    try:
        parent = Path(setting) if setting else cgroups.own_cgroup()
        if parent is None:
            raise FileNotFoundError(0, "no cgroup v2 is mounted")
        return CgroupTracker(parent, mark, place)
    except OSError as error:
        if setting:
            raise HostError(f"cannot make a cgroup in {setting}: {error.strerror}") from error
        reason = error.strerror or str(error)
        if os.geteuid() == 0:
            logs.get().warning("cgroup_unavailable", reason=str(error), consequence=NO_CGROUPS)
            return SessionTracker(mark, no_cgroups=reason)
        # An ordinary user who tries mosha can seldom make one, and runs only their own programs.
        logs.get().info("cgroup_unavailable", reason=str(error), consequence=NO_CGROUPS)
        return SessionTracker(mark, no_cgroups="")
