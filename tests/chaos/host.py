"""Faults of the host, carried out on the processes, files and logs of a node.

Each is a function of the storm and the fault; `FAULTS` has them by their kinds. What ends later
is put on the storm's agenda.
"""

from __future__ import annotations

import contextlib
import random
import re
import resource
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mosha.host.clock import boottime
from mosha.host.files import write_atomically
from tests.chaos.edits import Wish
from tests.chaos.machines import Machine
from tests.chaos.schedule import Fault
from tests.chaos.sinks import Disk, Pipe
from tests.monitor.trouble import mount, unmount

if TYPE_CHECKING:
    from tests.chaos.storm import Storm

DAEMONS = ("monitor", "clinit", "forkserver")
ASK_AGAIN_S = 2.0
HAND_OVER = signal.SIGUSR1
"""The monitor ends, clinit and the groups go on; see upgrade.md."""

NO_LIMIT = "max"


# --- limits ------------------------------------------------------------------------


def _no_descriptors(storm: Storm, fault: Fault) -> None:
    """Leave a daemon no more descriptors than it has open, and `amount`."""
    limits: list[tuple[int, tuple[int, int]]] = []
    for pid in storm.one(fault, fault.what):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            least = _open_files(pid) + int(fault.amount)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(least, before[0]), before[1]))
            limits.append((pid, before))
    storm.done(fault, limits)

    def end() -> None:
        for pid, before in limits:
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_NOFILE, before)

    storm.at(boottime() + fault.lasts, end)


def _open_files(pid: int) -> int:
    """Return the number above all descriptors that are open: that is what the limit is about."""
    return max(int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()) + 1


def _no_threads(storm: Storm, fault: Fault) -> None:
    """Leave a node no more threads and processes than it has, and `amount`.

    Then something is mounted: every monitor makes its watches anew.
    """
    machine = storm.machines[fault.node]
    assert machine.pids is not None
    limit = machine.pids / "pids.max"
    now = int((machine.pids / "pids.current").read_text())
    storm.done(fault, now)
    limit.write_text(f"{now + int(fault.amount)}\n")
    with tempfile.TemporaryDirectory() as point:
        mount("-t", "tmpfs", "tmpfs", point)
        unmount(Path(point))

    def end() -> None:
        limit.write_text(f"{NO_LIMIT}\n")

    storm.at(boottime() + fault.lasts, end)


# --- logs --------------------------------------------------------------------------


def _log_stopped(storm: Storm, fault: Fault) -> None:
    pipe = storm.machines[fault.node].sink
    assert isinstance(pipe, Pipe)
    pipe.send(signal.SIGSTOP)
    storm.done(fault, effect=True)
    storm.at(boottime() + fault.lasts, partial(pipe.send, signal.SIGCONT))


def _log_gone(storm: Storm, fault: Fault) -> None:
    pipe = storm.machines[fault.node].sink
    assert isinstance(pipe, Pipe)
    pipe.gone()
    storm.done(fault, effect=True)
    storm.at(boottime() + fault.lasts, pipe.read_again)


def _log_full(storm: Storm, fault: Fault) -> None:
    disk = storm.machines[fault.node].disk
    assert isinstance(disk, Disk)
    storm.done(fault, disk.fill())
    storm.at(boottime() + fault.lasts, disk.free)


def _log_frozen(storm: Storm, fault: Fault) -> None:
    disk = storm.machines[fault.node].disk
    assert isinstance(disk, Disk)
    if disk.freeze():
        storm.done(fault, effect=True)
        storm.at(boottime() + fault.lasts, disk.thaw)


# --- files -------------------------------------------------------------------------


def _old_clstat(storm: Storm, fault: Fault) -> None:
    """Put an earlier clstat of the node back, as a restored snapshot does."""
    texts = storm.statuses.get(fault.node)
    if texts:
        text = texts[fault.salt % len(texts)]
        write_atomically(storm.cluster.nodes[fault.node].directory / "clstat", text)
    storm.done(fault, texts)


def _old_clstat_dead(storm: Storm, fault: Fault) -> None:
    """Do so while nothing of the node lives."""
    machine = storm.machines[fault.node]
    storm.take_down([machine], fault.lasts)
    _old_clstat(storm, fault)


def _lose_state(storm: Storm, fault: Fault) -> None:
    _lose(storm, fault, "state")


def _lose_rundir(storm: Storm, fault: Fault) -> None:
    _lose(storm, fault, ".")


def _lose(storm: Storm, fault: Fault, name: str) -> None:
    storm.book.look()
    if storm.book.waits():
        storm.say("  left out: the last edits are not known everywhere yet")
        return
    shutil.rmtree(storm.cluster.nodes[fault.node].rundir / name, ignore_errors=True)
    storm.book.look()
    storm.done(fault, effect=True)
    _and_more(storm, fault)


def _and_more(storm: Storm, fault: Fault) -> None:
    machine = storm.machines[fault.node]
    if fault.what == "kill_monitor":
        machine.send(machine.find("monitor"), signal.SIGKILL)
    elif fault.what == "kill_node":
        storm.take_down([machine], fault.lasts)


def _lose_sockets(storm: Storm, fault: Fault) -> None:
    sockets = list(storm.cluster.nodes[fault.node].rundir.glob("*.s"))
    for path in sockets:
        path.unlink(missing_ok=True)
    storm.done(fault, sockets)
    _and_more(storm, fault)


# --- the network -------------------------------------------------------------------


def _cut_cable(storm: Storm, fault: Fault) -> None:
    assert storm.net is not None
    storm.net.cut(fault.node)
    storm.done(fault, effect=True)
    storm.at(boottime() + fault.lasts, partial(storm.net.heal, fault.node))


def _kill_sshfs(storm: Storm, fault: Fault) -> None:
    assert storm.net is not None
    pair = (fault.node, fault.peers[0])
    storm.net.kill_mount(*pair)
    storm.done(fault, effect=True)
    storm.at(boottime() + fault.lasts, partial(storm.net.release_mount, *pair))


def _kill_sshd(storm: Storm, fault: Fault) -> None:
    assert storm.net is not None
    if storm.net.daemons[fault.node].poll() is None:
        storm.net.kill_daemon(fault.node)
        storm.done(fault, effect=True)
        storm.at(boottime() + fault.lasts, partial(storm.net.serve, fault.node))


# --- settings ----------------------------------------------------------------------


def _other_timeout(storm: Storm, fault: Fault) -> None:
    """Give all nodes another time-out, and restart their monitors one after the other."""
    storm.done(fault, effect=True)
    for place, machine in enumerate(storm.machines.values()):
        when = boottime() + fault.lasts * place / len(storm.machines)
        storm.at(when, partial(_set_timeout, machine, fault.amount))


def _set_timeout(machine: Machine, timeout_s: float) -> None:
    config = machine.node.config
    config.write_text(re.sub(r"(?m)^timeout = .*$", f"timeout = {timeout_s:g}", config.read_text()))
    machine.send(machine.find("monitor"), HAND_OVER)


def _other_rundir(storm: Storm, fault: Fault) -> None:
    """Change `rundir` and restart the monitor, which upgrade.md says not to do."""
    node = storm.cluster.nodes[fault.node]
    storm.book.look()
    if storm.book.waits() or node.rundirs > 1:
        storm.say("  left out: the last edits are not known everywhere yet, or it was done")
        return
    before = node.rundir
    node.rundirs += 1
    config = node.config
    config.write_text(config.read_text().replace(f'"{before}"', f'"{node.rundir}"'))
    storm.done(fault, effect=True)
    if fault.what == "kill_node":
        storm.take_down([storm.machines[fault.node]], fault.lasts)
    else:
        storm.machines[fault.node].send(storm.machines[fault.node].find("monitor"), HAND_OVER)


# --- processes ---------------------------------------------------------------------


def _kill_daemons(storm: Storm, fault: Fault) -> None:
    """Kill everything of the node that is called mosha at once, as `pkill -9 -f mosha` does."""
    machine = storm.machines[fault.node]
    pids = [pid for kind in DAEMONS for pid in machine.find(kind)]
    storm.done(fault, machine.send(pids, signal.SIGKILL))


# --- tables and orders -------------------------------------------------------------


def _drop_group(storm: Storm, fault: Fault) -> None:
    """Take a group out of cltab, wherever it runs."""
    if not storm.book.may_edit(fault.node, "cltab"):
        storm.say("  left out: the last edit there has not been noticed yet")
        return
    chance = random.Random(fault.salt)  # noqa: S311 - faults, not secrets
    without = chance.choice(storm.world.groups)
    storm.book.edit(fault.node, "cltab", chance, how="renamed", valid=True, without=without)
    storm.done(fault, effect=True)


def _half_edit(storm: Storm, fault: Fault) -> None:
    """Write one half of a table, and the other one later."""
    chance = random.Random(fault.salt)  # noqa: S311 - faults, not secrets
    table = chance.choice(("cltab", "hactl"))
    if not storm.book.may_edit(fault.node, table):
        storm.say("  left out: the last edit there has not been noticed yet")
        return
    rest = storm.book.begin_half(fault.node, table, chance)
    storm.done(fault, effect=True)
    storm.at(boottime() + fault.lasts, rest)


def _verb(storm: Storm, fault: Fault) -> None:
    chance = random.Random(fault.salt)  # noqa: S311 - faults, not secrets
    group, node = chance.choice(storm.world.groups), chance.choice(list(storm.machines))
    words = {
        "restart_entry": ["restart", group, f"{group}-main"],
        "move": ["move", group, *([str(node)] if chance.random() < 0.7 else [])],
        "standby": ["standby", str(node)],
        "fail": ["fail", group, "--reason", "chaos"],
        "cleanup": ["cleanup", group, *([str(node)] if chance.random() < 0.5 else [])],
    }.get(fault.what, [fault.what, group])
    wish = None
    if fault.what in {"start", "stop"}:
        wish = Wish((group, fault.what), time.time_ns())
    by = storm.answering(fault.node)
    storm.command(by, words, fault.what, wish)
    storm.done(fault, effect=True)
    if fault.what == "standby":
        storm.standby.add(node)
        storm.at(boottime() + fault.lasts, partial(_unstandby, storm, by, node))


def _unstandby(storm: Storm, by: int, node: int) -> None:
    """Order it from one node after the other, until one has obeyed."""

    def ended(status: int) -> None:
        if status == 0:
            storm.standby.discard(node)
        elif node in storm.standby:
            following = by % storm.world.nodes + 1
            storm.at(boottime() + ASK_AGAIN_S, partial(_unstandby, storm, following, node))

    storm.command(by, ["unstandby", str(node)], "unstandby", then=ended)


FAULTS: dict[str, Callable[[Storm, Fault], None]] = {
    "cut_cable": _cut_cable,
    "kill_sshfs": _kill_sshfs,
    "kill_sshd": _kill_sshd,
    "no_descriptors": _no_descriptors,
    "no_threads": _no_threads,
    "log_stopped": _log_stopped,
    "log_gone": _log_gone,
    "log_full": _log_full,
    "log_frozen": _log_frozen,
    "old_clstat": _old_clstat,
    "old_clstat_dead": _old_clstat_dead,
    "lose_state": _lose_state,
    "lose_rundir": _lose_rundir,
    "lose_sockets": _lose_sockets,
    "other_timeout": _other_timeout,
    "other_rundir": _other_rundir,
    "kill_daemons": _kill_daemons,
    "drop_group": _drop_group,
    "half_edit": _half_edit,
    "verb": _verb,
}
